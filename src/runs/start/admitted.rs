//! The fifth stage of a `StartRun` request: the plan allows the run.

use std::time::Duration;

use super::{
    prepared::Prepared,
    started::Timing,
    target::{self, Target},
    written::Written,
};
use crate::{
    agents::version::Pinned,
    db::{Bound, Tx},
    error::Result,
    events::{self, Stored},
    id,
    limits::Admission,
    projects::SandboxRow,
    runs::{Run, Status, finish::Ended, table, worker_slots::WorkerSlot},
    threads::{
        NewMessage,
        messages::{self, Belongs},
    },
    uploads,
    v1::{MessageRole, Notice, NoticeKind, RunStatus, run_event::Event},
};

pub(super) struct Admitted<'a> {
    pub(super) prepared: &'a Prepared,
    pub(super) tx: &'a Tx,
    pub(super) target: Target,
    pub(super) tier: String,
    pub(super) agent: Option<Pinned>,
    pub(super) ended: Vec<(Run, Ended)>,
    pub(super) admission: Admission,
    /// Amount to reserve for the first model call.
    pub(super) held_microcredits: i64,
    /// Time from the beginning of the request until the admission.
    pub(super) loaded: Duration,
}

impl Admitted<'_> {
    /// Writes the rows of the run. A run that gets a worker slot is written as already claimed.
    pub(super) async fn write(self) -> Result<Written> {
        let mut run = self.run();
        let slot = self.worker_slot();
        if let Some(slot) = &slot {
            (run.lease_owner, run.lease_epoch) = (Some(slot.worker_id), 1);
            (run.lease_expires_at, run.started_at) = (Some(run.created_at + slot.lease), Some(run.created_at));
        }
        let first = self.first_events(&run);
        let sandbox = self.insert(&run, &first).await?;
        Ok(Written {
            timing: Timing {
                load: self.loaded,
                write: self.prepared.began.elapsed().saturating_sub(self.loaded),
                ..Timing::default()
            },
            ended: self.ended,
            run,
            first,
            slot,
            sandbox_id: sandbox.map(|sandbox| sandbox.id),
            tier: self.tier,
        })
    }

    fn run(&self) -> Run {
        let Prepared {
            app, caller, new, key, ..
        } = self.prepared;
        let (id, now) = app.clock.stamp();
        let (request_key, request_hash) = key.clone().map(|key| (key.name, key.hash)).unzip();
        Run {
            id,
            account_id: caller.account_id,
            thread_id: self.target.thread_id,
            project_id: self.target.project_id,
            agent_id: self.agent.as_ref().map(|agent| agent.agent_id),
            agent_version_id: self.agent.as_ref().map(|agent| agent.version_id),
            status: Status::Running,
            mode: new.mode.clone(),
            model_requested: new.model.clone(),
            model_used: self.admission.model().to_owned(),
            memory_enabled: new.memory_enabled,
            reasoning_effort: new.reasoning_effort.map(|effort| effort.as_str().to_owned()),
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
            held_microcredits: self.held_microcredits,
            last_sequence: None,
            created_at: now,
            started_at: None,
            finished_at: None,
            waiting_since: None,
            waited_ms: 0,
            stop_reason: None,
            stopped_by: None,
            options: new.options.stored(),
            output: None,
            parent_run_id: new.parent.as_ref().map(|parent| parent.run_id),
            parent_call_id: new.parent.as_ref().map(|parent| parent.call_id.clone()),
        }
    }

    // Reserves a worker slot if the run can start directly after the commit. The thread must be new, so that the run
    // waits for no earlier run. The run must have no files to place. No other run may be waiting to be claimed.
    fn worker_slot(&self) -> Option<WorkerSlot> {
        let Prepared { app, files, .. } = self.prepared;
        if !self.target.makes_thread || !files.is_empty() || app.wake.has_waiting() {
            return None;
        }
        app.worker_slots.take()
    }

    fn first_events(&self, run: &Run) -> Vec<Stored> {
        let status = events::status(RunStatus::Running);
        let mut first = vec![Stored::new(run.id, 1, run.created_at, status)];
        if let Some(asked) = self.admission.downgraded_from() {
            let message = format!(
                "Your plan does not include {asked}, so this run uses {}.",
                self.admission.model()
            );
            let notice = Notice {
                kind: NoticeKind::ModelDowngraded.into(),
                message,
            };
            first.push(Stored::new(run.id, 2, run.created_at, Event::Notice(notice)));
        }
        first
    }

    // Inserts the rows of the run. Returns the row of the sandbox, if the sandbox exists.
    async fn insert(&self, run: &Run, first: &[Stored]) -> Result<Option<SandboxRow>> {
        let (tx, target) = (self.tx, &self.target);
        let Prepared {
            app, new, files, room, ..
        } = self.prepared;
        let mut changes = target.inserts(run, new);
        changes.push(table::insertion(run));
        changes.extend(first.iter().map(|event| events::insertion(run.id, event)));
        // Without files, the message needs no file names. Inserting it together with the rows above saves a round
        // trip on PostgreSQL.
        let early = files.is_empty();
        if early {
            changes.extend(message(run, new.prompt.as_deref(), Vec::new())?);
        }
        tx.change_together(changes).await.map_err(target::lost_race)?;
        let sandbox = target.sandbox_for(tx, run, files).await?;
        if !early {
            let taken = room.admit(app, tx, target, files).await?;
            let names = uploads::take::bind(tx, files, run.id, taken).await?;
            tx.change_all(message(run, new.prompt.as_deref(), names)?.into_iter().collect())
                .await?;
        }
        Ok(sandbox)
    }
}

// Builds the user message from the prompt and the file names. Without a prompt and files, the run continues from the
// thread's history.
fn message(run: &Run, prompt: Option<&str>, names: Vec<String>) -> Result<Option<Bound>> {
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
    Ok(Some(messages::insertion(row)))
}
