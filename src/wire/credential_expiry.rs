//! Ends an open stream when the credential of its request expires or is revoked.
//!
//! The API key of a stream is checked at least every 30 seconds, and immediately after this process has revoked any
//! key.

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

/// Maximum time between two checks of an open stream's credential.
const LOOK_EVERY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialExpiry {
    until: Option<DateTime<Utc>>,
    key_id: Option<Uuid>,
}

impl CredentialExpiry {
    /// A token is valid until its claim `exp` plus the leeway for clock differences.
    pub fn of_token(claims: &Claims) -> Self {
        let leeway = TimeDelta::seconds(LEEWAY_SECONDS);
        Self {
            until: claims.expires_at.checked_add_signed(leeway),
            key_id: None,
        }
    }

    /// An API key is valid until its revocation or its optional expiry time.
    pub fn of_key(key: &ApiKey) -> Self {
        Self {
            until: key.expires_at,
            key_id: Some(key.id),
        }
    }

    /// Reads the expiry that `wire::caller` has added to a request.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED if the request did not pass through `wire::caller`.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        let expiry = request.extensions().get::<Self>().copied();
        expiry.ok_or_else(not_authenticated)
    }

    async fn end(self, app: App) {
        let mut revocations = app.key_revoked.subscribe();
        loop {
            let left = self.until.map(|until| (until - app.clock.now()).to_std());
            let pause = match left {
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
            // The query runs in a separate task. Inside the stream, the query would be suspended when the client
            // stops reading, and would keep its database connection.
            let looking = app.clone();
            let looking = tokio::spawn(async move { api_keys::verify::is_good(&looking, key_id).await });
            // A failed query does not end the stream, because the database may be unavailable only for a short time.
            if matches!(AbortOnDropHandle::new(looking).await, Ok(Ok(false))) {
                return;
            }
        }
    }
}

/// Wraps a stream. When the credential is no longer valid, the wrapped stream yields one error and ends.
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
