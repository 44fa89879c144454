//! Credential expiry: an open stream ends when the credential that opened it expires or is revoked.
//!
//! `wire::caller` attaches the expiry to the request; `wire::runs` applies it to its streams. A token is valid until
//! its expiry time. An API key is checked again periodically, and immediately when this process revokes a key. The
//! reader receives NOT_AUTHENTICATED and reconnects with another credential and its cursor, so no event is lost.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{Stream, StreamExt, stream};
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;
use uuid::Uuid;

use super::{
    caller::not_authenticated,
    jwt::{Claims, LEEWAY_SECONDS},
};
use crate::{
    api_keys::{self, ApiKey},
    app::App,
    error::{Code, Error, Result},
};

/// Interval between two checks of an open stream's credential.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The validity of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialExpiry {
    until: Option<DateTime<Utc>>,
    key_id: Option<Uuid>,
}

impl CredentialExpiry {
    /// For a token: until its expiry time, plus the leeway with which it is accepted.
    pub fn of_token(claims: &Claims) -> Self {
        let leeway = TimeDelta::seconds(LEEWAY_SECONDS);
        Self {
            until: claims.expires_at.checked_add_signed(leeway),
            key_id: None,
        }
    }

    /// For an API key: until its expiry time, if it has one, or until it is revoked.
    pub fn of_key(key: &ApiKey) -> Self {
        Self {
            until: key.expires_at,
            key_id: Some(key.id),
        }
    }

    /// The validity of a request's credential.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED, when the request did not pass through the caller layer.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        let expiry = request.extensions().get::<Self>().copied();
        expiry.ok_or_else(not_authenticated)
    }

    /// Completes when the credential is no longer valid.
    async fn end(self, app: App) {
        let mut revocations = app.key_revoked.subscribe();
        loop {
            let left = self.until.map(|until| (until - app.clock.now()).to_std());
            let pause = match left {
                // The credential has expired.
                Some(Err(_) | Ok(Duration::ZERO)) => return,
                Some(Ok(left)) => left.min(LOOK_EVERY),
                None => LOOK_EVERY,
            };
            let Some(key_id) = self.key_id else {
                sleep(pause).await;
                continue;
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = revocations.changed() => {}
            }
            // In its own task, so that a reader that stops polling during a query does not hold a database connection.
            let looking = app.clone();
            let looking = tokio::spawn(async move { api_keys::verify::is_good(&looking, key_id).await });
            // A temporarily unavailable database ends no stream.
            if matches!(AbortOnDropHandle::new(looking).await, Ok(Ok(false))) {
                return;
            }
        }
    }
}

/// The same stream until its credential expires or is revoked; then it fails once and ends.
pub fn hold<T, S>(
    app: &App,
    expiry: CredentialExpiry,
    events: S,
) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
where
    T: Send,
    S: Stream<Item = Result<T, Status>> + Send,
{
    let end = Box::pin(expiry.end(app.clone()));
    stream::unfold((Some(Box::pin(events)), end), |(events, mut end)| async move {
        let mut events = events?;
        tokio::select! {
            biased;
            () = &mut end => {
                let message = "the credential has expired or was revoked; reconnect with a new one and your last cursor";
                Some((Err(Error::new(Code::NotAuthenticated, message).into()), (None, end)))
            }
            next = events.next() => next.map(|item| (item, (Some(events), end))),
        }
    })
}
