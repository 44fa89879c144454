//! Tests of worker slots. If a slot is free, StartRun stores the new run as already claimed. Queued runs start in
//! order.

use runyard::{accounts::Scope, runs::list};
use runyard_upstream::{Script, Turn};
use serde_json::Value;
use uuid::Uuid;

use super::requests::text;
use crate::test_server::{TEST_TIMEOUT, TestServer, on_every_database, on_every_database_with};

async fn row(server: &TestServer, run: &Value) -> runyard::runs::Run {
    let id: Uuid = text(run, "agent_run_id").parse().unwrap();
    let scope = Scope::system("a test reads a run");
    list::load(server.app().db.read(), scope, id).await.unwrap()
}

fn held() -> impl Fn(&runyard_upstream::Gate) -> Script {
    |gate| {
        let gate = gate.clone();
        Script::function(move |_| Turn::text("Aye.").held_by(&gate))
    }
}

#[tokio::test]
async fn a_start_claims_its_run_when_it_commits() {
    on_every_database(held(), async |server| {
        // Waits until the worker has opened its slots and has polled for work once.
        let settled = async {
            let app = server.app();
            while app.wake.has_waiting() || app.worker_slots.take().is_none() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, settled).await.unwrap();
        let caller = server.caller("ann");
        let run = caller.start("x").await;
        let started = row(server, &run).await;
        assert!(started.lease_owner.is_some(), "{started:?}");
        assert_eq!((started.lease_epoch, started.started_at), (1, Some(started.created_at)));
        server.gate.open();
        caller.ended(&run).await;
        let ended = row(server, &run).await;
        assert_eq!((ended.lease_owner, ended.lease_epoch), (None, 1));
    })
    .await;
}

#[tokio::test]
async fn queued_runs_start_in_order() {
    on_every_database_with(
        held(),
        |config| config.worker.max_runs = 1,
        async |server| {
            let callers = ["ann", "bob", "cid", "dan"].map(|name| server.caller(name));
            let mut runs = Vec::new();
            for caller in &callers {
                runs.push(caller.start("x").await);
            }
            server.upstream.wait_for(1).await;
            for run in &runs[1..] {
                assert_eq!(
                    row(server, run).await.lease_owner,
                    None,
                    "another run should hold the only slot"
                );
            }
            server.gate.open();
            let mut began = Vec::new();
            for (caller, run) in callers.iter().zip(&runs) {
                caller.ended(run).await;
                began.push(row(server, run).await.started_at.unwrap());
            }
            assert!(began.is_sorted(), "the runs should start in order: {began:?}");
        },
    )
    .await;
}
