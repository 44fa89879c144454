//! Generated messages and clients of the API (`proto/`), and its descriptors.

pub mod structs;

/// The encoded `FileDescriptorSet` of the API, including options, comments and imports.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

mod generated {
    #![expect(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

pub use generated::{google, runyard};
