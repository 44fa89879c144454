//! The answers with which a worker continues a run.

use std::collections::BTreeMap;

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::{
    Decision, Input, Kind, list, parsed, question,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    db::{Bound, Sql},
    engine::inputs::{CallAnswer, CallDecision, remark},
    error::Result,
    llm::ToolRequest,
};

const CONSUME: Sql =
    Sql::new("UPDATE inputs SET consumed = TRUE WHERE run_id = $1 AND decision IS NOT NULL AND consumed = FALSE");

/// The statement that records that the run's worker continues with the answers.
pub fn consumption(run_id: Uuid) -> Bound {
    CONSUME.with([run_id.into()])
}

/// True if the run has answers with which no worker has continued yet: it was claimed because it no longer waits.
pub async fn are_new(db: &impl ConnectionTrait, scope: Scope, run_id: Uuid) -> Result<bool> {
    let new = of::<Entity>(scope)
        .select_only()
        .column(Column::Id)
        .filter(Column::RunId.eq(run_id))
        .filter(Column::Decision.is_not_null())
        .filter(Column::Consumed.eq(false))
        .limit(1)
        .into_tuple::<Uuid>()
        .one(db)
        .await?;
    Ok(new.is_some())
}

/// Loads the answers to the inputs of calls, one per call. The ids of calls are unique within a run.
pub async fn of_calls(app: &App, scope: Scope, run_id: Uuid, calls: &[ToolRequest]) -> Result<Vec<CallAnswer>> {
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let of_these = Column::ToolCallId.is_in(calls.iter().map(|call| call.id.as_str()));
    let rows = list::of_run(app.db.read(), scope, run_id, of_these).await?;
    let mut by_call: BTreeMap<String, Vec<Input>> = BTreeMap::new();
    for row in rows {
        by_call.entry(row.tool_call_id.clone()).or_default().push(row);
    }
    let answers = by_call.into_values().filter_map(|rows| {
        if rows.iter().any(|row| row.question.is_some()) {
            question::continued(&app.secrets, rows)
        } else {
            last(rows)
        }
    });
    Ok(answers.collect())
}

/// The answer to the last input of a call. An approved call can need another input, which is its result.
fn last(rows: Vec<Input>) -> Option<CallAnswer> {
    let approved = rows.iter().find(|row| row.kind == Kind::Approval);
    let edited = approved.and_then(|row| row.edited.as_deref()).map(parsed);
    let mut last = rows.into_iter().next_back().and_then(answer)?;
    if let (Some(edited), CallDecision::Told { text, is_error: false }) = (edited, &mut last.decision) {
        *text = format!("{}\n\n{text}", remark(&edited));
    }
    Some(last)
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
        Kind::Task => "the subagent did not run",
    };
    if reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {reason}")
    }
}
