//! The budgets of subagents. A child gets a part of what its parent has left. The parent keeps enough for its own answer.

use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{Column, Entity, is_unfinished};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::{Code, Error, Result},
    runs::{
        Run, Status, budget,
        options::{RunBudget, RunOptions},
    },
};

/// Maximum number of ended children per query.
const PORTION: u64 = 1_000;

/// Usage of the children of a run.
#[derive(Default)]
struct Used {
    steps: u32,
    microcredits: i64,
}

impl Used {
    /// An unfinished child counts with its budget, which is reserved for it. Nothing is read for a budget without limits that
    /// children share.
    async fn of(app: &App, run: &Run, own: RunBudget) -> Result<Self> {
        let mut used = Self::default();
        if own.max_steps.is_none() && own.max_microcredits.is_none() {
            return Ok(used);
        }
        let children = || of::<Entity>(Scope::account(run.account_id)).filter(Column::ParentRunId.eq(run.id));
        for child in children().filter(is_unfinished()).all(app.db.read()).await? {
            let reserved = RunBudget::of(&child)?;
            let steps = child.steps.unsigned_abs().max(reserved.max_steps.unwrap_or_default());
            used.add(
                steps,
                child.microcredits.max(reserved.max_microcredits.unwrap_or_default()),
            );
        }
        let mut after = Uuid::nil();
        loop {
            let ended: Vec<(Uuid, i32, i64)> = children()
                .select_only()
                .columns([Column::Id, Column::Steps, Column::Microcredits])
                .filter(Column::Status.ne(Status::Running))
                .filter(Column::Id.gt(after))
                .order_by_asc(Column::Id)
                .limit(PORTION)
                .into_tuple()
                .all(app.db.read())
                .await?;
            for (child, steps, microcredits) in &ended {
                used.add(steps.unsigned_abs(), *microcredits);
                after = *child;
            }
            if (ended.len() as u64) < PORTION {
                return Ok(used);
            }
        }
    }

    fn add(&mut self, steps: u32, microcredits: i64) {
        self.steps = self.steps.saturating_add(steps);
        self.microcredits = self.microcredits.saturating_add(microcredits);
    }
}

/// The budget of the request, without what the run's children have used.
///
/// # Errors
/// Database errors.
pub async fn left(app: &App, run: &Run, own: RunBudget) -> Result<RunBudget> {
    let used = Used::of(app, run, own).await?;
    Ok(RunBudget {
        max_steps: own.max_steps.map(|most| most.saturating_sub(used.steps)),
        max_microcredits: own.max_microcredits.map(|most| most.saturating_sub(used.microcredits)),
        ..own
    })
}

/// The budget of the next child: half of the steps and credits that are not used or reserved, and nine tenths of the time.
///
/// # Errors
/// INVALID_REQUEST if nothing is left.
pub(super) async fn share(app: &App, run: &Run) -> Result<RunBudget> {
    let own = RunOptions::of(run)?.budget;
    let used = Used::of(app, run, own).await?;
    let steps = run.steps.unsigned_abs().saturating_add(used.steps);
    let microcredits = run.microcredits.saturating_add(used.microcredits);
    let max_steps = own.max_steps.map(|most| most.saturating_sub(steps) / 2);
    let max_microcredits = own.max_microcredits.map(|most| most.saturating_sub(microcredits) / 2);
    let mode = app.modes.load(&run.mode)?;
    let time = budget::of(app, run, mode, own, None).await?.max_duration;
    let seconds = u32::try_from(time.as_secs().saturating_mul(9) / 10).unwrap_or(u32::MAX);
    if max_steps == Some(0) || max_microcredits.is_some_and(|left| left <= 0) || seconds == 0 {
        return Err(Error::new(
            Code::InvalidRequest,
            "the budget of this run is too small for a subagent",
        ));
    }
    Ok(RunBudget {
        max_steps,
        max_seconds: Some(seconds),
        max_microcredits,
    })
}
