//! Checks the schema: foreign keys to deletable rows are indexed, and triggers count the rows of each account.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::test_server::on_every_database;
use runyard_upstream::Turn;

const KEPT: &[&str] = &["accounts", "balances"];

/// Checks that the counters, which triggers update, equal the numbers of rows.
pub(super) async fn assert_counted(db: &DatabaseConnection) {
    let sql = "SELECT a.subject FROM accounts a \
        WHERE a.threads <> (SELECT COUNT(*) FROM threads t WHERE t.account_id = a.id AND t.parent_run_id IS NULL) \
        OR a.projects <> (SELECT COUNT(*) FROM projects p WHERE p.account_id = a.id) \
        OR a.agents <> (SELECT COUNT(*) FROM agents g WHERE g.account_id = a.id AND g.deleted_at IS NULL)";
    assert_eq!(texts(db, sql).await, [[""; 0]; 0], "accounts whose counts are wrong");
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<Vec<String>> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql));
    let rows = rows.await.unwrap();
    rows.iter()
        .map(|row| (0..).map_while(|column| row.try_get_by_index(column).ok()).collect())
        .collect()
}

/// Drops an index, and returns the statement that creates the index again.
pub(super) async fn take_index(db: &DatabaseConnection, index: &str) -> String {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => format!("SELECT indexdef FROM pg_indexes WHERE indexname = '{index}'"),
        _ => format!("SELECT sql FROM sqlite_master WHERE name = '{index}'"),
    };
    let again = texts(db, &sql).await.remove(0).remove(0);
    db.execute_unprepared(&format!("DROP INDEX {index}")).await.unwrap();
    again
}

/// Returns the foreign keys. Each entry is the table, the column and the referenced table.
async fn foreign_keys(db: &DatabaseConnection) -> Vec<Vec<String>> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT c.conrelid::regclass::text, a.attname::text, c.confrelid::regclass::text FROM pg_constraint c \
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'"
        }
        _ => {
            "SELECT m.name, f.\"from\", f.\"table\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
             WHERE m.type = 'table'"
        }
    };
    texts(db, sql).await
}

/// Returns the first column of each index that is not partial. Each entry is the table and the column.
async fn first_columns(db: &DatabaseConnection) -> BTreeSet<Vec<String>> {
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT i.indrelid::regclass::text, a.attname::text FROM pg_index i \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indpred IS NULL"
        }
        _ => {
            "SELECT m.name, i.name FROM sqlite_master m, pragma_index_list(m.name) l, pragma_index_info(l.name) i \
             WHERE m.type = 'table' AND l.partial = 0 AND i.seqno = 0"
        }
    };
    texts(db, sql).await.into_iter().collect()
}

async fn without_index(db: &DatabaseConnection) -> Vec<Vec<String>> {
    let indexed = first_columns(db).await;
    let keys = foreign_keys(db).await;
    assert!(keys.len() > 10, "too few foreign keys found: {keys:?}");
    keys.into_iter()
        .filter(|key| !KEPT.contains(&key[2].as_str()) && !indexed.contains(&key[..2]))
        .collect()
}

#[tokio::test]
async fn every_foreign_key_to_a_deletable_row_has_an_index() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            server.stop().await;
            let db = server.outside().await;
            assert_eq!(without_index(&db).await, [[""; 0]; 0]);
            let index_again = take_index(&db, "threads_of_project_by_activity").await;
            assert_eq!(without_index(&db).await, [["threads", "project_id", "projects"]]);
            db.execute_unprepared(&index_again).await.unwrap();
        },
    )
    .await;
}
