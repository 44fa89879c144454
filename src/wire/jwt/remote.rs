//! Fetches the keys that an issuer publishes at a URL.
//!
//! Called by `jwt`. The keys are fetched at start, when they are older than five minutes, and when a token names an
//! unknown key. A minute or more passes between two fetches, even if a fetch fails. After a failed fetch, the previous
//! keys stay in use. The response of the issuer is bounded in size and time, and redirects are not followed.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use reqwest::{Client, Url, redirect::Policy};
use tokio::sync::Mutex;

use super::{
    KEYS_TTL_SECONDS, REFRESH_SECONDS,
    keys::{KeySet, MAX_JWKS_BYTES},
};
use crate::error::{Error, Result};

/// Maximum duration of a fetch.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Reason for fetching the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The keys are stale.
    Stale,
    /// A token names a key that is not among the fetched keys.
    Unknown,
}

/// The keys published at a URL.
#[derive(Debug)]
pub(super) struct Remote {
    url: Url,
    client: Client,
    keys: ArcSwap<KeySet>,
    /// This lock is held during a fetch. A request whose token names an unknown key waits for the fetch. Other requests
    /// do not wait, and use the stale keys.
    gate: Mutex<()>,
    tried_at: AtomicI64,
    fetched_at: AtomicI64,
}

impl Remote {
    /// Prepares to fetch the keys of a URL. Nothing is fetched yet.
    ///
    /// # Errors
    /// INVALID_REQUEST if the URL is neither an https URL nor an http URL on loopback.
    pub(super) fn new(url: &str) -> Result<Arc<Self>> {
        let refused = || {
            Error::invalid(format!(
                "auth.jwks_url: {url:?} must be an https URL, or http on loopback"
            ))
        };
        let url = Url::parse(url).map_err(|_| refused())?;
        let is_loopback = url.host_str().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        let fits = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
        if !fits || !url.username().is_empty() || url.password().is_some() {
            return Err(refused());
        }
        let client = Client::builder()
            .redirect(Policy::none())
            .timeout(FETCH_TIMEOUT)
            .connect_timeout(FETCH_TIMEOUT)
            .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Error::internal("could not build the HTTP client for the JWKS", error))?;
        Ok(Arc::new(Self {
            url,
            client,
            keys: ArcSwap::default(),
            gate: Mutex::default(),
            tried_at: AtomicI64::new(i64::MIN),
            fetched_at: AtomicI64::new(i64::MIN),
        }))
    }

    /// The most recently fetched keys.
    pub(super) fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// Fetches the keys if they are stale. If another caller is already fetching the keys, this method returns
    /// immediately, and the old keys stay in use.
    pub(super) async fn refresh_when_stale(self: &Arc<Self>, now: i64) {
        if self.wants(Why::Stale, now) {
            self.refresh(Why::Stale, now).await;
        }
    }

    /// Fetches the keys because a token names an unknown key.
    pub(super) async fn refresh_for_unknown_key(self: &Arc<Self>, now: i64) {
        self.refresh(Why::Unknown, now).await;
    }

    fn wants(&self, why: Why, now: i64) -> bool {
        let age = |at: &AtomicI64| now.saturating_sub(at.load(Ordering::Acquire));
        age(&self.tried_at) >= REFRESH_SECONDS && (why == Why::Unknown || age(&self.fetched_at) >= KEYS_TTL_SECONDS)
    }

    // The fetch runs in its own task, so that it continues if the client disconnects.
    async fn refresh(self: &Arc<Self>, why: Why, now: i64) {
        let remote = Arc::clone(self);
        let refreshing = tokio::spawn(async move {
            let _gate = match why {
                Why::Unknown => remote.gate.lock().await,
                Why::Stale => match remote.gate.try_lock() {
                    Ok(gate) => gate,
                    Err(_) => return,
                },
            };
            if !remote.wants(why, now) {
                return;
            }
            remote.tried_at.store(now, Ordering::Release);
            match remote.fetch().await {
                Ok(keys) => {
                    remote.keys.store(keys.into());
                    remote.fetched_at.store(now, Ordering::Release);
                }
                Err(why) => {
                    tracing::warn!(url = %remote.url, why, "could not fetch the JWKS; keeping the previous keys");
                }
            }
        });
        drop(refreshing.await);
    }

    async fn fetch(&self) -> Result<KeySet, String> {
        let describe = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.client.get(self.url.clone()).send().await.map_err(describe)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(format!("the response has status {}", response.status()));
        }
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if (text.len() + chunk.len()) as u64 > MAX_JWKS_BYTES {
                return Err(format!("the response is larger than {MAX_JWKS_BYTES} bytes"));
            }
            text.extend_from_slice(&chunk);
        }
        let text = String::from_utf8(text).map_err(|_| "the response is not UTF-8".to_owned())?;
        let keys = KeySet::parse(&text)?;
        if keys.is_empty() {
            return Err("the response has no key for RS256, ES256 or EdDSA signatures".to_owned());
        }
        Ok(keys)
    }
}
