//! Tests of restarts, killed servers, and several servers on one database.

use std::time::Duration;

use runyard::server::Server;
use serde_json::json;

use super::super::program::Program;
use super::{Receiver, create, end_runs, newest_delivery, open, scripted, text};
use crate::test_server::{Database, TestServer, databases, on_every_database_with};

#[tokio::test]
async fn a_delivery_that_waits_is_sent_after_a_restart() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (caller, receiver) = (server.caller("ann"), Receiver::start().await);
            let webhook = create(&caller, &receiver, &[]).await;
            receiver.answer(500);
            end_runs(server, "ann", 1).await;
            newest_delivery(&caller, &webhook, |found| found["attempts"] == 1).await;
            receiver.answer(200);
            server.restart().await;
            server.clock.advance(Duration::from_mins(1));
            let caller = server.caller("ann");
            let sent = newest_delivery(&caller, &webhook, |found| found["status"] == "succeeded").await;
            let all = receiver.all();
            assert!(all.iter().all(|one| one.id == text(&sent, "delivery_id")), "{all:?}");
            assert_eq!(all.len(), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn a_delivery_that_was_not_recorded_is_sent_again_after_a_kill() {
    let receiver = Receiver::start().await;
    // Long enough that the server is killed before the answer.
    receiver.answer_after(Duration::from_secs(5));
    let folder = tempfile::tempdir().unwrap();
    let config = "[webhooks]\nallow_private_addresses = true\n";
    let mut program = Program::start(folder.path(), config).await;
    let request = program
        .request("POST", "/webhooks")
        .json(&json!({"url": receiver.url()}));
    let webhook: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
    let test = format!("/webhooks/{}/test", text(&webhook, "webhook_id"));
    program.request("POST", &test).json(&json!({})).send().await.unwrap();
    let first = receiver.wait_for(1).await.pop().unwrap();
    program.kill().await;
    receiver.answer_after(Duration::ZERO);
    program.start_again().await;
    let second = receiver.wait_for(2).await.pop().unwrap();
    assert_eq!((first.id, first.body), (second.id, second.body));
}

#[tokio::test]
async fn two_servers_send_each_delivery_once() {
    let database = databases()
        .into_iter()
        .find(|database| matches!(database, Database::Postgres(_)));
    let Some(database) = database else { return };
    let mut server = TestServer::open(&database, scripted(), open).await;
    let second = Server::open(server.config.clone()).await.unwrap();
    let other = second.app().clone();
    let running = tokio::spawn(second.run());
    let receivers = [
        Receiver::start().await,
        Receiver::start().await,
        Receiver::start().await,
    ];
    for (number, receiver) in receivers.iter().enumerate() {
        create(&server.caller(&format!("caller {number}")), receiver, &[]).await;
    }
    let server_ref = &server;
    let runs = (0..receivers.len()).map(|number| async move {
        end_runs(server_ref, &format!("caller {number}"), 20).await;
    });
    futures::future::join_all(runs).await;
    for receiver in &receivers {
        receiver.wait_for(20).await;
        let mut ids: Vec<String> = receiver.all().into_iter().map(|one| one.id).collect();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), receiver.all().len()), (20, 20));
    }
    other.stopping.cancel();
    running.await.unwrap().unwrap();
    server.stop().await;
}
