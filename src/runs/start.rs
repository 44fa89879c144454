//! Starting a run.
//!
//! Called by `wire::runs` only. One transaction checks that the thread belongs to the account and that the plan allows
//! one more run. It also inserts the run's row and first event. A worker can see the run only after the commit. Files
//! are moved into the workspace before the response; if the process crashes before that, a worker moves them.

mod account;
mod decide;
mod room;
mod target;

use std::time::{Duration, Instant};

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait, Statement,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Run, Status,
    claim::{self, Claimed},
    finish,
    journal::Spent,
    report,
    table::{Column, Entity},
    worker_slots::WorkerSlot,
};
use crate::{
    accounts::{Caller, of, queue},
    agents::version::pin,
    app::App,
    db::Tx,
    error::{Code, Error, Result},
    events::{self, Stored, table as event_table},
    id,
    limits::{Admission, Plan},
    projects, telemetry,
    threads::{
        NewMessage,
        messages::{self, Belongs},
    },
    uploads,
    v1::{MessageRole, Notice, NoticeKind, RunStatus, run_event::Event},
};
use room::Room;
use target::Target;

/// Maximum size of a prompt in bytes.
pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Maximum number of characters of a request key.
pub const MAX_KEY: usize = 255;
/// Time for which a request key is remembered.
const KEY_LIVES: Duration = Duration::from_hours(24);

/// Action if the thread already has an unfinished run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfBusy {
    /// Queue the new run behind the unfinished run.
    #[default]
    Enqueue,
    /// Refuse the new run.
    Reject,
    /// End the unfinished run first.
    Interrupt,
}

/// Tools that a run may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// All tools.
    #[default]
    Code,
    /// No tools that need a sandbox.
    Chat,
}

impl Mode {
    /// Name of the mode in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Chat => "chat",
        }
    }
}

/// A run to start.
#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// The task.
    pub prompt: Option<String>,
    /// The thread to continue, or the id of the new thread in optimistic mode.
    pub thread_id: Option<Uuid>,
    /// The project.
    pub project_id: Option<Uuid>,
    /// True if the client generated the ids.
    pub optimistic: bool,
    /// The agent; the account's default agent if absent.
    pub agent_id: Option<Uuid>,
    /// The model to use instead of the agent's model.
    pub model: Option<String>,
    /// Tools that the run may use.
    pub mode: Mode,
    /// Memory setting of the run; `None` if the request has none.
    pub memory_enabled: Option<bool>,
    /// Uploads to place in the workspace.
    pub files: Vec<Uuid>,
    /// Idempotency key: a retry with the same key returns this run.
    pub request_key: Option<String>,
    /// Action if the thread already has an unfinished run.
    pub if_busy: IfBusy,
}

/// A run that was started by this call or by an earlier call with the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The run.
    pub run: Run,
    /// The sandbox, if its row exists.
    pub sandbox_id: Option<Uuid>,
    /// Timing of the start.
    pub timing: Timing,
}

/// Duration of the phases of a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Time to wait for the writer lane or the account's lock, to read and to decide.
    pub load: Duration,
    /// Time to write the rows.
    pub write: Duration,
    /// Time until the commit is durable.
    pub commit: Duration,
    /// Time to place the files.
    pub files: Duration,
}

/// Starts a run.
///
/// # Errors
/// INVALID_REQUEST with the wording fixed by the API documentation; the not-found errors; `REQUEST_KEY_REUSED`;
/// `THREAD_BUSY`; the plan's refusals; `TOO_LARGE` if the files do not fit into the workspace.
pub async fn start(app: &App, caller: &Caller, new: NewRun) -> Result<Started> {
    decide::check(&new)?;
    let began = Instant::now();
    let files = uploads::take::load(app.db.read(), caller.scope(), &new.files).await?;
    let key = decide::key(&new, &files);
    let mut room = Room::look(app, caller, &new).await?;

    let tx = queue::begin(app, caller.account_id, "runs.start").await?;
    // Lock the account first, so that two starts cannot both take the last free slot. Look up the key before checking
    // limits, so that a retry of an accepted start succeeds even if the limits are now reached.
    let account = account::lock(&tx, caller, new.agent_id).await?;
    if let Some(earlier) = find_by_key(app, &tx, caller, key.as_ref()).await? {
        drop(tx);
        uploads::take::give_copies(app, &files, earlier.id).await?;
        return answer(app, caller, earlier, Timing::default()).await;
    }
    // If the disk is almost full, refuse new runs, so that the remaining space is available to runs that have started.
    app.disk.check(0)?;
    let target = Target::find(&tx, caller.scope(), &new).await?;
    let pinned = match new.agent_id {
        Some(_) => pin(&tx, caller.scope(), new.agent_id).await?,
        None => account.default_agent.clone(),
    };
    let plan = Plan {
        tier: app.tiers.load(&account.tier),
        limits: app.config.limits,
    };
    let asked = new
        .model
        .as_deref()
        .or(pinned.as_ref().map(|pinned| pinned.model.as_str()));
    let busy = target.busy(&tx, caller.scope()).await?;
    let ended = decide::make_room(app, &tx, busy, new.if_busy).await?;
    let (admission, held_microcredits) = decide::admit(app, &tx, caller, &plan, asked, (&account, &target)).await?;
    let loaded = began.elapsed();

    let (run_id, now) = app.clock.stamp();
    let mut run = Run {
        agent_id: pinned.as_ref().map(|pinned| pinned.agent_id),
        agent_version_id: pinned.as_ref().map(|pinned| pinned.version_id),
        held_microcredits,
        ..admitted(caller, &admission, &target, &new, key, (run_id, now))
    };
    let seat = seat(app, &target, &files);
    if let Some(seat) = &seat {
        (run.lease_owner, run.lease_epoch) = (Some(seat.worker_id), 1);
        (run.lease_expires_at, run.started_at) = (Some(now + seat.lease), Some(now));
    }
    let first = first_events(&run, &admission, now);
    let mut statements = inserts(tx.get_database_backend(), &target, &run, &new, &first);
    // Without files, the message of the prompt is already complete. Inserting it together with the other rows saves a
    // thread hop.
    let early = files.is_empty();
    if early {
        statements.extend(message(&tx, &run, new.prompt.as_deref(), Vec::new())?);
    }
    tx.execute_together(statements).await.map_err(target::lost_race)?;
    let sandbox = target.sandbox_for(&tx, &run, &files).await?;
    if !early {
        let taken = room.admit(app, &tx, &target, &files).await?;
        let names = uploads::take::bind(&tx, &files, run.id, taken).await?;
        tx.execute_all(message(&tx, &run, new.prompt.as_deref(), names)?)
            .await?;
    }
    let written = began.elapsed();
    tx.commit().await?;
    let committed = began.elapsed();

    for (run, event) in ended {
        app.hub.publish(run.id, &[event]);
        app.wake.stop(run.id);
        report::ended(&run, Status::Stopped, None, Spent::of(&run), now);
    }
    report::started(&run);
    app.hub.publish(run.id, &first);
    if !files.is_empty() {
        place(app, caller, &run).await;
        drop(room);
    }
    match seat {
        Some(seat) => hand_over(app, seat, &run, &first).await,
        None => app.wake.run_queued(),
    }
    metrics::counter!(telemetry::RUNS_STARTED).increment(1);
    let timing = Timing {
        load: loaded,
        write: written.saturating_sub(loaded),
        commit: committed.saturating_sub(written),
        files: began.elapsed().saturating_sub(committed),
    };
    Ok(Started {
        sandbox_id: sandbox.map(|sandbox| sandbox.id),
        run,
        timing,
    })
}

// Takes a worker slot if the run can begin directly after the commit: its thread is new, so that it waits for no
// earlier run; it has no files to place; and no other run waits to be claimed.
fn seat(app: &App, target: &Target, files: &[uploads::table::Model]) -> Option<WorkerSlot> {
    if !target.makes_thread || !files.is_empty() || app.wake.has_waiting() {
        return None;
    }
    app.worker_slots.take()
}

async fn hand_over(app: &App, seat: WorkerSlot, run: &Run, first: &[Stored]) {
    let worker_id = seat.worker_id;
    let claimed = Claimed {
        run: run.clone(),
        newest_event: first.last().map_or(0, |event| event.sequence),
        awaits_files: false,
    };
    if seat.hand_over(claimed).is_err()
        && let Err(fault) = claim::release(app, worker_id, run.id).await
    {
        tracing::warn!(error = %fault, run = %run.id, "could not release a run; its lease will expire");
    }
}

fn admitted(
    caller: &Caller,
    admission: &Admission,
    target: &Target,
    new: &NewRun,
    key: Option<decide::Key>,
    (id, now): (Uuid, chrono::DateTime<chrono::Utc>),
) -> Run {
    let (request_key, request_hash) = key.map(|key| (key.name, key.hash)).unzip();
    Run {
        id,
        account_id: caller.account_id,
        thread_id: target.thread_id,
        project_id: target.project_id,
        agent_id: None,
        agent_version_id: None,
        status: Status::Running,
        mode: new.mode.as_str().to_owned(),
        model_requested: new.model.clone(),
        model_used: admission.model().to_owned(),
        memory_enabled: new.memory_enabled,
        request_key,
        request_hash,
        lease_owner: None,
        lease_epoch: 0,
        lease_expires_at: None,
        stop_requested: false,
        error_code: None,
        error_message: None,
        steps: 0,
        input_tokens: 0,
        output_tokens: 0,
        microcredits: 0,
        held_microcredits: 0,
        last_sequence: None,
        created_at: now,
        started_at: None,
        finished_at: None,
    }
}

fn first_events(run: &Run, admission: &Admission, now: chrono::DateTime<chrono::Utc>) -> Vec<Stored> {
    let mut first = vec![Stored::new(run.id, 1, now, events::status(RunStatus::Running, None))];
    if let Some(asked) = admission.downgraded_from() {
        let message = format!(
            "Your plan does not include {asked}, so this run uses {}.",
            admission.model()
        );
        let notice = Notice {
            kind: NoticeKind::ModelDowngraded.into(),
            message,
        };
        first.push(Stored::new(run.id, 2, now, Event::Notice(notice)));
    }
    first
}

fn inserts(backend: DbBackend, target: &Target, run: &Run, new: &NewRun, first: &[Stored]) -> Vec<Statement> {
    let mut statements = target.inserts(backend, run, new);
    statements.push(Entity::insert(run.clone().into_active_model()).build(backend));
    statements.extend(
        first
            .iter()
            .map(|event| event_table::insert_one(backend, run.id, event.clone())),
    );
    statements
}

// Builds the caller's message with the names of its files. A run without a prompt and without files has no message and
// continues from the thread's history.
fn message(tx: &Tx, run: &Run, prompt: Option<&str>, names: Vec<String>) -> Result<Option<Statement>> {
    let prompt = prompt.unwrap_or_default();
    if prompt.is_empty() && names.is_empty() {
        return Ok(None);
    }
    let mut message = NewMessage::text(id::new(), MessageRole::User, prompt.to_owned());
    message.files = names;
    let belongs = Belongs {
        account_id: run.account_id,
        thread_id: run.thread_id,
        run_id: Some(run.id),
    };
    let row = messages::row(belongs, message, run.created_at)?;
    Ok(Some(messages::insert(tx.get_database_backend(), row)))
}

async fn find_by_key(app: &App, tx: &Tx, caller: &Caller, key: Option<&decide::Key>) -> Result<Option<Run>> {
    let Some(key) = key else { return Ok(None) };
    let found = of::<Entity>(caller.scope())
        .filter(Column::RequestKey.eq(key.name.as_str()))
        .one(tx)
        .await?;
    let Some(run) = found else { return Ok(None) };
    if run.created_at + KEY_LIVES <= app.clock.now() {
        Entity::update_many()
            .col_expr(Column::RequestKey, Expr::value(None::<String>))
            .filter(Column::AccountId.eq(caller.account_id))
            .filter(Column::Id.eq(run.id))
            .exec(tx)
            .await?;
        return Ok(None);
    }
    if run.request_hash.as_deref() != Some(key.hash.as_str()) {
        let message = "this request_id was used for a different start; use a new one";
        return Err(Error::new(Code::RequestKeyReused, message));
    }
    Ok(Some(run))
}

async fn answer(app: &App, caller: &Caller, run: Run, timing: Timing) -> Result<Started> {
    let sandbox = projects::sandbox::find(app.db.read(), caller.scope(), run.project_id).await?;
    // The first response did not contain a sandbox that was created later.
    let sandbox = sandbox.filter(|sandbox| sandbox.created_at <= run.created_at);
    Ok(Started {
        sandbox_id: sandbox.map(|sandbox| sandbox.id),
        run,
        timing,
    })
}

// The start is already durable, so a failure to place its files must not fail the call. The worker then places the
// files before the first step.
async fn place(app: &App, caller: &Caller, run: &Run) {
    let placed = async {
        let sandbox = projects::sandbox::ensure(app, caller.account_id, run.project_id).await?;
        let waiting = uploads::place::waiting(app, caller.scope(), run.id).await?;
        uploads::place::place(app, &sandbox, waiting).await?;
        app.walks.changed(run.project_id).await;
        Ok::<_, Error>(())
    };
    if let Err(fault) = placed.await {
        tracing::warn!(error = %fault, run = %run.id, "could not move uploads into the workspace; the run's worker will retry");
    }
}
