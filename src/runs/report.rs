//! Logs one line when a run is committed and one line when the run ends. The lines contain ids, codes and numbers,
//! but no text from a caller, a model or a provider.

use chrono::{DateTime, Utc};
use tracing::{info, warn};

use super::{Run, Status, journal::Spent};
use crate::{
    engine::{
        MODEL_CREDENTIALS_REFUSED, MODEL_EMPTY_ANSWER, MODEL_QUOTA_EXHAUSTED, MODEL_REFUSED, MODEL_STREAM_BROKEN,
        MODEL_UNAVAILABLE, MODEL_UNKNOWN,
    },
    error::Code,
    telemetry::names,
};

/// Logs that a run is committed. The log span of the request adds the request's id to the line.
pub(super) fn started(run: &Run) {
    info!(
        run_id = %run.id,
        account_id = %run.account_id,
        thread_id = %run.thread_id,
        agent_id = run.agent_id.map(tracing::field::display),
        model = run.model_used,
        "run started"
    );
}

/// Logs that a run waits for inputs.
pub fn waits(run: &Run) {
    info!(run_id = %run.id, account_id = %run.account_id, thread_id = %run.thread_id, "run waits for inputs");
}

/// Logs the end of a run. The line is a warning if the provider, the sandbox or this server caused a failure.
pub fn ended(run: &Run, status: Status, error_code: Option<&str>, used: Spent, now: DateTime<Utc>) {
    let took = (now - run.created_at).to_std().unwrap_or_default();
    metrics::histogram!(names::RUN_SECONDS, "status" => status.as_str()).record(took);
    let millis = |from: DateTime<Utc>, until: DateTime<Utc>| (until - from).num_milliseconds();
    macro_rules! line {
        ($level:ident) => {
            $level!(
                run_id = %run.id,
                account_id = %run.account_id,
                thread_id = %run.thread_id,
                agent_id = run.agent_id.map(tracing::field::display),
                model = run.model_used,
                status = status.as_str(),
                error_code,
                duration_ms = millis(run.created_at, now),
                queued_ms = millis(run.created_at, run.started_at.unwrap_or(now)),
                steps = used.steps,
                input_tokens = used.input_tokens,
                output_tokens = used.output_tokens,
                "run ended"
            )
        };
    }
    if error_code.is_some_and(is_ours) {
        line!(warn);
    } else {
        line!(info);
    }
}

/// True if the operator, not the caller, must act on a failure.
fn is_ours(error_code: &str) -> bool {
    const OURS: [&str; 9] = [
        MODEL_CREDENTIALS_REFUSED,
        MODEL_EMPTY_ANSWER,
        MODEL_QUOTA_EXHAUSTED,
        MODEL_REFUSED,
        MODEL_STREAM_BROKEN,
        MODEL_UNAVAILABLE,
        MODEL_UNKNOWN,
        Code::Internal.as_str(),
        Code::Unavailable.as_str(),
    ];
    OURS.contains(&error_code)
}
