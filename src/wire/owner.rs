//! What a request counts against: its account, or its address when it has none.

use std::net::IpAddr;

use uuid::Uuid;

use super::throttle::network_of;

/// The owner of a request. `wire::caller` gives one to each request and to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// An account.
    Account(Uuid),
    /// The address of a request without a credential.
    Address(IpAddr),
    /// A request without a credential whose address is not known.
    Unknown,
}

impl Owner {
    /// The owner of a request without a credential.
    pub fn of_address(address: Option<IpAddr>) -> Self {
        address.map_or(Self::Unknown, |address| Self::Address(network_of(address)))
    }
}
