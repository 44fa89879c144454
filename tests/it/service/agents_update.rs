//! Tests that agents are updated, with or without a new version, and deleted while their runs continue.

use std::time::Duration;

use futures::future::join_all;
use runyard::v1;
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::requests::{delete, each, patch, put, text};
use crate::test_server::{Caller, TestServer, on_every_database};

async fn made(caller: &Caller, body: Value) -> (Value, String) {
    let agent = caller.post("/agents", body).await.ok();
    let path = format!("/agents/{}", text(&agent, "agent_id"));
    (agent, path)
}

async fn deleted(server: &TestServer) -> i64 {
    let db = server.outside().await;
    let sql = "SELECT count(*) AS n FROM agents WHERE deleted_at IS NOT NULL";
    let query = Statement::from_string(db.get_database_backend(), sql);
    let row = db.query_one_raw(query).await.unwrap().unwrap();
    let count = row.try_get::<i64>("", "n").unwrap();
    db.close().await.unwrap();
    count
}

#[tokio::test]
async fn a_change_of_configuration_creates_a_version_and_a_rename_does_not() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "First", "system_prompt": "One."})).await;
            let appearance = json!({"name": "Second", "description": "d", "icon_name": "scale", "icon_color": "#112233",
                "icon_background": "#445566", "is_public": true, "tags": ["law"]});
            let renamed = put(&caller, &path, appearance.clone()).await.ok();
            for (field, value) in appearance.as_object().unwrap() {
                assert_eq!(&renamed[field], value, "{field}");
            }
            assert_eq!(renamed["version_count"], 1);
            assert_eq!(renamed["current_version_id"], agent["current_version_id"]);
            let mcp_server = json!({"name": "a", "type": "http", "url": "https://a.example/mcp"});
            let other = json!({"name": "b", "type": "http", "url": "https://b.example/mcp"});
            let contents = [
                json!({"system_prompt": "Two."}),
                json!({"model": "kortix/basic"}),
                json!({"configured_mcps": [mcp_server]}),
                json!({"custom_mcps": [other]}),
                json!({"agentpress_tools": {"skills": {"enabled": true}}}),
            ];
            for (number, change) in (2..).zip(&contents) {
                let changed = patch(&caller, &path, change.clone()).await.ok();
                assert_eq!(changed["version_count"], number, "{change}");
                assert_eq!(changed["current_version"]["version_number"], number);
                let again = patch(&caller, &path, change.clone()).await.ok();
                assert_eq!(again, changed, "{change}");
            }
            let last = caller.get(&path).await.ok();
            assert_eq!(last["name"], "Second");
            assert_eq!(last["current_version"]["system_prompt"], "Two.");
            assert_eq!(last["current_version"]["model"], "kortix/basic");
            assert_eq!(last["configured_mcps"][0]["url"], "https://a.example/mcp");
            assert_eq!(last["custom_mcps"][0]["url"], "https://b.example/mcp");
            assert_eq!(last["agentpress_tools"]["skills"], json!({"enabled": true}));
            assert_eq!(last["agentpress_tools"]["bash"], json!({"enabled": true}));
        },
    )
    .await;
}

#[tokio::test]
async fn only_fields_in_the_body_change_and_null_clears_a_field() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mcp_server = json!({"name": "a", "type": "stdio", "command": "serve"});
            let body = json!({"name": "Agent", "description": "d", "icon_name": "scale", "icon_color": "#112233",
                "tags": ["a", "b"], "custom_mcps": [mcp_server], "system_prompt": "Mine.", "model": "kortix/basic"});
            let (agent, path) = made(&caller, body).await;
            let same = patch(&caller, &path, json!({})).await.ok();
            assert_eq!(same, agent);
            let cleared =
                json!({"description": null, "tags": [], "custom_mcps": [], "icon_name": null, "icon_color": null});
            let after = patch(&caller, &path, cleared).await.ok();
            assert_eq!(after["description"], Value::Null);
            assert_eq!((&after["tags"], &after["custom_mcps"]), (&json!([]), &json!([])));
            assert_eq!(
                (&after["icon_name"], &after["icon_color"]),
                (&json!("bot"), &json!("#000000"))
            );
            assert_eq!(after["current_version"]["system_prompt"], "Mine.");
            let defaults = patch(&caller, &path, json!({"system_prompt": null, "model": null}))
                .await
                .ok();
            let (fresh, _) = made(&caller, json!({"name": "Fresh"})).await;
            for field in ["system_prompt", "model"] {
                assert_eq!(
                    defaults["current_version"][field], fresh["current_version"][field],
                    "{field}"
                );
            }
            for wrong in [
                json!({"name": null}),
                json!({"name": "x"}),
                json!({"name": "x".repeat(101)}),
                json!({"icon_color": "#GGG"}),
                json!({"custom_mcps": [{"name": "a", "type": "http"}]}),
                json!({"colour": "red"}),
                json!({"expected_version_id": "nonsense"}),
            ] {
                patch(&caller, &path, wrong).await.refused(400, "INVALID_REQUEST");
            }
            let unknown = json!({"model": "no/such"});
            patch(&caller, &path, unknown).await.refused(400, "UNKNOWN_MODEL");
            assert_eq!(caller.get(&path).await.ok(), defaults);
            let bob = server.caller("bob");
            patch(&bob, &path, json!({"name": "Bob's"}))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            delete(&bob, &path).await.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn over_grpc_only_set_fields_or_fields_in_the_mask_change() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "Agent", "description": "d", "tags": ["a"]})).await;
            let mut grpc = caller.agents().await;
            let request = v1::UpdateAgentRequest {
                agent_id: text(&agent, "agent_id").to_owned(),
                name: Some("Other".to_owned()),
                ..Default::default()
            };
            let changed = grpc
                .update_agent(caller.signed(request.clone()))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(
                (changed.name.as_str(), changed.description.as_deref()),
                ("Other", Some("d"))
            );
            assert_eq!(changed.tags, ["a"]);
            let mask = |paths: &[&str]| {
                Some(prost_types::FieldMask {
                    paths: paths.iter().map(|path| (*path).to_owned()).collect(),
                })
            };
            let masked = v1::UpdateAgentRequest {
                name: Some("Ignored".to_owned()),
                update_mask: mask(&["description", "tags"]),
                ..request.clone()
            };
            let changed = grpc.update_agent(caller.signed(masked)).await.unwrap().into_inner();
            assert_eq!((changed.name.as_str(), changed.description.as_deref()), ("Other", None));
            assert!(changed.tags.is_empty());
            let wrong = v1::UpdateAgentRequest {
                update_mask: mask(&["created_at"]),
                ..request
            };
            let status = grpc.update_agent(caller.signed(wrong)).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::InvalidArgument);
            let status = grpc
                .delete_agent(caller.signed(v1::DeleteAgentRequest {
                    agent_id: text(&agent, "agent_id").to_owned(),
                }))
                .await;
            status.unwrap();
            caller.get(&path).await.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn a_hundred_concurrent_updates_leave_one_default_agent() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mut paths = Vec::new();
            for name in ["Anna", "Berta", "Carla"] {
                paths.push(made(&caller, json!({"name": name})).await.1);
            }
            let answers =
                join_all((0..100).map(|number| patch(&caller, &paths[number % 3], json!({"is_default": true}))));
            for answer in answers.await {
                assert_eq!(answer.ok()["is_default"], true);
            }
            let defaults = caller.get("/agents?is_default=true").await.ok();
            assert_eq!(defaults["agents"].as_array().unwrap().len(), 1);
            let others = caller.get("/agents?is_default=false").await.ok();
            assert_eq!(others["agents"].as_array().unwrap().len(), 2);
            let path = format!("/agents/{}", text(&defaults["agents"][0], "agent_id"));
            patch(&caller, &path, json!({"is_default": null})).await.ok();
            assert!(
                caller.get("/agents?is_default=true").await.ok()["agents"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
        },
    )
    .await;
}

#[tokio::test]
async fn of_two_updates_that_expect_the_same_version_one_succeeds() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "Agent"})).await;
            let expected = &agent["current_version_id"];
            let change = |number: usize| json!({"system_prompt": format!("{number}"), "expected_version_id": expected});
            let answers = join_all((0..20).map(|number| patch(&caller, &path, change(number)))).await;
            let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(won.len(), 1);
            for answer in lost {
                answer.refused(409, "CONTENDED");
            }
            let after = caller.get(&path).await.ok();
            assert_eq!(after["version_count"], 2);
            let request = v1::UpdateAgentRequest {
                agent_id: text(&agent, "agent_id").to_owned(),
                name: Some("Other".to_owned()),
                expected_version_id: expected.as_str().map(str::to_owned),
                ..Default::default()
            };
            let status = caller
                .agents()
                .await
                .update_agent(caller.signed(request))
                .await
                .unwrap_err();
            assert_eq!(status.code(), tonic::Code::Aborted);
            let current = json!({"name": "Other", "expected_version_id": after["current_version_id"]});
            assert_eq!(patch(&caller, &path, current).await.ok()["name"], "Other");
        },
    )
    .await;
}

#[tokio::test]
async fn deleting_an_agent_keeps_its_runs() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Aye.").held_by(&gate))
        },
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(
                &caller,
                json!({"name": "Pirate", "system_prompt": "Talk like a pirate."}),
            )
            .await;
            let start = json!({"prompt": "hi", "agent_id": agent["agent_id"]});
            let run = caller.post("/agent/start", start.clone()).await.ok();
            delete(&caller, &path).await.ok();
            let state = caller.get("/billing/account-state").await.ok();
            assert_eq!(state["agents"], json!({"used": 0, "limit": 3}));
            caller.get(&path).await.refused(404, "AGENT_NOT_FOUND");
            patch(&caller, &path, json!({"name": "Back"}))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            delete(&caller, &path).await.refused(404, "AGENT_NOT_FOUND");
            for below in ["versions", "tools"] {
                caller
                    .get(&format!("{path}/{below}"))
                    .await
                    .refused(404, "AGENT_NOT_FOUND");
            }
            let version = format!("{path}/versions/{}", text(&agent, "current_version_id"));
            caller.get(&version).await.refused(404, "AGENT_NOT_FOUND");
            caller.post("/agent/start", start).await.refused(404, "AGENT_NOT_FOUND");
            assert!(
                caller.get("/agents").await.ok()["agents"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            for _ in 0..3 {
                made(&caller, json!({"name": "Agent"})).await;
            }
            let state = caller.get("/billing/account-state").await.ok();
            assert_eq!(state["agents"], json!({"used": 3, "limit": 3}));
            caller
                .post("/agents", json!({"name": "Agent"}))
                .await
                .refused(402, "AGENT_LIMIT_EXCEEDED");
            // The run continues with the agent version with which it started.
            server.gate.open();
            let ended = caller.ended(&run).await;
            assert_eq!(
                (&ended["status"], &ended["agent_id"]),
                (&json!("completed"), &agent["agent_id"])
            );
            let sent = server.upstream.requests().remove(0);
            assert!(
                sent.messages()[0]["content"]
                    .as_str()
                    .unwrap()
                    .contains("Talk like a pirate.")
            );
            let thread = format!("/threads/{}/messages", text(&run, "thread_id"));
            assert_eq!(
                each(&caller.get(&thread).await.ok(), "messages", "role"),
                ["user", "assistant"]
            );
            // After a restart, the sweeper removes deleted agents that no unfinished run uses. Their finished runs
            // stay readable.
            assert_eq!(deleted(server).await, 1);
            server.restart().await;
            let swept = async {
                while deleted(server).await > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            tokio::time::timeout(crate::test_server::TEST_TIMEOUT, swept)
                .await
                .expect("the sweeper should remove the deleted agent");
            let caller = server.caller("ann");
            assert_eq!(caller.ended(&run).await["agent_id"], agent["agent_id"]);
            assert_eq!(each(&caller.get("/agents").await.ok(), "agents", "name"), ["Agent"; 3]);
        },
    )
    .await;
}

#[tokio::test]
async fn the_default_agent_cannot_be_deleted() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "Agent", "is_default": true})).await;
            delete(&caller, &path).await.refused(409, "CONFLICT");
            assert_eq!(caller.get(&path).await.ok(), agent);
            made(&caller, json!({"name": "Other", "is_default": true})).await;
            delete(&caller, &path).await.ok();
            assert_eq!(each(&caller.get("/agents").await.ok(), "agents", "name"), ["Other"]);
        },
    )
    .await;
}
