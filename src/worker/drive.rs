//! One run from claim to end.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::FutureExt;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span, warn};
use uuid::Uuid;

use super::{Tokens, history, sink::JournalSink};
use crate::{
    accounts::{Scope, ensure},
    agents,
    app::App,
    engine::{self, Budget, Job, ModelLimits, Outcome, prompt::Prompt},
    error::{Code, Error, Result},
    ledger::Price,
    limits::Plan,
    projects,
    runs::{
        Run, RunLog, Status,
        claim::{self, Claimed},
        journal::Ending,
        start::Mode,
    },
    sandbox::{Sandbox, Workplace},
    tools, uploads,
    v1::{Notice, NoticeKind, run_event::Event},
};

/// Drives a claimed run until it has its terminal event, or until it is another worker's.
pub(super) async fn drive(app: &App, worker_id: Uuid, claimed: Claimed, tokens: Tokens) {
    let run_id = claimed.run.id;
    let span = info_span!("run", %run_id, epoch = claimed.run.lease_epoch);
    let outcome = attempt(app, &claimed, &tokens).instrument(span).await;
    if let Err(fault) = outcome {
        warn!(error = %fault, run = %run_id, "a run was let go");
    }
    // A run that ended has no lease any more; one that did not is given to whoever claims it next.
    if tokens.lost.is_cancelled()
        && let Err(fault) = claim::release(app, worker_id, run_id).await
    {
        warn!(error = %fault, run = %run_id, "could not let go of a run; its lease will expire");
    }
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
        return log
            .finish(Ending {
                status: Status::Stopped,
                error: None,
            })
            .await;
    }
    let work = AssertUnwindSafe(execute(app, claimed, &log, tokens)).catch_unwind();
    let outcome = work.await.unwrap_or_else(|_| {
        error!(run = %run.id, "a run panicked");
        Err(Error::new(Code::Internal, "the run met an internal error"))
    });
    if tokens.lost.is_cancelled() {
        return Err(Error::new(Code::Contended, "the run is another worker's"));
    }
    let ending = match outcome {
        Ok(Outcome::Completed) => Ending {
            status: Status::Completed,
            error: None,
        },
        Ok(Outcome::Stopped) => Ending {
            status: Status::Stopped,
            error: None,
        },
        Ok(Outcome::Failed { code, message }) => Ending {
            status: Status::Failed,
            error: Some((code, message)),
        },
        Ok(Outcome::Abandoned(fault)) => {
            tokens.lost.cancel();
            return Err(fault);
        }
        Err(fault) => {
            error!(error = %fault, run = %run.id, "a run could not be worked on");
            let error = (fault.code().as_str().to_owned(), fault.message().to_owned());
            Ending {
                status: Status::Failed,
                error: Some(error),
            }
        }
    };
    let finished = log.finish(ending).await;
    if finished.is_err() {
        tokens.lost.cancel();
    }
    finished
}

async fn execute(app: &App, claimed: &Claimed, log: &Arc<RunLog>, tokens: &Tokens) -> Result<Outcome> {
    let run = &claimed.run;
    let scope = Scope::account(run.account_id);
    let model = app.models.load(&run.model_used)?;
    announce(app, run, log);
    let workplace = Arc::new(OnDemand::new(app, run));
    if claimed.awaits_files {
        let waiting = uploads::place::waiting(app, scope, run.id).await?;
        uploads::place::place(app, &*workplace.open().await?, waiting).await?;
    }
    let version = match run.agent_version_id {
        Some(version_id) => Some(agents::version::load(app.db.read(), scope, version_id).await?),
        None => None,
    };
    let has_tools = run.mode == Mode::Code.as_str();
    let offers = if has_tools {
        Some(app.sandboxes.offer().await)
    } else {
        None
    };
    let prompt = Prompt {
        agent: version.as_ref().map(|version| version.system_prompt.as_str()),
        sandbox: offers.as_deref(),
        today: app.clock.now().date_naive(),
    };
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
        tools: if has_tools { tools::core() } else { tools::none() },
        workplace,
        budget: budget(app, run, time),
        interrupted: past.interrupted,
        steps_done: u32::try_from(run.steps).unwrap_or_default(),
        tokens_used: (run.input_tokens + run.output_tokens).unsigned_abs(),
    };
    let price = Price::find(app, model);
    let sink = Arc::new(JournalSink::new(app, run, Arc::clone(log), price));
    let cancel = either(&tokens.stop, &tokens.lost);
    Ok(engine::run(&app.llm, job, sink, &cancel).await)
}

/// The sandbox of a run's project, made when something needs it: a run that only talks costs none.
struct OnDemand {
    app: App,
    account_id: Uuid,
    project_id: Uuid,
    made: OnceCell<Arc<Sandbox>>,
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
}

#[async_trait]
impl Workplace for OnDemand {
    async fn open(&self) -> Result<Arc<Sandbox>> {
        let made = self.made.get_or_try_init(|| async {
            projects::sandbox::ensure(&self.app, self.account_id, self.project_id)
                .await
                .map(Arc::new)
        });
        made.await.cloned()
    }
}

// What the reader of the run should know before anything else.
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
            "The run was taken up again after its worker went away.",
        );
    } else if app.llm.is_demo(&run.model_used) {
        notice(
            NoticeKind::DemoModel,
            "No model provider is configured for this model: the built-in runyard/demo answers. It follows fixed rules.",
        );
    }
}

// How long a run of this account may take, as its tier is now; it is looked up only where a tier has a time of its own.
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

// A token that is cancelled with either of two.
fn either(stop: &CancellationToken, lost: &CancellationToken) -> CancellationToken {
    let both = stop.child_token();
    let (lost, done) = (lost.clone(), both.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = lost.cancelled() => done.cancel(),
            () = done.cancelled() => {}
        }
    });
    both
}
