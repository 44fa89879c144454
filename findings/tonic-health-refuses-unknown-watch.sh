#!/usr/bin/env bash
# tonic-health 0.14.9 ends `grpc.health.v1.Health/Watch` for an unknown service with the status NOT_FOUND. The health protocol
# (https://github.com/grpc/grpc/blob/master/doc/health-checking.md) requires that the server sends SERVICE_UNKNOWN and keeps the stream
# open, because the service may be added later. The comment of the trait method that tonic-health generates says the same. A client
# that follows the protocol retries the call with backoff instead of waiting for a change. `Check` may answer NOT_FOUND.
#
# Observed: `watch of an unknown service: NotFound`.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
tokio = { version = "1", features = ["macros", "rt"] }
tonic = { version = "=0.14.9", default-features = false }
tonic-health = "=0.14.9"
TOML
cat >src/main.rs <<'RUST'
use tonic::Request;
use tonic_health::{
    pb::{health_server::Health, HealthCheckRequest},
    server::{HealthReporter, HealthService},
};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service = HealthService::from_health_reporter(HealthReporter::new());
    let ask = |name: &str| Request::new(HealthCheckRequest { service: name.to_owned() });
    assert!(service.watch(ask("")).await.is_ok(), "the whole server is known");
    let refused = service.watch(ask("example.Unknown")).await.err().expect("no error");
    println!("watch of an unknown service: {:?}", refused.code());
}
RUST
seen=$(run)
echo "$seen"
expect "$seen" 'watch of an unknown service: NotFound'
