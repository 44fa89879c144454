//! Tests of the history of a thread after failed runs, and of the number of messages that one query reads.

use futures::future::join_all;
use reqwest::multipart::{Form, Part};
use runyard::{
    accounts::Scope,
    threads::messages::{self, Bound},
    v1,
};
use runyard_client::v1::thread_service_client::ThreadServiceClient;
use runyard_upstream::{Call, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::text;
use crate::test_server::{Caller, TEST_TIMEOUT, assert_no_gaps, kinds, on_every_database, on_every_database_with};

async fn messages(caller: &Caller, thread_id: &str) -> Vec<Value> {
    let listed = caller.get(&format!("/threads/{thread_id}/messages")).await.ok();
    listed["messages"].as_array().unwrap().clone()
}

async fn upload(caller: &Caller, name: &str) -> Value {
    let made = caller.post("/uploads", json!({"name": name, "size": 2})).await.ok();
    let path = format!("/uploads/{}", text(&made, "upload_id"));
    let request = caller.request("PUT", &path).json(&json!({"offset": 0, "data": "aGk="}));
    assert_eq!(request.send().await.unwrap().status(), 200);
    made["upload_id"].clone()
}

#[tokio::test]
async fn a_start_without_a_prompt_continues_and_names_its_files() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("Begin.").await;
            caller.ended(&first).await;
            let thread_id = text(&first, "thread_id");
            let before = messages(&caller, thread_id).await.len();

            // A StartRun request without a prompt and without files adds no message. The model continues from the
            // history of the thread.
            let run = caller.post("/agent/start", json!({"thread_id": thread_id})).await.ok();
            caller.ended(&run).await;
            let after = messages(&caller, thread_id).await;
            assert_eq!(after.len(), before + 1);
            assert_eq!(after[before]["role"], "assistant");

            let form = Form::new().text("thread_id", thread_id.to_owned());
            let form = form.part("files", Part::bytes(b"hi".to_vec()).file_name("form.txt"));
            caller.ended(&caller.form("/agent/start", form).await.ok()).await;
            for (name, prompt) in [("json.txt", Value::Null), ("empty.txt", json!(""))] {
                let files = [upload(&caller, name).await];
                let body = json!({"thread_id": thread_id, "files": files, "prompt": prompt});
                caller.ended(&caller.post("/agent/start", body).await.ok()).await;
            }
            let request = v1::StartRunRequest {
                thread_id: thread_id.to_owned(),
                files: vec![upload(&caller, "grpc.txt").await.as_str().unwrap().to_owned()],
                ..Default::default()
            };
            let answer = caller.runs().await.start_run(caller.signed(request)).await.unwrap();
            let run_id = answer.into_inner().agent_run_id;
            caller.ended(&json!({"agent_run_id": run_id})).await;

            let stored = messages(&caller, thread_id).await;
            let files: Vec<&Value> = stored.iter().map(|message| &message["files"]).collect();
            for name in ["form.txt", "json.txt", "empty.txt", "grpc.txt"] {
                assert!(files.contains(&&json!([name])), "{name}: {files:?}");
                let is_mentioned = server
                    .upstream
                    .requests()
                    .iter()
                    .any(|request| request.last_text().contains(name));
                assert!(is_mentioned, "the model should be told of {name}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_partial_answer_of_an_interrupted_run_is_kept_and_charged() {
    on_every_database(
        |gate| [Turn::words(10).gate_after(5, gate), Turn::text("Second.")],
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            let events = caller
                .request("GET", &format!("/agent-run/{}/stream", text(&first, "agent_run_id")))
                .timeout(TEST_TIMEOUT)
                .send();
            let mut events = events.await.unwrap();
            let mut seen = String::new();
            while !seen.contains("w4 ") {
                seen.push_str(&String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap()));
            }
            let before = caller.get("/billing/account-state").await.ok()["microcredits"].clone();
            let body = json!({"prompt": "y", "thread_id": first["thread_id"], "if_busy": "interrupt"});
            let second = caller.post("/agent/start", body).await.ok();
            assert_eq!(caller.ended(&second).await["status"], "completed");
            assert_no_gaps(&caller.events(&first, 0).await, 1);

            let listed = caller.get("/billing/usage-history").await.ok();
            let entries = listed["entries"].as_array().unwrap();
            let of_first: Vec<&Value> = entries
                .iter()
                .filter(|entry| entry["agent_run_id"] == first["agent_run_id"])
                .collect();
            assert_eq!(of_first.len(), 1, "{entries:?}");
            assert_eq!(of_first[0]["estimated"], true);
            assert!(of_first[0]["output_tokens"].as_i64().unwrap() > 0, "{entries:?}");
            let run = caller
                .get(&format!("/agent-run/{}", text(&first, "agent_run_id")))
                .await
                .ok();
            assert_eq!((&run["status"], &run["usage"]["steps"]), (&json!("stopped"), &json!(1)));
            let left = caller.get("/billing/account-state").await.ok()["microcredits"].clone();
            let spent: f64 = entries.iter().map(|entry| entry["credits"].as_f64().unwrap()).sum();
            let went = before.as_f64().unwrap() - left.as_f64().unwrap();
            assert!((went - spent * 1e6).abs() < 1.0, "{went} {spent}");

            let stored = messages(&caller, text(&first, "thread_id")).await;
            let roles: Vec<&str> = stored.iter().map(|message| text(message, "role")).collect();
            assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
            assert_eq!(stored[1]["partial"], true);
            assert!(text(&stored[1], "content").contains("w4 "), "{}", stored[1]);
        },
    )
    .await;
}

#[tokio::test]
async fn deeply_nested_arguments_leave_the_thread_readable() {
    let deep = format!("{{\"n\": {}1{}}}", "[".repeat(60), "]".repeat(60));
    on_every_database(
        |_| {
            [
                Turn::calls([Call::raw("bash", &deep)]),
                Turn::calls([Call::new("bash", &json!({"command": "true"}))]),
                Turn::text("ok"),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let thread_id = text(&run, "thread_id");
            let stored = messages(&caller, thread_id).await;
            let call = &stored[1]["tool_calls"][0];
            assert_eq!(
                (&call["arguments"], text(call, "invalid_arguments")),
                (&Value::Null, deep.as_str())
            );
            let shallow = &stored[3]["tool_calls"][0];
            assert_eq!(shallow["arguments"], json!({"command": "true"}));
            assert_eq!(shallow["invalid_arguments"], Value::Null);
            let mut threads = ThreadServiceClient::new(caller.channel().await);
            let request = v1::ListMessagesRequest {
                thread_id: thread_id.to_owned(),
                ..Default::default()
            };
            let listed = threads
                .list_messages(caller.signed(request))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(listed.messages.len(), stored.len());
            assert_eq!(
                listed.messages[1].tool_calls[0].invalid_arguments.as_deref(),
                Some(deep.as_str())
            );
        },
    )
    .await;
}

#[tokio::test]
async fn large_messages_shorten_pages_and_the_history_is_bounded() {
    const LARGE: usize = 1_000_000;
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let thread = caller.post("/threads", json!({})).await.ok();
            let thread_id = text(&thread, "thread_id");
            let path = format!("/threads/{thread_id}/messages");
            for number in 0..8 {
                let content = format!("{number}{}", "x".repeat(LARGE));
                caller.post(&path, json!({"content": content})).await.ok();
                caller.post(&path, json!({"content": "small"})).await.ok();
            }
            let mut threads = ThreadServiceClient::new(caller.channel().await);
            let (mut token, mut all) = (String::new(), Vec::new());
            loop {
                let request = v1::ListMessagesRequest {
                    thread_id: thread_id.to_owned(),
                    page_size: 200,
                    page_token: token,
                };
                // Like most gRPC clients, a tonic client accepts messages of up to 4 MiB.
                let page = threads
                    .list_messages(caller.signed(request))
                    .await
                    .unwrap()
                    .into_inner();
                assert!(!page.messages.is_empty() && page.messages.len() < 16);
                all.extend(page.messages);
                token = page.next_page_token;
                if token.is_empty() {
                    break;
                }
            }
            let lengths: Vec<usize> = all.iter().map(|message| message.content.len()).collect();
            assert_eq!(lengths, [LARGE + 1, 5].repeat(8));

            let run = caller.post("/agent/start", json!({"thread_id": thread_id})).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let bound = Bound {
                rows: 100,
                bytes: 2_500_000,
            };
            let run_id: Uuid = text(&run, "agent_run_id").parse().unwrap();
            let scope = Scope::system("a test reads a history");
            let history = messages::history(server.app().db.read(), scope, thread_id.parse().unwrap(), run_id, bound);
            let lengths: Vec<usize> = history.await.unwrap().iter().map(|row| row.content.len()).collect();
            assert_eq!(lengths, [5, LARGE + 1, 5, LARGE + 1, 5, 2]);
        },
    )
    .await;
}

#[tokio::test]
async fn text_that_the_database_refuses_does_not_affect_other_runs() {
    let refusal = json!({"error": {"message": "no\u{0}good", "type": "invalid_request_error"}}).to_string();
    on_every_database(
        |gate| {
            let (gate, refusal) = (gate.clone(), refusal.clone());
            Script::function(move |received| {
                if received.last_text().contains("bad") {
                    Turn::status(400).body(&refusal).held_by(&gate)
                } else {
                    Turn::words(20).held_by(&gate)
                }
            })
        },
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (good, bad) = (ann.start("good").await, bob.start("bad").await);
            server.upstream.wait_for(2).await;
            server.gate.open();
            assert_eq!(ann.ended(&good).await["status"], "completed");
            let ended = bob.ended(&bad).await;
            assert_eq!(ended["status"], "failed", "{ended}");
            assert!(
                !kinds(&ann.events(&good, 0).await).contains(&"notice"),
                "the run should not be resumed"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_write_that_the_database_refuses_does_not_affect_other_runs() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |received| {
                let is_bad = received.last_text().contains("bad");
                Turn::text(if is_bad { "poison" } else { "fine" }).held_by(&gate)
            })
        },
        |config| config.tiers[0].concurrent_runs = None,
        async |server| {
            let outside = server.outside().await;
            let (poison, cure) = if server.config.database_url.is_some() {
                let sql = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
                           CREATE TRIGGER refuse BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.content = 'poison') EXECUTE FUNCTION refuse()";
                (sql, "DROP TRIGGER refuse ON messages")
            } else {
                let sql = "CREATE TRIGGER refuse BEFORE INSERT ON messages WHEN NEW.content = 'poison' BEGIN SELECT RAISE(ABORT, 'refused'); END";
                (sql, "DROP TRIGGER refuse")
            };
            outside.execute_unprepared(poison).await.unwrap();
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let bad = bob.start("bad").await;
            let good = join_all((0..10).map(|_| ann.start("good"))).await;
            server.upstream.wait_for(11).await;
            server.gate.open();
            for run in &good {
                let events = ann.events(run, 0).await;
                assert_no_gaps(&events, 1);
                assert!(!kinds(&events).contains(&"notice"), "the run should not be resumed: {events:?}");
            }
            outside.execute_unprepared(cure).await.unwrap();
            assert_eq!(bob.ended(&bad).await["status"], "completed");
            assert_no_gaps(&bob.events(&bad, 0).await, 1);
            outside.close().await.unwrap();
        },
    )
    .await;
}
