//! Finds faults in the generic plans of PostgreSQL, which do not depend on parameter values.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use serde_json::Value;

use super::{is_excepted, is_small, may_sort};

/// Settings of the server's connections. Plans then do not depend on parameter values, and use an index if one
/// exists.
pub(super) const SETTINGS: [(&str, &str); 3] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_bitmapscan", "off"),
    ("enable_seqscan", "off"),
];

pub(super) async fn faults(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let plan = explain(db, sql).await;
    let mut found = Vec::new();
    look(&plan[0]["Plan"], false, sql, &mut found);
    found.iter().map(|fault| format!("{fault}\n    {sql}")).collect()
}

async fn explain(db: &DatabaseConnection, sql: &str) -> Value {
    let tx = db.begin().await.unwrap();
    let count = (1..=u16::MAX)
        .take_while(|number| sql.contains(&format!("${number}")))
        .count();
    let values = vec!["NULL"; count].join(", ");
    let values = if count == 0 { values } else { format!("({values})") };
    let settings = SETTINGS.map(|(name, value)| format!("SET LOCAL {name} = {value}"));
    for first in settings.into_iter().chain([format!("PREPARE explained AS {sql}")]) {
        let done = tx.execute_unprepared(&first).await;
        done.unwrap_or_else(|fault| panic!("{fault}: {sql}"));
    }
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE explained{values}");
    let row = tx
        .query_one_raw(Statement::from_string(DbBackend::Postgres, explain))
        .await;
    let row = row.unwrap_or_else(|fault| panic!("{fault}: {sql}")).unwrap();
    let plan = row.try_get_by_index(0).unwrap();
    tx.execute_unprepared("DEALLOCATE explained").await.unwrap();
    tx.rollback().await.unwrap();
    plan
}

/// Checks a plan node and its children. `limited` is true if a LIMIT bounds the number of rows that the node reads.
fn look(node: &Value, limited: bool, sql: &str, found: &mut Vec<String>) {
    let text = |field: &str| node[field].as_str().unwrap_or_default();
    let (kind, index, condition) = (text("Node Type"), text("Index Name"), text("Index Cond"));
    let by_account = condition.ends_with("account_id)") || condition.contains("account_id = ");
    let by_account = by_account && !condition.contains(" AND ") && !index.ends_with("_pkey");
    let is_page = limited && kind != "Bitmap Index Scan" && node["Filter"].is_null();
    let why = match kind {
        "Seq Scan" => Some("scans"),
        "Sort" | "Incremental Sort" if !is_excepted(sql) && !may_sort(sql) => Some("sorts"),
        _ if index.is_empty() || is_small(index) || is_excepted(sql) || is_page => None,
        _ if condition.is_empty() => Some("scans"),
        _ if by_account => Some("reads all rows of an account"),
        _ => None,
    };
    if let Some(why) = why {
        let relation = text("Relation Name");
        found.push(format!(
            "{why}: {kind} {relation} {index} {condition} {}",
            text("Filter")
        ));
    }
    // A node such as a sort reads all its rows before it returns the first, even below a LIMIT.
    let limited = match kind {
        "Limit" => true,
        "Sort" | "Aggregate" | "Hash" | "Bitmap Heap Scan" => false,
        _ => limited,
    };
    for below in node["Plans"].as_array().into_iter().flatten() {
        look(below, limited, sql, found);
    }
}
