//! The fourth stage of a `StartRun` request: the thread, the project and the agent are known.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{account::StartAccount, admitted::Admitted, prepared::Prepared, target::Target};
use crate::{
    agents::version::Pinned,
    config::Limits,
    db::{Rows, Sql, Tx},
    error::Result,
    ledger::{Price, wallet},
    limits::{self, Load, Plan, StartRequest},
    runs::{Run, finish::Ended, reserve},
};

pub(super) struct Resolved<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) tx: &'a Tx,
    pub(super) account: StartAccount,
    pub(super) target: Target,
    /// `None` for the built-in agent.
    pub(super) agent: Option<Pinned>,
    /// Runs of the thread that this request has ended, with their ends.
    pub(super) ended: Vec<(Run, Ended)>,
}

impl<'a> Resolved<'a> {
    /// Checks that the plan allows the run, and calculates the credits to reserve for the first model call.
    pub(super) async fn admit(self) -> Result<Admitted<'a>> {
        let (app, caller) = (&self.prepared.app, &self.prepared.caller);
        let plan = self.plan();
        let is_child = self.prepared.new.parent.is_some();
        let ask = StartRequest {
            model: self.model(),
            // The threads of subagents do not count.
            makes_thread: self.target.makes_thread && !is_child,
            makes_project: self.target.makes_project,
        };
        let model = app.models.load(plan.model(ask.model, &app.models)?.model())?;
        let price = Price::find(app, model);
        // Lock the balance before adding up the reservations; `runs/reserve.rs` gives the reason.
        let left = match price {
            Some(_) => wallet::lock(app, self.tx, caller.account_id).await?,
            None => 0,
        };
        let running = if plan.limits == Limits::On && (plan.tier.concurrent_runs.is_some() || price.is_some()) {
            unfinished(self.tx, caller.account_id).await?
        } else {
            Vec::new()
        };
        let reserved: i64 = running.iter().map(|run| run.held_microcredits).sum();
        // A subagent works in the slot of its parent.
        let counts = |run: &&Unfinished| !run.is_child && (plan.tier.count_waiting_runs || !run.is_waiting);
        let load = Load {
            running_threads: running
                .iter()
                .filter(|_| !is_child)
                .filter(counts)
                .map(|run| run.thread_id)
                .collect(),
            threads: self.account.threads,
            projects: self.account.projects,
            microcredits: price.map(|_| left.saturating_sub(reserved)),
        };
        let admission = limits::admit(&plan, &app.models, &ask, &load)?;
        let reservation = price.map(|price| reserve::first(price, model).min(left - reserved));
        Ok(Admitted {
            loaded: self.prepared.began.elapsed(),
            prepared: self.prepared,
            tx: self.tx,
            target: self.target,
            tier: self.account.tier,
            agent: self.agent,
            ended: self.ended,
            admission,
            held_microcredits: reservation.unwrap_or_default(),
        })
    }

    fn plan(&self) -> Plan<'a> {
        let app = &self.prepared.app;
        Plan {
            tier: app.tiers.load(&self.account.tier),
            limits: app.config.limits,
        }
    }

    // Returns the requested model, or else the agent's model.
    fn model(&self) -> Option<&str> {
        let agent = self.agent.as_ref().map(|agent| agent.model.as_str());
        self.prepared.new.model.as_deref().or(agent)
    }
}

struct Unfinished {
    thread_id: Uuid,
    held_microcredits: i64,
    is_waiting: bool,
    is_child: bool,
}

/// The unfinished runs of an account. The status is a literal, so that the query can use the partial index of
/// unfinished runs.
const UNFINISHED: Sql = Sql::new(
    "SELECT thread_id, held_microcredits, waiting_since, parent_run_id FROM runs WHERE account_id = $1 AND status = 1 \
     ORDER BY id",
);

async fn unfinished(tx: &Tx, account_id: Uuid) -> Result<Vec<Unfinished>> {
    let query = UNFINISHED.with([account_id.into()]);
    let runs = tx.rows(query, |row| {
        Ok(Unfinished {
            thread_id: row.take()?,
            held_microcredits: row.take()?,
            is_waiting: row.take::<Option<DateTime<Utc>>>()?.is_some(),
            is_child: row.take::<Option<Uuid>>()?.is_some(),
        })
    });
    Ok(runs.await?)
}
