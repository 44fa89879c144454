//! The owner that a request counts against: its account or, without a credential, its address.

use std::net::IpAddr;

use uuid::Uuid;

use super::throttle::network_of;

/// The owner of a request. `wire::caller` gives one to each request and to its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account.
    Account(Uuid),
    /// The address (its network, for IPv6) of a request without a credential.
    Address(IpAddr),
    /// A request without a credential and with an unknown address.
    Unknown,
}

impl Owner {
    /// The owner of a request without a credential.
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}
