//! Credential expiry. An open stream ends when the credential of its request expires or is revoked.
//!
//! `wire::caller` adds the expiry to the extensions of the request. `wire::runs` applies the expiry to its streams. A
//! token is valid until its expiry time. An API key is checked again periodically, and immediately when this process
//! revokes any key. When the credential is no longer valid, the reader receives NOT_AUTHENTICATED. The reader can then
//! reconnect with another credential and its cursor, so no event is lost.

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

/// Interval between two checks of the credential of an open stream.
const LOOK_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialExpiry {
    until: Option<DateTime<Utc>>,
    key_id: Option<Uuid>,
}

impl CredentialExpiry {
    /// The expiry of a token: its expiry time plus the leeway that the verification allows.
    pub fn of_token(claims: &Claims) -> Self {
        let leeway = TimeDelta::seconds(LEEWAY_SECONDS);
        Self {
            until: claims.expires_at.checked_add_signed(leeway),
            key_id: None,
        }
    }

    /// The expiry of an API key. The key is valid until it is revoked or its expiry time, if any, is reached.
    pub fn of_key(key: &ApiKey) -> Self {
        Self {
            until: key.expires_at,
            key_id: Some(key.id),
        }
    }

    /// The expiry of the credential of a request.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED if the request did not pass through `wire::caller`.
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
            // The query runs in its own task. Otherwise, a reader that stops polling during the query would hold a
            // database connection.
            let looking = app.clone();
            let looking = tokio::spawn(async move { api_keys::verify::is_good(&looking, key_id).await });
            // If the database is temporarily unavailable, the stream continues.
            if matches!(AbortOnDropHandle::new(looking).await, Ok(Ok(false))) {
                return;
            }
        }
    }
}

/// Binds a stream to a credential. When the credential expires or is revoked, the stream yields one error and ends.
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
