//! Runs of subagents, which calls of the tool `task` start.
//!
//! A run that calls the tool waits for an input of the kind [`Kind::Task`], without a worker. [`advance`] starts the child
//! run of each such input, and answers the input when the child has ended. Both steps are idempotent, so they can be
//! repeated after a crash, and by several processes.

mod budget;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{
    NewRun, Parent, Run, Status, StopReason,
    inputs::{
        self, Decision, Input,
        answer::{publish, settle, store},
        of_subagents, parsed,
    },
    list::load,
    options::RunOptions,
    start,
    table::{Column, Entity, is_unfinished},
};
use crate::{
    accounts::{Access, Caller, Role, Scope, of, queue},
    agents::subagents,
    app::App,
    db::{Sql, Tx},
    error::{Code, Error, Result},
    threads::messages::{self, Bound},
    v1::{MessageRole, SubagentStarted, run_event::Event},
};

pub use budget::left;

/// Maximum number of unfinished children of a run. Further calls wait.
pub const MAX_AT_ONCE: usize = 8;
/// Maximum number of generations below a run that a caller has started.
const MAX_DEPTH: usize = 2;
/// Maximum number of inputs per query.
const PORTION: u64 = 100;
/// Maximum size of a child's answer in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const STOP_CHILDREN: Sql = Sql::new(
    "UPDATE runs SET stop_requested = TRUE, waiting_since = NULL, \
     lease_expires_at = CASE WHEN lease_owner IS NULL THEN NULL ELSE lease_expires_at END \
     WHERE status = 1 AND parent_run_id = $1",
);

/// Starts the children that are due, and passes on the results of those that have ended.
///
/// # Errors
/// Database errors; the next call continues.
pub async fn advance(app: &App) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let due = of_subagents::due(app.db.read(), after, PORTION).await?;
        let Some(last) = due.last() else { return Ok(()) };
        after = last.id;
        for input in due {
            if let Err(fault) = step(app, &input).await {
                tracing::warn!(error = %fault, run_id = %input.run_id, "could not continue a subagent; the server will retry");
            }
        }
    }
}

async fn step(app: &App, input: &Input) -> Result<()> {
    let scope = Scope::account(input.account_id);
    let run = load(app.db.read(), scope, input.run_id).await?;
    if run.status != Status::Running || run.stop_requested {
        return Ok(());
    }
    match child_of(app.db.read(), scope, input).await? {
        Some(child) if input.text.is_empty() => note_started(app, &run, input, &child).await,
        Some(child) if child.status != Status::Running => {
            let (text, is_error) = result(app, &child).await?;
            answer(app, input, text, is_error).await
        }
        Some(_) => Ok(()),
        None => launch(app, &run, input).await,
    }
}

/// Finds the run that the call of an input has started. The thread of that run has the id of the input.
async fn child_of(db: &impl ConnectionTrait, scope: Scope, input: &Input) -> Result<Option<Run>> {
    Ok(of::<Entity>(scope)
        .filter(Column::ThreadId.eq(input.id))
        .filter(Column::ParentCallId.eq(input.tool_call_id.as_str()))
        .order_by_asc(Column::Id)
        .limit(1)
        .one(db)
        .await?)
}

async fn launch(app: &App, run: &Run, input: &Input) -> Result<()> {
    let unfinished = unfinished_children(app.db.read(), run.account_id, run.id).await?;
    if unfinished.len() >= MAX_AT_ONCE {
        return Ok(());
    }
    let caller = Caller {
        account_id: run.account_id,
        role: Role::User,
        access: Access::Run,
        name: format!("run:{}", run.id).into(),
    };
    let started = match new_run(app, run, input).await {
        Ok(new) => Box::pin(start(app, &caller, new)).await,
        Err(refused) => Err(refused),
    };
    match started {
        Ok(started) => note_started(app, run, input, &started.run).await,
        // The error may pass, or another process has started the child.
        Err(fault)
            if matches!(
                fault.code(),
                Code::Unavailable | Code::Contended | Code::Internal | Code::RequestKeyReused
            ) =>
        {
            Err(fault)
        }
        Err(refused) => {
            let text = format!("the subagent could not be started: {}", refused.message());
            answer(app, input, text, true).await
        }
    }
}

async fn new_run(app: &App, run: &Run, input: &Input) -> Result<NewRun> {
    let arguments = parsed(&input.arguments);
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let agents = subagents::list(app.db.read(), Scope::account(run.account_id)).await?;
    let agent = subagents::find(&agents, text("agent")).map_err(|told| Error::new(Code::AgentNotFound, told))?;
    let options = RunOptions {
        budget: budget::share(app, run).await?,
        // The spans of parent and child are in one trace.
        trace: RunOptions::of(run)?.trace,
        ..RunOptions::default()
    };
    Ok(NewRun {
        prompt: Some(text("prompt").to_owned()),
        // Another attempt to start the child continues the same thread.
        thread_id: Some(input.id),
        project_id: Some(run.project_id),
        optimistic: true,
        agent_id: Some(agent),
        mode: run.mode.clone(),
        request_key: Some(format!("task:{}", input.id)),
        options,
        parent: Some(Parent {
            run_id: run.id,
            call_id: input.tool_call_id.clone(),
        }),
        ..NewRun::default()
    })
}

/// Records in the parent's stream that the child has started.
async fn note_started(app: &App, run: &Run, input: &Input, child: &Run) -> Result<()> {
    let tx = queue::begin_locked(app, run.account_id, "tasks.started").await?;
    let parent = load(&tx, Scope::account(run.account_id), run.id).await?;
    if parent.status != Status::Running || parent.stop_requested {
        // The parent was stopped while the child started.
        let stopped = stop_children(&tx, run, app.clock.now()).await?;
        tx.commit().await?;
        app.wake.stop_all(&stopped);
        return Ok(());
    }
    if !of_subagents::store_child(&tx, input, child.id).await? {
        return Ok(());
    }
    let event = Event::SubagentStarted(SubagentStarted {
        tool_call_id: input.tool_call_id.clone(),
        subagent_run_id: child.id.to_string(),
        thread_id: child.thread_id.to_string(),
        agent_id: child.agent_id.map(|id| id.to_string()).unwrap_or_default(),
    });
    let events = store(&tx, &parent, vec![event], app.clock.now()).await?;
    tx.commit().await?;
    app.hub.publish(run.id, &events);
    // The child may have ended before the event was recorded.
    app.wake.task_changed();
    Ok(())
}

async fn answer(app: &App, input: &Input, text: String, is_error: bool) -> Result<()> {
    let scope = Scope::account(input.account_id);
    let tx = queue::begin_locked(app, input.account_id, "tasks.answer").await?;
    let run = load(&tx, scope, input.run_id).await?;
    let mut pending = of_subagents::pending(&tx, scope, run.id).await?;
    let now = app.clock.now();
    let Some(position) = pending.iter().position(|other| other.id == input.id) else {
        return Ok(());
    };
    let row = &mut pending[position];
    row.decision = Some(Decision::Result);
    row.text = text;
    row.is_error = is_error;
    row.answered_at = Some(now);
    let events = settle(&tx, &run, &pending, &[position], now).await?;
    tx.commit().await?;
    publish(app, run.id, &events);
    app.wake.run_queued();
    // Another child may now start.
    app.wake.task_changed();
    Ok(())
}

/// The text that the parent's model gets for an ended child, and whether it is an error.
async fn result(app: &App, child: &Run) -> Result<(String, bool)> {
    let bound = Bound {
        rows: 20,
        bytes: 1024 * 1024,
    };
    let scope = Scope::account(child.account_id);
    let rows = messages::history(app.db.read(), scope, child.thread_id, child.id, bound).await?;
    let mut said = rows
        .into_iter()
        .rev()
        .find(|row| row.role == MessageRole::Assistant as i16 && !row.content.is_empty())
        .map(|row| row.content)
        .unwrap_or_default();
    if said.len() > MAX_ANSWER_BYTES {
        said.truncate(said.floor_char_boundary(MAX_ANSWER_BYTES));
        said.push_str("\n[the rest was cut]");
    }
    let why = match child.status {
        Status::Completed | Status::Running => return Ok((said, false)),
        Status::Failed => format!(
            "the subagent failed: {}",
            child.error_message.as_deref().unwrap_or("the cause is unknown")
        ),
        Status::Stopped if child.stop_reason == Some(StopReason::Budget) => {
            "the subagent was stopped, because it had used its budget".to_owned()
        }
        Status::Stopped => "the subagent was stopped".to_owned(),
    };
    Ok((
        if said.is_empty() {
            why
        } else {
            format!("{why}. Its last text: {said}")
        },
        true,
    ))
}

/// Whether a run may start subagents.
///
/// # Errors
/// Database errors.
pub async fn may_start(app: &App, run: &Run) -> Result<bool> {
    let mut depth = 0;
    let mut parent = run.parent_run_id;
    while let Some(run_id) = parent.filter(|_| depth < MAX_DEPTH) {
        depth += 1;
        parent = load(app.db.read(), Scope::account(run.account_id), run_id)
            .await?
            .parent_run_id;
    }
    Ok(depth < MAX_DEPTH)
}

/// Requests that the children of a run that ends stop, and their children. Their pending inputs are cancelled. A worker
/// claims those that wait, and ends them. Returns the runs; after the commit, the calling function wakes their workers.
pub(super) async fn stop_children(tx: &Tx, run: &Run, now: DateTime<Utc>) -> Result<Vec<Uuid>> {
    let (mut stopped, mut parents) = (Vec::new(), vec![run.id]);
    for _ in 0..MAX_DEPTH {
        let mut generation = Vec::new();
        for parent in parents {
            let children = unfinished_children(tx, run.account_id, parent).await?;
            if !children.is_empty() {
                tx.change(STOP_CHILDREN.with([parent.into()])).await?;
            }
            for child in &children {
                inputs::cancel(tx, *child, now).await?;
            }
            generation.extend(children);
        }
        stopped.extend(&generation);
        parents = generation;
    }
    Ok(stopped)
}

/// The ids of a run's children that have not ended, oldest first. A child that has ended has no unfinished children, because
/// it has stopped them.
async fn unfinished_children(db: &impl ConnectionTrait, account_id: Uuid, run_id: Uuid) -> Result<Vec<Uuid>> {
    Ok(of::<Entity>(Scope::account(account_id))
        .select_only()
        .column(Column::Id)
        .filter(Column::ParentRunId.eq(run_id))
        .filter(is_unfinished())
        .order_by_asc(Column::Id)
        .into_tuple()
        .all(db)
        .await?)
}
