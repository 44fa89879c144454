//! Settings of connections to MCP servers.

use std::time::Duration;

use runyard_mcp::Limits;
use serde::Deserialize;

/// Maximum size of one message of a server.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of the text of a tool result.
const MAX_RESULT_BYTES: usize = 128 * 1024;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// Permits private, loopback and link-local addresses for MCP servers with the transport http or sse. Every
    /// account can then reach this process's internal network, including metadata services.
    pub allow_private_addresses: bool,
    /// Connects to the HTTP servers of an agent when the agent is saved, so that its first run starts sooner.
    pub list_tools_when_saved: bool,
    /// Maximum time to start and connect to a server, and to list its tools.
    pub connect_timeout_seconds: u64,
    /// Maximum time between two messages of a server about a tool call.
    pub idle_timeout_seconds: u64,
    pub call_timeout_seconds: u64,
}

impl Mcp {
    pub fn limits(&self) -> Limits {
        Limits {
            connect: Duration::from_secs(self.connect_timeout_seconds),
            idle: Duration::from_secs(self.idle_timeout_seconds),
            call: Duration::from_secs(self.call_timeout_seconds),
            message_bytes: MAX_MESSAGE_BYTES,
            result_bytes: MAX_RESULT_BYTES,
        }
    }
}
