//! Tests of runs with the tools of a working MCP server.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use tokio::sync::Barrier;

use super::{
    calls, http, notices, permit_loopback,
    raw::{RawServer, Reaction},
    result, run_of, run_with,
    server::{McpServer, picture},
};
use crate::test_server::on_every_database_with;

#[tokio::test]
async fn a_run_calls_a_tool_of_an_http_server() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "Good morning"})),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let mut entry = http("box", &remote.url);
            entry["headers"] = json!({"X-Key": "the secret key"});
            let events = run_with(&server.caller("ann"), json!([entry])).await;
            let answer = result(&events);
            assert_eq!(
                (&answer["name"], &answer["text"]),
                (&json!("box__echo"), &json!("Good morning"))
            );
            assert!(!answer["is_error"].as_bool().unwrap_or_default(), "{answer}");
            assert_eq!(notices(&events), Vec::<String>::new());
            let requests = server.upstream.requests();
            let offered = requests[0].tool_names();
            assert!(
                offered.contains(&"bash") && offered.contains(&"box__echo"),
                "{offered:?}"
            );
            // The server calls this tool `say hello/grüßen`. Providers refuse some of these characters in tool names,
            // and refuse schemas with `$defs`.
            assert!(offered.contains(&"box__say_hello_gr__en"), "{offered:?}");
            let tools = requests[0].body["tools"].to_string();
            assert!(!tools.contains("$defs") && !tools.contains("$ref"), "{tools}");
            let keys = remote.seen.keys.lock().unwrap().clone();
            assert!(
                keys.len() > 1 && keys.iter().all(|key| key == "the secret key"),
                "{keys:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn every_kind_of_result_reaches_the_model() {
    for (tool, arguments, expected, is_error) in [
        (
            "box__say_hello_gr__en",
            json!({"number": 7}),
            "hello Some(Number(7))",
            false,
        ),
        ("box__fail", json!({}), "no such city", true),
        ("box__nothing", json!({}), "(the tool returned no content)", false),
        (
            "box__table",
            json!({}),
            "a table\nstructured content: {\"rows\":[1,2]}",
            false,
        ),
    ] {
        on_every_database_with(
            |_| calls(tool, arguments.clone()),
            permit_loopback,
            async |server| {
                let remote = McpServer::start(None).await;
                let events = run_with(&server.caller("ann"), json!([http("box", &remote.url)])).await;
                let answer = result(&events);
                assert_eq!(answer["text"], expected);
                assert_eq!(answer["is_error"].as_bool().unwrap_or_default(), is_error, "{answer}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn an_image_of_a_result_is_saved_in_the_workspace_and_shown_to_the_model() {
    on_every_database_with(
        |_| calls("box__picture", json!({})),
        |config| {
            permit_loopback(config);
            let provider = config.providers.get_mut("default").unwrap();
            provider.capabilities.vision.images = Some(true);
        },
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let agent = json!({"name": "An agent", "custom_mcps": [http("box", &remote.url)]});
            let agent = caller.post("/agents", agent).await.ok();
            let body = json!({"prompt": "Draw.", "agent_id": agent["agent_id"]});
            let run = caller.post("/agent/start", body).await.ok();
            let result = result(&caller.events(&run, 0).await);
            let text = result["text"].as_str().unwrap().to_owned();
            let path = text.split(" is saved as ").nth(1).unwrap().trim_end_matches(']');
            let bytes = STANDARD.decode(picture()).unwrap();
            let size = bytes.len();
            assert!(
                text.starts_with(&format!("[image 1: image/png, {size} bytes]")),
                "{text}"
            );
            let project = format!("/projects/{}", run["project_id"].as_str().unwrap());
            let project = caller.get(&project).await.ok();
            let sandbox = project["sandbox_id"].as_str().unwrap();
            let file = caller.request("GET", &format!("/sandboxes/{sandbox}/files/content?path={path}"));
            let content = file.send().await.unwrap().bytes().await.unwrap();
            assert_eq!(&content[..], bytes, "{path}");
            let attached = &result["attachments"][0];
            assert_eq!((&attached["width"], &attached["height"]), (&json!(3), &json!(2)));
            assert_eq!(format!("/workspace/{}", attached["path"].as_str().unwrap()), path);
            let sent = server.upstream.requests().pop().unwrap().body.to_string();
            assert!(sent.contains(&format!("data:image/png;base64,{}", picture())), "{sent}");
        },
    )
    .await;
}

#[tokio::test]
async fn progress_appears_as_output_of_the_call() {
    on_every_database_with(
        |_| calls("box__progress", json!({})),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let events = run_with(&server.caller("ann"), json!([http("box", &remote.url)])).await;
            let output: Vec<_> = events.iter().filter(|event| event.event == "tool_output").collect();
            assert_eq!(output[0].data["tool_output"]["text"], "1/2 half\n");
            assert_eq!(result(&events)["text"], "done");
        },
    )
    .await;
}

#[tokio::test]
async fn only_enabled_tools_are_offered() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "x"})),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let mut entry = http("box", &remote.url);
            entry["enabled_tools"] = json!(["echo", "gone"]);
            let events = run_with(&server.caller("ann"), json!([entry])).await;
            let requests = server.upstream.requests();
            let offered: Vec<&str> = requests[0].tool_names();
            let remote: Vec<&&str> = offered.iter().filter(|name| name.starts_with("box")).collect();
            assert_eq!(remote, [&"box__echo"]);
            assert!(
                notices(&events)[0].ends_with("has no tools with these names from enabled_tools: gone."),
                "{events:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn servers_are_listed_at_the_same_time_and_after_the_start_is_answered() {
    on_every_database_with(
        |_| calls("one__act", json!({})),
        permit_loopback,
        async |server| {
            // Three parties must reach the barrier: both servers, and this test after StartRun has responded.
            let barrier = Arc::new(Barrier::new(3));
            let gate = Arc::clone(&barrier);
            let react = move |method: &str| match method {
                "tools/list" => Reaction::Together(Arc::clone(&gate)),
                _ => Reaction::Normal,
            };
            let (one, two) = (RawServer::start(react.clone()).await, RawServer::start(react).await);
            let caller = server.caller("ann");
            let servers = json!([http("one", &one.url), http("two", &two.url)]);
            let agent = caller
                .post("/agents", json!({"name": "An agent", "custom_mcps": servers}))
                .await
                .ok();
            let body = json!({"prompt": "Act.", "agent_id": agent["agent_id"]});
            let run = caller.post("/agent/start", body).await.ok();
            barrier.wait().await;
            assert_eq!(result(&caller.events(&run, 0).await)["text"], "acted");
            assert_eq!((one.count("tools/list"), two.count("tools/list")), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_list_is_cached_as_long_as_its_server_permits() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "x"})),
        permit_loopback,
        async |server| {
            for (ttl_ms, lists) in [(None, [1, 2, 3]), (Some(60_000), [1, 1, 2])] {
                let caller = server.caller("ann");
                let remote = McpServer::start(ttl_ms).await;
                let agent = json!({"name": "An agent", "custom_mcps": [http("box", &remote.url)]});
                let agent = caller.post("/agents", agent).await.ok();
                let mut seen = Vec::new();
                for hours in [0, 0, 2] {
                    server.clock.advance(Duration::from_hours(hours));
                    // This is a new token, because an earlier token may have expired.
                    let caller = server.caller("ann");
                    run_of(&caller, &agent).await;
                    seen.push(remote.seen.lists.load(Ordering::Relaxed));
                }
                assert_eq!(seen, lists, "{ttl_ms:?}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_next_run_of_an_agent_needs_no_handshake() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "x"})),
        permit_loopback,
        async |server| {
            let caller = server.caller("ann");
            let remote = McpServer::start(None).await;
            let agent = json!({"name": "An agent", "custom_mcps": [http("box", &remote.url)]});
            let agent = caller.post("/agents", agent).await.ok();
            run_of(&caller, &agent).await;
            // The three requests are the handshake, the list of tools and the tool call.
            assert_eq!(remote.seen.requests.swap(0, Ordering::Relaxed), 3);
            // A run releases its connection a moment after its last event, so the next run may start too early to
            // reuse the connection.
            for attempt in 1.. {
                run_of(&caller, &agent).await;
                match remote.seen.requests.swap(0, Ordering::Relaxed) {
                    2 => break,
                    requests => assert!(requests == 3 && attempt < 20, "{requests} requests in run {attempt}"),
                }
            }
            // Another agent has its own connection. The revision of the server is known, so there is no handshake.
            let other = json!({"name": "Another agent", "custom_mcps": [http("box", &remote.url)]});
            let other = caller.post("/agents", other).await.ok();
            run_of(&caller, &other).await;
            assert_eq!(remote.seen.requests.load(Ordering::Relaxed), 2);
        },
    )
    .await;
}
