//! The fourth stage of a `StartRun` request: the thread, the project and the agent are known.

use sea_orm::{QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{account::StartAccount, admitted::Admitted, prepared::Prepared, target::Target};
use crate::{
    accounts::{Scope, of},
    agents::version::Pinned,
    config::Limits,
    db::Tx,
    error::Result,
    events::Stored,
    ledger::{Price, wallet},
    limits::{self, Load, Plan, StartRequest},
    runs::{
        Run, reserve,
        table::{Column, Entity, is_unfinished},
    },
};

/// A request whose thread, project and agent are known.
pub(super) struct Resolved<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) tx: &'a Tx,
    pub(super) account: StartAccount,
    pub(super) target: Target,
    /// The agent's version; absent for the built-in agent.
    pub(super) agent: Option<Pinned>,
    /// Runs of the thread that this request has ended, with their terminal events.
    pub(super) ended: Vec<(Run, Stored)>,
}

impl<'a> Resolved<'a> {
    /// Checks that the account's plan allows the run, and calculates the credits to reserve for the first model call.
    /// The unfinished runs are read only if the plan limits their number or the model has a price.
    pub(super) async fn admit(self) -> Result<Admitted<'a>> {
        let (app, caller) = (&self.prepared.app, &self.prepared.caller);
        let plan = self.plan();
        let ask = StartRequest {
            model: self.model(),
            makes_thread: self.target.makes_thread,
            makes_project: self.target.makes_project,
        };
        let model = app.models.load(plan.model(ask.model, &app.models)?.model())?;
        let price = Price::find(app, model);
        // Lock the balance before adding up the reservations (`runs/reserve.rs` gives the reason).
        let left = match price {
            Some(_) => wallet::lock(app, self.tx, caller.account_id).await?,
            None => 0,
        };
        let running = if plan.limits == Limits::On && (plan.tier.concurrent_runs.is_some() || price.is_some()) {
            unfinished(self.tx, caller.scope()).await?
        } else {
            Vec::new()
        };
        let reserved: i64 = running.iter().map(|(_, reserved)| reserved).sum();
        let load = Load {
            running_threads: running.iter().map(|(thread_id, _)| *thread_id).collect(),
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

    // The requested model, or else the agent's model.
    fn model(&self) -> Option<&str> {
        let agent = self.agent.as_ref().map(|agent| agent.model.as_str());
        self.prepared.new.model.as_deref().or(agent)
    }
}

// Lists the thread and the reservation of each unfinished run.
async fn unfinished(tx: &Tx, scope: Scope) -> Result<Vec<(Uuid, i64)>> {
    Ok(of::<Entity>(scope)
        .select_only()
        .columns([Column::ThreadId, Column::HeldMicrocredits])
        .filter(is_unfinished())
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(tx)
        .await?)
}
