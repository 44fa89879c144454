//! Remembers verified tokens, so that a token is not verified again for every request.
//!
//! Invariant: a remembered token was verified with the keys of its `KeySet`, or with the configured secret. Each load
//! of the keys starts with no remembered tokens, so the removal of a key takes effect immediately.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use blake3::Hash;
use chrono::{DateTime, Utc};
use dashmap::DashMap;
use uuid::Uuid;

use super::{Claims, LEEWAY_SECONDS, MAX_TOKEN_BYTES};
use crate::id;

/// Maximum number of remembered tokens. Concurrent requests may slightly exceed this number.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
pub struct VerifiedToken {
    pub claims: Claims,
    /// The account of the token's subject, once it is known. Accounts are never deleted, and their ids never change.
    pub account_id: OnceLock<Uuid>,
    verified_at: DateTime<Utc>,
}

impl VerifiedToken {
    /// Returns true from `verified_at` until the token expires. An earlier `now` means that the clock was set back,
    /// and a claim such as `nbf` may not yet permit the token.
    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        now >= self.verified_at && now.timestamp() < self.claims.expires_at.timestamp() + LEEWAY_SECONDS
    }
}

pub(super) struct VerifiedTokens {
    /// A random key for the hash function, so that a client cannot construct tokens with chosen hashes.
    key: [u8; 32],
    tokens: DashMap<Hash, Arc<VerifiedToken>>,
}

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self {
            key: id::random_bytes(),
            tokens: DashMap::new(),
        }
    }
}

impl fmt::Debug for VerifiedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedTokens").finish_non_exhaustive()
    }
}

impl VerifiedTokens {
    pub(super) fn find(&self, token: &str, now: DateTime<Utc>) -> Option<Arc<VerifiedToken>> {
        // A longer token is never accepted, so it needs no lookup.
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let found = self.tokens.get(&self.hash(token))?;
        found.is_valid(now).then(|| Arc::clone(&found))
    }

    /// Adds a verified token. If too many tokens are remembered, the expired tokens are removed first. If that is not
    /// enough, all tokens are removed.
    pub(super) fn remember(&self, token: &str, claims: Claims, now: DateTime<Utc>) -> Arc<VerifiedToken> {
        if self.tokens.len() >= REMEMBERED {
            self.tokens.retain(|_, known| known.is_valid(now));
            if self.tokens.len() >= REMEMBERED {
                self.tokens.clear();
            }
        }
        let verified = Arc::new(VerifiedToken {
            claims,
            account_id: OnceLock::new(),
            verified_at: now,
        });
        self.tokens.insert(self.hash(token), Arc::clone(&verified));
        verified
    }

    fn hash(&self, token: &str) -> Hash {
        blake3::keyed_hash(&self.key, token.as_bytes())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    fn claims(exp: i64) -> Claims {
        Claims {
            issuer: String::new(),
            subject: "ann".into(),
            role: None,
            expires_at: at(exp),
        }
    }

    #[test]
    fn the_number_of_remembered_tokens_is_bounded_and_expired_tokens_go_first() {
        let verified = VerifiedTokens::default();
        for number in 0..REMEMBERED - 1 {
            verified.remember(&format!("short {number}"), claims(100), at(0));
        }
        verified.remember("long", claims(10_000), at(0));
        assert_eq!(verified.tokens.len(), REMEMBERED);
        assert!(verified.find("short 0", at(0)).is_some());
        verified.remember("later", claims(10_000), at(1000));
        assert_eq!(verified.tokens.len(), 2);
        assert!(verified.find("long", at(1000)).is_some(), "a valid token is kept");
        for number in 0..3 * REMEMBERED {
            let token = number.to_string();
            verified.remember(&token, claims(10_000), at(1000));
            assert!(verified.tokens.len() <= REMEMBERED);
            assert!(verified.find(&token, at(1000)).is_some());
        }
        assert!(verified.find("long", at(1000)).is_none());
    }

    #[test]
    fn a_token_is_not_remembered_before_its_verification_or_after_its_expiry() {
        let verified = VerifiedTokens::default();
        verified.remember("a", claims(100), at(50));
        for (seconds, is_found) in [
            (49, false),
            (50, true),
            (99 + LEEWAY_SECONDS, true),
            (100 + LEEWAY_SECONDS, false),
        ] {
            assert_eq!(verified.find("a", at(seconds)).is_some(), is_found, "{seconds}");
        }
        assert!(verified.find("b", at(50)).is_none());
    }
}
