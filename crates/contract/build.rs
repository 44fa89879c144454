//! Generates the message types of the API from the proto files, and writes the encoded descriptors to a file.
//!
//! The transcoder and the OpenAPI document need the options in the descriptors. prost drops options, so the file
//! contains the compiler's original bytes.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

const FOLDER: &str = "../../proto";

const FILES: &[&str] = &[
    "runyard/v1/access.proto",
    "runyard/v1/http.proto",
    "runyard/v1/errors.proto",
    "runyard/v1/events.proto",
    "runyard/v1/agents.proto",
    "runyard/v1/memories.proto",
    "runyard/v1/runs.proto",
    "runyard/v1/inputs.proto",
    "runyard/v1/files.proto",
    "runyard/v1/skills.proto",
    "runyard/v1/threads.proto",
    "runyard/v1/projects.proto",
    "runyard/v1/sandboxes.proto",
    "runyard/v1/accounts.proto",
    "runyard/v1/admin.proto",
    "runyard/v1/webhooks.proto",
    "runyard/v1/schedules.proto",
    "runyard/v1/triggers.proto",
    "runyard/v1/secrets.proto",
    "runyard/v1/shares.proto",
];

/// Proto files of the gRPC error model. Their descriptors are written to a separate file.
const ERROR_MODEL: &[&str] = &["google/rpc/status.proto", "google/rpc/error_details.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={FOLDER}");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(FILES)?;
    let raw = compiler.encode_file_descriptor_set();
    fs::write(out.join("descriptors.bin"), &raw)?;
    fs::write(out.join("bare_descriptors.bin"), bare(FILES)?)?;
    prost_build::Config::new()
        .btree_map(["."])
        .bytes([
            ".google.api.HttpBody.data",
            ".runyard.v1.CreateSkillRequest.archive",
            ".runyard.v1.UploadChunkRequest.data",
        ])
        .enable_type_names()
        .include_file("contract.rs")
        .compile_fds(FileDescriptorSet::decode(raw.as_slice())?)?;

    let error_model = out.join("error_model");
    fs::create_dir_all(&error_model)?;
    let mut errors = protox::Compiler::new([FOLDER])?;
    errors.include_imports(true).include_source_info(true);
    errors.open_files(ERROR_MODEL)?;
    let raw = errors.encode_file_descriptor_set();
    fs::write(out.join("error_model.bin"), bare(ERROR_MODEL)?)?;
    prost_build::Config::new()
        .out_dir(&error_model)
        .enable_type_names()
        .compile_fds(FileDescriptorSet::decode(raw.as_slice())?)?;
    Ok(())
}

/// Returns the encoded descriptors without comments and source positions.
fn bare(files: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut compiler = protox::Compiler::new([FOLDER])?;
    compiler.include_imports(true).include_source_info(false);
    compiler.open_files(files)?;
    Ok(compiler.encode_file_descriptor_set())
}
