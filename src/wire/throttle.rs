//! Rate limits for requests per account, requests per address, and new accounts per address.
//!
//! Memory use is bounded: a clean-up removes accounts and addresses without recent requests. If too many of them
//! remain, all counts are reset.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use uuid::Uuid;

use crate::{
    config::Config,
    error::{Code, Error, Result},
};

/// Maximum number of accounts or addresses that a limiter tracks. Only the clean-up enforces the maximum.
const REMEMBERED: usize = 100_000;
/// Number of checks between two clean-ups.
const LOOK_EVERY: u32 = 1024;

pub struct Throttle {
    accounts: Option<Limiter<Uuid>>,
    addresses: Option<Limiter<IpAddr>>,
    new_accounts: Option<Limiter<IpAddr>>,
}

impl Throttle {
    pub fn new(config: &Config) -> Self {
        Self {
            accounts: config
                .rate_per_account()
                .map(|rate| Limiter::new(Quota::per_second(rate.per_second).allow_burst(rate.burst))),
            addresses: config
                .rate_per_address()
                .map(|rate| Limiter::new(Quota::per_second(rate.per_second).allow_burst(rate.burst))),
            new_accounts: config
                .new_accounts_per_address()
                .map(|rate| Limiter::new(Quota::per_minute(rate.per_minute).allow_burst(rate.burst))),
        }
    }

    /// Counts a request from an address. Requests from an unknown address (`None`) are not limited.
    ///
    /// # Errors
    /// THROTTLED, with the delay before a retry.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<()> {
        match (&self.addresses, address) {
            (Some(limiter), Some(address)) => {
                limiter.check(&network_of(address), "too many requests from this address; retry later")
            }
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// Counts a new account. `address` is the client address of the request that creates the account.
    ///
    /// # Errors
    /// THROTTLED, with the delay before a retry.
    pub fn check_new_account(&self, address: Option<IpAddr>) -> Result<()> {
        match (&self.new_accounts, address) {
            (Some(limiter), Some(address)) => limiter.check(
                &network_of(address),
                "too many new accounts from this address; retry later",
            ),
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// # Errors
    /// THROTTLED, with the delay before a retry.
    pub fn check_account(&self, account_id: Uuid) -> Result<()> {
        match &self.accounts {
            Some(limiter) => limiter.check(&account_id, "too many requests from this account; retry later"),
            None => Ok(()),
        }
    }
}

struct Limiter<K: Clone + Eq + Hash> {
    quota: Quota,
    states: ArcSwap<DefaultKeyedRateLimiter<K>>,
    checks: AtomicU32,
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    fn new(quota: Quota) -> Self {
        Self {
            quota,
            states: ArcSwap::from_pointee(RateLimiter::keyed(quota)),
            checks: AtomicU32::new(0),
        }
    }

    fn check(&self, key: &K, refusal: &'static str) -> Result<()> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.forget();
        }
        let outcome = self.states.load().check_key(key);
        outcome.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            Error::new(Code::Throttled, refusal).retry_after(wait.max(Duration::from_millis(1)))
        })
    }

    fn forget(&self) {
        let states_now = self.states.load();
        states_now.retain_recent();
        if states_now.len() > REMEMBERED {
            self.states.store(RateLimiter::keyed(self.quota).into());
        }
    }
}

/// Returns the IPv4 address, or the /64 network of an IPv6 address. One client usually controls all addresses of a
/// /64 network.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn requests_from_many_addresses_use_bounded_memory() {
        let one = NonZeroU32::new(1).unwrap();
        let limiter = Limiter::new(Quota::per_second(one));
        for number in 0..300_000_u32 {
            let _ = limiter.check(&number, "a test");
            if number % 10_000 == 0 {
                assert!(limiter.states.load().len() <= REMEMBERED + LOOK_EVERY as usize);
            }
        }
        assert!(limiter.check(&u32::MAX, "a test").is_ok());
        assert!(limiter.check(&u32::MAX, "a test").is_err());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:127.0.0.1"), network("127.0.0.1"));
        assert_ne!(network("127.0.0.2"), network("127.0.0.1"));
    }
}
