//! Hostile input is refused, and no input makes the codec panic.

use proptest::prelude::*;
use runyard_transcode::json::Dialect::{Canonical, Plain};

use super::{CONTRACT, EVERYTHING};

const MESSAGE: &str = "runyard.test.Everything";

fn refusal(json: &[u8]) -> String {
    match EVERYTHING.decode(MESSAGE, Plain, json) {
        Ok(_) => "taken".to_owned(),
        Err(error) => {
            assert!(error.is_callers(), "{error}");
            error.to_string()
        }
    }
}

/// Malformed inputs with the expected error, and valid inputs with the word `taken`.
const MALFORMED: &[(&[u8], &str)] = &[
    (b"{}", "taken"),
    (b" {\r\n\t} ", "taken"),
    (b"", "invalid JSON at byte 0: expected a value"),
    (b"null", "must be an object"),
    (b"[]", "must be an object"),
    (b"{\"nothing\": 1}", "nothing: unknown field"),
    (
        b"{\"an_inner\": {\"inners\": [{}, {\"nothing\": 1}]}}",
        "an_inner.inners[1].nothing: unknown field",
    ),
    (b"{\"a_int32\": 1, \"a_int32\": 1}", "a_int32: must not occur twice"),
    (b"{\"a_int32\": 1, \"aInt32\": 1}", "a_int32: must not occur twice"),
    (b"{\"a_int32\": null, \"aInt32\": 1}", "a_int32: must not occur twice"),
    (
        b"{\"m_string\": {\"a\": \"\", \"\\u0061\": \"\"}}",
        "m_string[\"a\"]: must not occur twice",
    ),
    (
        b"{\"k_struct\": {\"a\": 1, \"a\": 1}}",
        "k_struct[\"a\"]: must not occur twice",
    ),
    (b"{\"k_mask\": \"a_b,cD\"}", "taken"),
    (b"{\"k_mask\": \"a__b\"}", "k_mask: must be comma-separated field names"),
    (b"{\"k_mask\": \"a_\"}", "k_mask: must be comma-separated field names"),
    (b"{\"k_mask\": \"a_1\"}", "k_mask: must be comma-separated field names"),
    (b"{\"k_mask\": \"a_B\"}", "k_mask: must be comma-separated field names"),
    (b"{\"a_double\": NaN}", "invalid JSON at byte 13: expected a value"),
    (b"{\"a_double\": Infinity}", "invalid JSON at byte 13: expected a value"),
    (b"{\"a_double\": -Infinity}", "invalid JSON at byte 14: invalid number"),
    (b"{\"a_double\": +1}", "invalid JSON at byte 13: expected a value"),
    (b"{\"a_double\": 01}", "invalid JSON at byte 14: invalid number"),
    (b"{\"a_double\": 1.}", "invalid JSON at byte 15: invalid number"),
    (b"{\"a_double\": .1}", "invalid JSON at byte 13: expected a value"),
    (b"{\"a_double\": 1e}", "invalid JSON at byte 15: invalid number"),
    (b"\xef\xbb\xbf{}", "the JSON must not begin with a byte order mark"),
    (b"\xff\xfe{\0}\0", "the JSON is not valid UTF-8"),
    (b"{\0}\0", "invalid JSON at byte 1: expected a quoted key"),
    (b"{\"a_string\": \"\xc3\x28\"}", "the JSON is not valid UTF-8"),
    (b"{\"a_string\": \"\xed\xa0\x80\"}", "the JSON is not valid UTF-8"),
    (
        b"{\"k_any\": {\"value\": \"\xff\", \"@type\": \"a/google.protobuf.Value\"}}",
        "the JSON is not valid UTF-8",
    ),
    (b"{} x", "invalid JSON at byte 3: unexpected text after the value"),
    (b"{}{}", "invalid JSON at byte 2: unexpected text after the value"),
    (
        b"{\"a_bool\": true,}",
        "invalid JSON at byte 16: a trailing comma is not allowed",
    ),
    (
        b"{\"r_int32\": [1,]}",
        "r_int32: invalid JSON at byte 15: a trailing comma is not allowed",
    ),
    (
        b"{\"r_int32\": [1 2]}",
        "r_int32: invalid JSON at byte 15: expected a comma",
    ),
    (
        b"{\"r_int32\": [1",
        "r_int32: invalid JSON at byte 14: unexpected end of the text",
    ),
    (b"{\"a_bool\" true}", "invalid JSON at byte 10: expected a colon"),
    (b"{\"a_bool\": truely}", "invalid JSON at byte 15: expected a comma"),
    (b"{'a_bool': true}", "invalid JSON at byte 1: expected a quoted key"),
    (b"{/**/}", "invalid JSON at byte 1: expected a quoted key"),
    (
        b"{\"a_string\": \"a\nb\"}",
        "a_string: invalid JSON at byte 15: a control character must be escaped",
    ),
    (
        b"{\"a_string\": \"\\x\"}",
        "a_string: invalid JSON at byte 15: unknown escape sequence",
    ),
    (
        b"{\"a_string\": \"\\ud834\"}",
        "a_string: invalid JSON at byte 20: the escape is not a Unicode character",
    ),
    (
        b"{\"a_string\": \"\\udd1e\\ud834\"}",
        "a_string: invalid JSON at byte 19: the escape is not a Unicode character",
    ),
    (
        b"{\"a_string\": \"\\u+041\"}",
        "a_string: invalid JSON at byte 16: unknown escape sequence",
    ),
    (
        b"{\"a_string\": \"a",
        "a_string: invalid JSON at byte 15: the string is not terminated",
    ),
    (
        b"{\"a_string\": \"a\\",
        "a_string: invalid JSON at byte 16: the string is not terminated",
    ),
    (b"{\"k_struct\": {\"a\": 1e400}}", "k_struct[\"a\"]: is out of range"),
];

#[test]
fn malformed_json_is_refused() {
    for (json, expected) in MALFORMED {
        let shown = String::from_utf8_lossy(json);
        let refused = refusal(json);
        // Some entries omit the field name with which the error text starts.
        assert!(
            refused == *expected || refused.ends_with(&format!(": {expected}")),
            "{shown}: {refused}, not {expected}"
        );
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |open: &str, inside: &str, close: &str, depth: usize| {
        format!("{}{inside}{}", open.repeat(depth), close.repeat(depth))
    };
    // The nesting limit applies before the content of a field is interpreted.
    for json in [
        nested("[", "", "]", 100_000),
        format!("{{\"k_value\": {}}}", nested("[", "", "]", 100_000)),
        format!("{{\"k_struct\": {}}}", nested("{\"a\":", "1", "}", 100_000)),
        format!("{{\"an_inner\": {}}}", nested("{\"inner\":", "{}", "}", 100_000)),
        format!("{{\"k_any\": {{\"a\": {}}}}}", nested("[", "", "]", 100_000)),
        format!(
            "{{\"k_any\": {{\"@type\": \"a/google.protobuf.Value\", \"value\": {}}}}}",
            nested("[", "", "]", 127)
        ),
    ] {
        let refused = refusal(json.as_bytes());
        assert!(
            refused.contains("nested too deeply") || refused == "must be an object",
            "{}",
            &refused[..80.min(refused.len())]
        );
    }
    // prost can decode every message that the codec accepts, because both have the same nesting limit.
    let mut deepest = 0;
    for depth in 1..130 {
        let json = nested("{\"inner\":", "{}", "}", depth);
        if let Ok(wire) = EVERYTHING.decode("runyard.test.Inner", Canonical, json.as_bytes()) {
            let descriptor = EVERYTHING.pool.get_message_by_name("runyard.test.Inner").unwrap();
            prost_reflect::DynamicMessage::decode(descriptor, wire.as_slice()).unwrap();
            assert_eq!(EVERYTHING.encode("runyard.test.Inner", Canonical, &wire).unwrap(), json);
            deepest = depth;
        }
    }
    assert_eq!(deepest, 100);
    for depth in 1..60 {
        let json = format!("{{\"kStruct\":{}}}", nested("{\"a\":[", "1", "]}", depth));
        if let Ok(wire) = EVERYTHING.decode(MESSAGE, Canonical, json.as_bytes()) {
            let descriptor = EVERYTHING.pool.get_message_by_name(MESSAGE).unwrap();
            prost_reflect::DynamicMessage::decode(descriptor, wire.as_slice()).unwrap();
            assert_eq!(EVERYTHING.encode(MESSAGE, Canonical, &wire).unwrap(), json);
        }
    }
    let number = "1".repeat(10_000_000);
    assert!(refusal(format!("{{\"a_double\": {number}}}").as_bytes()).contains("the number is too long"));
    assert!(refusal(format!("{{\"a_double\": \"{number}\"}}").as_bytes()).contains("out of range"));
    let name = "x".repeat(10_000_000);
    let refused = refusal(format!("{{\"{name}\": 1}}").as_bytes());
    assert!(refused.len() < 300, "a long field name is shortened in the error");
}

#[test]
fn a_repeated_map_key_is_refused_at_any_position() {
    for count in [1, 2, 16, 17, 18, 40] {
        let entries: Vec<String> = (0..count).map(|at| format!("\"k{at}\":\"\"")).collect();
        let map = |entries: &[String]| format!("{{\"m_string\":{{{}}}}}", entries.join(","));
        assert_eq!(refusal(map(&entries).as_bytes()), "taken");
        for again in 0..count {
            let mut twice = entries.clone();
            twice.push(format!("\"k{again}\":\"\""));
            assert_eq!(
                refusal(map(&twice).as_bytes()),
                format!("m_string[\"k{again}\"]: must not occur twice")
            );
        }
    }
}

#[test]
fn length_prefixes_of_any_size_are_written() {
    for length in [
        0, 1, 118, 119, 120, 127, 128, 16_370, 16_383, 16_384, 65_536, 2_097_140, 2_097_152,
    ] {
        let text = "é".repeat(length / 2) + &"x".repeat(length % 2);
        let json = format!("{{\"inner\":{{\"inner\":{{\"text\":\"{text}\"}},\"inners\":[{{}},{{\"text\":\"y\"}}]}}}}");
        let wire = EVERYTHING.decode("runyard.test.Inner", Plain, json.as_bytes()).unwrap();
        let descriptor = EVERYTHING.pool.get_message_by_name("runyard.test.Inner").unwrap();
        let oracle = prost_reflect::DynamicMessage::decode(descriptor, wire.as_slice()).unwrap();
        let mut expected: serde_json::Value = serde_json::from_str(&json).unwrap();
        if length == 0 {
            expected["inner"]["inner"] = serde_json::json!({});
        }
        assert_eq!(serde_json::to_value(&oracle).unwrap(), expected, "{length}");
    }
}

#[test]
fn malformed_wire_bytes_are_an_error() {
    let table: &[(&[u8], &str)] = &[
        (b"\x0a", "the message ends in the middle of a field"),
        (b"\x0a\x05a", "the message ends in the middle of a field"),
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "the message ends in the middle of a field",
        ),
        (b"\x0a\x02\xc3\x28", "text: a string is not valid UTF-8"),
        (b"\x08\x01", "text: the field has a wrong wire type"),
        (
            b"\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            "a varint is longer than 64 bits",
        ),
        (b"\x10\x80", "the message ends in the middle of a field"),
        (b"\x00\x01", "a tag has an invalid field number"),
        (b"\x0e", "a tag has a wrong wire type"),
        (b"\x0c", "a tag has a wrong wire type"),
        (b"\xa3\x06\x08\x01", "the message ends in the middle of a field"),
        (b"\x1a\x02\x0a\x05", "inner: the message ends in the middle of a field"),
    ];
    for (wire, expected) in table {
        let error = EVERYTHING.encode("runyard.test.Inner", Canonical, wire).unwrap_err();
        assert_eq!(error.to_string(), *expected, "{wire:?}");
        assert!(!error.is_callers());
        assert_eq!(runyard::Error::from(error).kind(), runyard::error::Kind::Internal);
    }
    let wire =
        b"\xa3\x06\x08\x01\xab\x06\xac\x06\xa4\x06\xa8\x06\x01\xaa\x06\x01x\xad\x06abcd\xa9\x06abcdefgh\x0a\x01a";
    assert_eq!(
        EVERYTHING.encode("runyard.test.Inner", Canonical, wire).unwrap(),
        r#"{"text":"a"}"#
    );
    let mut deep = Vec::new();
    for _ in 0..10_000 {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend(deep);
        deep = outer;
    }
    assert!(
        EVERYTHING
            .encode("runyard.test.Inner", Canonical, &deep)
            .unwrap_err()
            .message()
            .contains("too deeply")
    );
}

#[test]
fn an_error_leaves_the_buffer_unchanged() {
    let id = EVERYTHING.codec.message(MESSAGE).unwrap();
    let mut buffer = b"before".to_vec();
    EVERYTHING
        .codec
        .decode(id, Canonical, br#"{"aString": "x", "aInt32": "x"}"#, &mut buffer)
        .unwrap_err();
    EVERYTHING
        .codec
        .decode_text((id, "an_inner.number"), Canonical, "x", &mut buffer)
        .unwrap_err();
    EVERYTHING
        .codec
        .encode(id, Canonical, b"\x72\x01a\x72\x05", &mut buffer)
        .unwrap_err();
    assert_eq!(buffer, b"before");
}

#[test]
fn an_invalid_request_error_names_its_field() {
    let error = CONTRACT.decode(
        "runyard.v1.CreateAgentRequest",
        Plain,
        br#"{"custom_mcps": [{"nmae": ""}]}"#,
    );
    let error = runyard::Error::from(error.unwrap_err());
    assert_eq!(error.kind(), runyard::error::Kind::Invalid);
    assert_eq!(error.field(), Some("custom_mcps[0].nmae"));
    assert_eq!(error.message(), "custom_mcps[0].nmae: unknown field");
}

fn nearly_json() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u",
        "d834",
        "null",
        "true",
        "false",
        "1",
        "-",
        "e9",
        ".5",
        "\"a_int32\"",
        "\"an_inner\"",
        "\"inner\"",
        "\"text\"",
        "\"k_any\"",
        "\"@type\"",
        "\"a/runyard.test.Inner\"",
        "\"k_struct\"",
        "\"k_value\"",
        "\"r_int32\"",
        "\"m_int32\"",
        "\"1\"",
        "\"k_time\"",
        "\"2025-08-15T10:30:00.000Z\"",
        "\"k_duration\"",
        "\"1s\"",
        " ",
        "é",
    ]);
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for message in ["runyard.test.Everything", "google.protobuf.Any", "google.protobuf.Value", "google.protobuf.Timestamp", "runyard.test.Inner"] {
            for dialect in [Canonical, Plain] {
                let _ = EVERYTHING.encode(message, dialect, &bytes);
                let _ = EVERYTHING.decode(message, dialect, &bytes);
            }
            let _ = EVERYTHING.decode_text(message, "an_inner.text", &String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn bytes_of_small_tags_and_lengths_never_panic(bytes in prop::collection::vec(prop_oneof![0u8..32, 0x70u8..0x8f, Just(0xf8), Just(0xff)], 0..80)) {
        for dialect in [Canonical, Plain] {
            if let Ok(json) = EVERYTHING.encode("runyard.test.Everything", dialect, &bytes) {
                serde_json::from_str::<serde_json::Value>(&json).map_err(|error| TestCaseError::fail(format!("{error}: {json}")))?;
            }
        }
    }

    #[test]
    fn only_valid_json_is_accepted_and_printed(text in nearly_json()) {
        let known = serde_json::from_str::<serde_json::Value>(&text);
        // `Value` accepts all valid JSON except repeated keys, deep nesting and numbers out of range.
        let taken = EVERYTHING.decode("google.protobuf.Value", Canonical, text.as_bytes());
        match (&known, &taken) {
            (Err(_), Ok(_)) => prop_assert!(false, "taken: {}", text),
            (Ok(_), Err(error)) => {
                let allowed = ["twice", "too deeply", "range"].iter().any(|word| error.message().contains(word));
                prop_assert!(allowed, "refused: {}: {}", text, error);
            }
            _ => {}
        }
        for dialect in [Canonical, Plain] {
            if let Ok(wire) = EVERYTHING.decode(MESSAGE, dialect, text.as_bytes()) {
                let printed = EVERYTHING.encode(MESSAGE, dialect, &wire).unwrap();
                prop_assert!(serde_json::from_str::<serde_json::Value>(&printed).is_ok());
            }
        }
    }
}
