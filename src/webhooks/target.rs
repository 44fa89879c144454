//! The rules for the URLs of webhooks.

use std::net::IpAddr;

use runyard_mcp::AddressRule;
use url::{Host, Url};

use crate::{addresses, config};

/// Maximum size of a URL in bytes.
const MAX_URL: usize = 2_048;
pub(super) const NOT_PERMITTED: &str =
    "the host has no public address; only the operator can permit private addresses (webhooks.allow_private_addresses)";

pub(super) fn permits(config: &config::Webhooks) -> AddressRule {
    if config.allow_private_addresses {
        |_| true
    } else {
        addresses::is_public
    }
}

/// Parses a URL and checks its parts. The HTTP client checks the addresses of a host name at each connection.
///
/// # Errors
/// The reason, without the URL.
pub(super) fn parse(config: &config::Webhooks, text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("a URL may have up to {MAX_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("this is not a complete URL: {error}"))?;
    let schemes: &[&str] = if config.allow_private_addresses {
        &["https", "http"]
    } else {
        &["https"]
    };
    if !schemes.contains(&url.scheme()) {
        return Err(format!("the scheme must be {}", schemes.join(" or ")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("a URL with a user name, a password or a fragment cannot be used".to_owned());
    }
    let address: Option<IpAddr> = match url.host() {
        Some(Host::Ipv4(address)) => Some(address.into()),
        Some(Host::Ipv6(address)) => Some(address.into()),
        Some(Host::Domain(_)) => None,
        None => return Err("the URL has no host".to_owned()),
    };
    if address.is_some_and(|address| !permits(config)(address)) {
        return Err(NOT_PERMITTED.to_owned());
    }
    Ok(url)
}
