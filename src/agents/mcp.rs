//! MCP servers of a version, as they are stored and checked.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// MCP servers of one list at most.
const MAX_SERVERS: usize = 50;
/// Characters of a name at most.
const MAX_NAME: usize = 64;
/// Bytes of a URL, command, argument, header or tool name at most.
const MAX_TEXT: usize = 4096;
/// Arguments, headers or tools of one server at most.
const MAX_ENTRIES: usize = 200;

/// How a server is reached.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// HTTP with server-sent events.
    Sse,
    /// A command inside the sandbox.
    Stdio,
}

/// One MCP server.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Server {
    /// The name, unique within its list.
    pub name: String,
    /// How it is reached.
    #[serde(rename = "type", alias = "transport")]
    pub transport: Transport,
    /// The address of an http or sse server.
    pub url: String,
    /// The command of a stdio server.
    pub command: String,
    /// The command's arguments.
    pub args: Vec<String>,
    /// Headers for an http or sse server.
    pub headers: BTreeMap<String, String>,
    /// The tools that may be called; empty means all.
    pub enabled_tools: Vec<String>,
}

/// Checks one list of servers.
///
/// # Errors
/// INVALID_REQUEST naming the entry and the rule.
pub fn check(field: &'static str, servers: &[Server]) -> Result<()> {
    if servers.len() > MAX_SERVERS {
        return Err(Error::invalid_field(
            field,
            format!("{field} has more than {MAX_SERVERS} entries"),
        ));
    }
    let mut names = BTreeSet::new();
    for (position, server) in servers.iter().enumerate() {
        let wrong = |what: String| Err(Error::invalid_field(field, format!("{field}[{position}]: {what}")));
        let letters = server.name.chars().count();
        if letters == 0 || letters > MAX_NAME || server.name.chars().any(char::is_control) {
            return wrong(format!("name must have 1 to {MAX_NAME} characters"));
        }
        if !names.insert(&server.name) {
            return wrong(format!("the name {:?} occurs twice", server.name));
        }
        if let Some(what) = reach(server) {
            return wrong(what.to_owned());
        }
        let texts = server
            .args
            .iter()
            .chain(&server.enabled_tools)
            .chain(server.headers.values());
        let texts = texts.chain(server.headers.keys()).chain([&server.url, &server.command]);
        if texts.clone().count() > MAX_ENTRIES || texts.clone().any(|text| text.len() > MAX_TEXT || text.contains('\0'))
        {
            return wrong(format!(
                "at most {MAX_ENTRIES} arguments, headers and tools of at most {MAX_TEXT} bytes"
            ));
        }
        if server
            .headers
            .iter()
            .any(|(name, value)| !is_header(name) || value.chars().any(char::is_control))
        {
            return wrong("headers must be valid HTTP header names and values".to_owned());
        }
    }
    Ok(())
}

fn reach(server: &Server) -> Option<&'static str> {
    match server.transport {
        Transport::Http | Transport::Sse => {
            let address = server
                .url
                .strip_prefix("https://")
                .or_else(|| server.url.strip_prefix("http://"));
            if !address
                .is_some_and(|address| !address.is_empty() && !address.starts_with('/') && !address.contains(' '))
            {
                return Some("an http or sse server needs a url that starts with http:// or https://");
            }
            (!server.command.is_empty()).then_some("an http or sse server has no command")
        }
        Transport::Stdio if server.command.trim().is_empty() => Some("a stdio server needs a command"),
        Transport::Stdio => (!server.url.is_empty()).then_some("a stdio server has no url"),
    }
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
