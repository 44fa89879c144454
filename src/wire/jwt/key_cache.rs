//! Keeps the public keys of a source and the endpoints of an issuer in memory, and reloads them.
//!
//! The keys are loaded at start, when they are five minutes old, and when a token needs an unknown key. Anyone can
//! send tokens with unknown key ids, so the rate of loads for unknown keys is limited. After a failed load, the old
//! keys stay in use.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    discovery::Endpoints,
    keys::KeySet,
    source::{self, Source},
};
use crate::error::Result;

/// Age at which the keys are reloaded, in seconds.
const TTL_SECONDS: i64 = 300;
/// Minimum time between two attempts to reload stale keys, in seconds.
const STALE_RETRY_SECONDS: i64 = 60;
/// Maximum number of loads for unknown keys in a burst.
const UNKNOWN_BURST: i64 = 3;
/// Time in seconds until one more load for an unknown key is permitted, once the burst is used up.
const UNKNOWN_SECONDS: i64 = 5;

#[derive(Clone, Copy, Debug)]
enum Why {
    Stale,
    UnknownKey,
}

#[derive(Debug)]
pub(super) struct KeyCache {
    source: Source,
    keys: ArcSwap<KeySet>,
    endpoints: ArcSwapOption<Endpoints>,
    /// True if the console needs the endpoints.
    wants_endpoints: bool,
    /// This lock is held during a load. A request that needs an unknown key waits for the load. Other requests use
    /// the old keys.
    gate: Arc<Mutex<()>>,
    attempts: AtomicU64,
    tried_at: AtomicI64,
    loaded_at: AtomicI64,
    /// Unix time at which the full burst of loads for unknown keys is available again.
    replenished_at: AtomicI64,
}

impl KeyCache {
    /// Creates a cache. Reads the keys from a file immediately, but loads nothing from a URL.
    ///
    /// # Errors
    /// INVALID_REQUEST if the file cannot be read or contains no usable key.
    pub(super) fn new(source: Source, wants_endpoints: bool) -> Result<Arc<Self>> {
        let keys = match &source {
            Source::File(path) => source::read_file(path)?,
            Source::Jwks(..) | Source::Issuer(..) => KeySet::default(),
        };
        warn_of_problems(&source, &keys, None);
        Ok(Arc::new(Self {
            source,
            keys: ArcSwap::from_pointee(keys),
            endpoints: ArcSwapOption::empty(),
            wants_endpoints,
            gate: Arc::default(),
            attempts: AtomicU64::new(0),
            tried_at: AtomicI64::new(i64::MIN),
            loaded_at: AtomicI64::new(i64::MIN),
            replenished_at: AtomicI64::new(i64::MIN),
        }))
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    pub(super) fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// `None` if the source is not an issuer, if nothing was loaded yet, or if the document has no usable endpoints.
    pub(super) fn endpoints(&self) -> Option<Arc<Endpoints>> {
        self.endpoints.load_full()
    }

    pub(super) fn is_stale(&self, now: i64) -> bool {
        self.wants(Why::Stale, now)
    }

    /// Loads the keys if they are stale. Returns true after an attempt, even a failed one. If another task is already
    /// loading the keys, this method returns false immediately.
    pub(super) async fn refresh_when_stale(self: &Arc<Self>, now: i64) -> bool {
        if !self.is_stale(now) {
            return false;
        }
        match Arc::clone(&self.gate).try_lock_owned() {
            Ok(gate) => self.refresh(Why::Stale, now, gate).await,
            Err(_) => false,
        }
    }

    /// Reloads the keys, because a token needs a key that is not in `known`. Does not load if another task attempted
    /// a load while this method was waiting for the lock, or if the rate limit is reached. Returns the current keys
    /// if they differ from `known`.
    pub(super) async fn refresh_for_unknown_key(
        self: &Arc<Self>,
        known: &Arc<KeySet>,
        now: i64,
    ) -> Option<Arc<KeySet>> {
        let attempts = self.attempts.load(Ordering::Acquire);
        let gate = Arc::clone(&self.gate).lock_owned().await;
        if Arc::ptr_eq(&self.keys(), known) && self.attempts.load(Ordering::Acquire) == attempts {
            self.refresh(Why::UnknownKey, now, gate).await;
        }
        let keys = self.keys();
        (!Arc::ptr_eq(&keys, known)).then_some(keys)
    }

    /// Loads the endpoints if none are known. Anyone can cause such a load, so the limit for unknown keys applies.
    pub(super) async fn refresh_for_endpoints(self: &Arc<Self>, now: i64) {
        let attempts = self.attempts.load(Ordering::Acquire);
        let gate = Arc::clone(&self.gate).lock_owned().await;
        if self.endpoints().is_none() && self.attempts.load(Ordering::Acquire) == attempts {
            self.refresh(Why::UnknownKey, now, gate).await;
        }
    }

    fn wants(&self, why: Why, now: i64) -> bool {
        let age = |at: &AtomicI64| now.saturating_sub(at.load(Ordering::Acquire));
        match why {
            Why::Stale => age(&self.loaded_at) >= TTL_SECONDS && age(&self.tried_at) >= STALE_RETRY_SECONDS,
            Why::UnknownKey => age(&self.replenished_at) >= -(UNKNOWN_BURST - 1) * UNKNOWN_SECONDS,
        }
    }

    // Returns true after an attempt. The load runs in a separate task, so it continues if the client disconnects.
    async fn refresh(self: &Arc<Self>, why: Why, now: i64, gate: OwnedMutexGuard<()>) -> bool {
        if !self.wants(why, now) {
            return false;
        }
        if matches!(why, Why::UnknownKey) {
            let from = self.replenished_at.load(Ordering::Acquire).max(now);
            self.replenished_at.store(from + UNKNOWN_SECONDS, Ordering::Release);
        }
        let cache = Arc::clone(self);
        let loading = tokio::spawn(async move {
            let _gate = gate;
            cache.load(now).await;
        });
        drop(loading.await);
        true
    }

    async fn load(&self, now: i64) {
        self.tried_at.store(now, Ordering::Release);
        let loaded = self.source.load().await;
        self.attempts.fetch_add(1, Ordering::AcqRel);
        match loaded {
            Ok(loaded) => {
                if self.wants_endpoints
                    && let Some(Err(why)) = &loaded.endpoints
                {
                    tracing::warn!(source = %self.source, error = why, "users cannot sign in with the console");
                }
                let endpoints = loaded.endpoints.and_then(Result::ok);
                self.endpoints.store(endpoints.map(Arc::new));
                let before = self.keys.swap(Arc::new(loaded.keys));
                self.loaded_at.store(now, Ordering::Release);
                warn_of_problems(&self.source, &self.keys(), Some(before.as_ref()));
            }
            Err(why) if self.keys().is_empty() => {
                tracing::warn!(source = %self.source, error = why, "could not load the keys that verify tokens; the next token triggers another attempt");
            }
            Err(why) => {
                tracing::warn!(source = %self.source, error = why, "could not load the keys that verify tokens; keeping the previous keys");
            }
        }
    }
}

/// Logs the problems of the keys, unless the previous keys (`before`) had the same problems.
fn warn_of_problems(source: &Source, keys: &KeySet, before: Option<&KeySet>) {
    let problems = keys.problems();
    if let Some(problems) = &problems
        && before.and_then(KeySet::problems).as_ref() != Some(problems)
    {
        tracing::warn!(%source, problems, "the JWKS has problems; the usable keys stay in use");
    }
}
