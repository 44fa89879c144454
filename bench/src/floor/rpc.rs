//! The gRPC service of the minimal comparison server (`floor.rs`).

use std::{result::Result as Outcome, sync::Arc};

use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use runyard::v1::{
    GetRunRequest, ListActiveRunsRequest, ListActiveRunsResponse, ListModesRequest, ListModesResponse, ListRunsRequest,
    ListRunsResponse, Run, RunEvent, StartRunRequest, StartRunResponse, StopRunRequest, StreamRunRequest,
    StreamRunsRequest,
};
use tonic::{Request, Response, Status, metadata::MetadataValue};
use uuid::Uuid;

use super::{Floor, account, lock};
use crate::Fault;
use api::run_service_server::RunService;

pub(super) mod api {
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    include!(concat!(env!("OUT_DIR"), "/runyard.v1.rs"));
}

type Events = BoxStream<'static, Outcome<RunEvent, Status>>;

fn caller<T>(request: &Request<T>) -> u64 {
    account(request.metadata().get("authorization").map(MetadataValue::as_bytes))
}

fn broken(fault: &Fault) -> Status {
    Status::internal(fault.to_string())
}

fn id(text: &str) -> Outcome<Uuid, Status> {
    text.parse()
        .map_err(|_| Status::invalid_argument("the id is not a UUID"))
}

impl Floor {
    /// Streams the events of a run after a sequence number. Events of an unfinished run come from memory, others from
    /// the database.
    fn follow(&self, run: &str, after: i64) -> Outcome<Events, Status> {
        let run = id(run)?;
        let Some(live) = lock(&self.runs).get(&run).map(Arc::clone) else {
            let events = self.store.events(run, after).map_err(|fault| broken(&fault))?;
            return Ok(stream::iter(events.into_iter().map(Ok)).boxed());
        };
        let position = usize::try_from(after).unwrap_or_default();
        let batches = stream::unfold((live.log.subscribe(), position), |(mut log, position)| async move {
            loop {
                let (news, has_ended) = log.borrow_and_update().after(position);
                if !news.is_empty() {
                    let position = position + news.len();
                    return Some((stream::iter(news.into_iter().map(Ok)), (log, position)));
                }
                if has_ended {
                    return None;
                }
                log.changed().await.ok()?;
            }
        });
        Ok(batches.flatten().boxed())
    }
}

#[tonic::async_trait]
impl RunService for Floor {
    type StreamRunStream = Events;
    type StreamRunsStream = Events;

    async fn start_run(&self, request: Request<StartRunRequest>) -> Outcome<Response<StartRunResponse>, Status> {
        let account = caller(&request);
        let start = request.into_inner();
        let started = self
            .start(account, &start.model_name, start.prompt.unwrap_or_default())
            .await;
        started.map(Response::new).map_err(|fault| broken(&fault))
    }

    async fn stop_run(&self, request: Request<StopRunRequest>) -> Outcome<Response<Run>, Status> {
        let agent_run_id = request.into_inner().agent_run_id;
        if let Some(live) = lock(&self.runs).get(&id(&agent_run_id)?) {
            live.stop.notify_one();
        }
        Ok(Response::new(Run {
            agent_run_id,
            ..Run::default()
        }))
    }

    async fn stream_run(&self, request: Request<StreamRunRequest>) -> Outcome<Response<Events>, Status> {
        let request = request.into_inner();
        Ok(Response::new(
            self.follow(&request.agent_run_id, request.after_sequence)?,
        ))
    }

    async fn stream_runs(&self, request: Request<StreamRunsRequest>) -> Outcome<Response<Events>, Status> {
        let runs = request.into_inner().runs;
        let all: Outcome<Vec<_>, Status> = runs
            .iter()
            .map(|run| self.follow(&run.agent_run_id, run.after_sequence))
            .collect();
        Ok(Response::new(stream::select_all(all?).boxed()))
    }

    async fn list_active_runs(
        &self,
        request: Request<ListActiveRunsRequest>,
    ) -> Outcome<Response<ListActiveRunsResponse>, Status> {
        let account = caller(&request);
        let found = lock(&self.runs)
            .values()
            .find(|run| run.account == account)
            .map(|run| run.id.to_string());
        let active_runs = found.into_iter().map(|agent_run_id| Run {
            agent_run_id,
            ..Run::default()
        });
        Ok(Response::new(ListActiveRunsResponse {
            active_runs: active_runs.collect(),
            ..ListActiveRunsResponse::default()
        }))
    }

    async fn get_run(&self, _: Request<GetRunRequest>) -> Outcome<Response<Run>, Status> {
        Err(Status::unimplemented("the benchmark does not call this method"))
    }

    async fn list_runs(&self, _: Request<ListRunsRequest>) -> Outcome<Response<ListRunsResponse>, Status> {
        Err(Status::unimplemented("the benchmark does not call this method"))
    }

    async fn list_modes(&self, _: Request<ListModesRequest>) -> Outcome<Response<ListModesResponse>, Status> {
        Err(Status::unimplemented("the benchmark does not call this method"))
    }
}
