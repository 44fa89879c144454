//! Tests of agents: creation, validation, reads, lists and search.

use futures::future::join_all;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use runyard_upstream::Turn;
use serde_json::json;

use crate::test_server::{Answer, on_every_database, on_every_database_with};

#[tokio::test]
async fn an_agent_has_the_documented_fields_in_order() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let body = json!({
                "name": "Code Assistant", "icon_name": "code", "icon_color": "#6366F1", "icon_background": "#EEF2FF",
                "is_default": false, "system_prompt": "You are an expert.",
            });
            let answer = caller.post("/agents", body).await;
            let text = answer.text.clone();
            let agent = answer.ok();
            let mut at = 0;
            for key in [
                "agent_id",
                "name",
                "description",
                "icon_name",
                "icon_color",
                "icon_background",
                "is_default",
                "is_public",
                "tags",
                "current_version_id",
                "version_count",
                "current_version",
                "version_id",
                "version_number",
                "version_name",
                "system_prompt",
                "model",
                "is_active",
            ] {
                let found = text[at..].find(&format!("\"{key}\":"));
                at += found.unwrap_or_else(|| panic!("{key} is missing or out of the documented order: {text}"));
            }
            assert_eq!(agent["description"], json!(null));
            assert_eq!(agent["tags"], json!([]));
            assert_eq!(agent["version_count"], 1);
            let version = &agent["current_version"];
            assert_eq!(
                (&version["version_name"], &version["version_number"]),
                (&json!("v1"), &json!(1))
            );
            assert_eq!(version["agent_id"], agent["agent_id"]);
            assert_eq!(version["version_id"], agent["current_version_id"]);
            assert_eq!(version["system_prompt"], "You are an expert.");
            for tool in ["bash", "read", "write", "edit", "glob", "grep"] {
                assert_eq!(agent["agentpress_tools"][tool], json!({"enabled": true}));
            }
            let got = caller
                .get(&format!("/agents/{}", agent["agent_id"].as_str().unwrap()))
                .await
                .ok();
            assert_eq!(got, agent);
            assert_eq!(caller.get("/v1/agents").await.ok()["agents"], json!([agent]));
        },
    )
    .await;
}

#[tokio::test]
async fn an_invalid_agent_is_refused_with_the_reason() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let missing = caller.post("/agents", json!({})).await.refused(400, "INVALID_REQUEST");
            assert_eq!(missing, json!({"detail": "Agent name is required"}));
            for wrong in [
                json!({"name": "x"}),
                json!({"name": "x".repeat(101)}),
                json!({"name": "ok", "icon_color": "#GGG"}),
                json!({"name": "ok", "icon_name": "<script>"}),
                json!({"name": "ok", "custom_mcps": [{"name": "a", "type": "http"}]}),
                json!({"name": "ok", "custom_mcps": [{"name": "a", "type": "pigeon", "url": "https://x"}]}),
            ] {
                caller
                    .post("/agents", wrong.clone())
                    .await
                    .refused(400, "INVALID_REQUEST");
            }
            caller
                .post("/agents", json!({"name": "ok", "model": "no/such"}))
                .await
                .refused(400, "UNKNOWN_MODEL");
            caller.post("/agents", json!({"name": "ü".repeat(100)})).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn the_plan_allows_exactly_three_agents() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            let body = json!({"name": "Agent", "is_default": true});
            let answers = join_all((0..20).map(|_| caller.post("/agents", body.clone()))).await;
            let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!(made.len(), 3);
            for answer in refused {
                let expected = json!({"detail": {
                    "message": "Maximum of 3 agents allowed for your current plan. You have 3 agents.",
                    "current_count": 3, "limit": 3, "tier_name": "free", "error_code": "AGENT_LIMIT_EXCEEDED",
                }});
                assert_eq!(answer.refused(402, "AGENT_LIMIT_EXCEEDED"), expected);
            }
            let listed = caller.get("/agents").await.ok();
            let defaults = listed["agents"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|agent| agent["is_default"] == true);
            assert_eq!(defaults.count(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_uses_the_default_agents_prompt() {
    on_every_database(
        |_| Turn::text("Aye."),
        async |server| {
            let caller = server.caller("ann");
            let body = json!({"name": "Pirate", "is_default": true, "system_prompt": "Talk like a pirate."});
            let agent = caller.post("/agents", body).await.ok();
            let run = caller.ended(&caller.start("hi").await).await;
            assert_eq!(run["agent_id"], agent["agent_id"]);
            assert_eq!(run["agent_version_id"], agent["current_version_id"]);
            let sent = server.upstream.requests().remove(0);
            assert!(
                sent.messages()[0]["content"]
                    .as_str()
                    .unwrap()
                    .contains("Talk like a pirate."),
                "{:?}",
                sent.body
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_page_token_of_agents_is_bound_to_its_caller_and_query() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            for name in ["Anna", "Berta", "Carla"] {
                caller.post("/agents", json!({"name": name})).await.ok();
            }
            let first = caller.get("/agents?page_size=2&order_by=name").await.ok();
            let token = first["next_page_token"].as_str().unwrap();
            assert_eq!(first["agents"].as_array().unwrap().len(), 2);
            let rest = caller
                .get(&format!("/agents?page_size=2&order_by=name&page_token={token}"))
                .await
                .ok();
            assert_eq!(rest["agents"][0]["name"], "Carla");
            assert_eq!(rest["next_page_token"], "");
            let other = caller.get(&format!("/agents?page_size=2&page_token={token}")).await;
            other.refused(400, "INVALID_PAGE_TOKEN");
            let bob = server.caller("bob");
            let stolen = bob
                .get(&format!("/agents?page_size=2&order_by=name&page_token={token}"))
                .await;
            stolen.refused(400, "INVALID_PAGE_TOKEN");
            caller.get("/agents?page_size=-1").await.refused(400, "INVALID_REQUEST");
            assert_eq!(
                caller.get("/agents?search=RLA").await.ok()["agents"][0]["name"],
                "Carla"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn agent_search_ignores_case_in_every_alphabet() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.tiers[0].agents = None,
        async |server| {
            let caller = server.caller("ann");
            let made = async |name: &str, description: &str| {
                let body = json!({"name": name, "description": description});
                caller.post("/agents", body).await.ok()["agent_id"].clone()
            };
            made("M\u{fc}ller", "Bucht \u{dc}bertr\u{e4}ge").await;
            let second = made("\u{421}\u{43e}\u{444}\u{438}\u{44f}", "50% of _all_").await;
            let found = async |text: &str| {
                let text = utf8_percent_encode(text, NON_ALPHANUMERIC);
                let page = caller.get(&format!("/agents?search={text}")).await.ok();
                page["agents"].as_array().unwrap().len()
            };
            for (text, count) in [
                ("M\u{dc}LLER", 1),
                ("m\u{fc}ller", 1),
                ("\u{fc}BERTR\u{c4}GE", 1),
                ("\u{441}\u{41e}\u{424}\u{418}", 1),
                ("muller", 0),
                ("0% OF _A", 1),
                ("50_ of", 0),
                ("%", 1),
            ] {
                assert_eq!(found(text).await, count, "{text}");
            }
            let path = format!("/agents/{}", second.as_str().unwrap());
            let request = caller.request("PATCH", &path).json(&json!({"name": "\u{d8}rsted"}));
            Answer::of(request.send().await.unwrap()).await.ok();
            assert_eq!(
                (found("\u{f8}RSTED").await, found("\u{421}\u{43e}\u{444}").await),
                (1, 0)
            );
        },
    )
    .await;
}
