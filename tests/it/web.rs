//! Tests of runs that use `web_fetch` and `web_search`. The pages and the search providers are servers on loopback.

mod fetch;
mod limits;
mod search;
mod site;
mod switches;

use runyard::config::Config;
use runyard_upstream::{Call, Received, Script, Turn};
use serde_json::{Value, json};

use crate::test_server::Caller;

/// Turns `web_fetch` on for pages on loopback.
fn permit_loopback(config: &mut Config) {
    config.web.fetch = true;
    config.web.allow_private_addresses = true;
}

/// Returns a script in which the model calls a tool and then answers.
fn calls(name: &'static str, arguments: &Value) -> Script {
    let call = Call::new(name, arguments);
    Script::function(move |received: &Received| match received.messages().last() {
        Some(last) if last["role"] == "tool" => Turn::text("Done."),
        _ => Turn::calls([call.clone()]),
    })
}

/// Returns a script in which the model fetches a URL and then answers.
fn fetches(url: &str) -> Script {
    calls("web_fetch", &json!({"url": url}))
}

/// Starts a run in the mode `chat` and returns the result of its only tool call.
async fn result(caller: &Caller) -> Value {
    result_in("chat", caller).await
}

async fn result_in(mode: &str, caller: &Caller) -> Value {
    let run = caller
        .post("/agent/start", json!({"prompt": "x", "mode": mode}))
        .await
        .ok();
    let events = caller.events(&run, 0).await;
    let last = &events.last().unwrap().data;
    assert_eq!(last["status"]["status"], "completed", "{events:#?}");
    let results: Vec<_> = events.iter().filter(|event| event.event == "tool_result").collect();
    assert_eq!(results.len(), 1, "{events:#?}");
    results[0].data["tool_result"].clone()
}

/// Returns the text of a successful tool call.
fn text(result: &Value) -> &str {
    assert_ne!(result["is_error"], true, "{result}");
    result["text"].as_str().unwrap()
}

/// Returns the text of a failed tool call.
fn error(result: &Value) -> &str {
    assert_eq!(result["is_error"], true, "{result}");
    result["text"].as_str().unwrap()
}
