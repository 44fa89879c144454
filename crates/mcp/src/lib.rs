//! A client of Model Context Protocol (MCP) servers.
//!
//! The service connects to a server with [`Connection::http`] or [`Connection::stdio`], lists its tools and calls them.
//! The crate uses no database and no sandbox: the caller starts the process of a stdio server, and decides which
//! addresses may be reached ([`Http::new`]). Invariants: All messages of a server are limited in size and time. A call
//! is sent at most once. Errors contain no header and no URL of the configuration.

#![warn(missing_docs)]

mod call;
mod connection;
mod error;
mod http;
mod listener;
mod names;
mod outcome;
mod rendering;
mod schema;
mod sse;
mod tools;

use std::time::Duration;

pub use connection::Connection;
pub use error::{Error, Result};
pub use http::{Address, Http, is_reserved_header};
pub use names::Names;
pub use outcome::Outcome;
pub use rendering::{Attachment, Rendered};
pub use schema::adapted;
pub use tools::{ListedTool, ToolList};

/// Limits on time and size, which apply to each server separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum time to connect, including the handshake. Listing the tools may take an additional half of this time.
    pub connect: Duration,
    /// Idle timeout of a call: the maximum time between two messages of the server about the call.
    pub idle: Duration,
    /// Maximum time of a call.
    pub call: Duration,
    /// Maximum size in bytes of one message of a server.
    pub message_bytes: usize,
    /// Maximum size in bytes of the text of a result.
    pub result_bytes: usize,
}
