//! Generates the gRPC service trait from greeter.proto, and writes the descriptors that the transcoder reads.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=greeter.proto");
    println!("cargo:rerun-if-changed=../../proto");
    // The second folder contains transcode/v1/options.proto, the third google/api/annotations.proto.
    let mut compiler = protox::Compiler::new([".", "../../proto", "../../../../proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_file("greeter.proto")?;
    let descriptors = compiler.encode_file_descriptor_set();
    // Write the compiler's bytes unchanged: prost does not keep the options when it re-encodes descriptors.
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"),
        &descriptors,
    )?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds(FileDescriptorSet::decode(descriptors.as_slice())?)?;
    Ok(())
}
