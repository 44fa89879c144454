//! Tests that many runs and streams can share a small pool of database connections.

use futures::future::join_all;
use runyard_upstream::{Script, Turn};

use crate::test_server::{Database, TestServer, assert_no_gaps, databases};

const RUNS: usize = 8;
const STREAMS: usize = 5;

#[tokio::test]
async fn a_pool_smaller_than_the_streams_does_not_hang_them() {
    for database in databases() {
        if matches!(database, Database::Sqlite) {
            continue;
        }
        for connections in [1, 2] {
            let script = Script::function(|_| Turn::words(20));
            let mut server = TestServer::open(&database, script, |config| {
                config.database_connections = connections;
                config.tiers[0].concurrent_runs = None;
            })
            .await;
            let callers = (0..RUNS).map(|number| server.caller(&format!("caller-{}", number % 3)));
            join_all(callers.map(async |caller| {
                let run = caller.start("Hello.").await;
                for events in join_all((0..STREAMS).map(|_| caller.events(&run, 0))).await {
                    assert_no_gaps(&events, 1);
                }
                assert_eq!(caller.ended(&run).await["status"], "completed");
            }))
            .await;
            let used = "SELECT COUNT(*) FROM pg_stat_activity \
                        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
            assert!(
                server.number(used).await <= i64::from(connections),
                "the setting bounds the pool"
            );
            server.stop().await;
        }
    }
}
