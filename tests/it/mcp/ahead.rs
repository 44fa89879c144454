//! Tests of the tools of HTTP servers being listed when an agent is saved.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use runyard::config::Config;
use serde_json::{Value, json};

use super::{
    calls, http, notices, permit_loopback,
    raw::{RawServer, Reaction, normal},
    result, run_of, run_with,
};
use crate::test_server::{Answer, Caller, on_every_database_with};

fn list_when_saved(config: &mut Config) {
    permit_loopback(config);
    config.mcp.list_tools_when_saved = true;
    config.mcp.connect_timeout_seconds = 4;
}

/// Reacts like a server of revision 2026-07-28 whose list may be cached for a minute.
fn modern(method: &str) -> Reaction {
    let mut result = match method {
        "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}),
        "tools/list" | "tools/call" => normal(method).unwrap(),
        _ => return Reaction::Status(400, "unknown"),
    };
    result["resultType"] = json!("complete");
    if method != "tools/call" {
        result["ttlMs"] = json!(60_000);
        result["cacheScope"] = json!("private");
    }
    Reaction::Result(result)
}

async fn save(caller: &Caller, url: &str) -> Value {
    let agent = json!({"name": "An agent", "custom_mcps": [http("raw", url)]});
    caller.post("/agents", agent).await.ok()
}

async fn change(caller: &Caller, path: &str, change: Value) {
    let request = caller.request("PUT", path).json(&change);
    Answer::of(request.send().await.unwrap()).await.ok();
}

async fn run(caller: &Caller, agent: &Value) {
    let events = run_of(caller, agent).await;
    assert_eq!(result(&events)["text"], "acted");
    assert_eq!(notices(&events), Vec::<String>::new());
}

#[tokio::test]
async fn the_first_run_of_a_saved_agent_uses_the_list_that_was_read_when_it_was_saved() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        list_when_saved,
        async |server| {
            let remote = RawServer::start(modern).await;
            let seen = || mem::take(&mut *remote.seen.lock().unwrap());
            let caller = server.caller("ann");
            let agent = save(&caller, &remote.url).await;
            remote.received("tools/list").await;
            assert_eq!(seen(), ["server/discover", "tools/list"], "no run has started");
            run(&caller, &agent).await;
            assert_eq!(seen(), ["tools/call"]);
            // A new version has its own list. A new name makes no new version.
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            let prompt = json!({"system_prompt": "Act."});
            change(&caller, &path, prompt.clone()).await;
            remote.received("tools/list").await;
            assert_eq!(seen(), ["tools/list"]);
            change(&caller, &path, json!({"name": "Another name"})).await;
            run(&caller, &agent).await;
            assert_eq!(seen(), ["tools/call"]);
            caller.post(&format!("{path}/versions"), prompt).await.ok();
            remote.received("tools/list").await;
            run(&caller, &agent).await;
            assert_eq!(seen(), ["tools/list", "tools/call"]);
        },
    )
    .await;
}

#[tokio::test]
async fn the_first_run_gets_the_session_that_was_opened_when_the_agent_was_saved() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        list_when_saved,
        async |server| {
            let remote = RawServer::start(|_| Reaction::Normal).await;
            let caller = server.caller("ann");
            let agent = save(&caller, &remote.url).await;
            remote.received("tools/list").await;
            run(&caller, &agent).await;
            // The run lists the tools again unless the first list arrived after its start.
            assert_eq!(remote.count("initialize"), 1);
            assert!((1..=2).contains(&remote.count("tools/list")));
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_that_is_down_when_the_agent_is_saved_is_listed_by_the_run() {
    let reactions: [fn() -> Reaction; 2] = [|| Reaction::Status(503, "starting"), || Reaction::Silence];
    for reaction in reactions {
        on_every_database_with(
            |_| calls("raw__act", json!({})),
            list_when_saved,
            async |server| {
                let is_up = Arc::new(AtomicBool::new(false));
                let state = Arc::clone(&is_up);
                let remote = RawServer::start(move |method| {
                    if state.load(Ordering::Relaxed) {
                        modern(method)
                    } else {
                        reaction()
                    }
                })
                .await;
                let caller = server.caller("ann");
                let agent = save(&caller, &remote.url).await;
                remote.received("server/discover").await;
                is_up.store(true, Ordering::Relaxed);
                run(&caller, &agent).await;
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_save_sends_no_request_if_the_setting_is_off() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        permit_loopback,
        async |server| {
            let (saved, used) = (RawServer::start(modern).await, RawServer::start(modern).await);
            let caller = server.caller("ann");
            let agent = save(&caller, &saved.url).await;
            run_with(&caller, json!([http("raw", &used.url)])).await;
            assert_eq!(*saved.seen.lock().unwrap(), Vec::<String>::new());
            run(&caller, &agent).await;
            assert_eq!(
                *saved.seen.lock().unwrap(),
                ["server/discover", "tools/list", "tools/call"]
            );
        },
    )
    .await;
}
