//! The JSON codec, held against prost-reflect: what one reads the other reads, and both read and print the same.
//!
//! The first byte picks a message and a dialect; the rest is tried as JSON text and as wire bytes.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use runyard::{
    contract::DESCRIPTORS,
    wire::json::{Codec, Dialect, MessageId},
};
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
    let codec = Codec::new(&pool);
    (pool, codec)
});

/// Panics when a promise of the codec does not hold for these bytes.
pub fn check(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else {
        return;
    };
    let name = MESSAGES[usize::from(choice & 0x7f) % MESSAGES.len()];
    let (pool, codec) = &*CONTRACT;
    let descriptor = pool.get_message_by_name(name).unwrap();
    let message = codec.message(name).unwrap();
    if choice & 0x80 == 0 {
        round_trip((codec, message), Dialect::Runyard, bytes);
    } else {
        round_trip((codec, message), Dialect::Canonical, bytes);
        reads_like_the_oracle((codec, message), &descriptor, bytes);
        prints_like_the_oracle((codec, message), &descriptor, bytes);
    }
}

/// What is read can be printed, what was printed can be read, and it stays the same from then on.
fn round_trip((codec, message): (&Codec, MessageId), dialect: Dialect, text: &[u8]) {
    let mut wire = b"before".to_vec();
    if codec.decode(message, dialect, text, &mut wire).is_err() {
        assert_eq!(wire, b"before", "an error left something behind");
        return;
    }
    let printed = print(codec, message, dialect, &wire[6..]).expect("what was read can be printed");
    let mut again = Vec::new();
    codec
        .decode(message, dialect, &printed, &mut again)
        .expect("what was printed can be read");
    let twice = print(codec, message, dialect, &again).expect("what was read can be printed");
    assert_eq!(printed, twice, "a message changes by being read again");
}

fn reads_like_the_oracle((codec, message): (&Codec, MessageId), descriptor: &MessageDescriptor, text: &[u8]) {
    let mut wire = Vec::new();
    if codec.decode(message, Dialect::Canonical, text, &mut wire).is_err() {
        return;
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let theirs = DynamicMessage::deserialize_with_options(descriptor.clone(), &mut reader, &options)
        .expect("prost-reflect reads what we read");
    let ours = DynamicMessage::decode(descriptor.clone(), wire.as_slice()).expect("we make whole messages");
    assert_eq!(
        shown(&ours),
        shown(&theirs),
        "the text is read otherwise than prost-reflect does"
    );
}

fn prints_like_the_oracle((codec, message): (&Codec, MessageId), descriptor: &MessageDescriptor, wire: &[u8]) {
    let Some(printed) = print(codec, message, Dialect::Canonical, wire) else {
        return;
    };
    let printed: Value = serde_json::from_slice(&printed).expect("what is printed is JSON");
    // We do not look into what we do not know; where prost does and is unhappy there is nothing to compare with.
    if let Ok(theirs) = DynamicMessage::decode(descriptor.clone(), wire)
        && let Some(theirs) = shown(&theirs)
    {
        assert_eq!(
            alike(printed),
            theirs,
            "the bytes are printed otherwise than prost-reflect does"
        );
    }
}

fn print(codec: &Codec, message: MessageId, dialect: Dialect, wire: &[u8]) -> Option<Vec<u8>> {
    let mut json = b"before".to_vec();
    let printed = codec.encode(message, dialect, wire, &mut json);
    if printed.is_err() {
        assert_eq!(json, b"before", "an error left something behind");
        return None;
    }
    Some(json.split_off(6))
}

/// The oracle's JSON, when it has one. It goes through text, because a float of 32 bits has other digits as one of 64.
fn shown(message: &DynamicMessage) -> Option<Value> {
    let mut text = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(true);
    message
        .serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options)
        .ok()?;
    serde_json::from_slice(&text).ok().map(alike)
}

/// Numbers compare by value: 1 and 1.0 are one number in JSON.
fn alike(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(values) => values.into_iter().map(alike).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, alike(value))).collect(),
        other => other,
    }
}
