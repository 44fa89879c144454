//! Inputs that runs wait for: approvals of tool calls, results of client tools, and answers to questions.
//!
//! The journal inserts the inputs of a run in the transaction in which the run begins to wait. An answer takes effect in
//! one transaction with its event. When a run has no more pending inputs, the same transaction lets a worker claim it. The worker then reads the answers ([`answers::of_calls`]).

mod allowances;
pub mod answer;
pub mod answers;
pub mod expire;
pub mod list;
pub mod of_subagents;
mod question;
mod table;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

pub use allowances::{Model as Allowance, of_thread as allowances};
pub use answer::{Answer, answer};
pub use list::{list, load};
pub use table::{Decision, Kind, Model as Input, insertion};

use crate::{
    agents::approvals::Approvals,
    app::App,
    contract::structs,
    db::{Bound, Sql, Tx},
    engine::inputs::WaitingCall,
    error::Result,
    events::timestamp,
    runs::Run,
    v1::{InputRequested, run_event::Event},
};

/// Creates the inputs of a run that begins to wait, in the order of its calls.
///
/// # Errors
/// INTERNAL if a question cannot be encrypted.
pub fn requested(app: &App, run: &Run, approvals: &Approvals, calls: Vec<WaitingCall>) -> Result<Vec<Input>> {
    let expires_after = Duration::from_secs(approvals.expires_after_seconds().into());
    let inputs = calls.into_iter().map(|call| {
        let (id, now) = app.clock.stamp();
        let context = question::context(run.account_id, run.id, &call.tool_call_id);
        let question = call.question;
        let question = question.map(|question| question::sealed(&app.secrets, &context, question));
        Ok(Input {
            id,
            account_id: run.account_id,
            thread_id: run.thread_id,
            run_id: run.id,
            kind: Kind::of(call.ask.kind),
            tool_call_id: call.tool_call_id,
            name: call.name,
            arguments: call.arguments.to_string(),
            schema: call.ask.schema.map(|schema| schema.to_string()),
            message: structs::without_nul(&call.ask.message),
            fails_run: approvals.fail_on_expiry,
            created_at: now,
            expires_at: now + expires_after,
            decision: None,
            edited: None,
            text: String::new(),
            is_error: false,
            answered_at: None,
            consumed: false,
            question: question.transpose()?,
        })
    });
    inputs.collect()
}

impl Input {
    pub fn requested_event(&self) -> Event {
        Event::InputRequested(InputRequested {
            input_id: self.id.to_string(),
            kind: self.kind.into(),
            tool_call_id: self.tool_call_id.clone(),
            name: self.name.clone(),
            arguments: structs::parse_object(&self.arguments),
            schema: self.schema.as_deref().and_then(structs::parse_object),
            message: self.message.clone(),
            expires_at: Some(timestamp(self.expires_at)),
        })
    }
}

const CANCEL: Sql =
    Sql::new("UPDATE inputs SET decision = $1, answered_at = $2 WHERE run_id = $3 AND decision IS NULL");

/// The statement that cancels the pending inputs of a run that ends.
pub fn cancellation(run_id: Uuid, now: DateTime<Utc>) -> Bound {
    CANCEL.with([Decision::Cancelled.into(), now.into(), run_id.into()])
}

/// Cancels the pending inputs of a run that ends. The transaction must have locked the run's row.
pub async fn cancel(tx: &Tx, run_id: Uuid, now: DateTime<Utc>) -> Result<()> {
    tx.change(cancellation(run_id, now)).await?;
    Ok(())
}

/// Parses JSON that this service has stored.
pub(crate) fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
