//! Tests of recovery after a crash: every run whose StartRun request was answered resumes and ends exactly once.

use std::{fs::File, time::Duration};

use runyard::server::Server;
use runyard_upstream::{Script, Turn};
use serde_json::json;

use crate::test_server::{Database, TestServer, assert_no_gaps, kinds, on_every_database, parse_sse};

#[tokio::test]
async fn an_interrupted_run_resumes() {
    on_every_database(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |received| match received.number {
                    0 => Turn::words(10).gate_after(3, &gate),
                    _ => Turn::text("After all."),
                }
            })
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            server.upstream.wait_for(1).await;
            server.restart().await;
            let caller = server.caller("ann");
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
            assert!(
                events.iter().any(|event| event.data["notice"]["kind"] == "resumed"),
                "{:?}",
                kinds(&events)
            );
            assert!(
                events.iter().any(|event| event.data["message"]["text"] == "After all."),
                "{:?}",
                kinds(&events)
            );
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn a_stream_ends_with_its_server_and_resumes_on_the_next() {
    on_every_database(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |_| Turn::words(10).gate_after(3, &gate)
            })
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            server.upstream.wait_for(1).await;
            let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
            let open = caller.request("GET", &path).send().await.unwrap();
            server.stop().await;
            let seen = parse_sse(&open.text().await.unwrap());
            let (last, before) = seen.split_last().unwrap();
            assert_eq!(last.event, "fault");
            assert!(last.data["detail"].as_str().unwrap().contains("cursor"), "{last:?}");
            server.restart().await;
            server.gate.open();
            let caller = server.caller("ann");
            let cursor = before.last().unwrap().id.parse().unwrap();
            let rest = caller.events(&run, cursor).await;
            let joined: Vec<_> = before.iter().cloned().chain(rest).collect();
            assert_no_gaps(&joined, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn queued_runs_survive_a_restart() {
    crate::test_server::on_every_database_with(
        |gate| {
            Script::function({
                let gate = gate.clone();
                move |received| match received.number {
                    0 => Turn::text("First.").held_by(&gate),
                    _ => Turn::text("Then."),
                }
            })
        },
        |config| config.tiers[0].concurrent_runs = Some(3),
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            let body = json!({"prompt": "y", "thread_id": first["thread_id"]});
            let second = caller.post("/agent/start", body).await.ok();
            server.upstream.wait_for(1).await;
            server.restart().await;
            let caller = server.caller("ann");
            for run in [&first, &second] {
                assert_eq!(caller.ended(run).await["status"], "completed");
            }
            server.gate.open();
        },
    )
    .await;
}

// If the stopped server had just forked a child process, the child holds the lock of the data folder until it
// executes another program.
#[tokio::test]
async fn a_start_waits_briefly_for_a_locked_data_folder_and_refuses_one_in_use() {
    let mut server = TestServer::open(&Database::Sqlite, Turn::text("Aye."), |_| {}).await;
    // The lock must not block the thread, because the tasks of the stopped server end on this thread.
    let hold = async |folder: &std::path::Path| {
        let lock = File::options().write(true).open(folder.join("lock")).unwrap();
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        lock
    };
    server.stop().await;
    let lock = hold(&server.data_dir()).await;
    let refused = Server::open(server.config.clone()).await.err().unwrap();
    assert!(
        refused
            .message()
            .contains("another runyard process uses the data folder"),
        "{refused}"
    );
    let released = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(lock);
    });
    server.restart().await;
    released.await.unwrap();
    server.caller("ann").start("x").await;
}
