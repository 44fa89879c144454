//! Tests of a full disk: the server refuses requests with "try again later", `/readyz` reports the problem, and the
//! server recovers when space is freed.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tonic::transport::Endpoint;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

use super::program::{OPEN, Program};
use crate::test_server::TEST_TIMEOUT;

/// Shell command that mounts a small disk as the data folder, in a private mount namespace, and starts the program.
const LINE: &str = "mkdir -p data && exec unshare --mount sh -c \
                    'mount -t tmpfs -o size=24m tmpfs data && exec \"$@\"' sh \"$@\"";

/// Expected state of `/readyz` while the disk is full. Without a disk reserve, the state may vary: SQLite's log may
/// have room for a small write but not for a new run.
#[derive(Clone, Copy)]
enum IsReady {
    Never,
    Maybe,
}

async fn ready(program: &Program) -> u16 {
    let url = format!("{}/readyz", program.url);
    program.http.get(url).send().await.unwrap().status().as_u16()
}

async fn health(program: &Program) -> ServingStatus {
    let endpoint = Endpoint::from_shared(program.url.clone()).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
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
    assert!(
        tokio::time::timeout(TEST_TIMEOUT, ready).await.is_ok(),
        "{}",
        program.log()
    );
}

async fn a_full_disk(config: &str, is_ready: IsReady) {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start_in(folder.path(), config, LINE).await;
    assert_eq!(start(&program).await.0, 200);
    assert_eq!(ready(&program).await, 200);
    assert_eq!(health(&program).await, ServingStatus::Serving);
    let ballast = fill(&program.sees(&folder.path().join("data")));
    // SQLite may have allocated space for more runs already, so the first few requests may still succeed.
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
async fn below_the_disk_reserve_new_work_is_refused() {
    a_full_disk(OPEN, IsReady::Never).await;
}

#[tokio::test]
async fn a_database_on_a_full_disk_is_unavailable_and_no_internal_error() {
    a_full_disk(&format!("[sandbox]\nmin_free_bytes = 0\n{OPEN}"), IsReady::Maybe).await;
}
