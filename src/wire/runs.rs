//! Implements the gRPC service `RunService`. Stored events are sent unchanged.

mod children;
mod start;

use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use runyard_transcode::response::HTTP_STATUS;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{
    alive::Alive,
    caller,
    credential_expiry::{self, CredentialExpiry},
    page::Page,
    traits::runyard::v1::run_service_server::RunService,
    write,
};
use crate::{
    accounts::{Caller, Role},
    app::App,
    config::{Mode, modes::DEFAULT_MODE},
    contract::structs,
    error::{Code, Error, Result},
    events::{self, EncodedEvent, Stored, timestamp},
    id, ledger, projects,
    runs::{
        self, Run, Started,
        list::{Listing, State},
        options::RunBudget,
    },
    v1,
};

const MAX_STREAMED: usize = 100;

type Events = Pin<Box<dyn Stream<Item = Result<EncodedEvent, Status>> + Send>>;

#[derive(Clone)]
pub struct Runs {
    pub(super) app: App,
}

#[tonic::async_trait]
impl RunService for Runs {
    type StreamRunStream = Events;
    type StreamRunsStream = Events;

    async fn start_run(&self, request: Request<v1::StartRunRequest>) -> Result<Response<v1::StartRunResponse>, Status> {
        let (caller, asked) = caller::open(request)?;
        let timed = asked.emit_timing && caller.role == Role::SuperAdmin;
        let new = start::new_run(asked)?;
        let started = write(&self.app, caller, move |app, caller| {
            runs::start(app, caller, new).boxed()
        });
        let started = started.await.map_err(|error| error.doing("Failed to start agent"))?;
        Ok(Response::new(shown_start(&started, timed)))
    }

    async fn list_modes(
        &self,
        request: Request<v1::ListModesRequest>,
    ) -> Result<Response<v1::ListModesResponse>, Status> {
        // The modes are the same for every caller, but the caller must be authenticated.
        caller::open(request)?;
        let modes = self.app.modes.iter().map(shown_mode).collect();
        Ok(Response::new(v1::ListModesResponse { modes }))
    }

    async fn get_run(&self, request: Request<v1::GetRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, asked) = caller::open(request)?;
        let run_id = id::parse("agent_run_id", &asked.agent_run_id)?;
        let run = runs::list::load(self.app.db.read(), caller.scope(), run_id).await?;
        Ok(Response::new(self.shown(&caller, run).await?))
    }

    async fn stop_run(&self, request: Request<v1::StopRunRequest>) -> Result<Response<v1::Run>, Status> {
        let (caller, asked) = caller::open(request)?;
        let run_id = id::parse("agent_run_id", &asked.agent_run_id)?;
        let run = write(&self.app, caller.clone(), move |app, caller| {
            runs::stop::stop(app, caller, run_id).boxed()
        })
        .await?;
        Ok(Response::new(self.shown(&caller, run).await?))
    }

    async fn stream_run(&self, request: Request<v1::StreamRunRequest>) -> Result<Response<Events>, Status> {
        let expiry = CredentialExpiry::of(&request)?;
        let (caller, asked) = caller::open(request)?;
        let cursor = v1::RunCursor {
            agent_run_id: asked.agent_run_id,
            after_sequence: asked.after_sequence,
        };
        let found = self.cursors(&caller, &[cursor]).await?.pop();
        let (run, after) =
            found.ok_or_else(|| Error::internal("the run could not be loaded", "no run matches the cursor"))?;
        let ended = run.last_sequence == Some(after) && !asked.include_children;
        let events = if asked.include_children {
            children::follow(&self.app, run.id, after).boxed()
        } else {
            self.follow(run.id, after).boxed()
        };
        let events = credential_expiry::hold(&self.app, expiry, Alive::new(&self.app, (run.id, after), events));
        let mut response = Response::new(Box::pin(events) as Events);
        if ended {
            // The client already has the last event of the run. Status 204 makes an `EventSource` stop reconnecting.
            response
                .metadata_mut()
                .insert(HTTP_STATUS, tonic::metadata::MetadataValue::from_static("204"));
        }
        Ok(response)
    }

    async fn stream_runs(&self, request: Request<v1::StreamRunsRequest>) -> Result<Response<Events>, Status> {
        let expiry = CredentialExpiry::of(&request)?;
        let (caller, v1::StreamRunsRequest { runs: asked }) = caller::open(request)?;
        let distinct: BTreeSet<_> = asked.iter().map(|cursor| &cursor.agent_run_id).collect();
        if asked.is_empty() || asked.len() > MAX_STREAMED || distinct.len() != asked.len() {
            let message = format!("runs must name 1 to {MAX_STREAMED} different runs");
            return Err(Error::invalid_field("runs", message).into());
        }
        let cursors = self.cursors(&caller, &asked).await?;
        let first = cursors
            .first()
            .map_or((Uuid::nil(), 0), |(run, after)| (run.id, *after));
        let followed: Vec<_> = cursors
            .into_iter()
            .map(|(run, after)| self.follow(run.id, after).boxed())
            .collect();
        let events = Alive::new(&self.app, first, stream::select_all(followed));
        let events = credential_expiry::hold(&self.app, expiry, events);
        Ok(Response::new(Box::pin(events)))
    }

    async fn list_active_runs(
        &self,
        request: Request<v1::ListActiveRunsRequest>,
    ) -> Result<Response<v1::ListActiveRunsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let listing = Listing {
            state: Some(State::Unfinished),
            ..Listing::default()
        };
        let (active_runs, next_page_token) = self.page(&caller, &page, listing).await?;
        Ok(Response::new(v1::ListActiveRunsResponse {
            active_runs,
            next_page_token,
        }))
    }

    async fn list_runs(&self, request: Request<v1::ListRunsRequest>) -> Result<Response<v1::ListRunsResponse>, Status> {
        let (caller, mut asked) = caller::open(request)?;
        let page = Page::read(&caller, &mut asked)?;
        let thread_id = id::parse_optional("thread_id", &asked.thread_id)?;
        if let Some(thread_id) = thread_id {
            crate::threads::load(self.app.db.read(), caller.scope(), thread_id).await?;
        }
        let parent_run_id = id::parse_optional("parent_run_id", &asked.parent_run_id)?;
        if let Some(parent_run_id) = parent_run_id {
            runs::list::load(self.app.db.read(), caller.scope(), parent_run_id).await?;
        }
        let listing = Listing {
            thread_id,
            parent_run_id,
            state: state(asked.status()),
            created_after: time("created_after", asked.created_after)?,
            created_before: time("created_before", asked.created_before)?,
            ..Listing::default()
        };
        let (agent_runs, next_page_token) = self.page(&caller, &page, listing).await?;
        Ok(Response::new(v1::ListRunsResponse {
            agent_runs,
            next_page_token,
        }))
    }
}

impl Runs {
    // Loads the runs of the cursors. A cursor beyond the last event is refused, because no client can have received
    // such an event.
    async fn cursors(&self, caller: &Caller, asked: &[v1::RunCursor]) -> Result<Vec<(Run, i64)>> {
        let mut run_ids = Vec::with_capacity(asked.len());
        for cursor in asked {
            run_ids.push(id::parse("agent_run_id", &cursor.agent_run_id)?);
            if cursor.after_sequence < 0 {
                return Err(Error::invalid_field(
                    "after_sequence",
                    "after_sequence must not be negative",
                ));
            }
        }
        let runs = runs::list::load_all(self.app.db.read(), caller.scope(), &run_ids).await?;
        let found: Vec<(Run, i64)> = runs
            .into_iter()
            .zip(asked.iter().map(|cursor| cursor.after_sequence))
            .collect();
        // A finished run's row contains its last sequence number, so only unfinished runs need a query.
        let open: Vec<Uuid> = found
            .iter()
            .filter(|(run, after)| run.last_sequence.is_none() && *after > 0)
            .map(|(run, _)| run.id)
            .collect();
        let newest = match open.as_slice() {
            [] => HashMap::new(),
            open => runs::list::newest_events(self.app.db.read(), caller.scope(), open).await?,
        };
        for (run, after) in &found {
            let last = run
                .last_sequence
                .or_else(|| newest.get(&run.id).copied())
                .unwrap_or_default();
            if *after > last {
                let message = format!(
                    "the run has {last} events; the cursor {after} is past the end; use a cursor of {last} or less"
                );
                return Err(Error::new(Code::CursorBeyondEnd, message));
            }
        }
        Ok(found)
    }

    fn follow(&self, run_id: Uuid, after: i64) -> impl Stream<Item = Result<(Uuid, Stored)>> + Send + use<> {
        events::follow(&self.app, run_id, after).map_ok(move |event| (run_id, event))
    }

    async fn page(&self, caller: &Caller, page: &Page<Uuid>, listing: Listing) -> Result<(Vec<v1::Run>, String)> {
        let listing = Listing {
            before: page.after,
            limit: page.limit(),
            ..listing
        };
        let rows = runs::list::list(self.app.db.read(), caller.scope(), &listing).await?;
        let (rows, next) = page.cut(rows, |run| run.id);
        let projects = rows.iter().map(|run| run.project_id).collect();
        let sandboxes = projects::sandbox::of_projects(self.app.db.read(), caller.scope(), projects).await?;
        let shown = rows.into_iter().map(|run| {
            let sandbox_id = sandboxes.get(&run.project_id).copied();
            shown_run(run, sandbox_id)
        });
        Ok((shown.collect(), next))
    }

    async fn shown(&self, caller: &Caller, run: Run) -> Result<v1::Run> {
        let sandbox = projects::sandbox::find(self.app.db.read(), caller.scope(), run.project_id).await?;
        let budget = RunBudget::of(&run)?;
        let number = |limit: u32| i32::try_from(limit).unwrap_or(i32::MAX);
        Ok(v1::Run {
            max_steps: budget.max_steps.map(number),
            max_seconds: budget.max_seconds.map(number),
            max_credits: budget.max_microcredits.map(ledger::in_credits),
            ..shown_run(run, sandbox.map(|sandbox| sandbox.id))
        })
    }
}

fn shown_mode(mode: &Mode) -> v1::Mode {
    let long = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    v1::Mode {
        name: mode.name.clone(),
        description: mode.description.clone(),
        tools: mode.tools.clone(),
        prompt: mode.prompt.clone(),
        is_default: mode.name == DEFAULT_MODE,
        max_steps: mode.max_steps.map(|steps| i32::try_from(steps).unwrap_or(i32::MAX)),
        max_tokens: mode.max_tokens.map(long),
        run_timeout_seconds: mode.run_timeout_seconds.map(long),
    }
}

fn shown_start(started: &Started, timed: bool) -> v1::StartRunResponse {
    let timing = started.timing;
    let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
    let total = timing.load + timing.write + timing.commit + timing.files;
    v1::StartRunResponse {
        thread_id: started.run.thread_id.to_string(),
        agent_run_id: started.run.id.to_string(),
        project_id: started.run.project_id.to_string(),
        sandbox_id: started.sandbox_id.map(|sandbox_id| sandbox_id.to_string()),
        status: v1::RunStatus::Running.into(),
        timing_breakdown: timed.then(|| v1::TimingBreakdown {
            load_ms: millis(timing.load),
            write_ms: millis(timing.write),
            commit_ms: millis(timing.commit),
            files_ms: millis(timing.files),
            total_ms: millis(total),
        }),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "credits are displayed, not used in calculations"
)]
fn shown_run(run: Run, sandbox_id: Option<Uuid>) -> v1::Run {
    let text = |id: Option<Uuid>| id.map(|id| id.to_string());
    let stopped_by = run.stopped_by().map(str::to_owned);
    v1::Run {
        agent_run_id: run.id.to_string(),
        thread_id: run.thread_id.to_string(),
        project_id: run.project_id.to_string(),
        agent_id: text(run.agent_id),
        agent_version_id: text(run.agent_version_id),
        sandbox_id: text(sandbox_id),
        status: run.state().into(),
        model_requested: run.model_requested,
        model_name: run.model_used,
        mode: run.mode,
        memory_enabled: run.memory_enabled,
        reasoning_effort: run.reasoning_effort,
        stopped_by,
        stop_reason: run.stop_reason.map(|reason| v1::StopReason::from(reason).into()),
        stop_requested: run.stop_requested,
        error: run.error_code.map(|error_code| v1::RunError {
            error_code,
            message: run.error_message.unwrap_or_default(),
        }),
        usage: Some(v1::RunUsage {
            steps: run.steps,
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
            credits: run.microcredits as f64 / 1_000_000.0,
        }),
        created_at: Some(timestamp(run.created_at)),
        started_at: run.started_at.map(timestamp),
        finished_at: run.finished_at.map(timestamp),
        output: run.output.as_deref().and_then(structs::parse_object),
        parent_run_id: text(run.parent_run_id),
        parent_tool_call_id: run.parent_call_id,
        max_steps: None,
        max_seconds: None,
        max_credits: None,
    }
}

fn state(asked: v1::RunStatus) -> Option<State> {
    match asked {
        v1::RunStatus::Unspecified => None,
        v1::RunStatus::Running => Some(State::Running),
        v1::RunStatus::Waiting => Some(State::Waiting),
        v1::RunStatus::Completed => Some(State::Ended(runs::Status::Completed)),
        v1::RunStatus::Failed => Some(State::Ended(runs::Status::Failed)),
        v1::RunStatus::Stopped => Some(State::Ended(runs::Status::Stopped)),
    }
}

pub(super) fn time(field: &'static str, asked: Option<prost_types::Timestamp>) -> Result<Option<DateTime<Utc>>> {
    let Some(asked) = asked else { return Ok(None) };
    let nanos = u32::try_from(asked.nanos).ok();
    let time = nanos.and_then(|nanos| DateTime::from_timestamp(asked.seconds, nanos));
    time.map(Some)
        .ok_or_else(|| Error::invalid_field(field, format!("{field} is not a valid time")))
}
