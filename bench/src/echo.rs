//! A gRPC server that answers `StartRun` and `GetRun` without doing any work. Its speed shows the cost of the
//! transport alone.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::SystemTime,
};

use futures::future::{BoxFuture, Ready, ready};
use runyard::v1::{GetRunRequest, Run, RunStatus, RunUsage, StartRunRequest, StartRunResponse};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::Service,
    server::{Grpc, NamedService, UnaryService},
    transport::{Server, server::TcpIncoming},
};
use tonic_prost::ProstCodec;
use uuid::Uuid;

use crate::{Result, children, report};

/// Prints the address, and returns when the parent process exits.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    report::say(&listener.local_addr()?.to_string());
    let serving = Server::builder()
        .add_service(Echo)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        outcome = serving => Ok(outcome?),
        outcome = children::until_input_ends() => outcome,
    }
}

#[derive(Clone)]
struct Echo;

// The echo uses the name of Runyard's service, so that the same gRPC client can call both.
impl NamedService for Echo {
    const NAME: &'static str = "runyard.v1.RunService";
}

impl UnaryService<StartRunRequest> for Echo {
    type Response = StartRunResponse;
    type Future = Ready<std::result::Result<Response<StartRunResponse>, Status>>;

    fn call(&mut self, _: Request<StartRunRequest>) -> Self::Future {
        let id = Uuid::now_v7().to_string();
        ready(Ok(Response::new(StartRunResponse {
            thread_id: id.clone(),
            agent_run_id: id.clone(),
            project_id: id,
            ..StartRunResponse::default()
        })))
    }
}

impl UnaryService<GetRunRequest> for Echo {
    type Response = Run;
    type Future = Ready<std::result::Result<Response<Run>, Status>>;

    fn call(&mut self, request: Request<GetRunRequest>) -> Self::Future {
        let id = request.into_inner().agent_run_id;
        let now = Some(SystemTime::now().into());
        ready(Ok(Response::new(Run {
            thread_id: id.clone(),
            project_id: id.clone(),
            agent_run_id: id,
            status: RunStatus::Completed.into(),
            model_name: "bench/one".to_owned(),
            mode: "chat".to_owned(),
            usage: Some(RunUsage::default()),
            created_at: now,
            started_at: now,
            finished_at: now,
            ..Run::default()
        })))
    }
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, std::result::Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::result::Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path().ends_with("/GetRun") {
                let codec = ProstCodec::<Run, GetRunRequest>::default();
                return Ok(Grpc::new(codec).unary(Self, request).await);
            }
            let codec = ProstCodec::<StartRunResponse, StartRunRequest>::default();
            Ok(Grpc::new(codec).unary(Self, request).await)
        })
    }
}
