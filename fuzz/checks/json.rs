//! Compares the JSON codec with prost-reflect in the canonical dialect. If the codec accepts a text, prost-reflect
//! must decode the same message from it. Both must print a message as the same JSON. In both dialects, a second round
//! trip must not change a message.
//!
//! The first byte of the input selects message type and dialect. The remaining bytes are read as JSON text and, in
//! the canonical dialect, also as wire bytes.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use runyard::{contract::DESCRIPTORS, wire::codec};
use runyard_transcode::json::{Codec, Dialect, MessageId};
use serde_json::Value;

const MESSAGES: &[&str] = &[
    "runyard.v1.CreateAgentRequest",
    "runyard.v1.StartRunRequest",
    "runyard.v1.StreamRunsRequest",
    "runyard.v1.ListRunsRequest",
    "runyard.v1.UpdateAgentRequest",
    "runyard.v1.UploadChunkRequest",
    "runyard.v1.RunEvent",
    "runyard.v1.Message",
];

static CONTRACT: LazyLock<(DescriptorPool, Codec)> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let codec = codec::json(&pool);
    (pool, codec)
});

pub fn check(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let name = MESSAGES[usize::from(choice & 0x7f) % MESSAGES.len()];
    let (pool, codec) = &*CONTRACT;
    let descriptor = pool.get_message_by_name(name).unwrap();
    let message = codec.message(name).unwrap();
    if choice & 0x80 == 0 {
        round_trip((codec, message), Dialect::Plain, bytes);
    } else {
        round_trip((codec, message), Dialect::Canonical, bytes);
        reads_like_the_oracle((codec, message), &descriptor, bytes);
        prints_like_the_oracle((codec, message), &descriptor, bytes);
    }
}

/// Checks that a decoded message can be printed, and that a second round trip prints the same text.
fn round_trip((codec, message): (&Codec, MessageId), dialect: Dialect, text: &[u8]) {
    let mut wire = b"before".to_vec();
    if codec.decode(message, dialect, text, &mut wire).is_err() {
        assert_eq!(wire, b"before", "a failed decode left output behind");
        return;
    }
    let printed = print(codec, message, dialect, &wire[6..]).expect("a decoded message can be printed");
    let mut again = Vec::new();
    codec
        .decode(message, dialect, &printed, &mut again)
        .expect("a printed message can be decoded");
    let twice = print(codec, message, dialect, &again).expect("a decoded message can be printed");
    assert_eq!(printed, twice, "a second round trip changes a message");
}

fn reads_like_the_oracle((codec, message): (&Codec, MessageId), descriptor: &MessageDescriptor, text: &[u8]) {
    let mut wire = Vec::new();
    if codec.decode(message, Dialect::Canonical, text, &mut wire).is_err() {
        return;
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let theirs = DynamicMessage::deserialize_with_options(descriptor.clone(), &mut reader, &options)
        .expect("prost-reflect accepts what the codec accepts");
    let ours = DynamicMessage::decode(descriptor.clone(), wire.as_slice()).expect("the codec writes valid messages");
    assert_eq!(
        shown(&ours),
        shown(&theirs),
        "prost-reflect decodes the text differently"
    );
}

fn prints_like_the_oracle((codec, message): (&Codec, MessageId), descriptor: &MessageDescriptor, wire: &[u8]) {
    let Some(printed) = print(codec, message, Dialect::Canonical, wire) else {
        return;
    };
    let printed: Value = serde_json::from_slice(&printed).expect("the output is JSON");
    // The codec skips unknown fields, but prost may refuse them; then there is nothing to compare.
    if let Ok(theirs) = DynamicMessage::decode(descriptor.clone(), wire)
        && let Some(theirs) = shown(&theirs)
    {
        assert_eq!(alike(printed), theirs, "prost-reflect prints the bytes differently");
    }
}

fn print(codec: &Codec, message: MessageId, dialect: Dialect, wire: &[u8]) -> Option<Vec<u8>> {
    let mut json = b"before".to_vec();
    let printed = codec.encode(message, dialect, wire, &mut json);
    if printed.is_err() {
        assert_eq!(json, b"before", "a failed encode left output behind");
        return None;
    }
    Some(json.split_off(6))
}

/// Returns the JSON of prost-reflect; `None` if it cannot print the message. A direct conversion would widen 32-bit
/// floats, so the message is printed as text and parsed.
fn shown(message: &DynamicMessage) -> Option<Value> {
    let mut text = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(true);
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)
        .ok()?;
    serde_json::from_slice(&text).ok().map(alike)
}

/// Converts all numbers to floats, because JSON does not distinguish 1 from 1.0.
fn alike(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(values) => values.into_iter().map(alike).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, alike(value))).collect(),
        other => other,
    }
}
