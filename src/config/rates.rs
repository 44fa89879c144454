//! Rate limits, and the proxies that are trusted to report client addresses.
//!
//! By default, a server limits requests only if other machines can reach it.

use std::{fmt, net::IpAddr, num::NonZeroU32};

use ipnet::IpNet;
use serde::Deserialize;

use super::Config;

/// Default requests per second, and burst.
const PER_ACCOUNT: (u32, u32) = (50, 200);
/// Default requests per second, and burst.
const PER_ADDRESS: (u32, u32) = (100, 400);

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub per_second: NonZeroU32,
    /// Number of requests allowed at once after a pause.
    pub burst: NonZeroU32,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SlowRate {
    pub per_minute: NonZeroU32,
    /// Number of new accounts allowed at once after a pause.
    pub burst: NonZeroU32,
}

/// The value `"off"`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    Off,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(
    untagged,
    expecting = "must be a rate such as { per_second = 20, burst = 40 }, or \"off\""
)]
pub enum RateLimit {
    Rate(Rate),
    Off(Off),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(
    untagged,
    expecting = "must be a rate such as { per_minute = 20, burst = 100 }, or \"off\""
)]
pub enum SlowRateLimit {
    Rate(SlowRate),
    Off(Off),
}

/// A single address, or a prefix such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl Network {
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// True if the network is so large that it probably includes client addresses.
    pub fn is_public(&self) -> bool {
        match self.0 {
            IpNet::V4(network) => network.prefix_len() < 8,
            IpNet::V6(network) => network.prefix_len() < 32 && !network.addr().is_unique_local(),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(Self)
            .map_err(|_| format!("{text:?} is not an address such as 10.0.0.5 or a network such as 10.0.0.0/8"))
    }
}

impl Config {
    /// True if other machines can reach the server, directly or through a proxy.
    pub fn is_exposed(&self) -> bool {
        !self.listen.ip().is_loopback() || !self.http.trusted_proxies.is_empty()
    }

    /// `None` for no limit.
    pub fn rate_per_account(&self) -> Option<Rate> {
        self.effective(self.http.rate_per_account, PER_ACCOUNT)
    }

    /// `None` for no limit.
    pub fn rate_per_address(&self) -> Option<Rate> {
        self.effective(self.http.rate_per_address, PER_ADDRESS)
    }

    /// `None` for no limit.
    pub fn new_accounts_per_address(&self) -> Option<SlowRate> {
        match self.auth.new_accounts_per_address {
            SlowRateLimit::Rate(rate) => Some(rate),
            SlowRateLimit::Off(Off::Off) => None,
        }
    }

    fn effective(&self, configured: Option<RateLimit>, (per_second, burst): (u32, u32)) -> Option<Rate> {
        match configured {
            Some(RateLimit::Rate(rate)) => Some(rate),
            Some(RateLimit::Off(Off::Off)) => None,
            None if !self.is_exposed() => None,
            None => Some(Rate {
                per_second: NonZeroU32::new(per_second)?,
                burst: NonZeroU32::new(burst)?,
            }),
        }
    }
}
