//! Tests of fields in paths, queries and form parts, and of the codec's field descriptions.

use prost::Message as _;
use runyard::v1;
use runyard_transcode::json::{
    Cardinality,
    Dialect::{Canonical, Plain},
    FieldKind,
};

use super::{CONTRACT, EVERYTHING};

const MESSAGE: &str = "runyard.test.Everything";

fn read(path: &str, text: &str) -> String {
    let wire = EVERYTHING.decode_text(MESSAGE, path, text);
    match wire.and_then(|wire| EVERYTHING.encode(MESSAGE, Canonical, &wire)) {
        Ok(json) => json,
        Err(error) => error.to_string(),
    }
}

#[test]
fn text_is_parsed_by_the_type_of_its_field() {
    let table = [
        ("a_bool", "true", r#"{"aBool":true}"#),
        ("aBool", "False", "{}"),
        ("a_bool", "1", r#"a_bool: must be "true" or "false""#),
        ("a_int32", "-5", r#"{"aInt32":-5}"#),
        ("a_int32", "", "a_int32: must be a whole number"),
        ("a_int32", "x", "a_int32: must be a whole number"),
        (
            "a_uint64",
            "18446744073709551615",
            r#"{"aUint64":"18446744073709551615"}"#,
        ),
        ("a_double", "1.5", r#"{"aDouble":1.5}"#),
        ("a_double", "inf", "a_double: must be a number"),
        ("a_string", "\"quoted\"", r#"{"aString":"\"quoted\""}"#),
        ("a_bytes", "-_8", r#"{"aBytes":"+/8="}"#),
        ("a_colour", "red", r#"{"aColour":"COLOUR_RED"}"#),
        ("a_colour", "COLOUR_RED", r#"{"aColour":"COLOUR_RED"}"#),
        ("a_colour", "1", r#"{"aColour":"COLOUR_RED"}"#),
        (
            "a_colour",
            "pink",
            r#"a_colour: must be one of "below", "red", "dark_blue""#,
        ),
        ("o_string", "", r#"{"oString":""}"#),
        ("c_string", "x", r#"{"cString":"x"}"#),
        ("an_inner.text", "x", r#"{"anInner":{"text":"x"}}"#),
        ("anInner.inner.number", "3", r#"{"anInner":{"inner":{"number":3}}}"#),
        (
            "an_inner.inner.number",
            "x",
            "an_inner.inner.number: must be a whole number",
        ),
        ("an_inner.nothing", "x", "an_inner.nothing: unknown field"),
        ("a_string.x", "x", "a_string.x: unknown field"),
        ("r_inner.text", "x", "r_inner.text: unknown field"),
        ("", "x", ": unknown field"),
        ("an_inner", r#"{"text": "x"}"#, r#"{"anInner":{"text":"x"}}"#),
        ("an_inner", "x", "an_inner: invalid JSON at byte 0: expected a value"),
        ("r_inner", r#"{"text": "x"}"#, r#"{"rInner":[{"text":"x"}]}"#),
        ("r_inner", r#"[{"text": "x"}, {}]"#, r#"{"rInner":[{"text":"x"},{}]}"#),
        ("r_int32", "7", r#"{"rInt32":[7]}"#),
        ("r_string", "[1]", r#"{"rString":["[1]"]}"#),
        ("m_string", r#"{"a": "b"}"#, r#"{"mString":{"a":"b"}}"#),
        ("k_time", "2025-08-15T10:30:00Z", r#"{"kTime":"2025-08-15T10:30:00Z"}"#),
        (
            "k_time",
            "yesterday",
            "k_time: must be a time such as 2025-08-15T10:30:00.000Z",
        ),
        ("k_duration", "3s", r#"{"kDuration":"3s"}"#),
        ("k_mask", "icon_name,tags", r#"{"kMask":"iconName,tags"}"#),
        ("k_struct", r#"{"a": [1]}"#, r#"{"kStruct":{"a":[1]}}"#),
        ("w_int64", "5", r#"{"wInt64":"5"}"#),
        ("w_string", "x", r#"{"wString":"x"}"#),
    ];
    for (path, text, expected) in table {
        let expected = expected.strip_prefix(": ").unwrap_or(expected);
        assert_eq!(read(path, text), expected, "{path} = {text}");
    }
}

#[test]
fn text_fields_are_merged_into_one_message() {
    let id = EVERYTHING.codec.message(MESSAGE).unwrap();
    let mut wire = Vec::new();
    EVERYTHING
        .codec
        .decode(
            id,
            Plain,
            br#"{"an_inner": {"text": "body", "number": 1}, "r_int32": [1, 2]}"#,
            &mut wire,
        )
        .unwrap();
    for (path, text) in [
        ("an_inner.text", "path"),
        ("an_inner.inner.text", "deep"),
        ("r_int32", "3"),
        ("r_string", "a"),
        ("r_string", "b"),
        ("a_int32", "1"),
        ("a_int32", "0"),
    ] {
        EVERYTHING
            .codec
            .decode_text((id, path), Plain, text, &mut wire)
            .unwrap();
    }
    assert_eq!(
        EVERYTHING.encode(MESSAGE, Canonical, &wire).unwrap(),
        r#"{"anInner":{"text":"path","number":1,"inner":{"text":"deep"}},"rInt32":[1,2,3],"rString":["a","b"]}"#
    );
}

#[test]
fn the_keys_of_a_body_form_its_update_mask() {
    let codec = &CONTRACT.codec;
    let id = codec.message("runyard.v1.UpdateAgentRequest").unwrap();
    let mut wire = Vec::new();
    let json = br#"{"description": null, "iconName": "bot", "custom_mcps": []}"#;
    let keys = codec.decode_keys(id, Plain, json, &mut wire).unwrap();
    assert_eq!(keys, ["description", "icon_name", "custom_mcps"]);
    let mask = codec.field(id, "updateMask").unwrap();
    assert_eq!(
        (mask.kind, mask.cardinality),
        (FieldKind::FieldMask, Cardinality::Single)
    );
    codec
        .decode_text((id, mask.name), Plain, &keys.join(","), &mut wire)
        .unwrap();
    let request = v1::UpdateAgentRequest::decode(wire.as_slice()).unwrap();
    assert_eq!(request.update_mask.unwrap().paths, keys);
    assert_eq!((request.description, request.icon_name.as_deref()), (None, Some("bot")));
}

#[test]
fn a_field_given_with_its_default_value_is_set() {
    let codec = &CONTRACT.codec;
    let id = codec.message("runyard.v1.StartRunRequest").unwrap();
    let emit = codec.field(id, "emit_timing").unwrap();
    let mut wire = Vec::new();
    codec.decode(id, Plain, br#"{"prompt": "x"}"#, &mut wire).unwrap();
    assert!(!codec.is_set(id, emit.number, &wire).unwrap());
    codec
        .decode(id, Plain, br#"{"emit_timing": false}"#, &mut wire)
        .unwrap();
    assert!(codec.is_set(id, emit.number, &wire).unwrap());
}

#[test]
fn a_single_field_can_be_read_from_and_printed_as_the_body() {
    let codec = &EVERYTHING.codec;
    let id = codec.message(MESSAGE).unwrap();
    let number = |name: &str| codec.field(id, name).unwrap().number;
    let mut wire = Vec::new();
    codec
        .decode_field((id, number("an_inner")), Canonical, br#"{"text": "x"}"#, &mut wire)
        .unwrap();
    codec
        .decode_field((id, number("r_int32")), Canonical, b"[1, 2]", &mut wire)
        .unwrap();
    codec
        .decode_field((id, number("a_bool")), Canonical, b"null", &mut wire)
        .unwrap();
    assert_eq!(
        EVERYTHING.encode(MESSAGE, Canonical, &wire).unwrap(),
        r#"{"anInner":{"text":"x"},"rInt32":[1,2]}"#
    );
    let error = codec
        .decode_field((id, number("an_inner")), Canonical, b"{} 1", &mut wire)
        .unwrap_err();
    assert!(error.message().contains("unexpected text after the value"), "{error}");
    let mut json = Vec::new();
    codec
        .encode_field((id, number("r_int32")), Canonical, &wire, &mut json)
        .unwrap();
    codec
        .encode_field((id, number("k_time")), Canonical, &wire, &mut json)
        .unwrap();
    codec
        .encode_field((id, number("a_int64")), Canonical, &wire, &mut json)
        .unwrap();
    assert_eq!(json, br#"[1,2]null"0""#);
}

#[test]
fn fields_are_described() {
    let codec = &CONTRACT.codec;
    let start = codec.message("runyard.v1.StartRunRequest").unwrap();
    let files = codec.field(start, "files").unwrap();
    assert_eq!(
        (files.kind, files.cardinality, files.number),
        (FieldKind::String, Cardinality::List, 9)
    );
    assert!(codec.field(start, "nothing").is_none());
    assert!(codec.message("runyard.v1.Nothing").is_none());
    let event = codec.message("runyard.v1.RunEvent").unwrap();
    assert!(matches!(
        codec.field(event, "createdAt").unwrap().kind,
        FieldKind::TextMessage(_)
    ));
    assert_eq!(
        codec.field_at(event, "status.error_code").unwrap().kind,
        FieldKind::String
    );
    assert!(codec.field_at(event, "sequence.error_code").is_none());
}
