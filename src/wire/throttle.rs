//! Rate limits: how often an account, and how often an address, may ask.
//!
//! Called by `wire::caller` for everything that is not open. The address is that of the connection: behind a proxy it is the
//! proxy's, so there only the limit of accounts makes sense. Memory is bounded: who has not asked for a while is forgotten,
//! and should too many ask at once, everybody begins anew.

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
    config::{Http, Rate},
    error::{Code, Error, Result},
};

/// How many who ask are remembered at most, besides those of the checks between two looks.
const REMEMBERED: usize = 100_000;
/// Checks between two looks at how many are remembered.
const LOOK_EVERY: u32 = 1024;

/// The address at the other end of a connection; the server gives it to each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// The limits of a deployment; none by default.
pub struct Throttle {
    accounts: Option<Limiter<Uuid>>,
    addresses: Option<Limiter<IpAddr>>,
}

impl Throttle {
    /// The limits that are configured.
    pub fn new(http: &Http) -> Self {
        Self {
            accounts: http.rate_per_account.map(Limiter::new),
            addresses: http.rate_per_address.map(Limiter::new),
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// THROTTLED, saying when to come back.
    pub fn check_address(&self, peer: Option<Peer>) -> Result<()> {
        match (&self.addresses, peer) {
            (Some(limiter), Some(Peer(address))) => limiter.check(&network_of(address), "this address"),
            (None, _) | (_, None) => Ok(()),
        }
    }

    /// Counts a request of an account.
    ///
    /// # Errors
    /// THROTTLED, saying when to come back.
    pub fn check_account(&self, account_id: Uuid) -> Result<()> {
        match &self.accounts {
            Some(limiter) => limiter.check(&account_id, "this account"),
            None => Ok(()),
        }
    }
}

/// One limit, for each key on its own.
struct Limiter<K: Clone + Eq + Hash> {
    rate: Rate,
    states: ArcSwap<DefaultKeyedRateLimiter<K>>,
    checks: AtomicU32,
}

impl<K: Clone + Eq + Hash> Limiter<K> {
    fn new(rate: Rate) -> Self {
        Self {
            rate,
            states: ArcSwap::from_pointee(states(rate)),
            checks: AtomicU32::new(0),
        }
    }

    fn check(&self, key: &K, who: &str) -> Result<()> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.forget();
        }
        let asked = self.states.load().check_key(key);
        asked.map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let message = format!("too many requests from {who}");
            Error::new(Code::Throttled, message).retry_after(wait.max(Duration::from_millis(1)))
        })
    }

    fn forget(&self) {
        let states_now = self.states.load();
        states_now.retain_recent();
        if states_now.len() > REMEMBERED {
            self.states.store(states(self.rate).into());
        }
    }
}

fn states<K: Clone + Eq + Hash>(rate: Rate) -> DefaultKeyedRateLimiter<K> {
    RateLimiter::keyed(Quota::per_second(rate.per_second).allow_burst(rate.burst))
}

/// Who has one IPv6 address has 2^64 of them.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn who_asks_from_everywhere_costs_bounded_memory() {
        let one = NonZeroU32::new(1).unwrap();
        let limiter = Limiter::new(Rate {
            per_second: one,
            burst: one,
        });
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
    fn a_network_of_the_new_kind_counts_as_one() {
        let network = |text: &str| network_of(text.parse().unwrap());
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_eq!(network("::ffff:127.0.0.1"), network("127.0.0.1"));
        assert_ne!(network("127.0.0.2"), network("127.0.0.1"));
    }
}
