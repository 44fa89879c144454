//! Tests of query plans: the cost of a statement must not grow with finished runs or other history.
//!
//! `plans/record.rs` records every SQL statement of every test. When a test server closes, [`check`] runs EXPLAIN on
//! the new statements. The test fails if a plan scans a table, sorts without a bound or reads all rows of an account.
//! This file lists the exceptions.

mod history;
mod postgres;
pub mod record;
mod schema;
mod sqlite;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};

use crate::test_server::{Caller, TestServer, on_every_database};
use runyard_upstream::Turn;

/// Partial indexes that stay small, no matter how long the service runs. Each entry is the index and a note on its
/// rows.
const SMALL: &[(&str, &str)] = &[
    (
        "accounts_suspended",
        "suspended accounts, which administrators suspend one by one",
    ),
    ("skills_by_account", "up to 100 skills per account"),
    ("skills_by_name", "up to 100 skills per account"),
    ("runs_unfinished", "unfinished runs"),
    ("runs_running", "unfinished runs"),
    ("runs_claimable", "unfinished runs"),
    ("runs_held", "recently interrupted runs"),
    ("runs_waiting", "waiting runs"),
    ("inputs_pending", "inputs of waiting runs"),
    ("inputs_expiring", "inputs of waiting runs"),
    ("inputs_tasks", "inputs of runs that wait for subagents"),
    ("uploads_waiting", "up to 300 per account"),
    ("uploads_coming", "files of starts in progress"),
    ("api_keys_in_use", "up to 100 per account"),
    ("agents_deleted", "the sweeper removes them"),
    ("agents_one_default", "one per account"),
    ("schedules_by_account", "up to 50 schedules per account"),
    ("schedules_due", "one row per schedule that is not paused"),
    (
        "schedule_runs_pending",
        "occurrences of the last moments, and up to ten more per schedule",
    ),
    ("account_secrets_by_account", "up to 100 secrets per account"),
    ("triggers_by_account", "up to 50 triggers per account"),
    ("shares_by_thread", "up to 20 shares per thread"),
    ("webhooks_by_account", "up to 20 webhooks per account"),
    ("webhooks_due", "webhooks with queued deliveries"),
    ("webhook_deliveries_new", "deliveries of the last moments"),
];

/// Partial indexes that are read page by page. Each entry is the index and the SQL condition of its rows.
const WALKED: &[(&str, &str)] = &[
    ("ledger_charges", "\"credited\" = (3)"),
    ("runs_completed", "\"status\" = (2)"),
    ("runs_failed", "\"status\" = (3)"),
    ("runs_stopped", "\"status\" = (4)"),
    ("threads_by_activity", "\"parent_run_id\" IS NULL"),
    ("schedule_runs_attempts", "\"outcome\" < (3)"),
    ("memories_of_account_by_change", "\"agent_id\" IS NULL"),
    ("agents_by_creation", "\"deleted_at\" IS NULL"),
    ("agents_by_change", "\"deleted_at\" IS NULL"),
    ("agents_by_name", "\"deleted_at\" IS NULL"),
];

/// Statements that may read or sort more rows than they return. Each entry is a part of the SQL text, and the reason
/// why the rows are bounded.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "\"search_text\" LIKE",
        "a search reads the agents of one account; they are created by hand and limited by the plan",
    ),
    ("json_each(tags)", "like the search above"),
    ("tags @>", "like the search above"),
    ("\"is_default\" = (TRUE)", "one default agent per account"),
    ("\"is_default\" = ?", "all agents of an account except its default"),
    ("\"is_default\" = $", "all agents of an account except its default"),
    (
        "\"memories\".\"text\" =",
        "the memories of one agent or account; their number is limited",
    ),
    (
        "\"accounts\".\"subject\" = $",
        "the accounts of one subject; one account per issuer",
    ),
    (
        "ORDER BY w.rank",
        "the index entries of one account that match; the number of memories is limited",
    ),
    (
        "ORDER BY ts_rank",
        "the memories of one agent or account; their number is limited",
    ),
    (
        "\"uploads\" WHERE \"uploads\".\"run_id\" IS NULL AND \"uploads\".\"created_at\" <",
        "waiting uploads; up to 300 per account",
    ),
];

/// Parts of statements that may sort, because an IN list of ids bounds the number of rows.
const SORTED: &[&str] = &["\"id\" IN (", "\"account_id\" IN ("];

fn is_small(index: &str) -> bool {
    SMALL.iter().any(|(name, _)| *name == index)
}

fn is_excepted(sql: &str) -> bool {
    EXCEPTIONS.iter().any(|(part, _)| sql.contains(part))
}

fn may_sort(sql: &str) -> bool {
    SORTED.iter().any(|part| sql.contains(part))
}

/// Runs EXPLAIN on the recorded statements that are new for this kind of database. Also checks the row counters.
pub async fn check(db: &DatabaseConnection) {
    schema::assert_counted(db).await;
    let backend = db.get_database_backend();
    let statements = record::take(backend);
    if statements.is_empty() {
        return;
    }
    let mut faults = Vec::new();
    match backend {
        DbBackend::Postgres => {
            history::fill(db).await;
            for sql in &statements {
                faults.extend(postgres::faults(db, sql).await);
            }
        }
        _ => {
            for sql in &statements {
                faults.extend(sqlite::faults(db, sql).await);
            }
        }
    }
    assert!(
        faults.is_empty(),
        "plans that grow with history:\n{}",
        faults.join("\n")
    );
}

async fn faults(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    match db.get_database_backend() {
        DbBackend::Postgres => postgres::faults(db, sql).await,
        _ => sqlite::faults(db, sql).await,
    }
}

/// Makes two schedules, triggers and secrets, and two runs of a schedule. Returns the path of this schedule.
async fn add_schedules(caller: &Caller) -> String {
    let mut path = String::new();
    for name in ["One", "Other"] {
        let schedule = json!({"name": name, "cron": "0 0 1 1 *", "prompt": "go"});
        let schedule = caller.post("/schedules", schedule).await.ok();
        path = format!("/schedules/{}", schedule["schedule_id"].as_str().unwrap());
        let secret = json!({"name": name, "value": "a secret value"});
        caller.post("/secrets", secret).await.ok();
        let trigger = json!({"name": name, "prompt": "{{body}}"});
        caller.post("/triggers", trigger).await.ok();
    }
    for _ in 0..2 {
        caller.post(&format!("{path}/run"), json!({})).await.ok();
    }
    path
}

async fn ask_for_accounts(server: &TestServer) {
    let root = server.caller_as("root", Some("super_admin"));
    root.get("/billing/account-state").await.ok();
    for filter in [
        "",
        "subject=ann",
        "subject_prefix=a",
        "tier_name=free",
        "suspended=true",
        "active_after=2026-01-01T00:00:00Z",
        "active_before=2100-01-01T00:00:00Z",
    ] {
        let path = format!("/admin/accounts?page_size=1&{filter}");
        let page = root.get(&path).await.ok();
        if let Some(token) = page["next_page_token"].as_str().filter(|token| !token.is_empty()) {
            root.get(&format!("{path}&page_token={token}")).await.ok();
        }
    }
}

async fn ask_for_all_lists(server: &TestServer) {
    let caller = server.caller("ann");
    let run = caller.ended(&caller.start("hello").await).await;
    let [run_id, thread_id, project_id] =
        ["agent_run_id", "thread_id", "project_id"].map(|field| run[field].as_str().unwrap().to_owned());
    let again = json!({"prompt": "again", "thread_id": thread_id});
    caller.ended(&caller.post("/agent/start", again).await.ok()).await;
    let agent = caller.post("/agents", json!({"name": "An agent"})).await.ok();
    let agent_id = agent["agent_id"].as_str().unwrap().to_owned();
    for holder in ["", &agent_id] {
        for fact in ["one fact", "another fact"] {
            let memory = json!({"agent_id": holder, "text": fact});
            caller.post("/memories", memory).await.ok();
        }
    }
    let schedule = add_schedules(&caller).await;
    for _ in 0..2 {
        let shares = format!("/threads/{thread_id}/shares");
        let made = caller.post(&shares, json!({})).await.ok();
        let read = json!({"token": made["token"], "page_size": 1});
        caller.post("/shared-thread/messages", read).await.ok();
    }
    let mut webhooks = Vec::new();
    for path in ["/one", "/other"] {
        let webhook = json!({"url": format!("https://localhost:1{path}")});
        let webhook = caller.post("/webhooks", webhook).await.ok();
        webhooks.push(webhook["webhook_id"].as_str().unwrap().to_owned());
    }
    let webhook_id = webhooks.remove(1);
    for _ in 0..2 {
        caller
            .post(&format!("/webhooks/{webhook_id}/test"), json!({}))
            .await
            .ok();
    }
    let time = "2026-01-01T00:00:00Z";
    let times = [
        String::new(),
        format!("created_after={time}"),
        format!("created_before={time}"),
        format!("created_after={time}&created_before={time}"),
    ];
    let mut paths: Vec<String> = [
        "/threads".to_owned(),
        format!("/threads?project_id={project_id}"),
        "/threads?search=hello".to_owned(),
        "/threads?search=nothing".to_owned(),
        format!("/threads?search=hello&project_id={project_id}"),
        "/projects".to_owned(),
        "/skills".to_owned(),
        "/agent-runs/active".to_owned(),
        "/agent-runs?status=waiting".to_owned(),
        "/inputs".to_owned(),
        format!("/inputs?agent_run_id={run_id}"),
        "/memories".to_owned(),
        "/webhooks".to_owned(),
        "/schedules".to_owned(),
        "/triggers".to_owned(),
        "/secrets".to_owned(),
        "/shares".to_owned(),
        format!("/threads/{thread_id}/shares"),
        format!("{schedule}/runs"),
        format!("/webhooks/{webhook_id}/deliveries"),
        "/memories?account_only=true".to_owned(),
        "/memories?search=fact".to_owned(),
        "/memories?search=fact&account_only=true".to_owned(),
        format!("/memories?agent_id={agent_id}"),
        format!("/memories?search=fact&agent_id={agent_id}"),
        format!("/threads/{thread_id}/messages"),
    ]
    .into();
    ask_for_accounts(server).await;
    for time in &times {
        for state in ["", "status=running", "status=completed"] {
            for of in [String::new(), format!("thread_id={thread_id}")] {
                paths.push(format!("/agent-runs?{}", [of.as_str(), state, time].join("&")));
            }
        }
        for of in [
            String::new(),
            format!("thread_id={thread_id}"),
            format!("agent_run_id={run_id}"),
            format!("thread_id={thread_id}&agent_run_id={run_id}"),
        ] {
            paths.push(format!("/billing/usage-history?{of}&{time}"));
        }
    }
    caller.get("/billing/account-state").await.ok();
    for path in paths {
        // The request for the second page has another plan, because its SQL statement has one more condition.
        let joined = if path.contains('?') { '&' } else { '?' };
        let first: Value = caller.get(&format!("{path}{joined}page_size=1")).await.ok();
        if let Some(token) = first["next_page_token"].as_str().filter(|token| !token.is_empty()) {
            caller
                .get(&format!("{path}{joined}page_size=1&page_token={token}"))
                .await
                .ok();
        }
    }
}

#[tokio::test]
async fn no_statement_of_a_list_or_a_run_grows_with_history() {
    on_every_database(
        |_| Turn::text("Done.").usage(10, 1),
        async |server| {
            ask_for_all_lists(server).await;
            let noted = record::noted(server.outside().await.get_database_backend());
            for part in ["UPDATE runs SET lease_owner", "FROM \"threads\"", "\"ledger_entries\""] {
                assert!(
                    noted.iter().any(|sql| sql.contains(part)),
                    "no recorded statement contains {part}"
                );
            }
            // When the server closes, after this block, `check` runs EXPLAIN on the recorded statements.
        },
    )
    .await;
}

#[tokio::test]
async fn a_plan_that_grows_with_history_is_reported() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            ask_for_all_lists(server).await;
            server.stop().await;
            server.explains = false;
            let db = server.outside().await;
            if db.get_database_backend() == DbBackend::Postgres {
                history::fill(&db).await;
            }
            // Each entry is an index and a part of the statements that need it. The plans of these statements have a
            // fault only without the index.
            for (index, part) in [
                ("runs_completed", "\"runs\".\"status\" = (2)"),
                ("runs_unfinished", "UPDATE runs SET lease_owner"),
                (
                    "threads_by_activity",
                    "FROM \"threads\" WHERE \"threads\".\"account_id\" = ",
                ),
                ("ledger_charges", "\"credited\" = (3)"),
            ] {
                let noted = record::noted(db.get_database_backend());
                let of_part: Vec<_> = noted.iter().filter(|sql| sql.contains(part)).collect();
                for sql in &of_part {
                    assert_eq!(faults(&db, sql).await, [""; 0], "{sql}");
                }
                let index_again = schema::take_index(&db, index).await;
                let mut found = Vec::new();
                for sql in &of_part {
                    found.extend(faults(&db, sql).await);
                }
                assert!(
                    !found.is_empty(),
                    "without {index} no fault is reported for {of_part:#?}"
                );
                db.execute_unprepared(&index_again).await.unwrap();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn postgres_connections_use_generic_plans() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let db = server.app().db.read();
            if db.get_database_backend() == DbBackend::Postgres {
                for (name, value) in postgres::SETTINGS {
                    let setting =
                        Statement::from_string(DbBackend::Postgres, format!("SELECT current_setting('{name}')"));
                    let row = db.query_one_raw(setting).await.unwrap().unwrap();
                    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), value, "{name}");
                }
            }
        },
    )
    .await;
}
