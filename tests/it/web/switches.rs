//! Tests of the switches of the web tools: the configuration, `agentpress_tools` and modes.

use runyard::config::{Config, Limits, SearchProvider, WebSearch};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use crate::{
    service::requests::put,
    test_server::{Caller, TestServer, on_every_database_with},
};

const TOOLS: [&str; 2] = ["web_fetch", "web_search"];

fn configure(config: &mut Config) {
    config.limits = Limits::Off;
    config.web.fetch = true;
    config.web.search = Some(WebSearch {
        provider: SearchProvider::Searxng,
        url: Some("http://localhost:1".to_owned()),
        api_key: None,
        max_results: 8,
    });
}

/// Returns the web tools in the list of an agent's tools, each with whether it is enabled.
async fn listed(caller: &Caller, agent: &Value) -> Vec<(String, bool)> {
    let path = format!("/agents/{}/tools", agent["agent_id"].as_str().unwrap());
    let listed = caller.get(&path).await.ok();
    let tools = listed["tools"].as_array().unwrap().iter();
    let of_web = tools.filter(|tool| TOOLS.contains(&tool["name"].as_str().unwrap()));
    of_web
        .map(|tool| {
            assert_ne!(tool["is_core"], true, "{tool}");
            (tool["name"].as_str().unwrap().to_owned(), tool["enabled"] == true)
        })
        .collect()
}

/// Starts a run; returns the names of its web tools.
async fn offered(server: &TestServer, caller: &Caller, agent: &Value, mode: &str) -> Vec<String> {
    let body = json!({"prompt": "x", "agent_id": agent["agent_id"], "mode": mode});
    let run = caller.post("/agent/start", body).await.ok();
    assert_eq!(caller.ended(&run).await["status"], "completed");
    let sent = server.upstream.requests().pop().unwrap();
    let names = sent.tool_names().into_iter().filter(|name| TOOLS.contains(name));
    names.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_built_in_mode_has_the_configured_tools() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        configure,
        async |server| {
            let caller = server.caller("ann");
            let agent = caller.post("/agents", json!({"name": "An agent"})).await.ok();
            let both = TOOLS.map(|tool| (tool.to_owned(), true));
            assert_eq!(listed(&caller, &agent).await, both);
            for mode in ["code", "chat", "plan"] {
                assert_eq!(offered(server, &caller, &agent, mode).await, TOOLS, "{mode}");
            }
            assert_eq!(
                offered(server, &caller, &json!({}), "code").await,
                TOOLS,
                "without an agent"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn an_agent_switches_each_tool_on_and_off() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        configure,
        async |server| {
            let caller = server.caller("ann");
            let agent = caller.post("/agents", json!({"name": "An agent"})).await.ok();
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            for (fetch, search) in [(false, true), (true, false), (false, false), (true, true)] {
                let settings = json!({"web_fetch": {"enabled": fetch}, "web_search": {"enabled": search}});
                put(&caller, &path, json!({"agentpress_tools": settings})).await.ok();
                let expected = [("web_fetch".to_owned(), fetch), ("web_search".to_owned(), search)];
                assert_eq!(listed(&caller, &agent).await, expected);
                let on: Vec<String> = expected
                    .into_iter()
                    .filter(|(_, on)| *on)
                    .map(|(name, _)| name)
                    .collect();
                assert_eq!(offered(server, &caller, &agent, "code").await, on);
                let prompt = server.upstream.requests().pop().unwrap().messages()[0].to_string();
                assert_eq!(prompt.contains("- web_fetch "), fetch, "{prompt}");
                assert_eq!(prompt.contains("- web_search "), search, "{prompt}");
                assert_eq!(prompt.contains("Web:"), fetch || search, "{prompt}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_with_the_list() {
    on_every_database_with(
        |_| Turn::text("x"),
        configure,
        async |server| {
            let caller = server.caller("ann");
            let body = |name: &str| json!({"name": "An agent", "agentpress_tools": {name: {"enabled": true}}});
            let refused = caller
                .post("/agents", body("web"))
                .await
                .refused(400, "INVALID_REQUEST");
            let list = "bash, read, write, edit, glob, grep, ask_user, memory, skills, task, web_fetch, web_search";
            assert!(refused.to_string().contains(list), "{refused}");
            for name in TOOLS {
                caller.post("/agents", body(name)).await.ok();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_setting_that_was_stored_before_the_tools_were_configured_counts() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let off = json!({"web_fetch": {"enabled": false}, "web_search": {"enabled": true}});
            let agent = json!({"name": "An agent", "agentpress_tools": off});
            let agent = caller.post("/agents", agent).await.ok();
            assert_eq!(listed(&caller, &agent).await, []);
            assert_eq!(offered(server, &caller, &agent, "code").await, [""; 0]);
            server.stop().await;
            configure(&mut server.config);
            server.restart().await;
            let caller = server.caller("ann");
            let expected = [("web_fetch".to_owned(), false), ("web_search".to_owned(), true)];
            assert_eq!(listed(&caller, &agent).await, expected);
            assert_eq!(offered(server, &caller, &agent, "code").await, ["web_search"]);
        },
    )
    .await;
}
