//! Tests of MCP servers that fail, are slow or send invalid messages. A run loses their tools or one call, but does
//! not fail.

use serde_json::{Value, json};

use super::{
    calls, http, notices, old, permit_loopback,
    raw::{RawServer, Reaction, normal},
    result, run_with,
    server::McpServer,
};
use crate::test_server::on_every_database_with;

#[tokio::test]
async fn servers_that_cannot_be_used_cost_one_notice_each() {
    on_every_database_with(
        |_| calls("good__echo", json!({"text": "still here"})),
        |config| {
            permit_loopback(config);
            // The good server must answer within half of this time, also on a busy machine.
            config.mcp.connect_timeout_seconds = 4;
        },
        async |server| {
            let good = McpServer::start(None).await;
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let closed = format!("http://{}/mcp", listener.local_addr().unwrap());
            drop(listener);
            let silent = RawServer::start(|_| Reaction::Silence).await;
            let html = RawServer::start(|_| Reaction::Status(200, "<html>hello</html>")).await;
            let broken = RawServer::start(|_| Reaction::Status(500, "no")).await;
            let unauthorized = RawServer::start(|_| Reaction::Status(401, "who are you?")).await;
            let target = good.url.clone();
            let elsewhere = RawServer::start(move |_| Reaction::Redirect(target.clone())).await;
            let listless = RawServer::start(|method| match method {
                "tools/list" => Reaction::Result(json!({"tools": 7})),
                _ => Reaction::Normal,
            })
            .await;
            let servers = json!([
                http("closed", &closed),
                http("silent", &silent.url),
                http("html", &html.url),
                http("broken", &broken.url),
                http("unauthorized", &unauthorized.url),
                http("elsewhere", &elsewhere.url),
                http("listless", &listless.url),
                http("good", &good.url)
            ]);
            let events = run_with(&server.caller("ann"), servers).await;
            assert_eq!(result(&events)["text"], "still here");
            let notices = notices(&events);
            let names = [
                "closed",
                "silent",
                "html",
                "broken",
                "unauthorized",
                "elsewhere",
                "listless",
            ];
            assert_eq!(notices.len(), names.len(), "{notices:#?}");
            for (notice, name) in notices.iter().zip(names) {
                let start = format!("The tools of MCP server {name:?} are missing from this run: ");
                assert!(notice.starts_with(&start), "{notice}");
                assert!(!notice.contains("http://"), "{notice}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_lost_call_is_reported_as_unknown_and_never_repeated() {
    type React = fn() -> Reaction;
    let reactions: [(&str, React); 5] = [
        ("cut", || Reaction::Cut),
        ("silence", || Reaction::Silence),
        ("error", || Reaction::Status(502, "bad gateway")),
        ("another type", || Reaction::Status(200, "acted, but in plain text")),
        ("accepted", || Reaction::Status(202, "")),
    ];
    for (what, reaction) in reactions {
        on_every_database_with(
            |_| calls("raw__act", json!({})),
            |config| {
                permit_loopback(config);
                config.mcp.idle_timeout_seconds = 1;
            },
            async |server| {
                let remote = RawServer::start(move |method| match method {
                    "tools/call" => reaction(),
                    _ => Reaction::Normal,
                })
                .await;
                let events = run_with(&server.caller("ann"), json!([http("raw", &remote.url)])).await;
                let answer = result(&events);
                let text = answer["text"].as_str().unwrap();
                assert!(text.starts_with("outcome unknown: "), "{what}: {text}");
                assert_eq!(answer["is_error"], true);
                assert_eq!(remote.count("tools/call"), 1, "{what}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_refused_call_is_reported_as_not_started() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        permit_loopback,
        async |server| {
            let remote = RawServer::start(|method| match method {
                "tools/call" => Reaction::Status(429, "slow down"),
                _ => Reaction::Normal,
            })
            .await;
            let events = run_with(&server.caller("ann"), json!([http("raw", &remote.url)])).await;
            let text = result(&events)["text"].as_str().unwrap().to_owned();
            assert!(text.starts_with("the tool was not started: "), "{text}");
            assert_eq!(remote.count("tools/call"), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_tools_is_cut() {
    on_every_database_with(
        |_| calls("raw__act0", json!({})),
        permit_loopback,
        async |server| {
            let remote = RawServer::start(|method| match method {
                "tools/list" => {
                    let tool =
                        |number: usize| json!({"name": format!("act{number}"), "inputSchema": {"type": "object"}});
                    let tools: Vec<Value> = (0..150).map(tool).collect();
                    Reaction::Result(json!({"tools": tools, "nextCursor": "again"}))
                }
                _ => Reaction::Normal,
            })
            .await;
            let events = run_with(&server.caller("ann"), json!([http("raw", &remote.url)])).await;
            assert_eq!(result(&events)["text"], "acted");
            assert_eq!(remote.count("tools/list"), 2, "a cursor that repeats ends the list");
            let requests = server.upstream.requests();
            let offered = requests[0].tool_names();
            let offered = offered.iter().filter(|name| name.starts_with("raw"));
            assert_eq!(offered.count(), 100);
            assert!(
                notices(&events)[0].contains("more tools than a run can have"),
                "{events:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_server_of_the_old_transport_is_used() {
    let url = old::start().await;
    on_every_database_with(
        |_| calls("old__act", json!({})),
        permit_loopback,
        async |server| {
            let entry = json!({"name": "old", "type": "sse", "url": url});
            let events = run_with(&server.caller("ann"), json!([entry])).await;
            assert_eq!(result(&events)["text"], "acted", "{events:#?}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_stopped_run_cancels_its_call() {
    on_every_database_with(
        |_| calls("raw__act", json!({})),
        permit_loopback,
        async |server| {
            let remote = RawServer::start(|method| match method {
                "tools/call" => Reaction::Silence,
                _ => normal(method).map_or(Reaction::Normal, Reaction::Result),
            })
            .await;
            let caller = server.caller("ann");
            let agent = json!({"name": "An agent", "custom_mcps": [http("raw", &remote.url)]});
            let agent = caller.post("/agents", agent).await.ok();
            let body = json!({"prompt": "Act.", "agent_id": agent["agent_id"]});
            let run = caller.post("/agent/start", body).await.ok();
            let run_id = run["agent_run_id"].as_str().unwrap();
            remote.received("tools/call").await;
            caller.post(&format!("/agent-run/{run_id}/stop"), json!({})).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "stopped");
            remote.received("notifications/cancelled").await;
            assert_eq!(remote.count("tools/call"), 1);
        },
    )
    .await;
}
