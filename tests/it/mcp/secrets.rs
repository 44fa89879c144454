//! Tests that the header values of MCP servers are stored encrypted and never returned.

use runyard_upstream::Turn;
use serde_json::{Value, json};

use super::{calls, http, permit_loopback, run_of, server::McpServer};
use crate::{
    service::requests::{patch, text},
    test_server::on_every_database_with,
};

fn with_key(url: &str, key: &str) -> Value {
    let mut entry = http("box", url);
    entry["headers"] = json!({"X-Key": key});
    entry
}

#[tokio::test]
async fn a_header_value_is_kept_behind_its_placeholder() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "x"})),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let body = json!({"name": "An agent", "custom_mcps": [with_key(&remote.url, "the secret key")]});
            let made = caller.post("/agents", body).await.ok();
            assert_eq!(made["custom_mcps"][0]["headers"], json!({"X-Key": "***"}));
            let path = format!("/agents/{}", text(&made, "agent_id"));
            // The client sends back the entry that it received, with another tool list.
            let mut entry = made["custom_mcps"][0].clone();
            entry["enabled_tools"] = json!(["echo"]);
            let changed = patch(&caller, &path, json!({"custom_mcps": [entry]})).await.ok();
            assert_eq!(changed["version_count"], 2);
            // Sending the placeholder or the stored value is no change.
            for same in ["***", "the secret key"] {
                entry["headers"]["X-Key"] = json!(same);
                let unchanged = patch(&caller, &path, json!({"custom_mcps": [entry]})).await.ok();
                assert_eq!(unchanged["version_count"], 2, "{same}");
            }
            entry["headers"]["X-Key"] = json!("another key");
            let changed = patch(&caller, &path, json!({"custom_mcps": [entry]})).await.ok();
            assert_eq!(changed["version_count"], 3);
            let versions = caller.get(&format!("{path}/versions")).await.ok();
            let id = |at: usize| text(&versions["versions"][at], "version_id").to_owned();
            let compare = format!("{path}/versions/{}/compare/{}", id(1), id(0));
            let compared = caller.get(&compare).await.ok();
            assert_eq!(compared["differences"][0]["field"], "custom_mcps", "{compared}");
            for answer in [&versions, &compared, &caller.get(&path).await.ok()] {
                let answer = answer.to_string();
                assert!(
                    !answer.contains("secret key") && !answer.contains("another key"),
                    "{answer}"
                );
            }
            for sql in [
                "SELECT COUNT(*) FROM agent_versions WHERE CAST(custom_mcps AS TEXT) LIKE '% key%'",
                "SELECT COUNT(*) FROM agent_versions WHERE CAST(custom_mcps AS TEXT) LIKE '%sealed%'",
            ] {
                let expected = if sql.contains("sealed") { 3 } else { 0 };
                assert_eq!(server.number(sql).await, expected, "{sql}");
            }
            run_of(&caller, &changed).await;
            assert!(remote.seen.keys.lock().unwrap().iter().all(|key| key == "another key"));
            assert!(!remote.seen.keys.lock().unwrap().is_empty());
        },
    )
    .await;
}

#[tokio::test]
async fn a_stored_value_is_not_sent_to_another_address() {
    on_every_database_with(
        |_| Turn::text("x"),
        permit_loopback,
        async |server| {
            let (remote, other) = (McpServer::start(None).await, McpServer::start(None).await);
            let caller = server.caller("ann");
            let body = json!({"name": "An agent", "custom_mcps": [with_key(&remote.url, "the secret key")]});
            let made = caller.post("/agents", body.clone()).await.ok();
            let path = format!("/agents/{}", text(&made, "agent_id"));
            let moved = json!({"custom_mcps": [with_key(&other.url, "***")]});
            patch(&caller, &path, moved).await.refused(400, "INVALID_REQUEST");
            let test = async |entry: Value, agent: bool| {
                let agent_id = if agent { text(&made, "agent_id") } else { "" };
                let body = json!({"server": entry, "agent_id": agent_id});
                caller.post("/agents/test-mcp-server", body).await
            };
            test(with_key(&other.url, "***"), true)
                .await
                .refused(400, "INVALID_REQUEST");
            test(with_key(&remote.url, "***"), false)
                .await
                .refused(400, "INVALID_REQUEST");
            let good = test(with_key(&remote.url, "***"), true).await.ok();
            assert_eq!(good["connected"], true, "{good}");
            assert!(other.seen.keys.lock().unwrap().is_empty());
            assert!(
                remote
                    .seen
                    .keys
                    .lock()
                    .unwrap()
                    .iter()
                    .all(|key| key == "the secret key")
            );
            // A new agent has no stored values, and another account cannot use the values of this agent.
            let fresh = json!({"name": "Another", "custom_mcps": [with_key(&remote.url, "***")]});
            caller.post("/agents", fresh).await.refused(400, "INVALID_REQUEST");
            let body = json!({"server": with_key(&remote.url, "***"), "agent_id": made["agent_id"]});
            let stranger = server.caller("bob").post("/agents/test-mcp-server", body).await;
            stranger.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}
