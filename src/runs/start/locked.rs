//! The third stage of a `StartRun` request: the account is locked, and the idempotency key is new.

use super::{IfBusy, account::StartAccount, prepared::Prepared, resolved::Resolved, target::Target};
use crate::{
    agents::version::pin,
    db::Tx,
    error::{Code, Error, Result},
    runs::{
        Run, StopReason,
        finish::{self, Ended},
        journal::RunEnd,
    },
};

pub(super) struct Locked<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) tx: &'a Tx,
    pub(super) account: StartAccount,
}

impl<'a> Locked<'a> {
    /// Finds the thread, the project and the agent through the caller's scope, and applies `if_busy`.
    pub(super) async fn resolve(self) -> Result<Resolved<'a>> {
        let Self {
            prepared,
            tx,
            mut account,
        } = self;
        let (app, scope, new) = (&prepared.app, prepared.caller.scope(), &prepared.new);
        // If the disk is almost full, refuse new runs. The remaining space is for runs that have started.
        app.disk.check(0)?;
        let target = Target::find(tx, scope, new).await?;
        let agent = match new.agent_id {
            Some(_) => pin(tx, scope, new.agent_id).await?,
            None => account.default_agent.take(),
        };
        let busy = target.busy(tx, scope).await?;
        let ended = make_room(prepared, tx, busy).await?;
        Ok(Resolved {
            prepared,
            tx,
            account,
            target,
            agent,
            ended,
        })
    }
}

/// Applies `if_busy` to the thread's unfinished runs. Returns the runs that were ended.
async fn make_room(prepared: &Prepared, tx: &Tx, busy: Vec<Run>) -> Result<Vec<(Run, Ended)>> {
    match prepared.new.if_busy {
        IfBusy::Enqueue => Ok(Vec::new()),
        IfBusy::Reject if busy.is_empty() => Ok(Vec::new()),
        IfBusy::Reject => Err(Error::new(
            Code::ThreadBusy,
            "the thread has an active run; stop the run or wait until it ends",
        )),
        IfBusy::Interrupt => {
            let now = prepared.app.clock.now();
            let ending = RunEnd::stopped_by(StopReason::Interrupted, Some(prepared.caller.name.to_string()));
            let mut ended = Vec::with_capacity(busy.len());
            for run in busy {
                let end = finish::finish(tx, &run, &ending, now).await?;
                ended.extend(end.map(|end| (run, end)));
            }
            Ok(ended)
        }
    }
}
