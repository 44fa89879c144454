//! The only code that knows tonic, prost services, http, JSON and JWT.

pub mod http;
pub mod json;
pub mod jwt;
pub mod status;

pub(crate) mod traits {
    //! The service traits of the contract, with events as bytes.
    #![expect(
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/traits/traits.rs"));
}
