//! Finds faults in the plans that `EXPLAIN QUERY PLAN` of SQLite prints. These plans depend neither on parameter
//! values nor on row counts.

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use super::{WALKED, is_excepted, is_small, may_sort};

/// Makes the text of each explained statement unique. Otherwise a connection could return a cached plan from before
/// an index was dropped.
static COUNT: AtomicU64 = AtomicU64::new(0);

pub(super) async fn faults(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql} -- {count}"));
    let rows = db
        .query_all_raw(explain)
        .await
        .unwrap_or_else(|fault| panic!("{fault}: {sql}"));
    let lines: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    let fault = |line: &String| why(sql, line).map(|why| format!("{why}: {line}\n    {sql}"));
    lines.iter().filter_map(fault).collect()
}

fn why(sql: &str, line: &str) -> Option<&'static str> {
    if line.starts_with("USE TEMP B-TREE") {
        return (!is_excepted(sql) && !may_sort(sql)).then_some("sorts");
    }
    let index = line
        .split_once(" INDEX ")
        .map(|(_, rest)| rest.split(' ').next().unwrap_or_default());
    if line.starts_with("SCAN") {
        let is_bounded = index.is_some_and(is_small) || line.contains("CONSTANT ROW") || line.contains("VIRTUAL TABLE");
        return (!is_bounded).then_some("scans");
    }
    let index = index?;
    let by_account = line.ends_with("(account_id=?)") && !index.starts_with("sqlite_autoindex");
    let is_bounded = is_small(index) || is_excepted(sql) || is_page(sql, index);
    (by_account && !is_bounded).then_some("reads all rows of an account")
}

/// Returns true if a statement reads one page in index order without skipping rows.
fn is_page(sql: &str, index: &str) -> bool {
    let Some((_, rest)) = sql.split_once(" WHERE ") else {
        return false;
    };
    let condition = rest.split(" ORDER BY ").next().unwrap_or_default();
    let stands_for = |part: &str| {
        WALKED
            .iter()
            .any(|(name, condition)| *name == index && part.contains(condition))
    };
    let passes_over = |part: &&str| !part.contains("\"account_id\" = ?") && !stands_for(part);
    rest.contains(" LIMIT ") && !condition.split(" AND ").any(|part| passes_over(&part))
}
