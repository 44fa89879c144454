//! Tests of runs with MCP servers. Some servers use the library `rmcp`. Other servers are written without it, so that
//! they can break the protocol.

mod account_secrets;
mod ahead;
pub mod asking;
mod broken;
mod offers;
mod old;
mod questions;
mod raw;
mod revisions;
mod runs;
mod secrets;
pub mod server;
mod stdio;

use runyard::config::Config;
use runyard_upstream::{Call, Received, Script, Turn};
use serde_json::{Value, json};

use crate::test_server::{Caller, SseEvent};

/// Permits MCP servers on loopback addresses, and any number of agents. Saving an agent sends no request, so that tests
/// can count the requests of runs.
fn permit_loopback(config: &mut Config) {
    config.mcp.allow_private_addresses = true;
    config.mcp.list_tools_when_saved = false;
    config.tiers[0].agents = None;
}

pub fn http(name: &str, url: &str) -> Value {
    json!({"name": name, "type": "http", "url": url})
}

/// Returns a script in which the model calls a tool and then answers with the tool's result.
fn calls(name: &'static str, arguments: Value) -> Script {
    Script::function(move |received: &Received| match received.messages().last() {
        // After a result with images, the last message is the one with the images.
        Some(last) if last["role"] == "tool" || last["content"].is_array() => {
            Turn::text(&format!("result: {}", received.last_text()))
        }
        _ => Turn::calls([Call::new(name, &arguments)]),
    })
}

/// Starts a run of a new agent with these servers, and returns its events.
async fn run_with(caller: &Caller, servers: Value) -> Vec<SseEvent> {
    let agent = caller
        .post("/agents", json!({"name": "An agent", "custom_mcps": servers}))
        .await
        .ok();
    run_of(caller, &agent).await
}

async fn run_of(caller: &Caller, agent: &Value) -> Vec<SseEvent> {
    let body = json!({"prompt": "Use the tool.", "agent_id": agent["agent_id"]});
    let run = caller.post("/agent/start", body).await.ok();
    let events = caller.events(&run, 0).await;
    let last = &events.last().unwrap().data;
    assert_eq!(last["status"]["status"], "completed", "{events:#?}");
    events
}

/// Returns the result of the run's only tool call.
fn result(events: &[SseEvent]) -> Value {
    let results: Vec<&SseEvent> = events.iter().filter(|event| event.event == "tool_result").collect();
    assert_eq!(results.len(), 1, "{events:#?}");
    results[0].data["tool_result"].clone()
}

fn notices(events: &[SseEvent]) -> Vec<String> {
    let notices = events.iter().filter(|event| event.event == "notice");
    notices
        .map(|event| event.data["notice"]["message"].as_str().unwrap().to_owned())
        .collect()
}
