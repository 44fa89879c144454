//! How long an open stream may go on: as long as the credential that opened it is good.
//!
//! `wire::caller` notes a credential's tenure with the request; `wire::runs` holds its streams to it. A token ends at its
//! time. An API key is looked at again now and then, and at once when this process revokes one. The reader is told
//! NOT_AUTHENTICATED and comes back with another credential and its cursor, so nothing is lost.

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

/// How often the credential of an open stream is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a credential is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenure {
    until: Option<DateTime<Utc>>,
    key_id: Option<Uuid>,
}

impl Tenure {
    /// That of a token: its time, and the leeway with which it is accepted.
    pub fn of_token(claims: &Claims) -> Self {
        let leeway = TimeDelta::seconds(LEEWAY_SECONDS);
        Self {
            until: claims.expires_at.checked_add_signed(leeway),
            key_id: None,
        }
    }

    /// That of an API key: its time, if it has one, or until it is revoked.
    pub fn of_key(key: &ApiKey) -> Self {
        Self {
            until: key.expires_at,
            key_id: Some(key.id),
        }
    }

    /// The tenure of a request's credential.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED, when the request did not pass the caller layer.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self> {
        let tenure = request.extensions().get::<Self>().copied();
        tenure.ok_or_else(not_authenticated)
    }

    /// Ends when the credential does.
    async fn end(self, app: App) {
        let mut revocations = app.key_revoked.subscribe();
        loop {
            let left = self.until.map(|until| (until - app.clock.now()).to_std());
            let pause = match left {
                // Its time is over.
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
            // A task of its own: a reader that stops in the middle of a query must not keep a connection of the database.
            let looking = app.clone();
            let looking = tokio::spawn(async move { api_keys::verify::is_good(&looking, key_id).await });
            // A database that is away for a moment ends no stream.
            if matches!(AbortOnDropHandle::new(looking).await, Ok(Ok(false))) {
                return;
            }
        }
    }
}

/// The same stream, until its credential is not good any more; then it fails once and ends.
pub fn hold<T, S>(app: &App, tenure: Tenure, events: S) -> impl Stream<Item = Result<T, Status>> + Send + use<T, S>
where
    T: Send,
    S: Stream<Item = Result<T, Status>> + Send,
{
    let end = Box::pin(tenure.end(app.clone()));
    stream::unfold((Some(Box::pin(events)), end), |(events, mut end)| async move {
        let mut events = events?;
        tokio::select! {
            biased;
            () = &mut end => {
                let message = "the credential has expired; reconnect with a new one and your last cursor";
                Some((Err(Error::new(Code::NotAuthenticated, message).into()), (None, end)))
            }
            next = events.next() => next.map(|item| (item, (Some(events), end))),
        }
    })
}
