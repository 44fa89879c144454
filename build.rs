//! Generates the service traits of the API, and embeds the console if clients/web has been built.

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

const CONSOLE: &str = "clients/web/dist";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    embed_console(&out)?;

    // In the generated traits, a RunEvent is a byte string, because each event is encoded only once, when it is
    // recorded.
    let files = FileDescriptorSet::decode(runyard_contract::DESCRIPTORS)?;
    let traits = out.join("traits");
    fs::create_dir_all(&traits)?;
    let mut config = prost_build::Config::new();
    config
        .out_dir(&traits)
        .include_file("traits.rs")
        .extern_path(".runyard.v1.RunEvent", "crate::events::EncodedEvent")
        .extern_path(".runyard.v1", "::runyard_contract::v1")
        .extern_path(".google.api", "::runyard_contract::google::api");
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(false)
        .codec_path("crate::wire::codec::PlainText")
        .out_dir(&traits)
        .compile_fds_with_config(files, config)?;
    Ok(())
}

/// Copies the console to `out` and generates a list of its files. Ignores a console without index.html, because its
/// build has not finished.
fn embed_console(out: &Path) -> Result<(), Box<dyn Error>> {
    let built = Path::new(CONSOLE);
    println!("cargo:rerun-if-changed={CONSOLE}");
    // Cargo reruns this script on every build if a watched path is missing, so the folder is created. The time of the
    // new folder is set to the Unix epoch, so that Cargo does not see a change.
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

/// Appends the paths of all files in a folder and its subfolders. `prefix` is prepended to the relative paths.
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
