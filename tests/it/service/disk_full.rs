//! A full disk: refused with "try again later", told by `/readyz`, and over when there is room again.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::program::{OPEN, Program};
use crate::house::PATIENCE;

/// The data folder on a small disk, in a mount namespace of the program's own.
const LINE: &str = "mkdir -p data && exec unshare --mount sh -c \
                    'mount -t tmpfs -o size=24m tmpfs data && exec \"$@\"' sh \"$@\"";

/// What `/readyz` says while the disk is full. Without a reserve it follows what can be written: SQLite's log may have room for a
/// small write where a start does not fit.
#[derive(Clone, Copy)]
enum IsReady {
    Never,
    Maybe,
}

async fn ready(program: &Program) -> u16 {
    let url = format!("{}/readyz", program.url);
    program.http.get(url).send().await.unwrap().status().as_u16()
}

/// The state that `grpc.health.v1` reports.
async fn health(program: &Program) -> ServingStatus {
    let mut client = HealthClient::connect(program.url.clone()).await.unwrap();
    let request = HealthCheckRequest::default();
    client.check(request).await.unwrap().into_inner().status()
}

async fn start(program: &Program) -> (u16, String) {
    let body = json!({"prompt": "Hello.", "mode": "chat"});
    let answer = program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    let code = answer.headers().get("x-error-code");
    let code = code.map(|code| code.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.status().as_u16(), code)
}

/// Writes until the disk is full; the file that takes the room.
fn fill(folder: &Path) -> PathBuf {
    let ballast = folder.join("ballast");
    let mut file = File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    ballast
}

async fn until_ready(program: &Program) {
    let ready = async {
        while ready(program).await != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, ready).await.is_ok(), "{}", program.log());
}

async fn a_full_disk(config: &str, is_ready: IsReady) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_in(folder.path(), config, LINE).await;
    assert_eq!(start(&program).await.0, 200);
    assert_eq!(ready(&program).await, 200);
    assert_eq!(health(&program).await, ServingStatus::Serving);
    let ballast = fill(&program.sees(&folder.path().join("data")));
    // What SQLite has set aside already may take one more.
    let mut refused = start(&program).await;
    for _ in 0..20 {
        if refused.0 != 200 {
            break;
        }
        refused = start(&program).await;
    }
    assert_eq!(refused, (503, "UNAVAILABLE".to_owned()), "{}", program.log());
    if matches!(is_ready, IsReady::Never) {
        assert_eq!(ready(&program).await, 503);
        assert_eq!(health(&program).await, ServingStatus::NotServing);
    }
    let announced = json!({"name": "x", "size": 5_000_000});
    let upload = program
        .request("POST", "/uploads")
        .json(&announced)
        .send()
        .await
        .unwrap();
    assert_eq!(upload.status(), 503);
    std::fs::remove_file(ballast).unwrap();
    until_ready(&program).await;
    assert_eq!(start(&program).await.0, 200, "{}", program.log());
}

#[tokio::test]
async fn a_disk_below_its_reserve_takes_nothing_new() {
    a_full_disk(OPEN, IsReady::Never).await;
}

#[tokio::test]
async fn a_database_that_cannot_be_written_is_unavailable_and_not_our_fault() {
    a_full_disk(&format!("[sandbox]\nmin_free_bytes = 0\n{OPEN}"), IsReady::Maybe).await;
}
