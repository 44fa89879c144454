//! The owner of a request: its account or, if it has no credential, its client address. `wire/streams.rs` counts the
//! open streams of each owner, and `wire/unread.rs` counts the unread bytes of each owner.

use std::net::IpAddr;

use uuid::Uuid;

use super::throttle::network_of;

/// `wire::caller` adds the owner to the extensions of each request and response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Account(Uuid),
    /// The IPv4 address or the IPv6 network of a client without a credential.
    Address(IpAddr),
    /// The shared owner of all requests that have neither a credential nor a known address.
    Unknown,
}

impl Owner {
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}
