//! Tests of agent versions, of the tools and MCP servers of a version, and of generated icons.

use futures::future::join_all;
use runyard::v1;
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::requests::{BUILT_IN, each, patch, put, text};
use crate::{
    difference::assert_same_list,
    test_server::{Caller, on_every_database, on_every_database_with},
};

async fn made(caller: &Caller, body: Value) -> (Value, String) {
    let agent = caller.post("/agents", body).await.ok();
    let path = format!("/agents/{}", text(&agent, "agent_id"));
    (agent, path)
}

#[tokio::test]
async fn fifty_concurrent_new_versions_are_numbered_without_gaps() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "Agent", "system_prompt": "0"})).await;
            let versions = format!("{path}/versions");
            let body = |number: usize| json!({"system_prompt": format!("{}", number + 1)});
            let answers = join_all((0..50).map(async |number| {
                if number % 2 == 0 {
                    caller.post(&versions, body(number)).await.ok()["version_number"].clone()
                } else {
                    patch(&caller, &path, body(number)).await.ok()["current_version"]["version_number"].clone()
                }
            }));
            let mut numbers: Vec<i64> = answers.await.iter().map(|number| number.as_i64().unwrap()).collect();
            numbers.sort_unstable();
            assert_same_list(&numbers, &(2..=51).collect::<Vec<_>>(), "numbers of the versions");
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = caller
                    .get(&format!("{versions}?page_size=20&page_token={token}"))
                    .await
                    .ok();
                seen.extend(each(&page, "versions", "version_number"));
                text(&page, "next_page_token").clone_into(&mut token);
                if token.is_empty() {
                    break;
                }
            }
            let expected: Vec<_> = (1..=51).rev().map(|number| json!(number)).collect();
            assert_same_list(&seen, &expected, "versions on all pages");
            let listed = caller.get(&format!("{versions}?page_size=2")).await.ok();
            assert_eq!(each(&listed, "versions", "is_active"), [true, false]);
            let now = caller.get(&path).await.ok();
            assert_eq!(
                (&now["version_count"], &now["current_version_id"]),
                (&json!(51), &listed["versions"][0]["version_id"])
            );
            assert_ne!(now["current_version_id"], agent["current_version_id"]);
            let stolen = format!(
                "/agents/{}/versions?page_size=2",
                text(&made(&caller, json!({"name": "Other"})).await.0, "agent_id")
            );
            let stolen = format!("{stolen}&page_token={}", text(&listed, "next_page_token"));
            caller.get(&stolen).await.refused(400, "INVALID_PAGE_TOKEN");
        },
    )
    .await;
}

#[tokio::test]
async fn versions_are_activated_rolled_back_and_compared() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let (agent, path) = made(&caller, json!({"name": "Agent", "system_prompt": "One."})).await;
            let first = text(&agent, "current_version_id").to_owned();
            let mcp_server = json!({"name": "a", "type": "sse", "url": "https://a.example/sse"});
            let body = json!({"system_prompt": "Two.", "custom_mcps": [mcp_server], "agentpress_tools": {"skills": {"enabled": false}}});
            let second = caller.post(&format!("{path}/versions"), body).await.ok();
            assert_eq!((&second["version_name"], &second["is_active"]), (&json!("v2"), &json!(true)));
            assert_eq!(second["model"], agent["current_version"]["model"]);
            let second = text(&second, "version_id").to_owned();

            let compared = caller.get(&format!("{path}/versions/{first}/compare/{second}")).await.ok();
            assert_eq!(
                each(&compared, "differences", "field"),
                ["system_prompt", "custom_mcps", "agentpress_tools"]
            );
            assert_eq!((&compared["differences"][0]["before"], &compared["differences"][0]["after"]), (&json!("\"One.\""), &json!("\"Two.\"")));
            let after: Value = serde_json::from_str(text(&compared["differences"][1], "after")).unwrap();
            assert_eq!((&after[0]["name"], &after[0]["type"]), (&json!("a"), &json!("sse")));
            assert_eq!((&compared["version"]["version_id"], &compared["other_version"]["version_id"]), (&json!(first), &json!(second)));
            let same = caller.get(&format!("{path}/versions/{first}/compare/{first}")).await.ok();
            assert_eq!(same["differences"], json!([]));

            let activated = put(&caller, &format!("{path}/versions/{first}/activate"), json!({})).await.ok();
            assert_eq!((&activated["current_version_id"], &activated["version_count"]), (&json!(first), &json!(2)));
            assert_eq!(activated["current_version"]["system_prompt"], "One.");
            // A run uses the version that is current when it starts.
            let run = caller.post("/agent/start", json!({"prompt": "hi", "agent_id": agent["agent_id"]})).await.ok();
            assert_eq!(caller.ended(&run).await["agent_version_id"], json!(first));

            let rolled = caller.post(&format!("{path}/versions/{second}/rollback"), json!({})).await.ok();
            assert_eq!((&rolled["version_count"], &rolled["current_version"]["version_number"]), (&json!(3), &json!(3)));
            assert_eq!(rolled["current_version"]["system_prompt"], "Two.");
            assert_eq!(rolled["custom_mcps"][0]["type"], "sse");
            let third = text(&rolled, "current_version_id");
            assert!(third != first && third != second);
            put(&caller, &format!("{path}/versions/{first}/activate"), json!({})).await.ok();
            let fourth = patch(&caller, &path, json!({"system_prompt": "Four."})).await.ok();
            assert_eq!(fourth["current_version"]["version_number"], 4);
            let got = caller.get(&format!("{path}/versions/{second}")).await.ok();
            assert_eq!((&got["is_active"], &got["system_prompt"]), (&json!(false), &json!("Two.")));
        },
    )
    .await;
}

#[tokio::test]
async fn a_version_is_found_only_through_its_agent_and_owner() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let (agent, path) = made(&caller, json!({"name": "Agent"})).await;
            let (_, other) = made(&caller, json!({"name": "Other"})).await;
            let version = text(&agent, "current_version_id");
            caller.get(&format!("{path}/versions/{version}")).await.ok();
            caller
                .get(&format!("{other}/versions/{version}"))
                .await
                .refused(404, "AGENT_VERSION_NOT_FOUND");
            put(&caller, &format!("{other}/versions/{version}/activate"), json!({}))
                .await
                .refused(404, "AGENT_VERSION_NOT_FOUND");
            caller
                .post(&format!("{other}/versions/{version}/rollback"), json!({}))
                .await
                .refused(404, "AGENT_VERSION_NOT_FOUND");
            bob.get(&format!("{path}/versions/{version}"))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            bob.get(&format!("{path}/versions"))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            bob.post(&format!("{path}/versions"), json!({"system_prompt": "x"}))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            put(&bob, &format!("{path}/versions/{version}/activate"), json!({}))
                .await
                .refused(404, "AGENT_NOT_FOUND");
            assert_eq!(caller.get(&path).await.ok(), agent);
            let status = caller
                .agents()
                .await
                .get_agent_version(caller.signed(v1::GetAgentVersionRequest {
                    agent_id: text(&agent, "agent_id").to_owned(),
                    version_id: uuid::Uuid::now_v7().to_string(),
                }))
                .await
                .unwrap_err();
            assert_eq!(
                (status.code(), status.message()),
                (tonic::Code::NotFound, "Agent version not found")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn core_tools_are_always_on_and_chat_has_none() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let off = json!({"bash": {"enabled": false}, "skills": {"enabled": true}});
            let (agent, path) = made(&caller, json!({"name": "Agent", "agentpress_tools": off})).await;
            let tools = caller.get(&format!("{path}/tools")).await.ok();
            let others = ["ask_user", "remember", "recall", "forget", "skill", "task"];
            assert_eq!(each(&tools, "tools", "name"), [&BUILT_IN[..], &others].concat());
            for tool in tools["tools"].as_array().unwrap() {
                // The agent has no memory and no skills, and questions and subagents are off, so their tools are listed but not enabled.
                let is_core = json!(BUILT_IN.contains(&text(tool, "name")));
                assert_eq!((&tool["is_core"], &tool["enabled"]), (&is_core, &is_core));
                assert!(!text(tool, "description").is_empty());
                let schema: Value = serde_json::from_str(text(tool, "parameters_schema")).unwrap();
                assert_eq!(schema["type"], "object");
            }
            let start = |mode: &str| json!({"prompt": "hi", "agent_id": agent["agent_id"], "mode": mode});
            for mode in ["code", "chat"] {
                caller.ended(&caller.post("/agent/start", start(mode)).await.ok()).await;
            }
            let sent = server.upstream.requests();
            let names = |body: &Value| -> Vec<String> {
                let tools = body["tools"].as_array().cloned().unwrap_or_default();
                tools
                    .iter()
                    .map(|tool| text(&tool["function"], "name").to_owned())
                    .collect()
            };
            assert_eq!(names(&sent[0].body), BUILT_IN);
            assert!(names(&sent[1].body).is_empty());
        },
    )
    .await;
}

#[tokio::test]
async fn an_icon_is_chosen_by_the_model_or_derived_from_the_name() {
    let good = r##"{"icon_name": "scale", "icon_color": "#112233", "icon_background": "#FFEEDD"}"##;
    on_every_database(
        |_| {
            [
                Turn::text(good),
                Turn::text("How nice!"),
                Turn::text(&good.replace("scale", "skull")),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let ask = async || {
                caller
                    .post("/agents/generate-icon", json!({"name": "Lawyer"}))
                    .await
                    .ok()
            };
            let expected: Value = serde_json::from_str(good).unwrap();
            assert_eq!(ask().await, expected);
            let request = server.upstream.requests().remove(0);
            assert!(request.messages()[1]["content"].as_str().unwrap().contains("Lawyer"));
            let nonsense = ask().await;
            assert_ne!(nonsense, expected);
            // An icon name outside the icon library is also invalid. After an invalid answer, the server derives the
            // icon from the agent's name, so the result is always the same.
            assert_eq!(ask().await, nonsense);
            caller
                .post("/agents/generate-icon", json!({"name": ""}))
                .await
                .refused(400, "INVALID_REQUEST");
        },
    )
    .await;
    on_every_database_with(
        |_| Turn::text("never asked"),
        |config| config.providers.clear(),
        async |server| {
            let caller = server.caller("ann");
            let icon = caller
                .post("/agents/generate-icon", json!({"name": "Lawyer"}))
                .await
                .ok();
            assert!(server.upstream.requests().is_empty());
            let body = json!({"name": "Lawyer", "icon_name": icon["icon_name"], "icon_color": icon["icon_color"],
                "icon_background": icon["icon_background"]});
            made(&caller, body).await;
            let request = v1::GenerateAgentIconRequest {
                name: "lawyer".to_owned(),
            };
            let over_grpc = caller
                .agents()
                .await
                .generate_agent_icon(caller.signed(request))
                .await
                .unwrap();
            assert_eq!(json!(over_grpc.get_ref().icon_name), icon["icon_name"]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_new_version_clears_the_fields_in_its_mask() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let mcp_server = json!({"name": "a", "type": "sse", "url": "https://a.example/sse"});
            let other = json!({"name": "b", "type": "sse", "url": "https://b.example/sse"});
            let body = json!({"name": "Agent", "system_prompt": "One.", "custom_mcps": [mcp_server], "configured_mcps": [other],
                "agentpress_tools": {"skills": {"enabled": false}}});
            let (_, path) = made(&caller, body).await;
            let versions = format!("{path}/versions");
            // Without an update mask, an empty list changes nothing.
            let kept = caller.post(&versions, json!({"custom_mcps": []})).await.ok();
            assert_eq!(kept["custom_mcps"].as_array().unwrap().len(), 1);
            let body = json!({"update_mask": "custom_mcps,agentpress_tools", "system_prompt": "Not in the mask."});
            let cleared = caller.post(&versions, body).await.ok();
            assert_eq!((&cleared["custom_mcps"], &cleared["system_prompt"]), (&json!([]), &json!("One.")));
            assert_eq!(cleared["configured_mcps"].as_array().unwrap().len(), 1);
            assert!(cleared["agentpress_tools"].get("skills").is_none(), "{cleared}");
            let request = v1::CreateAgentVersionRequest {
                agent_id: path.rsplit('/').next().unwrap().to_owned(),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["configured_mcps".to_owned()],
                }),
                ..Default::default()
            };
            let over_grpc = caller.agents().await.create_agent_version(caller.signed(request)).await;
            assert!(over_grpc.unwrap().get_ref().configured_mcps.is_empty());
            for field in ["name", "nothing", "agent_id.x"] {
                let refused = caller.post(&versions, json!({"update_mask": field})).await;
                refused.refused(400, "INVALID_REQUEST");
            }
        },
    )
    .await;
}
