//! A client of Model Context Protocol (MCP) servers.
//!
//! The service opens a [`Connection`], lists the tools and calls them. The caller starts the process of a stdio
//! server, and decides which addresses may be reached ([`Http::new`]). Invariants: a server's messages are limited in
//! size and time. A call is sent once, and again only if its server asked for that ([`Questions`]). Errors contain no header
//! and no URL of the configuration.

#![warn(missing_docs)]

mod call;
mod connection;
mod error;
mod http;
mod listener;
mod names;
mod outcome;
mod questions;
mod rendering;
mod resolver;
mod revisions;
mod schema;
mod sse;
mod tools;
mod trace;

use std::time::Duration;

pub use connection::Connection;
pub use error::{Error, Result};
pub use http::{Address, Http, is_reserved_header};
pub use names::Names;
pub use outcome::Outcome;
pub use questions::{Continuation, MAX_ROUNDS, Question, Questions, Reply};
pub use rendering::{Attachment, Rendered};
pub use resolver::{AddressRule, PermittedHosts};
pub use schema::adapted;
pub use tools::{ListedTool, ToolList};

/// Limits for each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum time to connect, including the handshake. The tool list may take half of this time in addition.
    pub connect: Duration,
    /// Maximum time between two messages of the server about a call.
    pub idle: Duration,
    /// Maximum time of a call.
    pub call: Duration,
    /// Maximum bytes of a message.
    pub message_bytes: usize,
    /// Maximum bytes of a result's text.
    pub result_bytes: usize,
}
