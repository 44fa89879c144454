//! HTTP.
pub mod fault;
pub mod route;
