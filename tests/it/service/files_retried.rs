//! Tests that files of repeated and concurrent StartRun requests are stored once, each under its own name.

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use runyard::config::Limits;
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::{each, put, text};
use crate::{
    difference::{assert_same_list, assert_same_set},
    test_server::{Caller, TestServer, on_every_database, on_every_database_with},
};

fn part(name: &str, content: &str) -> Part {
    Part::bytes(content.to_owned().into_bytes()).file_name(name.to_owned())
}

async fn names(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/sandboxes/{}/files", text(run, "sandbox_id"));
    each(&caller.get(&path).await.ok(), "files", "path")
}

async fn content(caller: &Caller, run: &Value, name: &str) -> String {
    let path = format!("/sandboxes/{}/files/content?path={name}", text(run, "sandbox_id"));
    caller.get(&path).await.text
}

fn staged(server: &TestServer) -> usize {
    std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count)
}

#[tokio::test]
async fn retrying_a_start_does_not_store_its_files_twice() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let form = |content: &str| {
                Form::new()
                    .text("prompt", "Look.")
                    .text("request_id", "one")
                    .part("files", part("data.csv", content))
            };
            let first = caller.form("/agent/start", form("a,b")).await.ok();
            for _ in 0..3 {
                assert_eq!(caller.form("/agent/start", form("a,b")).await.ok(), first);
                assert_eq!(staged(server), 0, "the second copy should be deleted");
            }
            let upload = caller
                .post("/uploads", json!({"name": "data.csv", "size": 3}))
                .await
                .ok();
            let path = format!("/uploads/{}", text(&upload, "upload_id"));
            put(&caller, &path, json!({"offset": 0, "data": "YSxi"})).await.ok();
            let again = json!({"prompt": "Look.", "request_id": "one", "files": [upload["upload_id"]]});
            for _ in 0..2 {
                assert_eq!(caller.post("/agent/start", again.clone()).await.ok(), first);
                assert_eq!(staged(server), 0);
            }
            let waiting = "SELECT COUNT(*) FROM uploads WHERE run_id IS NULL";
            assert_eq!(
                server.number(waiting).await,
                0,
                "no unused upload should count against the account"
            );
            // The server refuses a request with the same key and different content, and stores nothing for it.
            caller
                .form("/agent/start", form("c,d"))
                .await
                .refused(409, "REQUEST_KEY_REUSED");
            assert_eq!(staged(server), 0);
            caller.ended(&first).await;
            assert_eq!(names(&caller, &first).await, ["data.csv", "output"]);
            assert_eq!(content(&caller, &first, "data.csv").await, "a,b");
        },
    )
    .await;
}

async fn announced_files(caller: &Caller, run: &Value) -> Vec<Value> {
    let path = format!("/threads/{}/messages", text(run, "thread_id"));
    let messages = caller.get(&path).await.ok();
    let files = each(&messages, "messages", "files");
    files
        .iter()
        .flat_map(|files| files.as_array().unwrap().clone())
        .collect()
}

#[tokio::test]
async fn ten_concurrent_starts_with_one_file_name_store_ten_files() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("Begin.").await;
            caller.ended(&first).await;
            let starts = (0..10).map(|number| {
                // Each request uses its own thread, so no request waits for another. The files are no documents, so no
                // run waits for a parser.
                let form = Form::new()
                    .text("prompt", "Look.")
                    .text("project_id", text(&first, "project_id").to_owned())
                    .part("files", part("data.log", &number.to_string()));
                caller.form("/agent/start", form)
            });
            let (mut given, mut contents) = (Vec::new(), Vec::new());
            for answer in join_all(starts).await {
                let run = answer.ok();
                assert_eq!(caller.ended(&run).await["status"], "completed");
                let named = announced_files(&caller, &run).await;
                let [Value::String(name)] = named.as_slice() else {
                    panic!("the message should name one file, but names {named:?}");
                };
                contents.push(content(&caller, &run, name).await);
                given.push(name.clone());
            }
            let numbers = (2..=10).map(|number| format!("data-{number}.log"));
            let expected: Vec<String> = numbers.chain(["data.log".to_owned()]).collect();
            assert_same_set(&given, &expected, "names of the files");
            let whose: Vec<String> = (0..10).map(|number| number.to_string()).collect();
            assert_same_list(&contents, &whose, "each name should lead to the file of its own start");
        },
    )
    .await;
}

/// The server crashes between the commit of a run and the placement of its files. Meanwhile the agent of an earlier
/// run creates a file with the same name.
#[tokio::test]
async fn a_file_name_taken_in_the_meantime_gets_a_number() {
    on_every_database_with(
        |gate| [Turn::text("one").held_by(gate), Turn::text("two")],
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("Wait.").await;
            server.upstream.wait_for(1).await;
            let form = Form::new()
                .text("prompt", "Look.")
                .text("thread_id", text(&first, "thread_id").to_owned())
                .part("files", part("data.csv", "uploaded"))
                .part("files", part("other.csv", "another"));
            let second = caller.form("/agent/start", form).await.ok();
            assert_eq!(announced_files(&caller, &second).await, ["data.csv", "other.csv"]);
            // This recreates the state directly after the start's commit: both files are in the upload folder, and the
            // workspace already contains another file named data.csv.
            let outside = server.outside().await;
            let workspace = server.data_dir().join("workspaces").join(text(&second, "project_id"));
            let staged = server.data_dir().join("uploads");
            for name in ["data.csv", "other.csv"] {
                let upload_id = upload_of(&outside, name).await;
                std::fs::rename(workspace.join(name), staged.join(upload_id)).unwrap();
            }
            outside
                .execute_unprepared("UPDATE uploads SET placed = FALSE")
                .await
                .unwrap();
            std::fs::write(workspace.join("data.csv"), "the agent's").unwrap();
            server.gate.open();
            assert_eq!(caller.ended(&second).await["status"], "completed");
            assert_eq!(
                names(&caller, &second).await,
                ["data-2.csv", "data.csv", "other.csv", "output"]
            );
            for (name, expected) in [
                ("data.csv", "the agent's"),
                ("data-2.csv", "uploaded"),
                ("other.csv", "another"),
            ] {
                assert_eq!(content(&caller, &second, name).await, expected);
            }
            // The model and the thread receive the name under which the file was stored.
            let request = server.upstream.requests().remove(1);
            assert!(
                request
                    .last_text()
                    .contains("Files in /workspace: data-2.csv, other.csv"),
                "{}",
                request.last_text()
            );
            assert_eq!(announced_files(&caller, &second).await, ["data-2.csv", "other.csv"]);
        },
    )
    .await;
}

async fn upload_of(db: &DatabaseConnection, name: &str) -> String {
    let text = format!("SELECT id FROM uploads WHERE name = '{name}'");
    let statement = Statement::from_string(db.get_database_backend(), text);
    let row = db.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index::<Uuid>(0).unwrap().to_string()
}
