//! Tests of creating, renaming and deleting threads, and of adding messages.

use futures::future::join_all;
use runyard_client::v1::{self, thread_service_client::ThreadServiceClient};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::requests::{delete, each, patch, put, send, text};
use crate::test_server::on_every_database;

#[tokio::test]
async fn a_thread_is_created_in_a_new_or_an_existing_project() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let thread = caller.post("/threads", json!({"name": "Plans"})).await.ok();
            assert_eq!(thread["name"], "Plans");
            let project = caller
                .get(&format!("/projects/{}", text(&thread, "project_id")))
                .await
                .ok();
            assert_eq!(
                (&project["name"], &project["sandbox_id"]),
                (&json!("Plans"), &Value::Null)
            );
            let second = caller
                .post("/threads", json!({"project_id": thread["project_id"]}))
                .await
                .ok();
            // A thread without a name gets the beginning of its first prompt as its name. A named thread keeps its
            // name.
            for (thread, name) in [
                (&second, "Count to three"),
                (&second, "Count to three"),
                (&thread, "Plans"),
            ] {
                let start = json!({"prompt": "Count to three", "thread_id": thread["thread_id"], "mode": "chat"});
                caller.ended(&caller.post("/agent/start", start).await.ok()).await;
                let path = format!("/threads/{}", text(thread, "thread_id"));
                assert_eq!(caller.get(&path).await.ok()["name"], name);
            }
            assert_eq!(
                (&second["name"], &second["project_id"]),
                (&json!(""), &thread["project_id"])
            );
            assert_eq!(
                caller.get("/projects").await.ok()["projects"].as_array().unwrap().len(),
                1
            );
            let foreign = json!({"project_id": thread["project_id"]});
            bob.post("/threads", foreign).await.refused(404, "PROJECT_NOT_FOUND");
            caller
                .post("/threads", json!({"project_id": "x"}))
                .await
                .refused(400, "INVALID_REQUEST");
            caller
                .post("/threads", json!({"name": "x".repeat(201)}))
                .await
                .refused(400, "INVALID_REQUEST");
            let run = caller
                .post(
                    "/agent/start",
                    json!({"prompt": "hi", "thread_id": thread["thread_id"]}),
                )
                .await
                .ok();
            assert_eq!(caller.ended(&run).await["project_id"], thread["project_id"]);
            let path = format!("/threads/{}", text(&thread, "thread_id"));
            assert_eq!(
                put(&caller, &path, json!({"name": "Other"})).await.ok()["name"],
                "Other"
            );
            assert_eq!(patch(&caller, &path, json!({})).await.ok()["name"], "Other");
            assert_eq!(patch(&caller, &path, json!({"name": null})).await.ok()["name"], "");
            patch(&caller, &path, json!({"project_id": "x"}))
                .await
                .refused(400, "INVALID_REQUEST");
            patch(&bob, &path, json!({"name": "Bob's"}))
                .await
                .refused(404, "THREAD_NOT_FOUND");
            let mut grpc = ThreadServiceClient::new(caller.channel().await);
            let request = v1::UpdateThreadRequest {
                thread_id: text(&thread, "thread_id").to_owned(),
                name: Some("Over gRPC".to_owned()),
                update_mask: None,
            };
            let renamed = grpc.update_thread(caller.signed(request)).await.unwrap().into_inner();
            assert_eq!(renamed.name, "Over gRPC");
        },
    )
    .await;
}

#[tokio::test]
async fn the_plan_allows_exactly_ten_threads() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let answers = join_all((0..30).map(|_| caller.post("/threads", json!({"name": "x"})))).await;
            let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(made.len(), 10);
            for answer in refused {
                let detail = answer.refused(402, "THREAD_LIMIT_EXCEEDED")["detail"].clone();
                assert_eq!((&detail["current_count"], &detail["limit"]), (&json!(10), &json!(10)));
            }
            // The refused requests create no projects. After one thread is deleted, one more thread can be created.
            assert_eq!(
                caller.get("/projects").await.ok()["projects"].as_array().unwrap().len(),
                10
            );
            let thread = made[0].json();
            delete(&caller, &format!("/threads/{}", text(&thread, "thread_id")))
                .await
                .ok();
            caller.post("/threads", json!({"name": "x"})).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn the_next_run_sees_an_added_message() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let thread = caller.post("/threads", json!({})).await.ok();
            let path = format!("/threads/{}/messages", text(&thread, "thread_id"));
            let message = caller.post(&path, json!({"content": "I like blue."})).await.ok();
            assert_eq!(
                (&message["role"], &message["agent_run_id"]),
                (&json!("user"), &Value::Null)
            );
            caller
                .post(&path, json!({"content": "Noted.", "role": "assistant"}))
                .await
                .ok();
            for wrong in [
                json!({"content": ""}),
                json!({}),
                json!({"content": "x", "role": "tool"}),
                json!({"content": "x", "role": 77}),
                json!({"content": "a\u{0}b"}),
                json!({"content": "x".repeat(1024 * 1024 + 1)}),
            ] {
                caller.post(&path, wrong).await.refused(400, "INVALID_REQUEST");
            }
            bob.post(&path, json!({"content": "x"}))
                .await
                .refused(404, "THREAD_NOT_FOUND");
            let start = json!({"prompt": "Which colour?", "thread_id": thread["thread_id"], "mode": "chat"});
            caller.ended(&caller.post("/agent/start", start).await.ok()).await;
            let sent = server.upstream.requests().remove(0);
            let contents: Vec<&str> = sent
                .messages()
                .iter()
                .filter_map(|message| message["content"].as_str())
                .collect();
            assert_eq!((contents[1], contents[2]), ("I like blue.", "Noted."));
            caller
                .post(&path, json!({"content": "x".repeat(1024 * 1024)}))
                .await
                .ok();
            let mut grpc = ThreadServiceClient::new(caller.channel().await);
            let request = v1::AddMessageRequest {
                thread_id: text(&thread, "thread_id").to_owned(),
                content: "Over gRPC".to_owned(),
                role: v1::MessageRole::User.into(),
            };
            grpc.add_message(caller.signed(request)).await.unwrap();
            let listed = caller.get(&path).await.ok();
            assert_eq!(
                listed["messages"].as_array().unwrap().last().unwrap()["content"],
                "Over gRPC"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn deleting_a_thread_deletes_its_runs_unless_one_is_running() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Aye.").held_by(&gate))
        },
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let run = caller.start("hi").await;
            let path = format!("/threads/{}", text(&run, "thread_id"));
            delete(&caller, &path).await.refused(409, "CONFLICT");
            delete(&bob, &path).await.refused(404, "THREAD_NOT_FOUND");
            server.gate.open();
            caller.ended(&run).await;
            let mut grpc = ThreadServiceClient::new(caller.channel().await);
            let request = v1::DeleteThreadRequest {
                thread_id: text(&run, "thread_id").to_owned(),
            };
            grpc.delete_thread(caller.signed(request)).await.unwrap();
            caller.get(&path).await.refused(404, "THREAD_NOT_FOUND");
            caller
                .get(&format!("{path}/messages"))
                .await
                .refused(404, "THREAD_NOT_FOUND");
            let run_path = format!("/agent-run/{}", text(&run, "agent_run_id"));
            caller.get(&run_path).await.refused(404, "RUN_NOT_FOUND");
            caller
                .get(&format!("{run_path}/stream"))
                .await
                .refused(404, "RUN_NOT_FOUND");
            assert!(
                caller.get("/threads").await.ok()["threads"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            assert_eq!(
                each(&caller.get("/projects").await.ok(), "projects", "project_id"),
                [run["project_id"].clone()]
            );
            let gone = json!({"prompt": "hi", "thread_id": run["thread_id"]});
            caller.post("/agent/start", gone).await.refused(404, "THREAD_NOT_FOUND");
            send(&caller, "DELETE", &path, json!({}))
                .await
                .refused(404, "THREAD_NOT_FOUND");
        },
    )
    .await;
}
