//! Executes one run from claim to end.
//!
//! `worker` spawns [`drive`] for each claimed run. At shutdown the run is handed over at once: a model call is
//! cancelled, a running tool call gets a short time to end, nothing new begins, and the lease is released for the next
//! process.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::{sync::OnceCell, time::timeout};
use tracing::{Instrument, error, info, info_span, warn};
use uuid::Uuid;

use super::{Tokens, history, sink::JournalSink};
use crate::{
    accounts::{Scope, ensure},
    agents,
    app::App,
    engine::{self, Budget, Job, ModelLimits, Outcome, SandboxSource, prompt::Prompt},
    error::{Code, Error, Result},
    limits::Plan,
    projects,
    runs::{
        Run, RunLog, Status,
        claim::{self, Claimed},
        journal::RunEnd,
        report,
        start::Mode,
    },
    sandbox::{ProjectSandbox, Sandbox},
    tools::{self, Toolbox},
    uploads,
    v1::{Notice, NoticeKind, run_event::Event},
};

/// Time that running tool calls get to end at shutdown. It is short, because the next process cannot answer before this
/// one has ended; it is long enough that short calls need not be reported as "outcome unknown".
const TOOL_GRACE: Duration = Duration::from_millis(500);

/// Drives a claimed run until its terminal event is committed, or until this worker no longer owns it.
pub(super) async fn drive(app: &App, worker_id: Uuid, claimed: Claimed, tokens: Tokens) {
    let run_id = claimed.run.id;
    let span = info_span!("run", %run_id, epoch = claimed.run.lease_epoch);
    async {
        match attempt(app, &claimed, &tokens).await {
            Err(_) if app.stopping.is_cancelled() => info!("run handed over to the next process"),
            Err(fault) => {
                warn!(error = %fault, "stopped executing a run; if it has not ended, a worker will resume it");
            }
            Ok(()) => {}
        }
        // Releases the lease of an unfinished run for the next claim. A finished run has no lease.
        if tokens.lost.is_cancelled()
            && let Err(fault) = claim::release(app, worker_id, run_id).await
        {
            warn!(error = %fault, "could not release a run; its lease will expire");
        }
    }
    .instrument(span)
    .await;
}

async fn attempt(app: &App, claimed: &Claimed, tokens: &Tokens) -> Result<()> {
    let run = &claimed.run;
    let _working = app.wake.working(run.id, tokens.stop.clone());
    let ring = app.hub.ring(run.id);
    let log = RunLog::open(
        &app.journal,
        run,
        ring,
        claimed.newest_event,
        (tokens.stop.clone(), tokens.lost.clone()),
    );
    if run.stop_requested {
        let ending = RunEnd {
            status: Status::Stopped,
            error: None,
        };
        return finish(app, run, &log, ending).await;
    }
    let work = AssertUnwindSafe(execute(app, claimed, &log, tokens)).catch_unwind();
    let outcome = work.await.unwrap_or_else(|_| {
        error!("a run panicked");
        Err(Error::new(
            Code::Internal,
            "the run failed because of an internal error; see the server's log",
        ))
    });
    if tokens.lost.is_cancelled() {
        return Err(Error::new(Code::Contended, "another worker owns the run"));
    }
    let ending = match outcome {
        Ok(Outcome::Completed) => RunEnd {
            status: Status::Completed,
            error: None,
        },
        Ok(Outcome::Stopped) => RunEnd {
            status: Status::Stopped,
            error: None,
        },
        Ok(Outcome::Failed { code, message }) => RunEnd {
            status: Status::Failed,
            error: Some((code, message)),
        },
        Ok(Outcome::Abandoned(fault)) => {
            tokens.lost.cancel();
            return Err(fault.into());
        }
        Err(fault) => {
            error!(error = %fault, "could not run the engine");
            let error = (fault.code().as_str().to_owned(), fault.message().to_owned());
            RunEnd {
                status: Status::Failed,
                error: Some(error),
            }
        }
    };
    let finished = finish(app, run, &log, ending).await;
    if finished.is_err() {
        tokens.lost.cancel();
    }
    finished
}

async fn finish(app: &App, run: &Run, log: &Arc<RunLog>, ending: RunEnd) -> Result<()> {
    let (status, error_code) = (ending.status, ending.error.as_ref().map(|(code, _)| code.clone()));
    log.finish(ending).await?;
    report::ended(run, status, error_code.as_deref(), log.used(), app.clock.now());
    Ok(())
}

/// Prepares a run and executes it, until the engine ends or this worker no longer owns the run.
async fn execute(app: &App, claimed: &Claimed, log: &Arc<RunLog>, tokens: &Tokens) -> Result<Outcome> {
    // The preparation can be cancelled at any point. It may stay incomplete, because the next worker places the
    // remaining files.
    let (job, sink) = tokio::select! {
        biased;
        () = leave(app, log, tokens, async {}) => return Err(Error::new(Code::Contended, "handing over the run")),
        prepared = prepare(app, claimed, log) => prepared?,
    };
    let cancel = tokens.stop.child_token();
    let mut work = pin!(engine::run(&app.llm, job, Arc::clone(&sink) as _, &cancel));
    tokio::select! {
        outcome = &mut work => return Ok(outcome),
        () = leave(app, log, tokens, sink.tools_ended()) => {}
    }
    // The lease is released only after the engine has ended the processes of its tools.
    cancel.cancel();
    Ok(work.await)
}

/// Waits until this worker must release a run: it has lost the lease, or the process shuts down. At shutdown, running
/// tool calls get a short time to end, and all earlier output is committed first.
async fn leave(app: &App, log: &Arc<RunLog>, tokens: &Tokens, tools_ended: impl Future<Output = ()>) {
    tokio::select! {
        () = tokens.lost.cancelled() => return,
        () = app.stopping.cancelled() => {}
    }
    // After a timeout, the outcome of the tool call is unknown. It need not be recorded here, because the next worker
    // reports it to the model.
    let _ = timeout(TOOL_GRACE, tools_ended).await;
    if let Err(fault) = log.flush().await {
        warn!(error = %fault, "could not write the last events of a run that is being handed over");
    }
    tokens.lost.cancel();
}

async fn prepare(app: &App, claimed: &Claimed, log: &Arc<RunLog>) -> Result<(Job, Arc<JournalSink>)> {
    let run = &claimed.run;
    let scope = Scope::account(run.account_id);
    let model = app.models.load(&run.model_used)?;
    announce(app, run, log);
    let workplace = Arc::new(OnDemand::new(app, run));
    if claimed.awaits_files {
        let waiting = uploads::place::waiting(app, scope, run.id).await?;
        uploads::place::place(app, workplace.ensure().await?, waiting).await?;
    }
    let version = match run.agent_version_id {
        Some(version_id) => Some(agents::version::load(app.db.read(), scope, version_id).await?),
        None => None,
    };
    let has_tools = run.mode == Mode::Code.as_str();
    let offers = if has_tools {
        Some(app.sandboxes.describe_for_model().await)
    } else {
        None
    };
    let prompt = Prompt {
        agent: version.as_ref().map(|version| version.system_prompt.as_str()),
        sandbox: offers.as_deref(),
        today: app.clock.now().date_naive(),
    };
    // No source of further tools exists yet, so a run has only the core tools.
    let extra = Vec::new();
    let time = time(app, run).await?;
    let past = history::load(app, run, model.context_window).await?;
    let job = Job {
        run_id: run.id,
        model: ModelLimits {
            name: model.name.clone(),
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
        },
        system_prompt: prompt.assemble(),
        history: past.messages,
        tools: Toolbox::for_run(if has_tools { tools::core() } else { tools::none() }, extra)?,
        workplace,
        budget: budget(app, run, time),
        interrupted: past.interrupted,
        steps_done: u32::try_from(run.steps).unwrap_or_default(),
        tokens_used: (run.input_tokens + run.output_tokens).unsigned_abs(),
    };
    Ok((job, Arc::new(JournalSink::new(app, run, Arc::clone(log), model))))
}

/// The sandbox of a run's project, created on first use, because a run without tool calls needs no sandbox.
struct OnDemand {
    app: App,
    account_id: Uuid,
    project_id: Uuid,
    made: OnceCell<ProjectSandbox>,
}

impl OnDemand {
    fn new(app: &App, run: &Run) -> Self {
        Self {
            app: app.clone(),
            account_id: run.account_id,
            project_id: run.project_id,
            made: OnceCell::new(),
        }
    }

    async fn ensure(&self) -> Result<&ProjectSandbox> {
        self.made
            .get_or_try_init(|| projects::sandbox::ensure(&self.app, self.account_id, self.project_id))
            .await
    }
}

#[async_trait]
impl SandboxSource for OnDemand {
    async fn open(&self) -> engine::Result<Arc<dyn Sandbox>> {
        Ok(Arc::new(self.ensure().await?.clone()))
    }
}

// Writes the notices that a reader of the run should see first.
fn announce(app: &App, run: &Run, log: &Arc<RunLog>) {
    let notice = |kind: NoticeKind, message: &str| {
        log.say(Event::Notice(Notice {
            kind: kind.into(),
            message: message.to_owned(),
        }));
    };
    if run.lease_epoch > 1 {
        notice(
            NoticeKind::Resumed,
            "The run was resumed after its previous worker stopped.",
        );
    } else if app.llm.is_demo(&run.model_used) {
        notice(
            NoticeKind::DemoModel,
            "No model provider is configured for this model: the built-in runyard/demo answers. It follows fixed rules.",
        );
    }
}

// Time limit of the account's current tier. The tier is read only if some tier sets a time limit.
async fn time(app: &App, run: &Run) -> Result<Duration> {
    let tier = if app.tiers.limits_time() {
        ensure::tier(app, app.db.read(), run.account_id).await?
    } else {
        app.tiers.first()
    };
    let limits = app.config.limits;
    Ok(Plan { tier, limits }.run_timeout(&app.config.worker))
}

fn budget(app: &App, run: &Run, time: Duration) -> Budget {
    let worked = run.started_at.map_or(Duration::ZERO, |started| {
        (app.clock.now() - started).to_std().unwrap_or_default()
    });
    let limits = &app.config.worker;
    Budget {
        max_steps: limits.max_steps,
        max_duration: time.saturating_sub(worked),
        max_tokens: limits.max_tokens,
        max_parallel_calls: limits.max_parallel_calls,
    }
}
