//! The owner of a request: its account or, without a credential, its client address. `wire/streams.rs` and
//! `wire/unread.rs` have limits per owner.

use std::net::IpAddr;

use uuid::Uuid;

use super::throttle::network_of;

/// `wire::caller` adds the owner to the extensions of requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Account(Uuid),
    /// The IPv4 address or IPv6 network of a client without a credential.
    Address(IpAddr),
    /// The shared owner of all requests with neither a credential nor a known address.
    Unknown,
}

impl Owner {
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}
