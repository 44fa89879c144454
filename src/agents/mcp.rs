//! MCP servers of an agent version: their stored form and their validation.

pub mod headers;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use self::headers::Header;
use crate::{
    addresses,
    app::App,
    error::{Error, Result},
};

const MAX_SERVERS: usize = 50;
/// Maximum length of a server's name in characters.
const MAX_NAME: usize = 64;
/// Maximum size in bytes of a URL, command, argument, header name, header value or tool name.
const MAX_TEXT: usize = 4096;
/// Maximum total number of a server's arguments, headers, tool names, URL and command.
const MAX_ENTRIES: usize = 200;
/// Maximum total size of a version's servers, in bytes of JSON. The limit is low, because a page of versions contains
/// the servers of many versions.
const MAX_BYTES: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Streamable HTTP.
    Http,
    /// HTTP with server-sent events.
    Sse,
    /// Standard input and output of a command inside the sandbox.
    Stdio,
}

/// Settings of one MCP server. A version stores them as JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Server {
    pub name: String,
    #[serde(rename = "type", alias = "transport")]
    pub transport: Transport,
    pub url: String,
    /// Program of a stdio server.
    pub command: String,
    pub args: Vec<String>,
    /// Request headers for an http or sse server.
    pub headers: BTreeMap<String, Header>,
    /// Names of the tools that the agent may call; empty for all tools of the server.
    pub enabled_tools: Vec<String>,
}

/// `field` is the API field that contains the servers.
///
/// # Errors
/// INVALID_REQUEST; its message names the field or entry, and the violated rule.
pub fn check(app: &App, field: &'static str, servers: &[Server]) -> Result<()> {
    if servers.len() > MAX_SERVERS {
        return Err(Error::invalid_field(
            field,
            format!("{field} must have at most {MAX_SERVERS} entries"),
        ));
    }
    for (position, server) in servers.iter().enumerate() {
        let permits_private = app.config.mcp.allow_private_addresses;
        if let Some(what) = mistake(server).or_else(|| private_address(server).filter(|_| !permits_private)) {
            return Err(Error::invalid_field(field, format!("{field}[{position}]: {what}")));
        }
    }
    Ok(())
}

/// Checks both lists of a version together. Names must be unique, because a server's name is the prefix of its tools'
/// names.
///
/// # Errors
/// INVALID_REQUEST; its message names the field or entry, and the violated rule.
pub fn check_together(configured: &[Server], custom: &[Server]) -> Result<()> {
    let mut names = BTreeSet::new();
    let mut bytes = 0;
    for (field, servers) in [("configured_mcps", configured), ("custom_mcps", custom)] {
        for (position, server) in servers.iter().enumerate() {
            if !names.insert(&server.name) {
                let message = format!("{field}[{position}]: the name {:?} is used twice", server.name);
                return Err(Error::invalid_field(field, message));
            }
        }
        bytes += size(servers)?;
        if bytes > MAX_BYTES {
            let message = format!("configured_mcps and custom_mcps must have at most {MAX_BYTES} bytes together");
            return Err(Error::invalid_field(field, message));
        }
    }
    Ok(())
}

/// Size of the servers in bytes of JSON. A header value counts with its unencrypted size.
fn size(servers: &[Server]) -> Result<usize> {
    let plain = serde_json::to_vec(&headers::masked(servers))
        .map_err(|error| Error::internal("the MCP servers could not be encoded", error))?;
    let headers = servers.iter().flat_map(|server| server.headers.values());
    Ok(plain.len() + headers.map(Header::size).sum::<usize>())
}

fn mistake(server: &Server) -> Option<String> {
    let letters = server.name.chars().count();
    if letters == 0 || letters > MAX_NAME || server.name.chars().any(char::is_control) {
        return Some(format!(
            "name must have 1 to {MAX_NAME} characters and no control characters"
        ));
    }
    let texts = server.args.iter().chain(&server.enabled_tools);
    let texts = texts
        .chain(server.headers.keys())
        .chain(server.headers.values().filter_map(Header::plain));
    let mut texts = texts.chain([&server.url, &server.command]);
    if texts.clone().count() > MAX_ENTRIES || texts.any(|text| text.len() > MAX_TEXT || text.contains('\0')) {
        let what = format!(
            "args, headers, enabled_tools, url and command together may have up to {MAX_ENTRIES} values; a value may be up \
             to {MAX_TEXT} bytes long and must not contain NUL"
        );
        return Some(what);
    }
    let is_no_value = |value: &Header| value.plain().is_some_and(|value| value.chars().any(char::is_control));
    if server
        .headers
        .iter()
        .any(|(name, value)| !is_header(name) || is_no_value(value))
    {
        return Some("headers must be valid HTTP header names and values".to_owned());
    }
    if let Some(name) = server.headers.keys().find(|name| runyard_mcp::is_reserved_header(name)) {
        return Some(format!("headers must not set {name}, which the protocol sets"));
    }
    let mut tools = BTreeSet::new();
    if !server
        .enabled_tools
        .iter()
        .all(|tool| !tool.is_empty() && tools.insert(tool))
    {
        return Some("enabled_tools must list each tool name once".to_owned());
    }
    reach(server).map(str::to_owned)
}

fn reach(server: &Server) -> Option<&'static str> {
    match server.transport {
        Transport::Http | Transport::Sse => {
            if !is_address(&server.url) {
                return Some(
                    "an http or sse server needs a url that starts with http:// or https:// and names a host, without a \
                     user or password",
                );
            }
            let is_command = !server.command.is_empty() || !server.args.is_empty();
            is_command.then_some("an http or sse server must not have a command or args")
        }
        Transport::Stdio if server.command.trim().is_empty() => Some("a stdio server needs a command"),
        Transport::Stdio => {
            let is_remote = !server.url.is_empty() || !server.headers.is_empty();
            is_remote.then_some("a stdio server must not have a url or headers")
        }
    }
}

// A URL parser repairs invalid input: it removes line breaks and reads `http:///name` as `http://name/`. This
// function therefore checks the text of the URL before parsing it.
fn is_address(url: &str) -> bool {
    let after = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(authority) = after.and_then(|rest| rest.split(['/', '\\', '?', '#']).next()) else {
        return false;
    };
    let is_plain = !authority.is_empty() && !authority.contains('@');
    let is_clean = !url.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    is_plain && is_clean && Url::parse(url).is_ok_and(|url| url.has_host())
}

/// Returns an error message if the URL's host is a private address or `localhost`. For any other host name, each
/// connection checks the address to which the name resolves.
fn private_address(server: &Server) -> Option<String> {
    let url = Url::parse(&server.url).ok()?;
    let is_public = match url.host()? {
        Host::Ipv4(address) => addresses::is_public(IpAddr::V4(address)),
        Host::Ipv6(address) => addresses::is_public(IpAddr::V6(address)),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.');
            name != "localhost" && !name.ends_with(".localhost")
        }
    };
    let message = "the url names a private address; only the operator of this service can permit private addresses, with \
                   mcp.allow_private_addresses = true";
    (!is_public).then(|| message.to_owned())
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
