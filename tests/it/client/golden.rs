//! Runs the table `tests/clients/golden.json` with the Rust client; `tests/clients/GOLDEN.md` explains the table.
//!
//! Uploads, streams and downloads use the client's own methods. Other calls use the client's gRPC channel.
//! prost-reflect converts the JSON, so the test does not depend on the server's JSON codec.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, SerializeOptions};
use runyard::contract::DESCRIPTORS;
use runyard_client::{Client, Error, Result, from_status};
use serde_json::{Map, Value, json};
use tonic::{
    Request, Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};
use uuid::Uuid;

use super::model;
use crate::test_server::{Caller, TEST_TIMEOUT, TestServer, on_every_database};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/golden.json");
/// Fields of update requests that never appear in the update mask.
const NO_CHANGE: &[&str] = &["agent_id", "thread_id", "expected_version_id"];
const KINDS: &[&str] = &[
    "status",
    "message_delta",
    "reasoning_delta",
    "message",
    "tool_call",
    "tool_output",
    "tool_result",
    "usage",
    "notice",
    "input_requested",
    "input_answered",
    "user_message",
    "subagent_started",
];

#[tokio::test]
async fn every_exchange_of_the_golden_table_passes() {
    let table: Vec<Value> = serde_json::from_str(&fs::read_to_string(TABLE).unwrap()).unwrap();
    assert!(table.len() > 20, "{} exchanges", table.len());
    on_every_database(
        |_| model::script(),
        async |server| {
            let mut failures = Vec::new();
            for exchange in &table {
                let mut player = Player::open(server, exchange).await;
                if let Err(why) = player.play(exchange).await {
                    failures.push(format!("{}, {why}", exchange["name"]));
                }
            }
            assert!(failures.is_empty(), "{}", failures.join("\n"));
        },
    )
    .await;
}

/// The result of a step. The error describes the mismatch.
type Outcome<T = ()> = std::result::Result<T, String>;

struct Player {
    pool: DescriptorPool,
    url: String,
    clients: HashMap<String, Client>,
    kept: BTreeMap<String, Value>,
}

impl Player {
    async fn open(server: &TestServer, exchange: &Value) -> Self {
        let mut player = Self {
            pool: DescriptorPool::decode(DESCRIPTORS).unwrap(),
            url: server.url(""),
            clients: HashMap::new(),
            kept: BTreeMap::new(),
        };
        let alone = json!({"me": {}});
        let callers = exchange.get("callers").unwrap_or(&alone);
        for (name, wanted) in callers.as_object().unwrap() {
            let caller = server.caller(&Uuid::now_v7().to_string());
            if let Some(tier) = wanted["tier"].as_str() {
                give_tier(server, &caller, tier).await;
            }
            player.connect(name, &caller.token).await;
        }
        player.connect("nobody", "").await;
        player
    }

    async fn connect(&mut self, name: &str, token: &str) {
        let client = Client::connect(&self.url, token).await.unwrap();
        self.clients.insert(name.to_owned(), client);
    }

    async fn play(&mut self, exchange: &Value) -> Outcome {
        for (number, step) in exchange["steps"].as_array().unwrap().iter().enumerate() {
            let place = format!("step {}", number + 1);
            let played = tokio::time::timeout(TEST_TIMEOUT, self.step(step)).await;
            played
                .unwrap_or_else(|_| Err("it takes too long".to_owned()))
                .map_err(|why| format!("{place}: {why}\n    {step}"))?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Value) -> Outcome {
        let name = step["as"].as_str().unwrap_or("me").to_owned();
        if let Some(key) = name.strip_prefix("$ref:")
            && !self.clients.contains_key(&name)
        {
            let token = self.kept[key].as_str().unwrap().to_owned();
            self.connect(&name, &token).await;
        }
        let client = self.clients[&name].clone();
        match (self.ask(&client, step).await, step.get("error")) {
            (Ok(seen), None) => self.check(step, &seen),
            (Ok(_), Some(_)) => Err("the call succeeded but an error was expected".to_owned()),
            (Err(error), None) => Err(error.to_string()),
            (Err(error), Some(wanted)) => {
                let seen = refusal(&error);
                for (key, wanted) in wanted.as_object().unwrap().iter().filter(|(key, _)| *key != "http") {
                    self.like(wanted, &seen[key], key)?;
                }
                Ok(())
            }
        }
    }

    async fn ask(&mut self, client: &Client, step: &Value) -> Result<Value> {
        if let Some(file) = step.get("upload") {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(file["name"].as_str().unwrap());
            fs::write(&path, file["text"].as_str().unwrap()).unwrap();
            let upload = client.upload(&path).await?;
            self.kept
                .insert(step["save"].as_str().unwrap().to_owned(), upload.upload_id.into());
            return Ok(Value::Null);
        }
        if let Some(file) = step.get("download") {
            let file = self.filled(file);
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("file");
            let text = |name: &str| file[name].as_str().unwrap().to_owned();
            client.download(&text("sandbox_id"), &text("path"), &to).await?;
            return Ok(fs::read_to_string(&to).unwrap().into());
        }
        if let Some(stream) = step.get("stream") {
            let stream = self.filled(stream);
            return self.stream(client, &stream, step["cut"].as_u64()).await;
        }
        let (service, method) = step["call"].as_str().unwrap().split_once('.').unwrap();
        let service = self.pool.get_service_by_name(&format!("runyard.v1.{service}")).unwrap();
        let method = service.methods().find(|one| one.name() == method).unwrap();
        let request = self.filled(&step["request"]);
        call(client, &method, request).await.map_err(from_status)
    }

    async fn stream(&self, client: &Client, request: &Value, cut: Option<u64>) -> Result<Value> {
        let run = request["agent_run_id"].as_str().unwrap();
        let first = request["after_sequence"].as_i64().unwrap_or(0);
        let event = self.pool.get_message_by_name("runyard.v1.RunEvent").unwrap();
        let seen = async |after: i64, most: u64| {
            let mut watch = client.watch_run(run, after);
            let mut events = Vec::new();
            while events.len() < usize::try_from(most).unwrap() {
                let Some(next) = watch.next().await? else { break };
                events.push(printed(
                    &DynamicMessage::decode(event.clone(), next.encode_to_vec().as_slice()).unwrap(),
                ));
            }
            Ok::<_, Error>((events, watch.cursor()))
        };
        let Some(cut) = cut else {
            return Ok(seen(first, 1 << 20).await?.0.into());
        };
        let (mut events, cursor) = seen(first, cut).await?;
        assert_eq!(events.len() as u64, cut, "events before the cut");
        events.extend(seen(cursor, 1 << 20).await?.0);
        assert_eq!(
            events,
            seen(first, 1 << 20).await?.0,
            "the two parts differ from the whole stream"
        );
        Ok(events.into())
    }

    fn check(&mut self, step: &Value, seen: &Value) -> Outcome {
        if step.get("upload").is_some() {
            return Ok(());
        }
        if step.get("download").is_some() {
            return self.like(&step["text"], seen, "text");
        }
        match step.get("stream") {
            Some(stream) => {
                let after = stream["after_sequence"].as_i64().unwrap_or(0);
                self.check_events(step.get("events"), seen.as_array().unwrap(), after)
            }
            None => self.like(step.get("answer").unwrap_or(&json!({})), seen, "answer"),
        }
    }

    fn check_events(&mut self, wanted: Option<&Value>, events: &[Value], after: i64) -> Outcome {
        let status = |event: &Value| short_name(event["status"]["status"].as_str().unwrap_or_default());
        let is_end = |event: &Value| ["completed", "failed", "stopped"].contains(&status(event).as_str());
        for (sequence, event) in (after + 1..).zip(events) {
            self.like(&json!(sequence), &event["sequence"], "sequence")?;
        }
        let ends = events.iter().filter(|event| is_end(event)).count();
        let last = events.last().ok_or("no events")?;
        if ends != 1 || !is_end(last) {
            return Err(format!("{ends} terminal events, the last event is {last}"));
        }
        let kind = |event: &Value| KINDS.iter().find(|kind| !event[**kind].is_null()).copied();
        let mut kinds: Vec<_> = events
            .iter()
            .map(|event| kind(event).ok_or(event))
            .collect::<std::result::Result<_, _>>()
            .map_err(|event| format!("event of unknown kind: {event}"))?;
        kinds.dedup();
        let texts = events
            .iter()
            .filter_map(|event| event["message_delta"]["text"].as_str());
        let text: String = texts.collect();
        let seen = json!({
            "kinds": kinds, "text": text, "status": status(last), "error_code": last["status"]["error_code"], "has": events,
        });
        for (key, wanted) in wanted.and_then(Value::as_object).into_iter().flatten() {
            let wanted = if key == "has" {
                json!({"$has": wanted})
            } else {
                wanted.clone()
            };
            self.like(&wanted, &seen[key], key)?;
        }
        Ok(())
    }

    fn filled(&mut self, value: &Value) -> Value {
        match value {
            Value::Object(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), self.filled(value)))
                .collect(),
            Value::Array(values) => values.iter().map(|value| self.filled(value)).collect(),
            Value::String(text) => match text
                .strip_prefix('$')
                .map(|word| word.split_once(':').unwrap_or((word, "")))
            {
                Some(("ref", key)) => self.kept[key].clone(),
                Some(("new", key)) => {
                    let made = Value::from(Uuid::now_v7().to_string());
                    self.kept.insert(key.to_owned(), made.clone());
                    made
                }
                _ => value.clone(),
            },
            other => other.clone(),
        }
    }

    fn like(&mut self, wanted: &Value, seen: &Value, place: &str) -> Outcome {
        let differs = || Err(format!("{place} is {seen}, not {wanted}"));
        match wanted {
            Value::Object(entries) => {
                if let Some(all) = entries.get("$has") {
                    for one in all.as_array().unwrap() {
                        let among = seen.as_array().into_iter().flatten();
                        if !among.clone().any(|seen| self.like(one, seen, place).is_ok()) {
                            return Err(format!("{place}: no element matches {one} in {seen}"));
                        }
                    }
                    return Ok(());
                }
                for (key, wanted) in entries {
                    self.like(wanted, &seen[key], &format!("{place}.{key}"))?;
                }
                Ok(())
            }
            Value::Array(wanted) => match seen.as_array() {
                Some(seen) if seen.len() == wanted.len() => {
                    for (position, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
                        self.like(wanted, seen, &format!("{place}[{position}]"))?;
                    }
                    Ok(())
                }
                _ => differs(),
            },
            Value::String(text) if text.starts_with('$') => {
                let (word, rest) = text[1..].split_once(':').unwrap_or((&text[1..], ""));
                if self.fits(word, rest, seen) { Ok(()) } else { differs() }
            }
            Value::Number(_) if number(seen) == number(wanted) => Ok(()),
            _ if seen == wanted => Ok(()),
            _ => differs(),
        }
    }

    fn fits(&mut self, word: &str, rest: &str, seen: &Value) -> bool {
        let text = seen.as_str();
        match word {
            "save" => {
                self.kept.insert(rest.to_owned(), seen.clone());
                !matches!(seen, Value::Null | Value::Bool(false))
                    && *seen != ""
                    && *seen != json!([])
                    && number(seen) != Some(0.0)
            }
            "ref" => self.kept.get(rest) == Some(seen),
            "uuid" => text.is_some_and(|text| text.len() == 36 && Uuid::parse_str(text).is_ok()),
            "time" => {
                text.is_some_and(|text| text.ends_with('Z') && chrono::DateTime::parse_from_rfc3339(text).is_ok())
            }
            "text" => text.is_some_and(|text| !text.is_empty()),
            "contains" => text.is_some_and(|text| text.contains(rest)),
            "positive" => number(seen).is_some_and(|number| number > 0.0),
            "enum" => text.is_some_and(|text| short_name(text) == rest.to_lowercase()),
            _ => panic!("GOLDEN.md has no matcher ${word}"),
        }
    }
}

async fn give_tier(server: &TestServer, caller: &Caller, tier: &str) {
    let account = caller.get("/billing/account-state").await.ok()["account_id"].clone();
    let root = server.caller_as("root", Some("super_admin"));
    let path = format!("/admin/accounts/{}/tier", account.as_str().unwrap());
    let changed = root
        .request("PUT", &path)
        .json(&json!({"tier_name": tier}))
        .send()
        .await;
    assert_eq!(changed.unwrap().status(), 200);
}

/// Calls a unary method. `request` is canonical JSON with proto field names. If the method has an update mask, this
/// function fills the mask with the changed fields.
async fn call(client: &Client, method: &MethodDescriptor, mut request: Value) -> Result<Value, Status> {
    let input = method.input();
    let entries = request.as_object_mut().unwrap();
    if input.get_field_by_name("update_mask").is_some() {
        let changed: Vec<&str> = entries
            .keys()
            .map(String::as_str)
            .filter(|key| !NO_CHANGE.contains(key))
            .collect();
        // In JSON, field mask paths are camelCase.
        let mask = changed
            .iter()
            .map(|key| input.get_field_by_name(key).unwrap().json_name().to_owned());
        let mask = mask.collect::<Vec<_>>().join(",");
        entries.insert("update_mask".to_owned(), mask.into());
    }
    let request = DynamicMessage::deserialize(input, &request).map_err(|error| Status::internal(error.to_string()))?;
    let mut grpc = tonic::client::Grpc::new(client.channel());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
    let answer = grpc
        .unary(Request::new(request), path.parse().unwrap(), Dynamic(method.output()))
        .await?;
    Ok(printed(&answer.into_inner()))
}

fn printed(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new()
        .use_proto_field_name(true)
        .skip_default_fields(false);
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .unwrap()
}

/// Converts an error of the client to JSON with the keys that the table uses.
fn refusal(error: &Error) -> Value {
    let mut details = Map::from_iter([
        ("message".to_owned(), error.message().into()),
        ("error_code".to_owned(), error.code().as_str().into()),
    ]);
    if let Some(seen) = error.details() {
        details.extend([
            ("running_thread_ids".to_owned(), json!(seen.running_thread_ids)),
            ("running_count".to_owned(), json!(seen.running_count)),
            ("current_count".to_owned(), json!(seen.current_count)),
            ("limit".to_owned(), json!(seen.limit)),
            ("tier_name".to_owned(), json!(seen.tier_name)),
        ]);
    }
    let status = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Status>());
    let code = status.map(|status| screaming(&format!("{:?}", status.code())));
    json!({
        "code": code, "reason": error.code().as_str(), "message": error.message(), "details": details,
        "fields": error.field().into_iter().collect::<Vec<_>>(),
    })
}

fn screaming(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

/// Shortens the name of an enum value: both `RUN_STATUS_RUNNING` and `running` become `running`.
fn short_name(text: &str) -> String {
    let name = text.to_lowercase();
    let prefixes = [
        "run_status_",
        "message_role_",
        "mcp_transport_",
        "notice_kind_",
        "api_key_scope_",
        "memory_scope_",
        "input_kind_",
        "input_decision_",
        "tool_decision_",
        "stop_reason_",
        "message_delivery_",
        "webhook_delivery_status_",
        "schedule_overlap_",
        "schedule_run_outcome_",
    ];
    let short = prefixes
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .map(str::to_owned);
    short.unwrap_or(name)
}

/// Reads a number. Canonical JSON prints 64-bit numbers as strings.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[derive(Clone)]
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        self.clone()
    }

    fn decoder(&mut self) -> Self {
        self.clone()
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), buffer);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
