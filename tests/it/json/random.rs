//! Random valid messages of any type.

use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage, Value,
};
use rand::{Rng, seq::IndexedRandom};

const DEPTH: u32 = 4;

/// The permitted content of a random message. In Runyard's dialect, null means unset, so a round trip loses fields
/// that are printed as null.
#[derive(Clone, Copy, PartialEq)]
pub enum Range {
    Full,
    /// Only messages that a round trip leaves unchanged.
    NoNulls,
}

pub fn message(descriptor: &MessageDescriptor, range: Range, random: &mut impl Rng) -> DynamicMessage {
    build(descriptor, range, DEPTH, random)
}

fn build(descriptor: &MessageDescriptor, range: Range, depth: u32, random: &mut impl Rng) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    match descriptor.full_name() {
        "google.protobuf.Timestamp" => {
            let seconds = match random.random_range(0..4) {
                0 => random.random_range(-62_135_596_800..=253_402_300_799),
                _ => random.random_range(1_600_000_000..1_800_000_000),
            };
            set(&mut message, "seconds", Value::I64(seconds));
            set(&mut message, "nanos", Value::I32(nanos(random)));
        }
        "google.protobuf.Duration" => {
            let sign = if random.random() { 1 } else { -1 };
            set(
                &mut message,
                "seconds",
                Value::I64(sign * random.random_range(0..=315_576_000_000)),
            );
            set(
                &mut message,
                "nanos",
                Value::I32(i32::try_from(sign).unwrap() * nanos(random)),
            );
        }
        "google.protobuf.FieldMask" => {
            let paths = ["name", "current_version", "agent.icon_name", "a_b_c.d_e", "x"];
            let count = random.random_range(0..3);
            let paths = (0..count)
                .map(|_| Value::String((*paths.choose(random).unwrap()).to_owned()))
                .collect();
            set(&mut message, "paths", Value::List(paths));
        }
        "google.protobuf.Any" => any(&mut message, range, depth, random),
        _ => fields(&mut message, descriptor, range, depth, random),
    }
    message
}

fn any(message: &mut DynamicMessage, range: Range, depth: u32, random: &mut impl Rng) {
    let names = [
        "google.protobuf.Timestamp",
        "google.protobuf.StringValue",
        "google.protobuf.Value",
        "google.protobuf.Struct",
        "google.protobuf.Empty",
        "runyard.v1.HttpMethod",
    ];
    let pool = message.descriptor().parent_pool().clone();
    let known: Vec<_> = names.iter().filter_map(|name| pool.get_message_by_name(name)).collect();
    let inner = known.choose(random).expect("the pool has at least one of them");
    let inner = build(inner, range, depth.saturating_sub(1), random);
    set(
        message,
        "type_url",
        Value::String(format!("type.googleapis.com/{}", inner.descriptor().full_name())),
    );
    set(
        message,
        "value",
        Value::Bytes(prost::Message::encode_to_vec(&inner).into()),
    );
}

fn fields(
    message: &mut DynamicMessage,
    descriptor: &MessageDescriptor,
    range: Range,
    depth: u32,
    random: &mut impl Rng,
) {
    let is_value = descriptor.full_name() == "google.protobuf.Value";
    let mut taken = Vec::new();
    let mut order: Vec<_> = descriptor.fields().collect();
    rand::seq::SliceRandom::shuffle(order.as_mut_slice(), random);
    for field in order {
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        if oneof.as_ref().is_some_and(|oneof| taken.contains(oneof)) {
            continue;
        }
        // With `NoNulls`, every field whose type has a null value is set. An absent field would be printed as null,
        // and reading null would set the field.
        let must = range == Range::NoNulls && field.supports_presence() && takes_null(&field.kind()) && oneof.is_none();
        let deep = depth == 0 && field.kind().as_message().is_some();
        if deep && !must || !must && !is_value && random.random_range(0..3) == 0 {
            continue;
        }
        let value = field_value(&field, range, depth, random);
        message.set_field(&field, value);
        taken.extend(oneof);
    }
}

fn field_value(field: &FieldDescriptor, range: Range, depth: u32, random: &mut impl Rng) -> Value {
    let kind = field.kind();
    let no_nulls = range == Range::NoNulls && field.supports_presence();
    if field.is_map() {
        let entry = kind.as_message().unwrap();
        let (key, value) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let count = random.random_range(0..4);
        let entries = (0..count).map(|_| (map_key(&key, random), one(&value, range, depth, false, random)));
        Value::Map(entries.collect())
    } else if field.is_list() {
        let count = random.random_range(0..4);
        Value::List((0..count).map(|_| one(&kind, range, depth, false, random)).collect())
    } else {
        one(&kind, range, depth, no_nulls, random)
    }
}

fn one(kind: &Kind, range: Range, depth: u32, no_nulls: bool, random: &mut impl Rng) -> Value {
    match kind {
        Kind::Message(message) => Value::Message(build(message, range, depth.saturating_sub(1), random)),
        Kind::Enum(descriptor) => Value::EnumNumber(enum_number(descriptor, no_nulls, random)),
        Kind::Bool => Value::Bool(random.random()),
        Kind::String => Value::String(string(random)),
        Kind::Bytes => Value::Bytes((0..random.random_range(0..20)).map(|_| random.random::<u8>()).collect()),
        Kind::Double => Value::F64(double(random)),
        Kind::Float => Value::F32(match random.random_range(0..4) {
            0 => 0.0,
            1 => f32::from(random.random_range(-100i16..100)),
            _ => random.random::<f32>() * 10f32.powi(random.random_range(-30..30)),
        }),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(narrow(random).cast_signed()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(wild(random).cast_signed()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(narrow(random)),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(wild(random)),
    }
}

fn map_key(kind: &Kind, random: &mut impl Rng) -> MapKey {
    one(kind, Range::Full, 0, false, random).into_map_key().unwrap()
}

fn enum_number(descriptor: &EnumDescriptor, no_nulls: bool, random: &mut impl Rng) -> i32 {
    let values: Vec<_> = descriptor.values().collect();
    match random.random_range(0..8) {
        0 if descriptor.full_name() != "google.protobuf.NullValue" => random.random_range(1000..2000),
        _ => {
            let number = values.choose(random).unwrap().number();
            if no_nulls && number == 0 {
                values.last().unwrap().number()
            } else {
                number
            }
        }
    }
}

fn wild(random: &mut impl Rng) -> u64 {
    match random.random_range(0..6) {
        0 => 0,
        1 => random.random_range(0..200),
        2 => u64::MAX - random.random_range(0..200),
        3 => (1 << 63) - random.random_range(0..2),
        4 => (1 << 53) + random.random_range(0..4),
        _ => random.random(),
    }
}

fn narrow(random: &mut impl Rng) -> u32 {
    match random.random_range(0..4) {
        0 => random.random_range(0..200),
        1 => u32::MAX - random.random_range(0..200),
        2 => (1 << 31) - random.random_range(0..2),
        _ => random.random(),
    }
}

fn double(random: &mut impl Rng) -> f64 {
    match random.random_range(0..5) {
        0 => 0.0,
        1 => f64::from(random.random_range(-1000..1000)),
        2 => 1e300,
        3 => 9_007_199_254_740_993.0,
        _ => random.random::<f64>() * 10f64.powi(random.random_range(-200..200)),
    }
}

fn nanos(random: &mut impl Rng) -> i32 {
    *[0, 0, 500_000_000, 123_000_000, 123_456_000, 123_456_789, 1, 999_999_999]
        .choose(random)
        .unwrap()
}

fn string(random: &mut impl Rng) -> String {
    let characters = [
        'a', 'Z', '0', ' ', '"', '\\', '/', '\n', '\t', '\r', '\u{0}', '\u{1f}', 'é', '€', '𝄞', '\u{7f}', '\u{2028}',
        '\u{ffff}',
    ];
    (0..random.random_range(0..12))
        .map(|_| *characters.choose(random).unwrap())
        .collect()
}

fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(descriptor) => descriptor.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn set(message: &mut DynamicMessage, name: &str, value: Value) {
    message.set_field_by_name(name, value);
}
