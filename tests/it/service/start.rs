//! Tests of `StartRun`: the documented request and answer, and the refusals.

use reqwest::multipart::{Form, Part};
use runyard_upstream::Turn;
use serde_json::json;
use uuid::Uuid;

use crate::test_server::{Answer, assert_no_gaps, kinds, on_every_database};

#[tokio::test]
async fn the_documented_exchange_over_a_form() {
    on_every_database(
        |_| Turn::text("Done."),
        async |server| {
            let caller = server.caller("ann");
            let form = Form::new()
                .text("prompt", "Analyze data.csv and create visualizations")
                .part("files", Part::bytes(b"a,b\n1,2\n".to_vec()).file_name("data.csv"));
            let answer = caller.form("/agent/start", form).await;
            assert_eq!(answer.header("content-type"), "application/json");
            let started = answer.ok();
            let keys: Vec<_> = started.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(
                keys,
                ["thread_id", "agent_run_id", "project_id", "sandbox_id", "status"]
            );
            assert_eq!(started["status"], "running");
            for key in ["agent_run_id", "project_id", "sandbox_id", "thread_id"] {
                assert!(Uuid::parse_str(started[key].as_str().unwrap()).is_ok(), "{key}");
            }
            let events = caller.events(&started, 0).await;
            assert_no_gaps(&events, 1);
            assert_eq!(
                kinds(&events),
                ["status", "message_delta", "message", "usage", "status"]
            );
            let run = caller.ended(&started).await;
            assert_eq!(run["status"], "completed");
            // The request to the model contains the path of the file, and the file exists at that path.
            let request = server.upstream.requests().remove(0);
            assert!(
                request.last_text().contains("Files in /workspace: data.csv"),
                "{:?}",
                request.body
            );
            let sandbox = started["sandbox_id"].as_str().unwrap();
            let file = caller
                .get(&format!("/sandboxes/{sandbox}/files/content?path=data.csv"))
                .await;
            assert_eq!((file.status, file.text.as_str()), (200, "a,b\n1,2\n"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_start_without_files_returns_no_sandbox_id() {
    on_every_database(
        |_| Turn::text("Hello."),
        async |server| {
            let caller = server.caller("ann");
            let answer = caller.post("/agent/start", json!({"prompt": "hi"})).await.ok();
            let keys: Vec<_> = answer.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["thread_id", "agent_run_id", "project_id", "status"]);
            caller.ended(&answer).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_start_does_not_wait_for_the_model() {
    on_every_database(
        |gate| Turn::text("Late.").held_by(gate),
        async |server| {
            let caller = server.caller("ann");
            let started = caller.start("hi").await;
            server.upstream.wait_for(1).await;
            let run = caller
                .get(&format!("/agent-run/{}", started["agent_run_id"].as_str().unwrap()))
                .await
                .ok();
            assert_eq!(run["status"], "running");
            server.gate.open();
            assert_eq!(caller.ended(&started).await["status"], "completed");
        },
    )
    .await;
}

#[tokio::test]
async fn a_second_run_of_a_thread_sees_its_history() {
    on_every_database(
        |_| [Turn::text("Blue."), Turn::text("I said blue.")],
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("What colour?").await;
            caller.ended(&first).await;
            let body = json!({"prompt": "What did you say?", "thread_id": first["thread_id"]});
            let second = caller.post("/agent/start", body).await.ok();
            assert_eq!(second["thread_id"], first["thread_id"]);
            assert_eq!(second["project_id"], first["project_id"]);
            caller.ended(&second).await;
            let sent: Vec<String> = server.upstream.requests()[1]
                .messages()
                .iter()
                .filter(|message| message["role"] != "system")
                .map(|message| message["content"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(sent, ["What colour?", "Blue.", "What did you say?"]);
            let thread = first["thread_id"].as_str().unwrap();
            let messages = caller.get(&format!("/threads/{thread}/messages")).await.ok();
            let roles: Vec<_> = messages["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["role"].clone())
                .collect();
            assert_eq!(roles, ["user", "assistant", "user", "assistant"]);
        },
    )
    .await;
}

#[tokio::test]
async fn refusals_have_the_documented_wording_and_leave_nothing_behind() {
    on_every_database(
        |_| Turn::text("Never."),
        async |server| {
            let caller = server.caller("ann");
            let no_prompt = caller
                .post("/agent/start", json!({}))
                .await
                .refused(400, "INVALID_REQUEST");
            assert_eq!(no_prompt, json!({"detail": "prompt required when creating new thread"}));
            let optimistic = caller
                .post("/agent/start", json!({"prompt": "x", "optimistic": true}))
                .await;
            let detail = optimistic.refused(400, "INVALID_REQUEST");
            assert_eq!(
                detail,
                json!({"detail": "thread_id and project_id required for optimistic mode"})
            );
            let unknown = caller
                .post("/agent/start", json!({"prompt": "x", "thread_id": Uuid::now_v7()}))
                .await;
            assert_eq!(
                unknown.refused(404, "THREAD_NOT_FOUND"),
                json!({"detail": "Thread not found"})
            );
            let bad_id = caller
                .post("/agent/start", json!({"prompt": "x", "thread_id": "770fa622-g4bd"}))
                .await;
            bad_id.refused(400, "INVALID_REQUEST");
            let model = caller
                .post("/agent/start", json!({"prompt": "x", "model_name": "no/such"}))
                .await;
            model.refused(400, "UNKNOWN_MODEL");
            let mode = caller.post("/agent/start", json!({"prompt": "x", "mode": "fly"})).await;
            mode.refused(400, "INVALID_REQUEST");
            let list = caller.post("/agent/start", json!([])).await;
            assert_eq!(
                list.refused(400, "INVALID_REQUEST"),
                json!({"detail": "the body must be an object"})
            );
            let field = caller
                .post("/agent/start", json!({"prompt": "x", "colour": "red"}))
                .await;
            assert!(
                field.refused(400, "INVALID_REQUEST")["detail"]
                    .as_str()
                    .unwrap()
                    .contains("colour")
            );
            let form = Form::new().part("files", Part::bytes(b"x".to_vec()).file_name("data.csv"));
            caller.form("/agent/start", form).await.refused(400, "INVALID_REQUEST");
            let unauthenticated = server
                .http
                .post(server.url("/agent/start"))
                .json(&json!({"prompt": "x"}))
                .send()
                .await
                .unwrap();
            let unauthenticated = Answer::of(unauthenticated).await;
            assert_eq!(unauthenticated.header("www-authenticate"), "Bearer");
            assert_eq!(
                unauthenticated.refused(401, "NOT_AUTHENTICATED"),
                json!({"detail": "Not authenticated"})
            );

            for list in ["/agent-runs", "/threads", "/projects"] {
                let listed = caller.get(list).await.ok();
                let rows = listed
                    .as_object()
                    .unwrap()
                    .values()
                    .find_map(|value| value.as_array())
                    .unwrap();
                assert!(rows.is_empty(), "{list}: {listed}");
            }
            let staged = std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count);
            assert_eq!(staged, 0);
            caller.ended(&caller.start("x").await).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_second_start_with_the_same_key_returns_the_first_run() {
    on_every_database(
        |_| [Turn::text("Once."), Turn::text("Twice.")],
        async |server| {
            let caller = server.caller("ann");
            let send = |body: serde_json::Value| {
                let request = caller
                    .request("POST", "/agent/start")
                    .header("Idempotency-Key", "k1")
                    .json(&body);
                async move { Answer::of(request.send().await.unwrap()).await }
            };
            let first = send(json!({"prompt": "x"})).await.ok();
            let again = send(json!({"prompt": "x"})).await.ok();
            assert_eq!(first, again);
            send(json!({"prompt": "y"})).await.refused(409, "REQUEST_KEY_REUSED");
            caller.ended(&first).await;
            // Another account may use the same idempotency key, because each account has its own keys.
            let other = server.caller("bob");
            let request = other
                .request("POST", "/agent/start")
                .header("Idempotency-Key", "k1")
                .json(&json!({"prompt": "y"}));
            let theirs = Answer::of(request.send().await.unwrap()).await.ok();
            assert_ne!(theirs["agent_run_id"], first["agent_run_id"]);
            other.ended(&theirs).await;
        },
    )
    .await;
}

#[tokio::test]
async fn client_supplied_ids_are_used_once_and_never_cross_accounts() {
    on_every_database(
        |_| [Turn::text("Mine."), Turn::text("Theirs.")],
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (thread_id, project_id) = (Uuid::new_v4(), Uuid::new_v4());
            let body = json!({"prompt": "x", "optimistic": true, "thread_id": thread_id, "project_id": project_id});
            let first = ann.post("/agent/start", body.clone()).await.ok();
            assert_eq!(first["thread_id"], thread_id.to_string());
            assert_eq!(first["project_id"], project_id.to_string());
            assert_eq!(ann.post("/agent/start", body.clone()).await.ok(), first);
            let stolen = bob.post("/agent/start", body).await.refused(404, "THREAD_NOT_FOUND");
            assert_eq!(stolen, json!({"detail": "Thread not found"}));
            let half =
                json!({"prompt": "x", "optimistic": true, "thread_id": Uuid::new_v4(), "project_id": project_id});
            bob.post("/agent/start", half).await.refused(404, "THREAD_NOT_FOUND");
            ann.ended(&first).await;
            assert!(bob.get("/threads").await.ok()["threads"].as_array().unwrap().is_empty());
        },
    )
    .await;
}
