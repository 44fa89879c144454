//! The second stage of a `StartRun` request: the request is valid, and its uploads exist. Nothing is locked yet.

use std::{ops::ControlFlow, time::Instant};

use super::{NewRun, Started, account::StartAccount, key::Key, locked::Locked, room::Room};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
    uploads::{self, Upload},
};

/// A valid request. The later stages contain this value until the commit.
pub(super) struct Prepared<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) new: NewRun,
    /// The files, in the order of the request.
    pub(super) files: Vec<Upload>,
    /// The idempotency key, if the request has one.
    pub(super) key: Option<Key>,
    pub(super) room: Room,
    /// Time at which the request began, for the timing.
    pub(super) began: Instant,
}

impl<'a> Prepared<'a> {
    /// Begins the transaction and locks the account. If an earlier request had the same key, returns the run of that
    /// request.
    pub(super) async fn lock(self) -> Result<ControlFlow<Started, Locked<'a>>> {
        let (app, caller) = (self.app, self.caller);
        let tx = queue::begin(app, caller.account_id, "runs.start").await?;
        // Lock the account first, so that two concurrent requests cannot both pass a limit that allows only one more
        // run. Look up the key before the limits are checked, so that a retry of an accepted request succeeds even if
        // the limits are now reached.
        let account = StartAccount::lock(&tx, caller, self.new.agent_id).await?;
        let earlier = match &self.key {
            Some(key) => key.find(app, &tx, caller).await?,
            None => None,
        };
        let Some(earlier) = earlier else {
            return Ok(ControlFlow::Continue(Locked {
                prepared: self,
                tx,
                account,
            }));
        };
        drop(tx);
        uploads::take::give_copies(app, &self.files, earlier.id).await?;
        Started::earlier(app, caller, earlier).await.map(ControlFlow::Break)
    }
}
