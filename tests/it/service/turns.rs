//! One account's troubles are its own: on PostgreSQL a row that is held up keeps nobody else from a connection, and who has
//! no token reaches the database in no way.

use std::time::Duration;

use futures::future::join_all;
use runyard::{
    accounts::{Scope, of},
    runs::{claim, table::Entity},
};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement, TransactionTrait};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::ask::text;
use crate::house::{Caller, House, PATIENCE, everywhere_with};

/// How soon somebody must be served whom nothing concerns: sooner than a connection is waited for.
const PROMPTLY: Duration = Duration::from_secs(8);

async fn number(db: &impl ConnectionTrait, sql: &str) -> i64 {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Waits until so many of the house's statements wait for locks.
async fn until_waiting(outside: &DatabaseConnection, count: i64) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting = async {
        while number(outside, sql).await < count {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("statements wait for a lock");
}

#[tokio::test]
async fn an_account_whose_row_is_held_up_starves_nobody() {
    everywhere_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| {
            let tier = &mut config.tiers[0];
            (tier.concurrent_runs, tier.threads, tier.projects) = (None, None, None);
        },
        async |house| {
            let (ann, bob) = (house.caller("ann"), house.caller("bob"));
            let state = ann.get("/billing/account-state").await.ok();
            let account_id = state["account_id"].as_str().unwrap().parse().unwrap();
            let run = bob.start("First.").await;
            let outside = house.outside().await;
            // On SQLite there is no row to hold: there the test shows that a hundred starts hold nobody up.
            let blocker = outside.begin().await.unwrap();
            let is_postgres = house.config.database_url.is_some();
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
                let turns = &house.app().turns;
                let all = async {
                    while turns.length(account_id) < 100 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                timeout(PATIENCE, all).await.expect("all hundred stand in line");
            }
            let path = format!("/agent-run/{}", run["agent_run_id"].as_str().unwrap());
            for _ in 0..5 {
                timeout(PROMPTLY, bob.start("Mine."))
                    .await
                    .expect("bob's start is answered");
                let got = timeout(PROMPTLY, bob.get(&path)).await.expect("bob's run is shown");
                got.ok();
                // What needs no turn is answered for the account itself, too.
                timeout(PROMPTLY, ann.get("/agents"))
                    .await
                    .expect("ann's agents are listed")
                    .ok();
            }
            blocker.rollback().await.unwrap();
            for answer in starts.await.unwrap() {
                answer.ok();
            }
            assert_eq!(house.app().turns.length(account_id), 0);
            outside.close().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn a_lock_is_waited_for_only_so_long() {
    everywhere_with(
        |_| Script::function(|_| Turn::text("ok")),
        |_| {},
        async |house| {
            // One writer, which waits for nobody's rows.
            if house.config.database_url.is_none() {
                return;
            }
            let ann = house.caller("ann");
            ann.get("/agents").await.ok();
            let outside = house.outside().await;
            let blocker = outside.begin().await.unwrap();
            blocker
                .execute_unprepared("SELECT * FROM accounts FOR UPDATE")
                .await
                .unwrap();
            let body = json!({"prompt": "x"});
            let waited = timeout(PATIENCE, ann.post("/agent/start", body.clone())).await;
            waited.expect("the wait has an end").refused(409, "CONTENDED");
            blocker.rollback().await.unwrap();
            ann.post("/agent/start", body).await.ok();
            outside.close().await.unwrap();
        },
    )
    .await;
}

/// Everything that brings no credential, or none that could be one.
async fn knock(house: &House, path: &str) {
    let good = house.caller("ann").token;
    for (name, value) in [
        ("x-nothing", "x".to_owned()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", "Bearer x.y.z".to_owned()),
        ("authorization", "Basic YW5uOmFubg==".to_owned()),
        ("authorization", format!("Token {good}")),
        ("authorization", format!("Bearer {good}x")),
        ("x-api-key", "nothing".to_owned()),
    ] {
        let asked = house.http.get(house.url(path)).header(name, &value);
        let answer = timeout(PROMPTLY, asked.send()).await;
        let answer = answer.unwrap_or_else(|_| panic!("{name}: {value:.20} waits for the database"));
        assert_eq!(answer.unwrap().status(), 401, "{name}: {value:.20}");
    }
}

/// J01: who has no token makes no query. While every table is locked the refusals come as ever, and the first request of
/// somebody new, who needs a row, waits.
#[tokio::test]
async fn j01_a_refusal_needs_no_database() {
    everywhere_with(
        |_| Turn::text("ok"),
        |_| {},
        async |house| {
            let outside = house.outside().await;
            let blocker = outside.begin().await.unwrap();
            if house.config.database_url.is_some() {
                let sql = "SELECT CAST(string_agg(quote_ident(tablename), ', ') AS text) AS tables FROM pg_tables \
                           WHERE schemaname = 'public'";
                let statement = Statement::from_string(blocker.get_database_backend(), sql);
                let row = blocker.query_one_raw(statement).await.unwrap().unwrap();
                let tables: String = row.try_get("", "tables").unwrap();
                assert!(tables.contains("accounts") && tables.contains("api_keys"), "{tables}");
                let lock = format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE");
                blocker.execute_unprepared(&lock).await.unwrap();
            } else {
                // The one writer: whoever needs a new row waits for it.
                blocker
                    .execute_unprepared("DELETE FROM accounts WHERE 1 = 0")
                    .await
                    .unwrap();
            }
            let somebody_new: Caller = house.caller("new");
            let waits = tokio::spawn(async move { somebody_new.get("/agents").await });
            for path in [
                "/agents",
                "/agent-runs/active",
                "/no/such/path",
                "/billing/account-state",
            ] {
                knock(house, path).await;
            }
            assert!(!waits.is_finished(), "a token of somebody new needs the database");
            blocker.rollback().await.unwrap();
            waits.await.unwrap().ok();
            outside.close().await.unwrap();
        },
    )
    .await;
}

/// A renewal takes its runs in the order in which the journal takes its batch: were it another one, the two could hold what
/// the other wants.
#[tokio::test]
async fn a_renewal_waits_for_a_run_without_holding_a_later_one() {
    everywhere_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Held.").held_by(&gate))
        },
        |config| {
            config.tiers[0].concurrent_runs = None;
            // The worker's own renewals stay away.
            config.worker.lease_seconds = 3_600;
        },
        async |house| {
            let caller = house.caller("ann");
            let mut runs = Vec::new();
            for _ in 0..2 {
                let run = caller.start("x").await;
                runs.push(text(&run, "agent_run_id").parse::<Uuid>().unwrap());
            }
            house.upstream.wait_for(2).await;
            let (first, second) = (runs[0], runs[1]);
            let found = of::<Entity>(Scope::system("a test looks"))
                .one(&house.outside().await)
                .await
                .unwrap();
            let worker_id = found.unwrap().lease_owner.unwrap();
            let outside = house.outside().await;
            let is_postgres = house.config.database_url.is_some();
            let blocker = if is_postgres {
                // A row that was written anew lies behind the others, where a scan finds it last.
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
                let app = house.app().clone();
                async move { claim::renew(&app, worker_id, &[second, first], Duration::from_hours(1)).await }
            });
            if let Some(blocker) = blocker {
                until_waiting(&outside, 1).await;
                let lock = format!("SELECT id FROM runs WHERE id = '{second}' FOR UPDATE NOWAIT");
                blocker.execute_unprepared(&lock).await.expect("the later one is free");
                blocker.commit().await.unwrap();
            }
            let renewed = timeout(PATIENCE, renewal).await.unwrap().unwrap().unwrap();
            let mut renewed: Vec<_> = renewed.into_iter().map(|run| run.run_id).collect();
            renewed.sort_unstable();
            assert_eq!(renewed, [first, second]);
            house.gate.open();
        },
    )
    .await;
}
