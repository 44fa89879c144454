//! Generates the server trait of RunService, which the minimal comparison server (src/floor.rs) implements.

use std::error::Error;

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let mut files = FileDescriptorSet::decode(runyard_contract::DESCRIPTORS)?;
    for file in &mut files.file {
        file.service.retain(|service| service.name() == "RunService");
    }
    let mut config = prost_build::Config::new();
    config
        .extern_path(".runyard.v1", "::runyard::v1")
        .extern_path(".google.api", "::runyard::contract::google::api");
    tonic_prost_build::configure()
        .build_server(true)
        .build_client(false)
        .compile_fds_with_config(files, config)?;
    Ok(())
}
