//! The integration tests, in one binary. Tests of the API are in `service/`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test reports a failure by panicking"
)]

mod auth;
mod client;
mod command_line;
mod console;
mod difference;
mod docs;
mod engine;
mod fuzz;
mod json;
mod llm;
mod mcp;
mod openapi;
mod pictures;
mod plans;
mod prose;
mod sandbox;
mod seeds;
mod service;
mod test_server;
mod tidy;
mod tools;
mod transcoding;
mod web;
