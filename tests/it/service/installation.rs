//! Tests that servers on one PostgreSQL database share one data folder. If workspaces exist, a server with another
//! folder refuses to start. Before any workspace exists, such a server starts, but refuses requests and executes no
//! runs.

use std::path::Path;

use runyard::{config::Config, db::Db, error::Code, installation, server::Server};
use runyard_upstream::{Call, Turn};
use serde_json::json;

use crate::test_server::{Answer, Caller, Database, TEST_TIMEOUT, TestServer, databases};

fn postgres() -> Option<Database> {
    databases()
        .into_iter()
        .find(|database| matches!(database, Database::Postgres(_)))
}

fn with_folder(server: &TestServer, folder: &Path) -> Config {
    let mut config = server.config.clone();
    folder.clone_into(&mut config.data_dir);
    config
}

async fn work(server: &TestServer, caller: &Caller) {
    server.upstream.push([
        Turn::calls([Call::new("bash", &json!({"command": "echo precious > result.txt"}))]),
        Turn::text("Done."),
    ]);
    let run = caller.start("Go.").await;
    assert_eq!(caller.ended(&run).await["status"], "completed");
}

#[tokio::test]
async fn a_second_data_folder_is_refused_once_workspaces_exist() {
    let Some(database) = postgres() else { return };
    let mut server = TestServer::open(&database, Vec::<Turn>::new(), |_| {}).await;
    work(&server, &server.caller("ann")).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = with_folder(&server, elsewhere.path());
    let refused = Server::open(other.clone()).await.err().unwrap();
    assert_eq!(refused.code(), Code::Conflict);
    for word in [
        elsewhere.path().to_str().unwrap(),
        server.data_dir().to_str().unwrap(),
        "--adopt-data-dir",
    ] {
        assert!(refused.message().contains(word), "{refused}");
    }
    // A second server with the same folder can start, and the first server can restart.
    drop(Server::open(server.config.clone()).await.unwrap());
    server.restart().await;
    // After `adopt` assigns the database to the other folder, the first folder is refused.
    server.stop().await;
    let db = Db::open(&other).await.unwrap();
    installation::adopt(&other, &db).await.unwrap();
    drop(Server::open(other).await.unwrap());
    assert!(Server::open(server.config.clone()).await.is_err());
}

#[tokio::test]
async fn a_server_with_a_second_data_folder_stays_unready_before_workspaces_exist() {
    let Some(database) = postgres() else { return };
    let mut server = TestServer::open(&database, Vec::<Turn>::new(), |_| {}).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let second = Server::open(with_folder(&server, elsewhere.path())).await.unwrap();
    let (url, stopping) = (
        format!("http://{}", second.address().unwrap()),
        second.app().stopping.clone(),
    );
    let running = tokio::spawn(second.run());
    let ask = async |path: &str| {
        let request = server
            .http
            .get(format!("{url}{path}"))
            .bearer_auth(&server.caller("ann").token);
        Answer::of(request.timeout(TEST_TIMEOUT).send().await.unwrap()).await
    };
    assert_eq!(ask("/healthz").await.status, 200);
    let ready = ask("/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text.contains("data folder"), "{}", ready.text);
    ask("/threads").await.refused(503, "UNAVAILABLE");
    work(&server, &server.caller("ann")).await;
    assert_eq!(
        std::fs::read_dir(elsewhere.path().join("workspaces")).unwrap().count(),
        0
    );
    assert_eq!(ask("/readyz").await.status, 503);
    stopping.cancel();
    running.await.unwrap().unwrap();
    server.stop().await;
}
