//! Limits of a run while a worker executes it.

use std::time::Duration;

use super::{Run, claim::Fresh, options::RunBudget};
use crate::{accounts::ensure, app::App, config::Mode, engine::Budget, error::Result, limits::Plan};

/// The time since the run's first claim counts towards the run's time limit, except the time that the run has waited
/// for inputs.
pub async fn of(app: &App, run: &Run, mode: &Mode, own: RunBudget, fresh: Option<&Fresh>) -> Result<Budget> {
    let worked = run.started_at.map_or(Duration::ZERO, |started| {
        (app.clock.now() - started).to_std().unwrap_or_default()
    });
    let waited = Duration::from_millis(run.waited_ms.unsigned_abs());
    let worked = worked.saturating_sub(waited);
    let limits = &app.config.worker;
    let longest = mode.run_timeout_seconds.map_or(Duration::MAX, Duration::from_secs);
    let allowed = time(app, run, fresh).await?.min(longest);
    let own_time = own.max_seconds.map(|seconds| Duration::from_secs(seconds.into()));
    Ok(Budget {
        max_steps: mode.max_steps.unwrap_or(limits.max_steps),
        max_duration: own_time.unwrap_or(allowed).min(allowed).saturating_sub(worked),
        max_tokens: mode.max_tokens.unwrap_or(limits.max_tokens),
        max_parallel_calls: limits.max_parallel_calls,
        own_steps: own.max_steps,
        is_own_time: own_time.is_some_and(|own| own < allowed),
    })
}

// Returns the time limit of the account's tier. If no tier sets a time limit, no query is needed.
async fn time(app: &App, run: &Run, fresh: Option<&Fresh>) -> Result<Duration> {
    let tier = match fresh {
        Some(fresh) => app.tiers.load(&fresh.tier),
        None if app.tiers.limits_time() => ensure::tier(app, app.db.read(), run.account_id).await?,
        None => app.tiers.first(),
    };
    let limits = app.config.limits;
    Ok(Plan { tier, limits }.run_timeout(&app.config.worker))
}
