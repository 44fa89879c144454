//! Tests the parsing of model answers. A shape is a test case: answers from a provider's documentation or a bug
//! report, and the expected results. A scripted server sends the answers to the adapter. `shapes/README.md` describes
//! the format of the shapes.

mod play;
mod table;

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt, stream};
use regex::Regex;
use runyard::{
    config::{Provider, ProviderKind, VisionSettings},
    llm::{ChatMessage, EndReason, LlmError, ModelRequest, Retries, Timeouts, Upstream as Adapter},
};
use runyard_upstream::{Received, Script, Turn as Response, Upstream};
use serde_json::Value;

use self::{
    play::{Writes, response},
    table::{Answer, Shape, Turn},
};
use super::{Reply, ask, bash_tool, question};

const FILES: &[(&str, &str)] = &[
    ("openai", include_str!("shapes/openai.toml")),
    ("imitators", include_str!("shapes/imitators.toml")),
    ("local", include_str!("shapes/local.toml")),
    ("gateways", include_str!("shapes/gateways.toml")),
    ("anthropic", include_str!("shapes/anthropic.toml")),
    ("gemini", include_str!("shapes/gemini.toml")),
    ("responses", include_str!("shapes/responses.toml")),
];

const AT_ONCE: usize = 8;

#[test]
fn the_table_has_at_least_120_shapes_with_ids_and_sources() {
    let shapes: Vec<Shape> = FILES.iter().flat_map(|(_, text)| table::read(text)).collect();
    assert!(shapes.len() >= 120, "{} shapes", shapes.len());
    let ids: BTreeSet<&str> = shapes.iter().map(|shape| shape.id.as_str()).collect();
    assert_eq!(ids.len(), shapes.len(), "an id occurs twice");
    for shape in &shapes {
        assert!(
            shape.source.len() > 30,
            "{}: the source is missing or too short",
            shape.id
        );
    }
}

#[tokio::test]
async fn openai_and_azure_are_understood() {
    play("openai").await;
}

#[tokio::test]
async fn hosted_imitators_of_openai_are_understood() {
    play("imitators").await;
}

#[tokio::test]
async fn local_servers_are_understood() {
    play("local").await;
}

#[tokio::test]
async fn gateways_and_event_streams_are_understood() {
    play("gateways").await;
}

#[tokio::test]
async fn anthropic_is_understood() {
    play("anthropic").await;
}

#[tokio::test]
async fn gemini_is_understood() {
    play("gemini").await;
}

#[tokio::test]
async fn openai_responses_are_understood() {
    play("responses").await;
}

async fn play(file: &str) {
    let (_, text) = FILES.iter().find(|(name, _)| *name == file).unwrap();
    let shapes = table::read(text);
    let total = shapes.len();
    let runs = shapes
        .iter()
        .flat_map(|shape| [(shape, Writes::Lines), (shape, Writes::Bytes(5))]);
    let failed: Vec<String> = stream::iter(runs)
        .map(|(shape, writes)| async move { play_one(shape, writes).await.err() })
        .buffered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{file}: {} of {} runs of {total} shapes failed:\n{}",
        failed.len(),
        total * 2,
        failed.join("\n")
    );
}

async fn play_one(shape: &Shape, writes: Writes) -> Result<(), String> {
    let queue: Arc<Mutex<VecDeque<Response>>> = Arc::default();
    let server = Upstream::start(Script::function({
        let queue = Arc::clone(&queue);
        move |_| next(&queue)
    }))
    .await;
    let adapter = adapter(shape, &server);
    let mut messages = shape.history.clone();
    let mut text = "hello".to_owned();
    for (number, turn) in shape.turns.iter().enumerate() {
        let responses = turn
            .answers
            .iter()
            .map(|answer: &Answer| response(shape.kind, answer, writes));
        *queue.lock().unwrap_or_else(PoisonError::into_inner) = responses.collect();
        if messages
            .last()
            .is_none_or(|last| !matches!(last, ChatMessage::Tool { .. }))
        {
            messages.push(ChatMessage::user(std::mem::replace(&mut text, "and now?".to_owned())));
        }
        let before = server.count();
        let request = ModelRequest {
            model: shape.model.clone(),
            messages: messages.clone(),
            tools: vec![bash_tool()],
            extra_body: shape.extra_body.clone(),
            vision: VisionSettings::UNSET,
            ..question("")
        };
        let reply = ask(&adapter, request).await;
        let received = server.requests();
        let wrong = Check {
            turn,
            reply: &reply,
            all: &received,
            new: &received[before..],
        }
        .run();
        if !wrong.is_empty() {
            let place = format!("{} ({writes:?}, turn {})", shape.id, number + 1);
            return Err(format!(
                "\n{place}\n  source: {}\n  {}\n  seen: {reply:?}",
                shape.source,
                wrong.join("\n  ")
            ));
        }
        remember(&mut messages, reply);
    }
    Ok(())
}

/// Returns the next response of the queue. The last response is repeated.
fn next(queue: &Mutex<VecDeque<Response>>) -> Response {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.len() > 1 {
        return queue.pop_front().unwrap();
    }
    queue.front().cloned().unwrap()
}

fn adapter(shape: &Shape, server: &Upstream) -> Adapter {
    let mut provider: Provider = {
        let mut table = shape.provider.clone();
        let kind = match shape.kind {
            ProviderKind::OpenAi => "openai",
            ProviderKind::Anthropic => "anthropic",
            ProviderKind::Gemini => "gemini",
            ProviderKind::Responses => "responses",
        };
        table.insert("kind".to_owned(), kind.into());
        table.try_into().unwrap_or_else(|error| panic!("{}: {error}", shape.id))
    };
    provider.base_url = Some(format!("http://{}{}", server.address(), shape.base));
    provider.api_key = Some(shape.key.clone().into());
    let minute = Duration::from_mins(1);
    let timeouts = Timeouts {
        connect: minute,
        first_byte: minute,
        gap: minute,
        total: None,
    };
    let is_hopeless = shape.turns[0].error.as_deref() == Some("unavailable");
    let retries = Retries {
        first_pause: Duration::from_millis(2),
        longest_pause: Duration::from_millis(40),
        // If the shape expects an error, the adapter retries only for a short time.
        total: if is_hopeless {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(15)
        },
    };
    Adapter::with_limits("shapes", &provider, timeouts, retries).unwrap()
}

fn remember(messages: &mut Vec<ChatMessage>, reply: Reply) {
    let results: Vec<ChatMessage> = reply
        .calls
        .iter()
        .map(|call| ChatMessage::Tool {
            tool_call_id: call.id.clone(),
            name: call.name.clone(),
            text: "data.csv".to_owned(),
            images: Vec::new(),
            is_error: false,
        })
        .collect();
    messages.push(ChatMessage::Assistant {
        text: reply.text,
        tool_calls: reply.calls,
        carried: reply.carried,
    });
    messages.extend(results);
}

struct Check<'a> {
    turn: &'a Turn,
    reply: &'a Reply,
    all: &'a [Received],
    new: &'a [Received],
}

impl Check<'_> {
    fn run(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_answer(&mut wrong);
        self.check_end(&mut wrong);
        self.check_request(&mut wrong);
        wrong
    }

    fn check_answer(&self, wrong: &mut Vec<String>) {
        let (turn, reply) = (self.turn, self.reply);
        if !is_like(&turn.text, &reply.text) {
            wrong.push(format!("text: expected {:?}, got {:?}", turn.text, reply.text));
        }
        if !is_like(&turn.reasoning, &reply.reasoning) {
            wrong.push(format!(
                "reasoning: expected {:?}, got {:?}",
                turn.reasoning, reply.reasoning
            ));
        }
        let seen = reply
            .calls
            .iter()
            .map(|call| format!("{} {} {}", call.id, call.name, call.arguments));
        let seen: Vec<String> = seen.collect();
        let is_same = seen.len() == turn.calls.len()
            && turn
                .calls
                .iter()
                .zip(&seen)
                .all(|(expected, seen)| is_same_call(expected, seen));
        if !is_same {
            wrong.push(format!("calls: expected {:?}, got {seen:?}", turn.calls));
        }
        let usage = reply
            .usage
            .map_or_else(Vec::new, |usage| vec![usage.input, usage.output, usage.cached_input]);
        if turn.usage.as_ref().is_some_and(|expected| *expected != usage) {
            wrong.push(format!("usage: expected {:?}, got {usage:?}", turn.usage));
        }
    }

    fn check_end(&self, wrong: &mut Vec<String>) {
        let (turn, reply) = (self.turn, self.reply);
        let error = reply.error.as_ref().map(LlmError::kind);
        let end = reply.end.map(|end| match end {
            EndReason::Done => "done",
            EndReason::Length => "length",
            EndReason::Refused => "refused",
        });
        let expected_end = turn.end.as_deref().or(turn.error.is_none().then_some("done"));
        if error != turn.error.as_deref() || end != expected_end {
            let expected = (expected_end, turn.error.as_deref());
            wrong.push(format!("end and error: expected {expected:?}, got {:?}", (end, error)));
        }
        if let Some(LlmError::TooLong { window, .. }) = &reply.error
            && *window != turn.window
        {
            wrong.push(format!("window: expected {:?}, got {window:?}", turn.window));
        }
        let mut told = reply.notices.join("\n");
        if let Some(error) = &reply.error {
            let _ = write!(told, "\n{error}");
        }
        if turn.says.as_ref().is_some_and(|words| !told.contains(words)) {
            wrong.push(format!("the words {:?} are missing in {told:?}", turn.says));
        }
        if turn.requests.is_some_and(|requests| requests != self.new.len()) {
            wrong.push(format!(
                "requests: expected {:?}, got {}",
                turn.requests,
                self.new.len()
            ));
        }
    }

    fn check_request(&self, wrong: &mut Vec<String>) {
        let turn = self.turn;
        let Some(last) = self.new.last() else {
            wrong.push("no request".to_owned());
            return;
        };
        let path = format!(
            "{}{}{}",
            last.path,
            if last.query.is_empty() { "" } else { "?" },
            last.query
        );
        if turn.path.as_ref().is_some_and(|expected| *expected != path) {
            wrong.push(format!("path: expected {:?}, got {path}", turn.path));
        }
        for (name, value) in &turn.header {
            if last.headers.get(name) != Some(value) {
                wrong.push(format!(
                    "header {name}: expected {value}, got {:?}",
                    last.headers.get(name)
                ));
            }
        }
        for (pointer, expected) in &turn.sent {
            let expected = serde_json::to_value(expected).unwrap();
            let seen = last.body.pointer(pointer);
            let is_right = match (&expected, seen) {
                (Value::String(pattern), Some(Value::String(seen))) => is_like(pattern, seen),
                (expected, Some(seen)) => expected == seen,
                (_, None) => false,
            };
            if !is_right {
                wrong.push(format!(
                    "sent {pointer}: expected {expected}, got {seen:?} in {}",
                    last.body
                ));
            }
        }
        for pointer in &turn.unsent {
            if let Some(seen) = last.body.pointer(pointer) {
                wrong.push(format!("sent {pointer}: expected nothing, got {seen}"));
            }
        }
        for [one, other] in &turn.same {
            let (one, other) = (last.body.pointer(one), last.body.pointer(other));
            if one.is_none() || one != other {
                wrong.push(format!("expected the same, got {one:?} and {other:?} in {}", last.body));
            }
        }
        self.check_words(last, wrong);
    }

    fn check_words(&self, last: &Received, wrong: &mut Vec<String>) {
        let body = last.body.to_string();
        for words in self.turn.contains.iter().filter(|words| !body.contains(words.as_str())) {
            wrong.push(format!("the request lacks {words:?}: {body}"));
        }
        if self.turn.absent.as_ref().is_some_and(|words| body.contains(words)) {
            wrong.push(format!("the request contains {:?}: {body}", self.turn.absent));
        }
        if self.turn.prefix {
            let before = &self.all[self.all.len() - self.new.len() - 1];
            wrong.extend(differences(before, last));
        }
    }
}

/// An expected string that starts with `~` is a regular expression.
fn is_like(expected: &str, seen: &str) -> bool {
    match expected.strip_prefix('~') {
        Some(pattern) => Regex::new(pattern).unwrap().is_match(seen),
        None => expected == seen,
    }
}

fn is_same_call(expected: &str, seen: &str) -> bool {
    let expected: Vec<&str> = expected.splitn(3, ' ').collect();
    let seen: Vec<&str> = seen.splitn(3, ' ').collect();
    let is_id = expected[0] == "*" && !seen[0].is_empty() || expected[0] == seen[0];
    let arguments = |text: &str| serde_json::from_str::<Value>(text).map_err(|_| text.to_owned());
    is_id && expected[1] == seen[1] && arguments(expected[2]) == arguments(seen[2])
}

/// Describes parts of the earlier request that the later request does not repeat. The later request may have
/// additional messages.
fn differences(before: &Received, after: &Received) -> Vec<String> {
    let mut wrong = Vec::new();
    for field in ["system", "instructions", "systemInstruction", "tools"] {
        if unmarked(&before.body[field]) != unmarked(&after.body[field]) {
            wrong.push(format!(
                "{field} differs: {} and {}",
                before.body[field], after.body[field]
            ));
        }
    }
    for field in ["messages", "contents", "input"] {
        let list = |request: &Received| unmarked(&request.body[field]).as_array().cloned().unwrap_or_default();
        let (before, after) = (list(before), list(after));
        if !after.starts_with(&before) {
            wrong.push(format!("{field} does not begin as before: {before:?} and {after:?}"));
        }
    }
    wrong
}

/// Removes cache markers, because their position differs between requests.
fn unmarked(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "cache_control")
            .map(|(name, value)| (name.clone(), unmarked(value)))
            .collect(),
        Value::Array(list) => list.iter().map(unmarked).collect(),
        other => other.clone(),
    }
}
