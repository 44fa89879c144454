//! Tests that threads and projects are listed in order of their latest activity, newest first.

use std::time::Duration;

use runyard_migrations::{Migrator, MigratorTrait};
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::{each, patch, text};
use crate::{
    difference::assert_same_list,
    test_server::{Caller, TestServer, on_every_database, on_every_database_with},
};

/// Time between two activities, so that their order is unambiguous.
const APART: Duration = Duration::from_mins(1);

fn done() -> Script {
    Script::function(|_| Turn::text("Done."))
}

async fn threads(caller: &Caller, query: &str) -> Vec<Value> {
    each(
        &caller.get(&format!("/threads?{query}")).await.ok(),
        "threads",
        "thread_id",
    )
}

async fn projects(caller: &Caller) -> Vec<Value> {
    each(&caller.get("/projects").await.ok(), "projects", "project_id")
}

async fn pages(caller: &Caller, path: &str, (list, field): (&str, &str)) -> Vec<Value> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let page = caller.get(&format!("{path}page_size=2&page_token={token}")).await.ok();
        found.extend(each(&page, list, field));
        text(&page, "next_page_token").clone_into(&mut token);
        if token.is_empty() {
            return found;
        }
    }
}

/// Starts six runs with random ids that the client chooses. Returns the ids of the threads and projects, newest
/// first.
async fn six_starts(server: &TestServer, caller: &Caller) -> (Vec<Value>, Vec<Value>) {
    let mut started = Vec::new();
    for number in 0..6 {
        let (thread_id, project_id) = (Uuid::new_v4(), Uuid::new_v4());
        let prompt = format!("number {number}");
        let start = json!({"optimistic": true, "thread_id": thread_id, "project_id": project_id, "prompt": prompt});
        caller.ended(&caller.post("/agent/start", start).await.ok()).await;
        started.push((json!(thread_id), json!(project_id)));
        server.clock.advance(APART);
    }
    started.into_iter().rev().unzip()
}

#[tokio::test]
async fn threads_and_projects_are_ordered_by_activity_even_with_client_ids() {
    on_every_database(
        |_| done(),
        async |server| {
            let caller = server.caller("ann");
            let (mut wanted, mut above) = six_starts(server, &caller).await;
            assert_same_list(&threads(&caller, "").await, &wanted, "threads");
            assert_same_list(&projects(&caller).await, &above, "projects");

            // A run, a message or a rename moves a thread and its project to the top.
            for (position, act) in [(3, "start"), (5, "say"), (2, "rename")] {
                let thread_id = wanted.remove(position);
                let path = format!("/threads/{}", thread_id.as_str().unwrap());
                match act {
                    "start" => {
                        let start = json!({"prompt": "again", "thread_id": thread_id});
                        caller.ended(&caller.post("/agent/start", start).await.ok()).await;
                    }
                    "say" => {
                        let message = json!({"content": "by the way"});
                        caller.post(&format!("{path}/messages"), message).await.ok();
                    }
                    _ => drop(patch(&caller, &path, json!({"name": act})).await.ok()),
                }
                server.clock.advance(APART);
                wanted.insert(0, thread_id);
                let project = above.remove(position);
                above.insert(0, project);
                assert_same_list(&threads(&caller, "").await, &wanted, act);
                assert_same_list(&projects(&caller).await, &above, act);
            }
            for list in ["threads", "projects"] {
                let listed = caller.get(&format!("/{list}")).await.ok();
                let times: Vec<String> = each(&listed, list, "updated_at").iter().map(Value::to_string).collect();
                assert!(times.is_sorted_by(|one, next| one > next), "{times:?}");
            }
            assert_eq!(threads(&server.caller("bob"), "").await, [Value::Null; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn creating_a_thread_moves_its_project_to_the_top() {
    on_every_database(
        |_| done(),
        async |server| {
            let caller = server.caller("ann");
            let (_, above) = six_starts(server, &caller).await;
            for body in [
                json!({"project_id": above[4]}),
                json!({"project_id": above[5], "prompt": "more"}),
            ] {
                let project_id = body["project_id"].clone();
                let path = if body["prompt"].is_null() {
                    "/threads"
                } else {
                    "/agent/start"
                };
                let made = caller.post(path, body).await.ok();
                assert_eq!(projects(&caller).await[0], project_id);
                let query = format!("project_id={}", project_id.as_str().unwrap());
                let listed = threads(&caller, &query).await;
                assert_eq!((listed.len(), &listed[0]), (2, &made["thread_id"]));
                server.clock.advance(APART);
            }
        },
    )
    .await;
}

#[tokio::test]
async fn pages_ordered_by_activity_contain_each_row_once() {
    on_every_database(
        |_| done(),
        async |server| {
            let caller = server.caller("ann");
            let (wanted, above) = six_starts(server, &caller).await;
            let found = pages(&caller, "/threads?", ("threads", "thread_id")).await;
            assert_same_list(&found, &wanted, "pages of threads");
            let found = pages(&caller, "/projects?", ("projects", "project_id")).await;
            assert_same_list(&found, &above, "pages of projects");
            let path = format!("/threads?project_id={}&", above[2].as_str().unwrap());
            assert_eq!(
                pages(&caller, &path, ("threads", "thread_id")).await,
                [wanted[2].clone()]
            );

            // If a thread moves to the top between two pages, the next page still continues after the first page.
            let first = caller.get("/threads?page_size=2").await.ok();
            let start = json!({"prompt": "again", "thread_id": wanted[5]});
            caller.ended(&caller.post("/agent/start", start).await.ok()).await;
            let token = text(&first, "next_page_token");
            let second = threads(&caller, &format!("page_token={token}")).await;
            assert_same_list(&second, &wanted[2..5], "the page after the first");

            // A page token is valid only for its caller and its query.
            for (caller, path) in [
                (server.caller("bob"), format!("/threads?page_token={token}")),
                (caller.clone(), format!("/projects?page_token={token}")),
                (
                    caller.clone(),
                    format!("/threads?project_id={}&page_token={token}", above[0].as_str().unwrap()),
                ),
            ] {
                caller.get(&path).await.refused(400, "INVALID_PAGE_TOKEN");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn threads_with_equal_timestamps_are_listed_once_each() {
    on_every_database_with(
        |_| done(),
        |config| config.tiers[0].threads = None,
        async |server| {
            let caller = server.caller("ann");
            for _ in 0..7 {
                caller.post("/threads", json!({"name": "same"})).await.ok();
            }
            let db = server.outside().await;
            db.execute_unprepared("UPDATE threads SET updated_at = '2026-01-01T00:00:00+00:00'")
                .await
                .unwrap();
            let mut found = pages(&caller, "/threads?", ("threads", "thread_id")).await;
            assert_eq!(found.len(), 7);
            found.sort_by_key(Value::to_string);
            found.dedup();
            assert_eq!(found.len(), 7);
        },
    )
    .await;
}

/// Inserts rows in the format of an earlier version, before the migration that adds counts and activity times.
async fn old_rows(db: &DatabaseConnection) {
    let day = |day: u8| format!("'2026-01-{day:02}T00:00:00.500+00:00'");
    let id = |number: u8| format!("'01900000-0000-7000-8000-0000000000{number:02}'");
    let (account, one, two) = (id(1), id(2), id(3));
    let mut statements = vec![format!(
        "INSERT INTO accounts (id, issuer, subject, tier, created_at) VALUES ({account}, '', 'ann', 'free', {})",
        day(1)
    )];
    for project in [&one, &two] {
        statements.push(format!(
            "INSERT INTO projects (id, account_id, name, created_at, updated_at) VALUES ({project}, {account}, '', {0}, {0})",
            day(2)
        ));
    }
    // Days of the last activity: thread 4 on day 9, with its newest run; thread 5 on day 7, after its only run;
    // thread 6, which has no runs, on day 4.
    for (thread, project, updated) in [(4, &one, 3), (5, &two, 7), (6, &two, 4)] {
        statements.push(format!(
            "INSERT INTO threads (id, account_id, project_id, name, created_at, updated_at) \
             VALUES ({}, {account}, {project}, '', {}, {})",
            id(thread),
            day(3),
            day(updated)
        ));
    }
    for (run, thread, created) in [(7, 4, 9), (8, 4, 8), (9, 5, 5)] {
        statements.push(format!(
            "INSERT INTO runs (id, account_id, thread_id, project_id, status, mode, model_used, lease_epoch, stop_requested, \
             steps, input_tokens, output_tokens, microcredits, created_at) \
             VALUES ({}, {account}, {}, {one}, 2, 'chat', 'model', 1, FALSE, 0, 0, 0, 0, {})",
            id(run),
            id(thread),
            day(created)
        ));
    }
    for (agent, deleted) in [(10, "NULL".to_owned()), (11, day(4))] {
        statements.push(format!(
            "INSERT INTO agents (id, account_id, name, icon_name, icon_color, icon_background, is_default, is_public, tags, \
             current_version_id, version_count, created_at, updated_at, deleted_at) \
             VALUES ({0}, {account}, '', '', '', '', FALSE, FALSE, '[]', {0}, 1, {1}, {1}, {deleted})",
            id(agent),
            day(2)
        ));
    }
    for sql in statements {
        db.execute_unprepared(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn rows_of_an_earlier_version_are_ordered_and_counted() {
    on_every_database(
        |_| done(),
        async |server| {
            server.stop().await;
            let db = server.outside().await;
            let (drop_all, kind) = match db.get_database_backend() {
                DbBackend::Postgres => ("DROP SCHEMA public CASCADE; CREATE SCHEMA public", "::text"),
                _ => ("", ""),
            };
            // On SQLite, the test uses a new database. On PostgreSQL, the test clears the database of the test
            // server.
            let folder = tempfile::tempdir().unwrap();
            let db = if drop_all.is_empty() {
                let url = format!("sqlite://{}?mode=rwc", folder.path().join("old.db").display());
                sea_orm::Database::connect(url).await.unwrap()
            } else {
                db.execute_unprepared(drop_all).await.unwrap();
                db
            };
            Migrator::up(&db, Some(5)).await.unwrap();
            old_rows(&db).await;
            Migrator::up(&db, None).await.unwrap();

            let texts = async |sql: &str| {
                let statement = Statement::from_string(db.get_database_backend(), sql);
                let rows = db.query_all_raw(statement).await.unwrap();
                let text = |row: &sea_orm::QueryResult| row.try_get_by_index::<String>(0).unwrap();
                rows.iter().map(text).collect::<Vec<_>>().join(" ")
            };
            let days =
                |table: &str| format!("SELECT substr(CAST(updated_at AS text), 9, 2){kind} FROM {table} ORDER BY id");
            assert_eq!(texts(&days("threads")).await, "09 07 04");
            assert_eq!(texts(&days("projects")).await, "09 07");
            let counts = "SELECT CAST(agents AS text) || '/' || CAST(threads AS text) || '/' || CAST(projects AS text) \
                FROM accounts";
            assert_eq!(texts(counts).await, "1/3/2");
            // From now on, triggers update the counts, even when a cascading foreign key deletes rows.
            for (change, counted) in [
                (
                    "DELETE FROM projects WHERE updated_at < '2026-01-08T00:00:00+00:00'",
                    "1/1/1",
                ),
                ("UPDATE agents SET deleted_at = NULL", "2/1/1"),
                ("UPDATE agents SET deleted_at = created_at", "0/1/1"),
                ("DELETE FROM agents", "0/1/1"),
                ("DELETE FROM projects", "0/0/0"),
            ] {
                db.execute_unprepared(change).await.unwrap();
                assert_eq!(texts(counts).await, counted, "{change}");
            }
        },
    )
    .await;
}
