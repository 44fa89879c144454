//! Fills a database with copies of a finished run: its project, thread, messages, events and ledger entry.
//!
//! Each copy has new ids and times. With SQLite, the server must be stopped during the copy.

use std::time::Duration;

use runyard::clock::Clock;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use uuid::{NoContext, Timestamp, Uuid};

use crate::Result;

/// The column that identifies the rows to copy, and a function that returns the column's value from a [`Template`].
type Key = (&'static str, fn(Template) -> Uuid);
const TABLES: [(&str, Key); 6] = [
    ("projects", ("id", |(project, _, _)| project)),
    ("threads", ("id", |(_, thread, _)| thread)),
    ("runs", ("id", |(_, _, run)| run)),
    ("messages", ("thread_id", |(_, thread, _)| thread)),
    ("run_events", ("run_id", |(_, _, run)| run)),
    ("ledger_entries", ("run_id", |(_, _, run)| run)),
];
/// Maximum number of rows per statement. A row has eight bound values, and SQLite allows 32,766 per statement.
const AT_ONCE: usize = 1_000;
/// Milliseconds between the start times of two consecutive copies.
const BETWEEN: u64 = 500;

/// Adds `runs` finished runs, divided evenly among the accounts that have a run.
pub(crate) async fn fill(url: &str, runs: usize) -> Result<()> {
    let db = Database::connect(url).await?;
    let tx = db.begin().await?;
    let accounts = ids(&tx, "SELECT DISTINCT account_id AS id FROM runs ORDER BY account_id").await?;
    let template = template(&tx).await?;
    tx.execute_unprepared(&copies(tx.get_database_backend())).await?;
    let now = Clock::default().now();
    let mut rows = Vec::with_capacity(AT_ONCE);
    for number in 0..runs {
        let age = BETWEEN * (runs - number) as u64;
        let at = now - Duration::from_millis(age);
        let mut row: Vec<Value> = vec![accounts[number % accounts.len()].into(), at.into()];
        row.extend((0..6).map(|_| Value::from(id_at(at.timestamp_millis().unsigned_abs()))));
        rows.push(row);
        if rows.len() == AT_ONCE || number + 1 == runs {
            insert(&tx, std::mem::take(&mut rows)).await?;
        }
    }
    for (table, (key, of)) in TABLES {
        copy(&tx, table, key, of(template)).await?;
    }
    tx.execute_unprepared("DROP TABLE bench_copies").await?;
    tx.commit().await?;
    db.close().await?;
    Ok(())
}

fn id_at(millis: u64) -> Uuid {
    let (seconds, nanos) = (
        millis / 1000,
        u32::try_from(millis % 1000).unwrap_or_default() * 1_000_000,
    );
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanos))
}

type Template = (Uuid, Uuid, Uuid);

async fn template(db: &impl ConnectionTrait) -> Result<Template> {
    let text = "SELECT id, thread_id, project_id FROM runs WHERE status = 2 ORDER BY id LIMIT 1";
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), text))
        .await?
        .ok_or("there is no finished run to copy")?;
    Ok((
        row.try_get("", "project_id")?,
        row.try_get("", "thread_id")?,
        row.try_get("", "id")?,
    ))
}

async fn ids(db: &impl ConnectionTrait, text: &str) -> Result<Vec<Uuid>> {
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), text))
        .await?;
    Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
}

fn copies(backend: DbBackend) -> String {
    let (uuid, time) = match backend {
        DbBackend::Postgres => ("uuid", "timestamptz"),
        _ => ("blob", "text"),
    };
    format!(
        "CREATE TABLE bench_copies (account_id {uuid}, made_at {time}, project_id {uuid}, thread_id {uuid}, \
         run_id {uuid}, question_id {uuid}, answer_id {uuid}, entry_id {uuid})"
    )
}

async fn insert(db: &impl ConnectionTrait, rows: Vec<Vec<Value>>) -> Result<()> {
    let mut place = 0;
    let places: Vec<String> = rows
        .iter()
        .map(|row| {
            let row: Vec<String> = row
                .iter()
                .map(|_| {
                    place += 1;
                    format!("${place}")
                })
                .collect();
            format!("({})", row.join(","))
        })
        .collect();
    let text = format!("INSERT INTO bench_copies VALUES {}", places.join(","));
    let values: Vec<Value> = rows.into_iter().flatten().collect();
    db.execute_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values))
        .await?;
    Ok(())
}

async fn copy(db: &impl ConnectionTrait, table: &str, key: &str, template: Uuid) -> Result<()> {
    let columns = columns(db, table).await?;
    let values: Vec<String> = columns.iter().map(|column| value(table, column)).collect();
    let text = format!(
        "INSERT INTO {table} ({}) SELECT {} FROM bench_copies c CROSS JOIN {table} t WHERE t.{key} = $1",
        columns.join(", "),
        values.join(", ")
    );
    db.execute_raw(Statement::from_sql_and_values(
        db.get_database_backend(),
        text,
        [template.into()],
    ))
    .await?;
    Ok(())
}

async fn columns(db: &impl ConnectionTrait, table: &str) -> Result<Vec<String>> {
    let text = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT column_name AS name FROM information_schema.columns WHERE table_name = '{table}' \
             AND table_schema = current_schema() AND is_generated = 'NEVER'"
        ),
        _ => format!("SELECT name FROM pragma_table_info('{table}')"),
    };
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), text))
        .await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get("", "name"))
        .collect::<Result<_, _>>()?)
}

fn value(table: &str, column: &str) -> String {
    match (table, column) {
        ("projects", "id") => "c.project_id".to_owned(),
        ("threads", "id") => "c.thread_id".to_owned(),
        ("runs", "id") | ("messages", "turn") => "c.run_id".to_owned(),
        ("ledger_entries", "id") => "c.entry_id".to_owned(),
        ("messages", "id") => "CASE WHEN t.role = 1 THEN c.question_id ELSE c.answer_id END".to_owned(),
        (_, "account_id" | "project_id" | "thread_id" | "run_id") => format!("c.{column}"),
        (_, time) if time.ends_with("_at") => {
            format!("CASE WHEN t.{time} IS NULL THEN NULL ELSE c.made_at END")
        }
        (_, other) => format!("t.{other}"),
    }
}

/// Returns the database URL for the server, and the URL for the benchmark. With PostgreSQL, creates a database. With
/// SQLite, the first value is `None`, because the server chooses the path.
pub(crate) async fn database(server_url: Option<&str>, folder: &std::path::Path) -> Result<(Option<String>, String)> {
    let Some(server_url) = server_url else {
        let file = folder.join("data/runyard.db");
        return Ok((None, format!("sqlite://{}", file.display())));
    };
    let name = format!("growth_{}", Uuid::now_v7().simple());
    let db: DatabaseConnection = Database::connect(server_url).await?;
    db.execute_unprepared(&format!("CREATE DATABASE {name}")).await?;
    db.close().await?;
    let (server, _) = server_url
        .rsplit_once('/')
        .ok_or("the PostgreSQL URL names no database")?;
    let url = format!("{server}/{name}");
    Ok((Some(url.clone()), url))
}
