//! The second stage of a `StartRun` request: the request is valid, and its uploads exist.

use std::{ops::ControlFlow, time::Instant};

use super::{NewRun, Started, account::StartAccount, key::Key, locked::Locked, room::Room};
use crate::{
    accounts::Caller,
    app::App,
    db::Tx,
    error::Result,
    runs::Run,
    uploads::{self, Upload},
};

/// The next three stages contain a reference to this value.
pub(super) struct Prepared {
    pub(super) app: App,
    pub(super) caller: Caller,
    pub(super) new: NewRun,
    /// In the order of the request.
    pub(super) files: Vec<Upload>,
    pub(super) key: Option<Key>,
    pub(super) room: Room,
    pub(super) began: Instant,
}

impl Prepared {
    /// If an earlier request had the same key, returns the run of that request.
    pub(super) async fn lock<'a>(&'a self, tx: &'a Tx) -> Result<ControlFlow<Run, Locked<'a>>> {
        // Lock the account first, so that two requests cannot both use the last run that a limit allows. Look up the
        // key before checking limits, so that a retry succeeds even if the limits are now reached.
        let account = StartAccount::lock(tx, &self.caller, self.new.agent_id, self.app.clock.now()).await?;
        let earlier = match &self.key {
            Some(key) => key.find(&self.app, tx, &self.caller).await?,
            None => None,
        };
        Ok(match earlier {
            Some(earlier) => ControlFlow::Break(earlier),
            None => ControlFlow::Continue(Locked {
                prepared: self,
                tx,
                account,
            }),
        })
    }

    /// Answers a retry with the run of the earlier request.
    pub(super) async fn repeated(&self, earlier: Run) -> Result<Started> {
        uploads::take::give_copies(&self.app, &self.files, earlier.id).await?;
        Started::earlier(&self.app, &self.caller, earlier).await
    }
}
