//! Compiles the contract: messages and clients in one pass, service traits in another.
//!
//! The raw encoded descriptor bytes are kept beside the code: prost's own `FileDescriptorSet` drops the options that the
//! transcoder and the OpenAPI document read at run time.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

const FILES: &[&str] = &[
    "runyard/v1/http.proto",
    "runyard/v1/errors.proto",
    "runyard/v1/events.proto",
    "runyard/v1/agents.proto",
    "runyard/v1/runs.proto",
    "runyard/v1/files.proto",
    "runyard/v1/threads.proto",
    "runyard/v1/projects.proto",
    "runyard/v1/sandboxes.proto",
    "runyard/v1/accounts.proto",
    "runyard/v1/admin.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let raw = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &raw)?;
    let files = FileDescriptorSet::decode(raw.as_slice())?;

    // Messages and clients.
    let mut messages = prost_build::Config::new();
    messages
        .btree_map(["."])
        .bytes([".google.api.HttpBody.data", ".runyard.v1.UploadChunkRequest.data"])
        .enable_type_names()
        .include_file("contract.rs");
    tonic_prost_build::configure()
        .build_server(false)
        .build_client(true)
        .compile_fds_with_config(files.clone(), messages)?;

    // Service traits. RunEvent is replaced by bytes that were encoded once, when the event was recorded.
    let traits = out.join("traits");
    fs::create_dir_all(&traits)?;
    let mut config = prost_build::Config::new();
    config
        .out_dir(&traits)
        .include_file("traits.rs")
        .extern_path(".runyard.v1.RunEvent", "crate::events::EncodedEvent")
        .extern_path(".runyard.v1", "crate::v1")
        .extern_path(".google.api", "crate::contract::google::api");
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(false)
        .codec_path("crate::wire::codec::PlainText")
        .out_dir(&traits)
        .compile_fds_with_config(files, config)?;
    Ok(())
}
