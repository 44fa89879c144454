//! The owner of a request. Limits count a request against its account or, if it has no credential, against its address.

use std::net::IpAddr;

use uuid::Uuid;

use super::throttle::network_of;

/// The owner of a request. `wire::caller` adds the owner to the extensions of each request and of its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    Account(Uuid),
    /// The address of a request without a credential. For IPv6, it is the network of the address.
    Address(IpAddr),
    /// The owner of all requests that have neither a credential nor a known address.
    Unknown,
}

impl Owner {
    /// The owner of a request without a credential.
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}
