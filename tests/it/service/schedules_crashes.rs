//! Tests of SIGKILL between the insertion of an occurrence and the record of its start, with the real program. No
//! occurrence is lost, and none starts two runs.

use std::{collections::BTreeSet, time::Duration};

use chrono::Utc;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait, Value as Bound};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{
    program::{OPEN, Program},
    requests::text,
};
use crate::test_server::{TEST_TIMEOUT, databases};

/// The progress of the killed program.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum State {
    /// The occurrence was inserted, and possibly claimed.
    Claimed,
    /// The run was started, but not recorded.
    Unrecorded,
    Recorded,
}

struct Crashes {
    program: Program,
    db: DatabaseConnection,
}

impl Crashes {
    async fn request(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.program.request(method, path).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    async fn execute(&self, sql: &str, values: Vec<Bound>) {
        let statement = Statement::from_sql_and_values(self.db.get_database_backend(), sql, values);
        self.db.execute_raw(statement).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let statement = Statement::from_string(self.db.get_database_backend(), sql);
        let row = self.db.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    /// Waits until a query returns a number above zero.
    async fn reached(&self, sql: &str) {
        let waiting = async {
            while self.number(sql).await == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = timeout(TEST_TIMEOUT, waiting).await;
        assert!(reached.is_ok(), "{sql}: {}", self.program.log());
    }

    async fn create(&self) -> Uuid {
        let schedule = json!({"name": "Now", "cron": "0 0 1 1 *", "prompt": "go"});
        let schedule = self.request("POST", "/schedules", schedule).await;
        text(&schedule, "schedule_id").parse().unwrap()
    }

    async fn make_due(&self, schedule_id: Uuid) {
        let due = "UPDATE schedules SET next_at = $1 WHERE id = $2";
        self.execute(due, vec![Utc::now().into(), schedule_id.into()]).await;
    }

    /// Creates a schedule, and waits until its due occurrence is claimed. The lock of the account delays the start.
    async fn claimed(&self) -> (Uuid, DatabaseTransaction) {
        let schedule_id = self.create().await;
        let account = self.locked("accounts").await;
        self.make_due(schedule_id).await;
        self.reached("SELECT COUNT(*) FROM schedule_runs WHERE outcome = 0 AND due_at > created_at")
            .await;
        (schedule_id, account)
    }

    async fn locked(&self, rows: &str) -> DatabaseTransaction {
        let tx = self.db.begin().await.unwrap();
        tx.execute_unprepared(&format!("SELECT 1 FROM {rows} FOR UPDATE"))
            .await
            .unwrap();
        tx
    }

    /// Kills the program, starts it again after the lease of the occurrence has expired, and waits until the occurrence
    /// has one run that ends. `runs` is the number of earlier runs.
    async fn crash(&mut self, schedule_id: Uuid, runs: i64, lock: impl Into<Option<DatabaseTransaction>>) -> State {
        self.program.kill().await;
        if let Some(lock) = lock.into() {
            lock.rollback().await.unwrap();
        }
        let pending = self
            .number("SELECT COUNT(*) FROM schedule_runs WHERE outcome = 0")
            .await;
        let state = match (pending, self.number("SELECT COUNT(*) FROM runs").await - runs) {
            (1, 0) => State::Claimed,
            (1, 1) => State::Unrecorded,
            (0, 1) => State::Recorded,
            other => panic!("{other:?}"),
        };
        let expired = "UPDATE schedule_runs SET due_at = $1 WHERE outcome = 0";
        self.execute(expired, vec![Utc::now().into()]).await;
        self.program.start_again().await;
        self.reached(
            "SELECT CASE WHEN COUNT(*) = 0 THEN CAST(1 AS BIGINT) ELSE 0 END FROM schedule_runs WHERE outcome = 0",
        )
        .await;
        let history = self
            .request("GET", &format!("/schedules/{schedule_id}/runs"), json!({}))
            .await;
        let [started] = history["runs"].as_array().unwrap().as_slice() else {
            panic!("{state:?}: {history}");
        };
        assert_eq!(started["outcome"], "started", "{state:?}: {history}");
        let path = format!("/agent-run/{}", text(started, "agent_run_id"));
        let stream = self.program.request("GET", &format!("{path}/stream"));
        stream.send().await.unwrap().text().await.unwrap();
        assert_eq!(self.request("GET", &path, json!({})).await["status"], "completed");
        assert_eq!(self.number("SELECT COUNT(*) FROM runs").await, runs + 1, "{state:?}");
        state
    }
}

#[tokio::test]
async fn no_kill_loses_or_repeats_an_occurrence() {
    for database in databases() {
        let folder = tempfile::tempdir().unwrap();
        let made = database.make().await;
        let (config, url) = if let Some(made) = &made {
            let url = made.direct.clone();
            (format!("database_url = \"{url}\"\n{OPEN}"), url)
        } else {
            let file = folder.path().join("data/runyard.db");
            (OPEN.to_owned(), format!("sqlite://{}", file.display()))
        };
        let program = Program::start(folder.path(), &config).await;
        let db = sea_orm::Database::connect(url).await.unwrap();
        let mut crashes = Crashes { program, db };
        let (mut seen, mut runs) = (BTreeSet::new(), 0);
        for step in 0..16 {
            let schedule_id = crashes.create().await;
            crashes.make_due(schedule_id).await;
            // The occurrence may already have been recorded when the query finds it.
            crashes
                .reached(&format!("SELECT COUNT(*) - {runs} FROM schedule_runs"))
                .await;
            sleep(Duration::from_micros(step / 2 * 900)).await;
            seen.insert(crashes.crash(schedule_id, runs, None).await);
            runs += 1;
        }
        if made.is_some() {
            let (schedule_id, account) = crashes.claimed().await;
            assert_eq!(crashes.crash(schedule_id, runs, account).await, State::Claimed);
            seen.insert(State::Claimed);
            let (schedule_id, account) = crashes.claimed().await;
            let occurrence = crashes.locked("schedule_runs WHERE outcome = 0").await;
            account.rollback().await.unwrap();
            crashes
                .reached(&format!("SELECT COUNT(*) - {} FROM runs", runs + 1))
                .await;
            assert_eq!(
                crashes.crash(schedule_id, runs + 1, occurrence).await,
                State::Unrecorded
            );
        }
        // On SQLite, no lock delays the start, so a kill may come too late.
        assert!(made.is_none() || seen.contains(&State::Claimed), "{seen:?}");
        drop(crashes.program);
        crashes.db.close().await.unwrap();
        if let Some(made) = made {
            made.drop().await;
        }
    }
}
