//! The messages, descriptors and error codes of the API.
//!
//! The crate has no async runtime and no transport. `runyard-client` generates the gRPC clients, and the server
//! generates the gRPC services.

#![warn(missing_docs)]

pub mod error;
pub mod status;
pub mod structs;

/// The encoded `FileDescriptorSet` of the API, with options, comments and imports.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// [`DESCRIPTORS`] without comments, which take most of the time and memory of decoding.
pub const BARE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bare_descriptors.bin"));

/// The encoded `FileDescriptorSet` of the gRPC error model, such as `google.rpc.Status`, with imports and without comments.
pub const ERROR_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/error_model.bin"));

mod generated {
    #![expect(missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/contract.rs"));
}

/// Messages of the gRPC error model (<https://google.aip.dev/193>).
pub mod rpc {
    #![expect(clippy::doc_overindented_list_items, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/error_model/google.rpc.rs"));
}

pub use generated::{google, runyard, runyard::v1};
