//! `grpc.health.v1`: the readiness of the server, for the server as a whole and for each service by its name.
//!
//! Called by `server`. `Check` looks when it is asked, as `/readyz` does, so both give the same answer. Watchers share one look
//! every [`LOOK`], and hear at once that the server stops.
//! Source: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream, stream::BoxStream};
use prost_reflect::DescriptorPool;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus, health_server};

use crate::{
    app::App,
    contract::DESCRIPTORS,
    error::{Error, Result},
    wire::readiness,
};

/// Time between two looks for those who watch.
const LOOK: Duration = Duration::from_secs(5);

/// The health service of a server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Health {
    app: App,
    /// The services of the contract, and the empty name for the server as a whole.
    names: Arc<HashSet<String>>,
    known: watch::Sender<ServingStatus>,
}

impl Health {
    /// The service for all names of the contract.
    ///
    /// # Errors
    /// INTERNAL when the contract cannot be read.
    pub(super) fn new(app: App) -> Result<Self> {
        let pool = DescriptorPool::decode(DESCRIPTORS).map_err(|error| Error::internal("descriptors", error))?;
        let services = pool.services().map(|service| service.full_name().to_owned());
        Ok(Self {
            app,
            names: Arc::new(std::iter::once(String::new()).chain(services).collect()),
            known: watch::Sender::new(ServingStatus::Serving),
        })
    }

    /// Keeps watchers informed until the server stops. Does nothing while no one watches.
    pub(super) async fn inform(self) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = self.app.stopping.clone();
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = ticks.tick() => {}
            }
            if self.known.receiver_count() > 0 {
                self.look().await;
            }
        }
    }

    /// Looks now, and tells watchers of a change.
    async fn look(&self) -> ServingStatus {
        let now = match readiness::check(&self.app).await {
            Ok(()) => ServingStatus::Serving,
            Err(_) => ServingStatus::NotServing,
        };
        self.known
            .send_if_modified(|known| std::mem::replace(known, now) != now);
        now
    }

    /// The state of the server now and after each change, up to the stop of the server.
    fn changes(&self, now: ServingStatus) -> impl Stream<Item = ServingStatus> + use<> {
        let later = WatchStream::from_changes(self.known.subscribe());
        let until = self.app.stopping.clone().cancelled_owned();
        let all = stream::iter([now])
            .chain(later)
            .take_until(until)
            .chain(stream::iter([ServingStatus::NotServing]));
        // A change that came between the look and the subscription is said once.
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
            return Err(Status::not_found("this server has no service of that name"));
        }
        Ok(Response::new(answer(self.look().await)))
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        if !self.names.contains(&request.get_ref().service) {
            // The protocol keeps the call open: a later version of the server may have the service.
            let unknown = stream::iter([Ok(answer(ServingStatus::ServiceUnknown))]);
            let until = self.app.stopping.clone().cancelled_owned();
            return Ok(Response::new(
                unknown.chain(stream::pending()).take_until(until).boxed(),
            ));
        }
        let changes = self.changes(self.look().await);
        Ok(Response::new(changes.map(|status| Ok(answer(status))).boxed()))
    }
}
