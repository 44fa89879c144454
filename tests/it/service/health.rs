//! Tests of `grpc.health.v1`: the state of the server and of each service, and the last message of a watch.

use runyard_upstream::Turn;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::call::CONTRACT;
use crate::test_server::on_every_database;

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn health_reports_the_server_and_every_service_by_name() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let mut client = HealthClient::new(server.caller("ann").channel().await);
            let services = CONTRACT.pool.services().map(|service| service.full_name().to_owned());
            for name in std::iter::once(String::new()).chain(services) {
                let answer = client.check(of(&name)).await.unwrap().into_inner();
                assert_eq!(answer.status(), ServingStatus::Serving, "{name}");
            }
            let refused = client.check(of("runyard.v1.NoService")).await.unwrap_err();
            assert_eq!(refused.code(), Code::NotFound);
        },
    )
    .await;
}

#[tokio::test]
async fn a_watcher_is_told_that_the_server_stops() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let mut client = HealthClient::new(server.caller("ann").channel().await);
            let mut watched = client.watch(of("runyard.v1.RunService")).await.unwrap().into_inner();
            let mut unknown = client.watch(of("runyard.v1.NoService")).await.unwrap().into_inner();
            let first = watched.message().await.unwrap().unwrap();
            assert_eq!(first.status(), ServingStatus::Serving);
            let first = unknown.message().await.unwrap().unwrap();
            assert_eq!(first.status(), ServingStatus::ServiceUnknown);
            server.app().stopping.cancel();
            let last = watched.message().await.unwrap().unwrap();
            assert_eq!(last.status(), ServingStatus::NotServing);
            assert!(watched.message().await.unwrap().is_none());
            assert!(unknown.message().await.unwrap().is_none());
        },
    )
    .await;
}
