//! Generates the gRPC clients of all services. The message types come from `runyard-contract`.

use std::error::Error;

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let files = FileDescriptorSet::decode(runyard_contract::DESCRIPTORS)?;
    let mut config = prost_build::Config::new();
    config
        .extern_path(".runyard.v1", "::runyard_contract::v1")
        .extern_path(".google.api", "::runyard_contract::google::api");
    tonic_prost_build::configure()
        .build_server(false)
        .build_client(true)
        .compile_fds_with_config(files, config)?;
    Ok(())
}
