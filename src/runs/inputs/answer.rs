//! Answers the inputs of a run.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, sea_query::ExprTrait};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    Decision, Input, Kind, allowances, cancel,
    list::{not_found, of_run},
    table::{Column, Entity},
};
use crate::{
    accounts::{Caller, Scope, queue},
    app::App,
    contract::structs,
    db::Tx,
    engine::INPUT_EXPIRED,
    error::{Error, Result},
    events::{self, Stored},
    runs::{Run, Status, finish, journal::RunEnd, list::load, resume},
    v1::{InputAnswered, InputDecision, RunStatus, run_event::Event},
};

/// Maximum number of answers per request.
pub const MAX_ANSWERS: usize = 64;
/// Maximum size of a text in bytes: that of a tool result.
pub const MAX_TEXT_BYTES: usize = crate::engine::calls::MAX_RESULT_BYTES;

/// Maximum size of the values of an answer as JSON, in bytes.
const MAX_VALUES_BYTES: usize = 64 * 1024;

/// An answer to an input.
#[derive(Clone, Debug)]
pub struct Answer {
    pub input_id: Uuid,
    pub decision: Decision,
    /// Edited arguments of an approved call, or the values of an answer to a question with a schema: a JSON object.
    pub edited: Option<Value>,
    pub text: String,
    pub is_error: bool,
    /// For an approval: whether later calls like this one run without asking.
    pub always: bool,
}

/// Answers inputs of a run. When no input is pending, a worker continues the run. An input that already has a
/// decision keeps it. Returns the inputs in the order of the answers, and the run.
///
/// # Errors
/// INVALID_REQUEST, `RUN_NOT_FOUND`, `INPUT_NOT_FOUND`. No answer has taken effect then.
pub async fn answer(app: &App, caller: &Caller, run_id: Uuid, answers: Vec<Answer>) -> Result<(Vec<Input>, Run)> {
    check(&answers)?;
    // Refuse a run of another account before locking the caller's account.
    load(app.db.read(), caller.scope(), run_id).await?;
    let tx = queue::begin_locked(app, caller.account_id, "inputs.answer").await?;
    let run = load(&tx, caller.scope(), run_id).await?;
    let named = Column::Id.is_in(answers.iter().map(|answer| answer.input_id));
    let mut inputs = of_run(&tx, caller.scope(), run_id, Column::Decision.is_null().or(named)).await?;
    let now = app.clock.now();
    let mut positions = Vec::with_capacity(answers.len());
    let (mut decided, mut allowed) = (Vec::new(), Vec::new());
    for answer in answers {
        let found = inputs
            .iter()
            .position(|input| input.id == answer.input_id && input.kind != Kind::Task);
        let position = found.ok_or_else(not_found)?;
        positions.push(position);
        let input = &mut inputs[position];
        if input.decision.is_none() {
            let always = answer.always;
            decide(input, answer, now)?;
            decided.push(position);
            if always {
                allowed.push(position);
            }
        }
    }
    let events = settle(&tx, &run, &inputs, &decided, now).await?;
    for position in allowed {
        allowances::allow(&tx, &inputs[position]).await?;
    }
    tx.commit().await?;
    publish(app, run_id, &events);
    let answered = positions.into_iter().map(|position| inputs[position].clone());
    let run = load(app.db.read(), caller.scope(), run_id).await?;
    Ok((answered.collect(), run))
}

/// Publishes the committed events of an answer, and wakes the worker.
pub(in crate::runs) fn publish(app: &App, run_id: Uuid, events: &[Stored]) {
    if !events.is_empty() {
        app.hub.publish(run_id, events);
        app.wake.run_queued();
    }
}

/// Writes the decisions at the positions `decided` of `inputs`, which contain all pending inputs of the run. Also writes
/// their events. When no input is pending,
/// lets a worker claim the run. The transaction must have locked the account.
pub(in crate::runs) async fn settle(
    tx: &Tx,
    run: &Run,
    inputs: &[Input],
    decided: &[usize],
    now: DateTime<Utc>,
) -> Result<Vec<Stored>> {
    if decided.is_empty() || run.status != Status::Running {
        return Ok(Vec::new());
    }
    let mut events: Vec<Event> = decided
        .iter()
        .map(|position| &inputs[*position])
        .filter(|input| input.kind != Kind::Task)
        .map(answered_event)
        .collect();
    for position in decided {
        update(tx, &inputs[*position]).await?;
    }
    let is_pending = |input: &&Input| input.decision.is_none();
    let is_task = |input: &Input| input.kind == Kind::Task;
    if !inputs.iter().any(|input| is_pending(&input)) {
        resume::resume(tx, run, now).await?;
    } else if run.waiting_since.is_some() && inputs.iter().filter(is_pending).all(is_task) {
        resume::park(tx, run, now).await?;
    } else {
        return store(tx, run, events, now).await;
    }
    if run.waiting_since.is_some() {
        events.push(events::status(RunStatus::Running));
    }
    store(tx, run, events, now).await
}

/// Appends events to a run that no worker holds. The transaction must have locked the account.
pub(in crate::runs) async fn store(tx: &Tx, run: &Run, events: Vec<Event>, now: DateTime<Utc>) -> Result<Vec<Stored>> {
    let mut sequence = events::last_sequence(tx, run.id).await?;
    let mut stored = Vec::with_capacity(events.len());
    for event in events {
        sequence += 1;
        stored.push(Stored::new(run.id, sequence, now, event));
    }
    let rows: Vec<(Uuid, &Stored)> = stored.iter().map(|event| (run.id, event)).collect();
    events::insert(tx, &rows).await?;
    Ok(stored)
}

async fn update(tx: &Tx, input: &Input) -> Result<()> {
    let mut row = input.clone().into_active_model();
    row.decision = Set(input.decision);
    row.edited = Set(input.edited.clone());
    row.text = Set(input.text.clone());
    row.is_error = Set(input.is_error);
    row.answered_at = Set(input.answered_at);
    Entity::update(row).exec(tx).await?;
    Ok(())
}

fn answered_event(input: &Input) -> Event {
    let decision = input.decision.map(InputDecision::from).unwrap_or_default();
    Event::InputAnswered(InputAnswered {
        input_id: input.id.to_string(),
        decision: decision.into(),
        tool_call_id: input.tool_call_id.clone(),
        arguments: input.edited.as_deref().and_then(structs::parse_object),
        text: input.text.clone(),
        is_error: input.is_error,
    })
}

fn check(answers: &[Answer]) -> Result<()> {
    let distinct: BTreeSet<Uuid> = answers.iter().map(|answer| answer.input_id).collect();
    if answers.is_empty() || answers.len() > MAX_ANSWERS || distinct.len() != answers.len() {
        let message = format!("answers must contain 1 to {MAX_ANSWERS} answers, each for a different input");
        return Err(Error::invalid_field("answers", message));
    }
    for answer in answers {
        if answer.text.len() > MAX_TEXT_BYTES || answer.text.contains('\0') {
            let message = format!("text must have at most {MAX_TEXT_BYTES} bytes and no NUL character");
            return Err(Error::invalid_field("answers", message));
        }
    }
    Ok(())
}

/// Writes an answer into its input, if the decision fits the kind of the input and edited arguments fit the schema.
fn decide(input: &mut Input, answer: Answer, now: DateTime<Utc>) -> Result<()> {
    let wrong = |message: String| Err(Error::invalid_field("answers", message));
    let (fits, allowed) = match input.kind {
        Kind::Approval => (
            matches!(answer.decision, Decision::Approve | Decision::Deny),
            "approve or deny",
        ),
        Kind::ClientTool => (
            matches!(answer.decision, Decision::Result | Decision::Deny),
            "result or deny",
        ),
        Kind::Question if has_values(input) => (
            matches!(answer.decision, Decision::Answer | Decision::Approve | Decision::Deny),
            "answer, approve or deny",
        ),
        Kind::Question => (
            matches!(answer.decision, Decision::Answer | Decision::Deny),
            "answer or deny",
        ),
        Kind::Task => (false, "that of the subagent"),
    };
    if !fits {
        return wrong(format!("the decision about the input {} must be {allowed}", input.id));
    }
    if has_values(input) && answer.decision != Decision::Deny {
        let values = values(answer.edited, &answer.text).and_then(|values| fitting(input, &values));
        match values {
            Ok(values) => input.edited = Some(values),
            Err(mistake) => return wrong(format!("the answer to the input {} {mistake}", input.id)),
        }
    } else if let Some(edited) = answer.edited {
        if answer.decision != Decision::Approve {
            return wrong("arguments can only be set with the decision approve".to_owned());
        }
        if let Some(mistake) = input.schema.as_deref().and_then(|schema| mistake(schema, &edited)) {
            return wrong(format!(
                "the edited arguments do not match the schema of {}: {mistake}",
                input.name
            ));
        }
        input.edited = Some(edited.to_string());
    }
    if answer.always && (answer.decision != Decision::Approve || input.kind != Kind::Approval) {
        return wrong("always can only be set with the decision approve about a call".to_owned());
    }
    input.decision = Some(answer.decision);
    input.text = answer.text;
    input.is_error = answer.is_error && answer.decision == Decision::Result;
    input.answered_at = Some(now);
    Ok(())
}

/// Whether an answer to the input has values, because a tool asked the question.
fn has_values(input: &Input) -> bool {
    input.kind == Kind::Question && input.schema.is_some()
}

/// The values of an answer: its arguments, or its text if that is a JSON object. An answer without both has no values.
fn values(arguments: Option<Value>, text: &str) -> Result<Value, String> {
    let values = match arguments {
        Some(arguments) => arguments,
        None if text.trim().is_empty() => Value::Object(Map::new()),
        None => serde_json::from_str(text).unwrap_or_default(),
    };
    if values.is_object() {
        Ok(values)
    } else {
        Err("must have the values as arguments, or as a text that is a JSON object".to_owned())
    }
}

fn fitting(input: &Input, values: &Value) -> Result<String, String> {
    if let Some(mistake) = input.schema.as_deref().and_then(|schema| mistake(schema, values)) {
        return Err(format!("does not match the schema of the question: {mistake}"));
    }
    let values = values.to_string();
    if values.len() > MAX_VALUES_BYTES {
        return Err(format!("must have at most {MAX_VALUES_BYTES} bytes of values"));
    }
    Ok(values)
}

fn mistake(schema: &str, arguments: &Value) -> Option<String> {
    let validator = jsonschema::validator_for(&super::parsed(schema)).ok()?;
    let mistake = validator.iter_errors(arguments).next()?;
    Some(mistake.to_string())
}

/// Decides about the expired inputs of one run, so that none of them is found again.
pub(super) async fn expire(app: &App, account_id: Uuid, run_id: Uuid) -> Result<()> {
    let scope = Scope::account(account_id);
    let tx = queue::begin_locked(app, account_id, "inputs.expire").await?;
    let run = load(&tx, scope, run_id).await?;
    let mut inputs = of_run(&tx, scope, run_id, Column::Decision.is_null()).await?;
    let now = app.clock.now();
    if run.status != Status::Running {
        cancel(&tx, run_id, now).await?;
        return tx.commit().await;
    }
    let mut decided = Vec::new();
    let mut fails = false;
    for (position, input) in inputs.iter_mut().enumerate() {
        if input.decision.is_none() && input.expires_at <= now {
            input.decision = Some(Decision::Expired);
            input.answered_at = Some(now);
            fails |= input.fails_run;
            decided.push(position);
        }
    }
    let events = settle(&tx, &run, &inputs, &decided, now).await?;
    let ended = if fails {
        let message = "an input of the run expired without an answer".to_owned();
        let end = RunEnd::failed(INPUT_EXPIRED.to_owned(), message);
        finish::finish(&tx, &run, &end, now).await?
    } else {
        None
    };
    tx.commit().await?;
    publish(app, run_id, &events);
    if let Some(ended) = ended {
        ended.publish(app, run_id);
    }
    Ok(())
}
