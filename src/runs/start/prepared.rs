//! The second stage of a start: the request is valid, and its files exist. Nothing is locked yet.

use std::{ops::ControlFlow, time::Instant};

use super::{NewRun, Started, account::StartAccount, key::Key, locked::Locked, room::Room};
use crate::{
    accounts::{Caller, queue},
    app::App,
    error::Result,
    uploads::{self, Upload},
};

/// A valid request. All later stages contain it.
pub(super) struct Prepared<'a> {
    pub(super) app: &'a App,
    pub(super) caller: &'a Caller,
    pub(super) new: NewRun,
    /// The files, in the order of the request.
    pub(super) files: Vec<Upload>,
    /// The idempotency key, if the start has one.
    pub(super) key: Option<Key>,
    pub(super) room: Room,
    /// Beginning of the start.
    pub(super) began: Instant,
}

impl<'a> Prepared<'a> {
    /// Begins the transaction and locks the account. If an earlier start had the same key, the result is the run of
    /// that start.
    pub(super) async fn lock(self) -> Result<ControlFlow<Started, Locked<'a>>> {
        let (app, caller) = (self.app, self.caller);
        let tx = queue::begin(app, caller.account_id, "runs.start").await?;
        // Lock the account first, so that two starts cannot both take the last free slot. Look up the key before
        // checking limits, so that a retry of an accepted start succeeds even if the limits are now reached.
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
