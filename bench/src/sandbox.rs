//! Measures the duration of the command `true` in the sandbox.

use std::{collections::HashMap, net::SocketAddr, time::SystemTime};

use runyard_client::v1::{RunStatus, StreamRunRequest, run_event::Event};
use runyard_upstream::{Call, Received, Turn};
use serde_json::json;

use crate::{
    Result,
    callers::{Account, connect, start_on},
    check::Reader,
    machine::millis,
};

const COMMANDS: usize = 20;

pub(crate) fn is_available() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("bwrap").is_file())
}

/// Returns the scripted model's next turn: another call of bash, or the final text.
pub(crate) fn answer(received: &Received) -> Turn {
    let done = received
        .messages()
        .iter()
        .filter(|message| message["role"] == "tool")
        .count();
    if done < COMMANDS {
        let call = Call::new("bash", &json!({"command": "true"}));
        Turn::calls([call.id(&format!("call_{done}"))])
    } else {
        Turn::text("Done.")
    }
}

pub(crate) struct Found {
    /// Milliseconds from the event of a call to the event of its result, including the commit of the call's event.
    pub(crate) between: Vec<f64>,
    /// Durations that the result events state, in whole milliseconds.
    pub(crate) reported: Vec<f64>,
}

pub(crate) async fn measure(address: SocketAddr, account: &Account) -> Result<Found> {
    let mut client = connect(address).await?;
    let mut start = start_on("bench/shell");
    "code".clone_into(&mut start.mode);
    let run = client.start_run(account.signed(start)).await?.into_inner().agent_run_id;
    let mut reader = Reader::new(&run);
    let request = StreamRunRequest {
        agent_run_id: run,
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let mut calls = HashMap::new();
    let mut found = Found {
        between: Vec::new(),
        reported: Vec::new(),
    };
    while let Some(event) = stream.message().await? {
        reader.take(&event)?;
        let at = SystemTime::try_from(event.created_at.unwrap_or_default())?;
        match event.event {
            Some(Event::ToolCall(call)) => {
                calls.insert(call.tool_call_id, at);
            }
            Some(Event::ToolResult(result)) if result.is_error => {
                return Err(format!("a sandboxed command failed: {}", result.text).into());
            }
            Some(Event::ToolResult(result)) => {
                let called = calls.remove(&result.tool_call_id).ok_or("a result without a call")?;
                found.between.push(millis(at.duration_since(called)?));
                found.reported.push(result.duration_ms as f64);
            }
            _ => {}
        }
    }
    reader.ended(RunStatus::Completed)?;
    found.between.sort_unstable_by(f64::total_cmp);
    found.reported.sort_unstable_by(f64::total_cmp);
    Ok(found)
}
