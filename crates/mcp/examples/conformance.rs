//! The client for the protocol's conformance suite (tests/mcp/run.sh). The last command-line argument is the URL of a
//! server. The environment variable `MCP_CONFORMANCE_CONTEXT` contains the arguments of the tool calls. Without this
//! variable, required arguments get simple values.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "the suite reads the exit status and the output"
)]

use std::{env, process::ExitCode, time::Duration};

use runyard_mcp::{Address, Connection, Continuation, Http, Limits, ListedTool, Outcome, Reply};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

/// The value of this argument is another tool's schema.
const ECHOED: &str = "schema";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let url = env::args().next_back().expect("the last argument is a URL");
    let scenario = env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
    let context = env::var("MCP_CONFORMANCE_CONTEXT").unwrap_or_default();
    let context: Value = serde_json::from_str(&context).unwrap_or_default();
    let limits = Limits {
        connect: Duration::from_secs(20),
        idle: Duration::from_secs(20),
        call: Duration::from_secs(20),
        message_bytes: 4 << 20,
        result_bytes: 128 << 10,
    };
    let http = Http::new(|_| true).expect("an HTTP client");
    let address = Address {
        url,
        headers: Vec::new(),
        may_be_sse: false,
    };
    let connection = match Connection::http(&http, &address, &limits).await {
        Ok(connection) => connection,
        Err(error) => {
            println!("not connected: {error}");
            return ExitCode::FAILURE;
        }
    };
    let tools = match connection.list_tools().await {
        Ok(list) => list.tools,
        Err(error) => {
            println!("not listed: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut has_failed = false;
    for (tool, arguments) in calls(&scenario, &context, &tools) {
        let outcome = call(&connection, &tool, arguments).await;
        println!("{tool}: {outcome:?}");
        has_failed |= matches!(
            outcome,
            Outcome::Unknown(_) | Outcome::NotStarted(_) | Outcome::Unanswerable(_)
        );
    }
    connection.close(Duration::from_secs(2)).await;
    ExitCode::from(u8::from(has_failed))
}

/// Declines all questions of the server.
async fn call(connection: &Connection, tool: &str, arguments: Map<String, Value>) -> Outcome {
    let cancel = CancellationToken::new();
    let mut continuation = Continuation::default();
    loop {
        let arguments = arguments.clone();
        let outcome = connection
            .call(tool, arguments, &|text| println!("{text}"), &cancel, continuation)
            .await;
        let Outcome::Asked(asked) = outcome else { return outcome };
        let replies = asked.questions.into_iter();
        continuation = Continuation {
            replies: replies.map(|question| (question.key, Reply::Decline)).collect(),
            state: asked.state,
            round: asked.round,
        };
    }
}

fn calls(scenario: &str, context: &Value, tools: &[ListedTool]) -> Vec<(String, Map<String, Value>)> {
    if scenario == "initialize" {
        return Vec::new();
    }
    if let Some(calls) = context["toolCalls"].as_array() {
        let call = |call: &Value| {
            let arguments = call["arguments"].as_object().cloned().unwrap_or_default();
            (call["name"].as_str().unwrap_or_default().to_owned(), arguments)
        };
        return calls.iter().map(call).collect();
    }
    tools
        .iter()
        .map(|tool| (tool.name.clone(), arguments(tool, tools)))
        .collect()
}

fn arguments(tool: &ListedTool, tools: &[ListedTool]) -> Map<String, Value> {
    let required = tool.schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| (name.to_owned(), argument(name, tool, tools)))
        .collect()
}

fn argument(name: &str, tool: &ListedTool, tools: &[ListedTool]) -> Value {
    if name == ECHOED {
        let other = tools.iter().find(|other| other.name != tool.name);
        return other.map_or(Value::Null, |other| json!(*other.schema));
    }
    match tool.schema["properties"][name]["type"].as_str() {
        Some("number" | "integer") => json!(5),
        Some("boolean") => json!(true),
        Some("object") => json!({}),
        Some("array") => json!([]),
        _ => json!("text"),
    }
}
