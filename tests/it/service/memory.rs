//! Tests that the server releases the memory of finished runs, and that SQLite's log shrinks after a long read
//! transaction.

use std::time::Duration;

use runyard_upstream::Turn;
use serde_json::json;
use tokio::runtime::Handle;

use sea_orm::{ConnectionTrait, Statement, TransactionTrait};

use crate::test_server::{Database, TEST_TIMEOUT, TestServer, on_every_database_with};

/// Waits until no run and no stream is in memory, and no more than `most` tasks are alive. Returns the number of
/// tasks.
async fn settled(server: &TestServer, most: usize) -> usize {
    let waiting = async {
        loop {
            let alive = Handle::current().metrics().num_alive_tasks();
            if alive <= most && server.app().hub.is_empty() && server.app().wake.is_idle() {
                return alive;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let settled = tokio::time::timeout(TEST_TIMEOUT, waiting).await;
    settled.unwrap_or_else(|_| {
        let alive = Handle::current().metrics().num_alive_tasks();
        panic!(
            "{alive} tasks are alive instead of up to {most}, and {} event rings are held",
            server.app().hub.len()
        )
    })
}

#[tokio::test]
async fn finished_runs_leave_no_tasks_and_no_entries_behind() {
    on_every_database_with(
        |_| Turn::text("Aye."),
        |config| (config.tiers[0].threads, config.tiers[0].projects) = (None, None),
        async |server| {
            let caller = server.caller("ann");
            let run = async |mode: &str| {
                let body = json!({"prompt": "x", "mode": mode});
                let run = caller.post("/agent/start", body).await.ok();
                caller.ended(&run).await;
            };
            // The first runs open connections that stay open, so the tasks are counted after these runs.
            for _ in 0..3 {
                run("chat").await;
                run("code").await;
            }
            let before = settled(server, usize::MAX).await;
            for _ in 0..20 {
                run("chat").await;
                run("code").await;
            }
            // A few additional connections are not a leak. A leak would add one task for each run.
            settled(server, before + 15).await;
        },
    )
    .await;
}

#[tokio::test]
async fn the_sqlite_log_shrinks_after_a_long_reader() {
    const MEBIBYTE: u64 = 1 << 20;
    let server = TestServer::open(&Database::Sqlite, Turn::text("Aye."), |_| {}).await;
    let size = || {
        std::fs::metadata(server.data_dir().join("runyard.db-wal"))
            .unwrap()
            .len()
    };
    let write = async |sql: &str| {
        let tx = server.app().db.begin("test").await.unwrap();
        tx.execute_unprepared(sql).await.unwrap();
        tx.commit().await.unwrap();
    };
    write("CREATE TABLE ballast (content BLOB)").await;
    let outside = server.outside().await;
    let reader = outside.begin().await.unwrap();
    let count = Statement::from_string(reader.get_database_backend(), "SELECT COUNT(*) FROM ballast");
    reader.query_one_raw(count).await.unwrap();
    for _ in 0..40 {
        write("INSERT INTO ballast VALUES (zeroblob(1048576))").await;
    }
    assert!(
        size() > 40 * MEBIBYTE,
        "the open reader should keep the log large: {}",
        size()
    );
    reader.rollback().await.unwrap();
    let shrinking = async {
        while size() > 16 * MEBIBYTE {
            write("INSERT INTO ballast VALUES (zeroblob(1))").await;
        }
    };
    let shrunk = tokio::time::timeout(TEST_TIMEOUT, shrinking).await;
    assert!(shrunk.is_ok(), "the log should shrink, but has {} bytes", size());
}
