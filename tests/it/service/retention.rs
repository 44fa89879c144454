//! Tests of the deletion of old threads, if the operator configures it.

use std::time::{Duration, SystemTime};

use runyard_upstream::{Call, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::requests::text;
use crate::test_server::{TestServer, on_every_database_with};

const DAY: Duration = Duration::from_hours(24);

async fn sweep(server: &TestServer) {
    runyard::background::sweeper::sweep_once(server.app(), SystemTime::now())
        .await
        .unwrap();
}

async fn status(server: &TestServer, subject: &str, path: &str) -> u16 {
    let answer = server
        .http
        .get(server.url(path))
        .bearer_auth(server.caller(subject).token);
    answer.send().await.unwrap().status().as_u16()
}

fn thread(run: &Value) -> String {
    format!("/threads/{}", text(run, "thread_id"))
}

#[tokio::test]
async fn old_threads_are_deleted_with_their_files_if_the_operator_configures_it() {
    for days in [30, 0] {
        on_every_database_with(
            |gate| {
                let gate = gate.clone();
                Script::function(move |request| match request.last_text() {
                    "hold" => Turn::text("Held.").held_by(&gate),
                    "write" => Turn::calls([Call::new("bash", &json!({"command": "echo x > f"}))]),
                    _ => Turn::text("Done."),
                })
            },
            |config| config.retention.unchanged_days = days,
            async |server| {
                let caller = server.caller("ann");
                let old = caller.start("write").await;
                caller.ended(&old).await;
                let continued = caller.start("hello").await;
                caller.ended(&continued).await;
                let workspace = server.data_dir().join("workspaces").join(text(&old, "project_id"));
                assert!(workspace.exists(), "{}", workspace.display());
                server.clock.advance(DAY * 29);
                sweep(server).await;
                assert_eq!(status(server, "ann", &thread(&old)).await, 200);
                let body = json!({"prompt": "again", "thread_id": continued["thread_id"]});
                let again = server.caller("ann").post("/agent/start", body).await.ok();
                server.caller("ann").ended(&again).await;
                server.clock.advance(DAY * 2);
                // A run ends long before its thread is old, so this thread is made old.
                let held = server.caller("bob").start("hold").await;
                let outside = server.outside().await;
                let age = "UPDATE threads SET updated_at = (SELECT MIN(updated_at) FROM threads) \
                           WHERE updated_at = (SELECT MAX(updated_at) FROM threads)";
                assert_eq!(outside.execute_unprepared(age).await.unwrap().rows_affected(), 1);
                outside.close().await.unwrap();
                sweep(server).await;
                let expected = if days == 0 { 200 } else { 404 };
                assert_eq!(status(server, "ann", &thread(&old)).await, expected);
                let run = format!("/agent-run/{}", text(&old, "agent_run_id"));
                assert_eq!(status(server, "ann", &run).await, expected);
                let project = format!("/projects/{}", text(&old, "project_id"));
                assert_eq!(status(server, "ann", &project).await, expected);
                assert_eq!(workspace.exists(), days == 0);
                // A thread that has changed, and one with an active run, stay.
                for (subject, run) in [("ann", &continued), ("bob", &held)] {
                    assert_eq!(status(server, subject, &thread(run)).await, 200);
                }
            },
        )
        .await;
    }
}
