//! The answers with which a worker continues a run.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{Decision, Input, Kind, list, parsed};
use crate::{
    accounts::Scope,
    db::{Bound, Sql},
    engine::inputs::{CallAnswer, CallDecision},
    error::Result,
};

const CONSUME: Sql =
    Sql::new("UPDATE inputs SET consumed = TRUE WHERE run_id = $1 AND decision IS NOT NULL AND consumed = FALSE");

/// The statement that records that the run's worker continues with the answers.
pub fn consumption(run_id: Uuid) -> Bound {
    CONSUME.with([run_id.into()])
}

/// True if the run has answers with which no worker has continued yet: it was claimed because it no longer waits.
pub async fn are_new(db: &impl ConnectionTrait, scope: Scope, run_id: Uuid) -> Result<bool> {
    let rows = list::of_run(db, scope, run_id).await?;
    Ok(rows.iter().any(|row| row.decision.is_some() && !row.consumed))
}

/// Loads the answers to the inputs of a run's calls. A call id may occur in several inputs, for example if the model
/// repeats it in a later answer; the newest input counts.
pub async fn of_calls(db: &impl ConnectionTrait, scope: Scope, run_id: Uuid) -> Result<Vec<CallAnswer>> {
    let rows = list::of_run(db, scope, run_id).await?;
    let newest: BTreeMap<String, Input> = rows.into_iter().map(|row| (row.tool_call_id.clone(), row)).collect();
    Ok(newest.into_values().filter_map(answer).collect())
}

fn answer(row: Input) -> Option<CallAnswer> {
    let told = |text: String, is_error| CallDecision::Told { text, is_error };
    let decision = match row.decision? {
        Decision::Approve => CallDecision::Approved {
            edited: row.edited.as_deref().map(parsed),
        },
        Decision::Result => told(row.text, row.is_error),
        Decision::Answer => told(row.text, false),
        Decision::Deny => told(denied(row.kind, &row.text), true),
        Decision::Expired => told("no answer arrived in time; continue without it".to_owned(), true),
        Decision::Cancelled => return None,
    };
    Some(CallAnswer {
        tool_call_id: row.tool_call_id,
        is_consumed: row.consumed,
        decision,
    })
}

fn denied(kind: Kind, reason: &str) -> String {
    let what = match kind {
        Kind::Approval => "not run: the user denied this call",
        Kind::ClientTool => "not run: the client refused this call",
        Kind::Question => "the user did not answer this question",
    };
    if reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {reason}")
    }
}
