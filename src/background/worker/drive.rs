//! Executes one claimed run until the run ends or is handed over.
//!
//! At shutdown, the run is handed over. Its model call is cancelled, and its tool calls get [`TOOL_GRACE`] to finish.
//! Then the lease is released for the next process.

use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;
use tokio::time::timeout;
use tracing::{Instrument, error, info, info_span, warn};
use uuid::Uuid;

use super::{Tokens, job, sink::JournalSink};
use crate::{
    accounts::Scope,
    agents,
    app::App,
    engine::{self, Job, Outcome, inputs::WaitingCall},
    error::{Code, Error, Result},
    runs::{
        Run, RunLog, StopReason,
        claim::{self, Claimed},
        inputs,
        journal::{Finished, RunEnd},
        list::load,
        options::RunOptions,
        report, tasks,
        wake::Signals,
    },
    telemetry::{
        names,
        traces::{RunSpan, Span},
    },
    v1::{Notice, NoticeKind, run_event::Event},
};

/// Grace period for running tool calls at shutdown. The period is short, because the next process cannot serve
/// requests until this process has ended. If a call does not finish in time, the next worker tells the model that the
/// call's outcome is unknown.
const TOOL_GRACE: Duration = Duration::from_millis(500);

pub(super) async fn drive(app: &App, worker_id: Uuid, claimed: Claimed, tokens: Tokens) {
    let run_id = claimed.run.id;
    let trace = trace(&claimed.run);
    let span = info_span!("run", %run_id, epoch = claimed.run.lease_epoch, trace_id = trace.trace_id());
    let work = async {
        match Box::pin(attempt(app, &claimed, &tokens, &trace)).await {
            Err(_) if app.stopping.is_cancelled() => info!("run handed over to the next process"),
            Err(fault) => {
                warn!(error = %fault, "stopped executing a run; if it has not ended, a worker will resume it");
            }
            Ok(()) => {}
        }
        // If this worker has given up the run, release the lease, so that another worker can claim the run at once.
        // At the end of a run, the journal has already removed the lease.
        if tokens.lost.is_cancelled()
            && let Err(fault) = claim::release(app, worker_id, run_id).await
        {
            warn!(error = %fault, "could not release a run; its lease will expire");
        }
    };
    trace.within(work).instrument(span).await;
}

/// Starts the span of this worker's work on the run.
fn trace(run: &Run) -> Span {
    Span::run(|| RunSpan {
        run_id: run.id,
        account_id: run.account_id,
        thread_id: run.thread_id,
        agent_id: run.agent_id,
        model: &run.model_used,
        epoch: run.lease_epoch,
        // A run without its parent still has a trace.
        parent: RunOptions::of(run).ok().and_then(|options| options.trace),
    })
}

async fn attempt(app: &App, claimed: &Claimed, tokens: &Tokens, trace: &Span) -> Result<()> {
    let run = &claimed.run;
    let _working = app.wake.working(run.id, tokens.signals.clone());
    let ring = app.hub.ring(run.id);
    let log = RunLog::open(
        &app.journal,
        run,
        ring,
        claimed.newest_event,
        (tokens.signals.stop.clone(), tokens.lost.clone()),
    );
    if run.lease_epoch <= 1 {
        let waited = (app.clock.now() - run.created_at).to_std().unwrap_or_default();
        metrics::histogram!(names::CLAIM_DELAY).record(waited);
    }
    if run.stop_requested {
        let ending = RunEnd::stopped_by(StopReason::Requested, run.stopped_by.clone());
        return finish(app, run, &log, ending, trace).await.map(drop);
    }
    // A new worker may resume the run, so it looks for messages that the model has not received.
    tokens
        .signals
        .has_message
        .fetch_or(claimed.fresh.is_none(), Ordering::SeqCst);
    if let Err(fault) = announce(app, run, &log).await {
        warn!(error = %fault, "could not add a notice to a run");
    }
    let mut again: Option<Claimed> = None;
    while work(app, again.as_ref().unwrap_or(claimed), &log, tokens, trace).await? == Finished::HasMessages {
        // A message was added after the last model call. Each further turn contains at least one model call, so the
        // limits of the run bound their number.
        let reloaded = load(app.db.read(), Scope::account(run.account_id), run.id).await;
        again = Some(Claimed {
            // Another worker continues the run at once.
            run: reloaded.inspect_err(|_| tokens.lost.cancel())?,
            newest_event: 0,
            fresh: None,
            awaits_files: false,
        });
        tokens.signals.has_message.store(true, Ordering::SeqCst);
    }
    Ok(())
}

/// Executes the run, and ends it or makes it wait.
async fn work(app: &App, claimed: &Claimed, log: &Arc<RunLog>, tokens: &Tokens, trace: &Span) -> Result<Finished> {
    let run = &claimed.run;
    let work = Box::pin(AssertUnwindSafe(execute(app, claimed, log, tokens)).catch_unwind());
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
        Ok(Outcome::Completed { output, may_continue }) => RunEnd::completed(output, may_continue),
        Ok(Outcome::Stopped) => RunEnd::stopped_by(StopReason::Requested, stopped_by(app, run).await),
        Ok(Outcome::BudgetSpent) => RunEnd::stopped(StopReason::Budget),
        Ok(Outcome::Waiting(calls)) => {
            trace.ended("waiting");
            return wait(app, run, log, calls, tokens).await.map(|()| Finished::Ended);
        }
        Ok(Outcome::Failed { code, message }) => RunEnd::failed(code, message),
        Ok(Outcome::Abandoned(fault)) => {
            tokens.lost.cancel();
            return Err(fault.into());
        }
        Err(fault) => {
            error!(error = %fault, "could not run the engine");
            RunEnd::failed(fault.code().as_str().to_owned(), fault.message().to_owned())
        }
    };
    let finished = finish(app, run, log, ending, trace).await;
    if finished.is_err() {
        tokens.lost.cancel();
    }
    finished
}

/// Returns the caller who requested the stop. The request was committed before it reached this worker.
async fn stopped_by(app: &App, run: &Run) -> Option<String> {
    let scope = Scope::account(run.account_id);
    match load(app.db.read(), scope, run.id).await {
        Ok(run) => run.stopped_by,
        Err(fault) => {
            warn!(error = %fault, "the last event of a run does not say who stopped it");
            None
        }
    }
}

/// Makes the run wait for inputs. The commit releases the lease.
async fn wait(app: &App, run: &Run, log: &Arc<RunLog>, calls: Vec<WaitingCall>, tokens: &Tokens) -> Result<()> {
    let scope = Scope::account(run.account_id);
    let agent = agents::version::instructions(app.db.read(), scope, run.agent_version_id).await?;
    let waiting = match inputs::requested(app, run, &agent.approvals, calls) {
        Ok(inputs) => log.wait(inputs).await,
        Err(fault) => Err(fault),
    };
    if waiting.is_err() {
        tokens.lost.cancel();
    } else {
        report::waits(run);
        app.wake.task_changed();
    }
    // If a stop was requested in the meantime, the run does not wait, and a worker must claim it to end it.
    if tokens.signals.stop.is_cancelled() {
        app.wake.run_queued();
    }
    waiting
}

async fn finish(app: &App, run: &Run, log: &Arc<RunLog>, ending: RunEnd, trace: &Span) -> Result<Finished> {
    let (status, error_code) = (ending.status, ending.error.as_ref().map(|(code, _)| code.clone()));
    let finished = log.finish(ending).await?;
    if finished == Finished::Ended {
        trace.ended(status.as_str());
        if let Some(code) = &error_code {
            trace.failed(code);
        }
        report::ended(run, status, error_code.as_deref(), log.used(), app.clock.now());
        if run.parent_run_id.is_some() {
            app.wake.task_changed();
        }
    }
    Ok(finished)
}

async fn execute(app: &App, claimed: &Claimed, log: &Arc<RunLog>, tokens: &Tokens) -> Result<Outcome> {
    // Preparation can be cancelled at any point: the next worker places the files that are still missing.
    let (job, sink) = tokio::select! {
        biased;
        () = leave(app, log, tokens, async {}) => return Err(Error::new(Code::Contended, "this worker is handing over the run")),
        prepared = prepare(app, claimed, log, &tokens.signals) => prepared?,
    };
    let cancel = tokens.signals.stop.child_token();
    let models = app.measured_models();
    let mut work = pin!(engine::run(&models, job, Arc::clone(&sink) as _, &cancel));
    tokio::select! {
        outcome = &mut work => return Ok(outcome),
        () = leave(app, log, tokens, sink.tools_ended()) => {}
    }
    // Wait until the engine has ended its tools' processes, because the lease is released after this function returns.
    cancel.cancel();
    Ok(work.await)
}

/// Waits until this worker gives up the run or the process shuts down. At shutdown, running tool calls get
/// [`TOOL_GRACE`] to end, and then all output so far is committed.
async fn leave(app: &App, log: &Arc<RunLog>, tokens: &Tokens, tools_ended: impl Future<Output = ()>) {
    tokio::select! {
        () = tokens.lost.cancelled() => return,
        () = app.stopping.cancelled() => {}
    }
    // If the calls do not end in time, nothing is recorded here: the next worker tells the model that the outcome of
    // these calls is unknown.
    let _ = timeout(TOOL_GRACE, tools_ended).await;
    if let Err(fault) = log.flush().await {
        warn!(error = %fault, "could not write the last events of a run that is being handed over");
    }
    tokens.lost.cancel();
}

async fn prepare(
    app: &App,
    claimed: &Claimed,
    log: &Arc<RunLog>,
    signals: &Signals,
) -> Result<(Job, Arc<JournalSink>)> {
    let run = &claimed.run;
    let model = app.models.load(&run.model_used)?;
    // Read once: the schemas of client tools can have megabytes.
    let mut options = RunOptions::of(run)?;
    if claimed.fresh.is_none() {
        options.budget = tasks::left(app, run, options.budget).await?;
    }
    let job = job::assemble(app, claimed, (model, &options), log, &signals.stop).await?;
    let reports = (Arc::clone(log), Arc::clone(&signals.has_message));
    let sink = JournalSink::new(app, run, reports, model, options.budget);
    Ok((job, Arc::new(sink)))
}

async fn announce(app: &App, run: &Run, log: &Arc<RunLog>) -> Result<()> {
    let notice = |kind: NoticeKind, message: &str| {
        log.say(Event::Notice(Notice {
            kind: kind.into(),
            message: message.to_owned(),
        }));
    };
    if run.lease_epoch > 1 {
        let scope = Scope::account(run.account_id);
        if !inputs::answers::are_new(app.db.read(), scope, run.id).await? {
            notice(
                NoticeKind::Resumed,
                "The run was resumed after its previous worker stopped.",
            );
        }
    } else if app.llm.is_demo(&run.model_used) {
        notice(
            NoticeKind::DemoModel,
            "No model provider is configured for this model, so the built-in demo model answers. It follows fixed rules.",
        );
    }
    Ok(())
}
