//! Tests that database load is isolated. On PostgreSQL, a locked row of one account does not delay other accounts. A
//! request without a token makes no database query.

use std::time::Duration;

use futures::future::join_all;
use runyard::{
    accounts::Scope,
    runs::{
        claim,
        list::{self, Listing},
    },
};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::requests::text;
use crate::test_server::{Caller, TEST_TIMEOUT, TestServer, on_every_database_with};

/// Deadline for requests that do not use the locked row. It is shorter than the timeout for a database connection.
const PROMPTLY: Duration = Duration::from_secs(8);

/// Deadline for such requests on SQLite, where a hundred other requests use the same writer.
const PROMPTLY_ON_SQLITE: Duration = Duration::from_secs(20);

async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Locks all tables of a PostgreSQL database. Waiting for a table while others are locked could be a deadlock with the
/// server's own queries, so a table that is in use is tried again without locks.
async fn lock_all_tables(outside: &DatabaseConnection) -> DatabaseTransaction {
    let sql = "SELECT CAST(string_agg(quote_ident(tablename), ', ') AS text) AS tables FROM pg_tables \
               WHERE schemaname = 'public'";
    let statement = Statement::from_string(outside.get_database_backend(), sql);
    let row = outside.query_one_raw(statement).await.unwrap().unwrap();
    let tables: String = row.try_get("", "tables").unwrap();
    assert!(tables.contains("accounts") && tables.contains("api_keys"), "{tables}");
    let lock = format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE NOWAIT");
    let locking = async {
        loop {
            let blocker = outside.begin().await.unwrap();
            match blocker.execute_unprepared(&lock).await {
                Ok(_) => return blocker,
                Err(error) => assert!(error.to_string().contains("could not obtain lock"), "{error}"),
            }
            blocker.rollback().await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(TEST_TIMEOUT, locking).await.expect("the tables are locked")
}

async fn until_waiting(outside: &DatabaseConnection, count: i64) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting = async {
        while number(outside, sql).await < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(TEST_TIMEOUT, waiting)
        .await
        .expect("the statements should wait for a lock");
}

#[tokio::test]
async fn an_account_with_a_locked_row_delays_no_other_account() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| {
            let tier = &mut config.tiers[0];
            (tier.concurrent_runs, tier.threads, tier.projects) = (None, None, None);
        },
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let state = ann.get("/billing/account-state").await.ok();
            let account_id = state["account_id"].as_str().unwrap().parse().unwrap();
            let run = bob.start("First.").await;
            let outside = server.outside().await;
            // SQLite has no row locks. On SQLite, the test shows only that a hundred StartRun requests do not delay
            // other accounts.
            let blocker = outside.begin().await.unwrap();
            let is_postgres = server.config.database_url.is_some();
            if is_postgres {
                let sql = format!("SELECT * FROM accounts WHERE id = '{account_id}' FOR UPDATE");
                blocker.execute_unprepared(&sql).await.unwrap();
            }
            let starts = tokio::spawn({
                let ann = ann.clone();
                async move { join_all((0..100).map(|_| ann.post("/agent/start", json!({"prompt": "x"})))).await }
            });
            if is_postgres {
                until_waiting(&outside, 2).await;
                let turns = &server.app().account_queues;
                let all = async {
                    while turns.length(account_id) < 100 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                timeout(TEST_TIMEOUT, all)
                    .await
                    .expect("all hundred starts should queue up");
            }
            let path = format!("/agent-run/{}", run["agent_run_id"].as_str().unwrap());
            let promptly = if is_postgres { PROMPTLY } else { PROMPTLY_ON_SQLITE };
            // All requests are sent at once, because on PostgreSQL the hundred StartRun requests wait only up to 10 s.
            let rounds = (0..5).map(async |_| {
                let (started, shown, listed) = tokio::join!(
                    timeout(promptly, bob.start("Mine.")),
                    timeout(promptly, bob.get(&path)),
                    // Requests of the same account that do not use the per-account queue are also answered promptly.
                    timeout(promptly, ann.get("/agents")),
                );
                started.expect("bob's start should be answered");
                shown.expect("bob's run should be shown").ok();
                listed.expect("ann's agents should be listed").ok();
            });
            join_all(rounds).await;
            blocker.rollback().await.unwrap();
            for answer in starts.await.unwrap() {
                answer.ok();
            }
            assert_eq!(server.app().account_queues.length(account_id), 0);
            outside.close().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_lock_wait_times_out_as_contended() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |_| {},
        async |server| {
            // SQLite has a single writer, so its statements never wait for row locks.
            if server.config.database_url.is_none() {
                return;
            }
            let ann = server.caller("ann");
            ann.get("/agents").await.ok();
            let outside = server.outside().await;
            let blocker = outside.begin().await.unwrap();
            blocker
                .execute_unprepared("SELECT * FROM accounts FOR UPDATE")
                .await
                .unwrap();
            let body = json!({"prompt": "x"});
            let waited = timeout(TEST_TIMEOUT, ann.post("/agent/start", body.clone())).await;
            waited.expect("the wait should time out").refused(409, "CONTENDED");
            blocker.rollback().await.unwrap();
            ann.post("/agent/start", body).await.ok();
            outside.close().await.unwrap();
        },
    )
    .await;
}

/// Checks that requests without a valid credential are refused promptly.
async fn knock(server: &TestServer, path: &str) {
    let good = server.caller("ann").token;
    for (name, value) in [
        ("x-nothing", "x".to_owned()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer x.y.z".to_owned()),
        ("authorization", "Basic YW5uOmFubg==".to_owned()),
        ("authorization", format!("Token {good}")),
        ("authorization", format!("Bearer {good}x")),
        ("x-api-key", "nothing".to_owned()),
    ] {
        let request = server.http.get(server.url(path)).header(name, &value);
        let answer = timeout(PROMPTLY, request.send()).await;
        let answer = answer.unwrap_or_else(|_| panic!("{name}: {value:.20} should not wait for the database"));
        assert_eq!(answer.unwrap().status(), 401, "{name}: {value:.20}");
    }
}

/// The tables are locked during the test, on SQLite only for writers. The first request of a new subject waits,
/// because it inserts a row.
#[tokio::test]
async fn j01_refusing_an_unauthenticated_request_needs_no_database() {
    on_every_database_with(
        |_| Turn::text("ok"),
        |_| {},
        async |server| {
            let outside = server.outside().await;
            let blocker = if server.config.database_url.is_some() {
                lock_all_tables(&outside).await
            } else {
                let blocker = outside.begin().await.unwrap();
                // This statement takes SQLite's write lock, so that a request that inserts a row waits.
                blocker
                    .execute_unprepared("DELETE FROM accounts WHERE 1 = 0")
                    .await
                    .unwrap();
                blocker
            };
            let newcomer: Caller = server.caller("new");
            let waits = tokio::spawn(async move { newcomer.get("/agents").await });
            for path in [
                "/agents",
                "/agent-runs/active",
                "/no/such/path",
                "/billing/account-state",
            ] {
                knock(server, path).await;
            }
            assert!(
                !waits.is_finished(),
                "the token of a new subject should need the database"
            );
            blocker.rollback().await.unwrap();
            waits.await.unwrap().ok();
            outside.close().await.unwrap();
        },
    )
    .await;
}

/// A lease renewal and a batch of the event journal each lock several runs. Both lock the runs in the same order, so
/// they cannot deadlock.
#[tokio::test]
async fn a_renewal_that_waits_for_a_run_holds_no_later_run() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Held.").held_by(&gate))
        },
        |config| {
            config.tiers[0].concurrent_runs = None;
            // The lease is so long that the worker does not renew leases during the test.
            config.worker.lease_seconds = 3_600;
        },
        async |server| {
            let caller = server.caller("ann");
            let mut runs = Vec::new();
            for _ in 0..2 {
                let run = caller.start("x").await;
                runs.push(text(&run, "agent_run_id").parse::<Uuid>().unwrap());
            }
            server.upstream.wait_for(2).await;
            let (first, second) = (runs[0], runs[1]);
            let one = Listing {
                limit: 1,
                ..Listing::default()
            };
            let scope = Scope::system("a test reads a run");
            let found = list::list(&server.outside().await, scope, &one).await.unwrap();
            let worker_id = found[0].lease_owner.unwrap();
            let outside = server.outside().await;
            let is_postgres = server.config.database_url.is_some();
            let blocker = if is_postgres {
                // PostgreSQL moves an updated row behind the other rows, so a table scan finds this row last.
                let again = format!("UPDATE runs SET steps = steps WHERE id = '{first}'");
                outside.execute_unprepared(&again).await.unwrap();
                let blocker = outside.begin().await.unwrap();
                let lock = format!("SELECT id FROM runs WHERE id = '{first}' FOR UPDATE");
                blocker.execute_unprepared(&lock).await.unwrap();
                Some(blocker)
            } else {
                None
            };
            let renewal = tokio::spawn({
                let app = server.app().clone();
                async move { claim::renew(&app, worker_id, &[second, first], Duration::from_hours(1)).await }
            });
            if let Some(blocker) = blocker {
                until_waiting(&outside, 1).await;
                let lock = format!("SELECT id FROM runs WHERE id = '{second}' FOR UPDATE NOWAIT");
                blocker
                    .execute_unprepared(&lock)
                    .await
                    .expect("the later run should not be locked");
                blocker.commit().await.unwrap();
            }
            let renewed = timeout(TEST_TIMEOUT, renewal).await.unwrap().unwrap().unwrap();
            let mut renewed: Vec<_> = renewed.into_iter().map(|run| run.run_id).collect();
            renewed.sort_unstable();
            assert_eq!(renewed, [first, second]);
            server.gate.open();
        },
    )
    .await;
}
