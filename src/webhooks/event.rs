//! The events that webhooks can receive, and the body of a request.

use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::table::delivery::Model;
use crate::error::{Error, Result};

/// Events by number, which is that of the contract's `RunStatus`. The trigger compares the number with the bits of a
/// webhook.
const EVENTS: &[(i16, &str)] = &[
    (2, "run.completed"),
    (3, "run.failed"),
    (4, "run.stopped"),
    (5, "run.waiting"),
];
/// Number of the event that `TestWebhook` sends.
pub(super) const TEST: i16 = 0;
const TEST_NAME: &str = "webhook.test";

/// Returns the bits of the named events; of all events if no name is given.
///
/// # Errors
/// INVALID_REQUEST for an unknown name.
pub(super) fn bits(names: &[String]) -> Result<i32> {
    let bit = |number: i16| 1 << number;
    if names.is_empty() {
        return Ok(EVENTS.iter().fold(0, |bits, (number, _)| bits | bit(*number)));
    }
    names.iter().try_fold(0, |bits, name| {
        let Some((number, _)) = EVENTS.iter().find(|(_, known)| known == name) else {
            let known: Vec<&str> = EVENTS.iter().map(|(_, known)| *known).collect();
            let message = format!("events: {name:?} is not an event; the events are {}", known.join(", "));
            return Err(Error::invalid_field("events", message));
        };
        Ok(bits | bit(*number))
    })
}

pub fn names(bits: i32) -> Vec<String> {
    let subscribed = EVENTS.iter().filter(|(number, _)| bits & (1 << number) != 0);
    subscribed.map(|(_, name)| (*name).to_owned()).collect()
}

pub fn name(number: i16) -> &'static str {
    let found = EVENTS.iter().find(|(known, _)| *known == number);
    found.map_or(TEST_NAME, |(_, name)| name)
}

/// Returns the body of a delivery's requests. It depends only on fields that never change.
pub(super) fn body(delivery: &Model) -> Vec<u8> {
    let name = name(delivery.event);
    let mut data = serde_json::Map::new();
    for (field, id) in [
        ("agent_run_id", delivery.run_id),
        ("thread_id", delivery.thread_id),
        ("project_id", delivery.project_id),
        ("agent_id", delivery.agent_id),
    ] {
        if let Some(id) = id {
            data.insert(field.to_owned(), Value::from(id.to_string()));
        }
    }
    if delivery.run_id.is_some() {
        let status = name.strip_prefix("run.").unwrap_or_default();
        data.insert("status".to_owned(), Value::from(status));
        data.insert("sequence".to_owned(), Value::from(delivery.sequence));
    }
    let timestamp = delivery.created_at.to_rfc3339_opts(SecondsFormat::Micros, true);
    json!({"type": name, "timestamp": timestamp, "data": data})
        .to_string()
        .into_bytes()
}
