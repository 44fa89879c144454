//! A DNS resolver for HTTP clients that may connect only to certain addresses.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::lookup_host;

/// Returns whether connections to an address are permitted.
pub type AddressRule = fn(IpAddr) -> bool;

/// Resolves host names to the permitted ones of their addresses. An HTTP client connects only to addresses that its
/// resolver returned, so the checked address is the one connected to. The caller checks IP addresses in URLs.
#[derive(Clone, Copy, Debug)]
pub struct PermittedHosts {
    /// The rule for addresses.
    pub permits: AddressRule,
    /// Text of the error for a host without a permitted address.
    pub refusal: &'static str,
}

impl Resolve for PermittedHosts {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { permits, refusal } = *self;
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<SocketAddr> = found.filter(|address| permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err(refusal.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}
