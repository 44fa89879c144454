//! Property tests: for random messages of every type, the codec and prost-reflect must give equal results.

use proptest::{prelude::*, test_runner::TestCaseResult};
use prost::Message as _;
use prost_reflect::{DynamicMessage, MessageDescriptor, ReflectMessage as _};
use rand::{SeedableRng as _, rngs::StdRng};
use runyard_transcode::json::Dialect;
use serde_json::Value;

use super::{CONTRACT, EVERYTHING, Subject, random};

fn expected(message: &DynamicMessage) -> Value {
    // The message is converted to text first, because widening a 32-bit float changes its decimal digits.
    let text = serde_json::to_string(message).unwrap();
    alike(serde_json::from_str(&text).unwrap())
}

/// Converts all numbers to floating point, because 1 and 1.0 are the same JSON number.
fn alike(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Number(number), Value::from),
        Value::Array(values) => values.into_iter().map(alike).collect(),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, alike(value))).collect(),
        other => other,
    }
}

fn canonical(subject: &Subject, message: &DynamicMessage) -> TestCaseResult {
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    let wanted = expected(message);
    let printed = subject
        .encode(name, Dialect::Canonical, &message.encode_to_vec())
        .unwrap();
    prop_assert_eq!(
        alike(serde_json::from_str(&printed).unwrap()),
        wanted.clone(),
        "printing {}",
        name
    );

    let oracle_text = serde_json::to_string(message).unwrap();
    for text in [&printed, &oracle_text] {
        let wire = subject.decode(name, Dialect::Canonical, text.as_bytes());
        let wire = wire.map_err(|error| TestCaseError::fail(format!("{name}: {error} in {text}")))?;
        let read = DynamicMessage::decode(descriptor.clone(), wire.as_slice()).unwrap();
        prop_assert_eq!(expected(&read), wanted.clone(), "reading {} from {}", name, text);
    }
    Ok(())
}

fn round_trip(subject: &Subject, message: &DynamicMessage) -> TestCaseResult {
    let descriptor = message.descriptor();
    let name = descriptor.full_name();
    let printed = subject.encode(name, Dialect::Plain, &message.encode_to_vec()).unwrap();
    let wire = subject.decode(name, Dialect::Plain, printed.as_bytes());
    let wire = wire.map_err(|error| TestCaseError::fail(format!("{name}: {error} in {printed}")))?;
    let read = DynamicMessage::decode(descriptor.clone(), wire.as_slice()).unwrap();
    prop_assert_eq!(expected(&read), expected(message), "{} through {}", name, printed);
    Ok(())
}

fn messages(subject: &Subject) -> Vec<MessageDescriptor> {
    subject
        .pool
        .all_messages()
        .filter(|message| !message.is_map_entry())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_contract_message_matches_prost_reflect(seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        for message in messages(&CONTRACT) {
            canonical(&CONTRACT, &random::message(&message, random::Range::Full, random))?;
        }
    }

    #[test]
    fn every_contract_message_round_trips_in_our_dialect(seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        for message in messages(&CONTRACT) {
            round_trip(&CONTRACT, &random::message(&message, random::Range::NoNulls, random))?;
        }
    }

    #[test]
    fn every_type_matches_prost_reflect(seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        for message in messages(&EVERYTHING) {
            canonical(&EVERYTHING, &random::message(&message, random::Range::Full, random))?;
        }
    }

    #[test]
    fn every_type_round_trips_in_our_dialect(seed: u64) {
        let random = &mut StdRng::seed_from_u64(seed);
        for message in messages(&EVERYTHING) {
            round_trip(&EVERYTHING, &random::message(&message, random::Range::NoNulls, random))?;
        }
    }
}
