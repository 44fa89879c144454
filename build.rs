//! Compiles the contract: messages and clients in one pass, service traits in another.
//!
//! The raw encoded descriptor bytes are kept beside the code: prost's own `FileDescriptorSet` drops the options that the
//! transcoder and the OpenAPI document read at run time. What clients/web was built into is put into the program as it is;
//! when it was not built, nothing is.

use std::{
    env,
    error::Error,
    fmt::Write,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::SystemTime,
};

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

/// Where Vite leaves the console.
const CONSOLE: &str = "clients/web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    embed_console(&out)?;

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

/// Copies the console beside the code and lists its files there; a console that is being built has no index.html yet, and counts
/// as none.
fn embed_console(out: &Path) -> Result<(), Box<dyn Error>> {
    let built = Path::new(CONSOLE);
    println!("cargo:rerun-if-changed={CONSOLE}");
    // Cargo runs this again and again when what it watches is missing. So the folder is made, as old as can be: it is not
    // what changed.
    if !built.exists() && fs::create_dir_all(built).is_ok() {
        let _ = fs::File::open(built).and_then(|folder| folder.set_modified(SystemTime::UNIX_EPOCH));
    }
    let copy = out.join("console");
    if let Err(error) = fs::remove_dir_all(&copy)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error.into());
    }
    let mut names = Vec::new();
    if built.join("index.html").is_file() {
        list(built, "", &mut names)?;
    }
    names.sort();
    let mut code = String::from("pub(super) static FILES: &[(&str, &[u8])] = &[\n");
    for name in &names {
        let to = copy.join(name);
        fs::create_dir_all(to.parent().unwrap_or(out))?;
        fs::copy(built.join(name), to)?;
        writeln!(
            code,
            "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), {:?}))),",
            format!("/console/{name}")
        )?;
    }
    code.push_str("];\n");
    fs::write(out.join("console.rs"), code)?;
    Ok(())
}

/// The names of the files below a folder, relative to it.
fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| format!("{} is not UTF-8", name.display()))?;
        let name = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else if kind.is_file() {
            names.push(name);
        }
    }
    Ok(())
}
