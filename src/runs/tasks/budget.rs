//! The budgets of subagents. A child gets a part of what its parent has left. The parent keeps enough for its own answer.

use super::children;
use crate::{
    accounts::Scope,
    app::App,
    error::{Code, Error, Result},
    runs::{
        Run, Status, budget,
        options::{RunBudget, RunOptions},
    },
};

/// Usage of the children of a run.
#[derive(Default)]
struct Used {
    steps: u32,
    microcredits: i64,
}

impl Used {
    /// An unfinished child counts with its budget, which is reserved for it.
    fn of(children: &[Run]) -> Result<Self> {
        let mut used = Self::default();
        for child in children {
            let reserved = if child.status == Status::Running {
                RunOptions::of(child)?.budget
            } else {
                RunBudget::default()
            };
            let steps = child.steps.unsigned_abs().max(reserved.max_steps.unwrap_or_default());
            used.steps = used.steps.saturating_add(steps);
            let microcredits = child.microcredits.max(reserved.max_microcredits.unwrap_or_default());
            used.microcredits = used.microcredits.saturating_add(microcredits);
        }
        Ok(used)
    }
}

/// The budget of the request, without what the run's children have used.
///
/// # Errors
/// Database errors.
pub async fn left(app: &App, run: &Run, own: RunBudget) -> Result<RunBudget> {
    if own.max_steps.is_none() && own.max_microcredits.is_none() {
        return Ok(own);
    }
    let used = Used::of(&children(app.db.read(), Scope::account(run.account_id), run.id).await?)?;
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
pub(super) async fn share(app: &App, run: &Run, children: &[Run]) -> Result<RunBudget> {
    let own = RunOptions::of(run)?.budget;
    let used = Used::of(children)?;
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
