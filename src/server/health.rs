//! The health service `grpc.health.v1`. The empty name and every service name report the readiness of the whole
//! server.
//!
//! `Check` runs the same checks as `/readyz`. All `Watch` calls share one check every [`CHECK_INTERVAL`]. Source:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server};

use crate::{
    app::App,
    error::Result,
    wire::{codec::descriptors, readiness},
};

const CHECK_INTERVAL: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Health {
    app: App,
    /// Names of the services in the contract. The empty name means the whole server.
    names: Arc<HashSet<String>>,
    known: watch::Sender<ServingStatus>,
}

impl Health {
    pub(super) fn new(app: App) -> Result<Self> {
        let services = descriptors()?.services().map(|service| service.full_name().to_owned());
        Ok(Self {
            app,
            names: Arc::new(std::iter::once(String::new()).chain(services).collect()),
            known: watch::Sender::new(ServingStatus::Serving),
        })
    }

    /// Checks readiness periodically while at least one `Watch` call is open.
    pub(super) async fn update_watchers(self) {
        let mut ticks = interval(CHECK_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.app.stopping.clone();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.known.receiver_count() > 0 {
                self.check_now().await;
            }
        }
    }

    /// Checks readiness, and notifies the `Watch` calls if the result has changed.
    async fn check_now(&self) -> ServingStatus {
        let now = match readiness::check(&self.app).await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        self.known
            .send_if_modified(|known| std::mem::replace(known, now) != now);
        now
    }

    /// Returns the current state and every new state. When the server begins to stop, the stream reports NOT_SERVING
    /// and ends.
    fn changes(&self, now: ServingStatus) -> impl Stream<Item = ServingStatus> + use<> {
        let later = WatchStream::from_changes(self.known.subscribe());
        let until = self.app.stopping.clone().cancelled_owned();
        let all = stream::iter([now])
            .chain(later)
            .take_until(until)
            .chain(stream::iter([ServingStatus::NotServing]));
        // Drop repeated states. The state may already be NOT_SERVING when the server begins to stop.
        all.scan(None, |last, status| {
            let is_new = last.replace(status) != Some(status);
            std::future::ready(Some(is_new.then_some(status)))
        })
        .filter_map(std::future::ready)
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.names.contains(&request.get_ref().service) {
            return Err(Status::not_found("the server has no service with this name"));
        }
        Ok(Response::new(answer(self.check_now().await)))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !self.names.contains(&request.get_ref().service) {
            // The health protocol keeps a `Watch` call for an unknown service open, because the server may add the
            // service later.
            let unknown = stream::iter([Ok(answer(ServingStatus::ServiceUnknown))]);
            let until = self.app.stopping.clone().cancelled_owned();
            return Ok(Response::new(
                unknown.chain(stream::pending()).take_until(until).boxed(),
            ));
        }
        let changes = self.changes(self.check_now().await);
        Ok(Response::new(changes.map(|status| Ok(answer(status))).boxed()))
    }
}
