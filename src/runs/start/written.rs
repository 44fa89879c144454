//! The sixth stage of a `StartRun` request: all rows are written. Commit the transaction before calling `finish`.

use uuid::Uuid;

use super::{
    prepared::Prepared,
    started::{Started, Timing},
};
use crate::{
    app::App,
    error::Error,
    events::Stored,
    projects,
    runs::{
        Run, Status,
        claim::{self, Claimed, Fresh},
        finish::Ended,
        journal::Spent,
        report,
        worker_slots::WorkerSlot,
    },
    telemetry::names,
    uploads::place,
};

pub(super) struct Written {
    pub(super) ended: Vec<(Run, Ended)>,
    pub(super) run: Run,
    pub(super) tier: String,
    pub(super) first: Vec<Stored>,
    /// `None` if a worker must claim the run.
    pub(super) slot: Option<WorkerSlot>,
    /// `None` if the sandbox has no row yet.
    pub(super) sandbox_id: Option<Uuid>,
    pub(super) timing: Timing,
}

impl Written {
    /// Publishes the committed events, places the files and passes the run to a worker.
    pub(super) async fn finish(self, prepared: &Prepared) -> Started {
        let Prepared { app, files, began, .. } = prepared;
        let committed = began.elapsed();
        let run = self.run;
        for (run_ended, ended) in self.ended {
            ended.publish(app, run_ended.id);
            app.wake.stop(run_ended.id);
            report::ended(&run_ended, Status::Stopped, None, Spent::of(&run_ended), run.created_at);
        }
        report::started(&run);
        let ring = app.hub.ring(run.id);
        ring.push(&self.first);
        if !files.is_empty() {
            place_files(app, &run).await;
        }
        match self.slot {
            Some(slot) => {
                let fresh = Fresh {
                    prompt: prepared.new.prompt.clone().unwrap_or_default(),
                    tier: self.tier,
                    ring,
                };
                hand_over(app, slot, &run, &self.first, fresh).await;
            }
            None => app.wake.run_queued(),
        }
        metrics::counter!(names::RUNS_STARTED).increment(1);
        let timing = Timing {
            commit: committed.saturating_sub(self.timing.load + self.timing.write),
            files: began.elapsed().saturating_sub(committed),
            ..self.timing
        };
        Started {
            sandbox_id: self.sandbox_id,
            run,
            timing,
        }
    }
}

// The run is already committed, so the request succeeds even if the files cannot be placed. The worker then places
// the files before the first step.
async fn place_files(app: &App, run: &Run) {
    let placed = async {
        let sandbox = projects::sandbox::ensure(app, run.account_id, run.project_id).await?;
        place::place(app, &sandbox, run.into()).await?;
        app.walks.changed(run.project_id).await;
        Ok::<_, Error>(())
    };
    if let Err(fault) = placed.await {
        tracing::warn!(error = %fault, run_id = %run.id, "could not move uploads into the workspace; the run's worker will retry");
    }
}

async fn hand_over(app: &App, slot: WorkerSlot, run: &Run, first: &[Stored], fresh: Fresh) {
    let worker_id = slot.worker_id;
    let claimed = Claimed {
        run: run.clone(),
        newest_event: first.last().map_or(0, |event| event.sequence),
        awaits_files: false,
        fresh: Some(fresh),
    };
    if slot.hand_over(claimed).is_err()
        && let Err(fault) = claim::release(app, worker_id, run.id).await
    {
        tracing::warn!(error = %fault, run_id = %run.id, "could not release a run; its lease will expire");
    }
}
