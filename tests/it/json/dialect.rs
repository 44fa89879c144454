//! The rules of both JSON dialects, one table for each. The examples of the API documentation must match byte for
//! byte.

use prost::Message as _;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use runyard::v1;
use runyard_transcode::json::Dialect::{self, Canonical, Plain};

use super::{CONTRACT, EVERYTHING};

fn compact(text: &str) -> String {
    let mut inside = false;
    text.chars()
        .filter(|character| {
            inside ^= *character == '"';
            inside || !character.is_whitespace()
        })
        .collect()
}

/// The example in the API documentation, with the newer fields `skills` and `memory` added.
#[test]
fn an_agent_prints_as_in_the_seed_document() {
    let seed = r##"{
  "agent_id": "550e8400-e29b-41d4-a716-446655440000",
  "name": "Code Assistant",
  "description": null,
  "icon_name": "code",
  "icon_color": "#6366F1",
  "icon_background": "#EEF2FF",
  "is_default": false,
  "is_public": false,
  "tags": [],
  "current_version_id": "660f9511-f3ac-52e5-b827-557766551111",
  "version_count": 1,
  "current_version": {
    "version_id": "660f9511-f3ac-52e5-b827-557766551111",
    "agent_id": "550e8400-e29b-41d4-a716-446655440000",
    "version_number": 1,
    "version_name": "v1",
    "system_prompt": "You are an expert coding assistant. Help users write clean, efficient code and debug issues.",
    "model": "kortix/basic",
    "configured_mcps": [],
    "custom_mcps": [],
    "agentpress_tools": {
      "bash": { "enabled": true },
      "edit": { "enabled": true },
      "read": { "enabled": true }
    },
    "is_active": true,
    "created_at": "2025-08-15T10:30:00.000Z",
    "updated_at": "2025-08-15T10:30:00.000Z",
    "skills": [],
    "memory": null,
    "approvals": null
  },
  "configured_mcps": [],
  "custom_mcps": [],
  "agentpress_tools": {
    "bash": { "enabled": true },
    "edit": { "enabled": true },
    "read": { "enabled": true }
  },
  "created_at": "2025-08-15T10:30:00.000Z",
  "updated_at": "2025-08-15T10:30:00.000Z"
}"##;
    let at = Some(Timestamp {
        seconds: 1_755_253_800,
        nanos: 0,
    });
    let tools = ["bash", "edit", "read"].map(|name| (name.to_owned(), v1::ToolSetting { enabled: true }));
    let version = v1::AgentVersion {
        version_id: "660f9511-f3ac-52e5-b827-557766551111".to_owned(),
        agent_id: "550e8400-e29b-41d4-a716-446655440000".to_owned(),
        version_number: 1,
        version_name: "v1".to_owned(),
        system_prompt: "You are an expert coding assistant. Help users write clean, efficient code and debug issues."
            .to_owned(),
        model: "kortix/basic".to_owned(),
        agentpress_tools: tools.clone().into(),
        is_active: true,
        created_at: at,
        updated_at: at,
        ..v1::AgentVersion::default()
    };
    let agent = v1::Agent {
        agent_id: version.agent_id.clone(),
        name: "Code Assistant".to_owned(),
        icon_name: "code".to_owned(),
        icon_color: "#6366F1".to_owned(),
        icon_background: "#EEF2FF".to_owned(),
        current_version_id: version.version_id.clone(),
        version_count: 1,
        current_version: Some(version),
        agentpress_tools: tools.into(),
        created_at: at,
        updated_at: at,
        ..v1::Agent::default()
    };
    let printed = CONTRACT
        .encode("runyard.v1.Agent", Plain, &agent.encode_to_vec())
        .unwrap();
    assert_eq!(printed, compact(seed));
    let read = CONTRACT.decode("runyard.v1.Agent", Plain, seed.as_bytes()).unwrap();
    assert_eq!(v1::Agent::decode(read.as_slice()).unwrap(), agent);
}

#[test]
fn a_started_run_prints_as_in_the_seed_document() {
    let seed = r#"{
  "thread_id": "770fa622-g4bd-63f6-c938-668877662222",
  "agent_run_id": "880gb733-h5ce-74g7-d049-779988773333",
  "project_id": "990hc844-i6df-85h8-e150-880099884444",
  "sandbox_id": "aa1id955-j7eg-96i9-f261-991100995555",
  "status": "running"
}"#;
    let mut answer = v1::StartRunResponse {
        thread_id: "770fa622-g4bd-63f6-c938-668877662222".to_owned(),
        agent_run_id: "880gb733-h5ce-74g7-d049-779988773333".to_owned(),
        project_id: "990hc844-i6df-85h8-e150-880099884444".to_owned(),
        sandbox_id: Some("aa1id955-j7eg-96i9-f261-991100995555".to_owned()),
        status: v1::RunStatus::Running.into(),
        timing_breakdown: None,
    };
    let print = |answer: &v1::StartRunResponse| {
        CONTRACT
            .encode("runyard.v1.StartRunResponse", Plain, &answer.encode_to_vec())
            .unwrap()
    };
    assert_eq!(print(&answer), compact(seed));

    answer.sandbox_id = None;
    assert!(
        !print(&answer).contains("sandbox_id"),
        "the key is omitted rather than null"
    );
    answer.timing_breakdown = Some(v1::TimingBreakdown {
        total_ms: 1.5,
        ..Default::default()
    });
    let timing = r#""timing_breakdown":{"load_ms":0.0,"write_ms":0.0,"commit_ms":0.0,"files_ms":0.0,"total_ms":1.5}}"#;
    assert!(print(&answer).ends_with(timing), "{}", print(&answer));
}

#[test]
fn an_event_prints_only_the_oneof_member_that_is_set() {
    let event = v1::RunEvent {
        agent_run_id: "r".to_owned(),
        sequence: 9_007_199_254_740_993,
        created_at: Some(Timestamp {
            seconds: 1_755_253_800,
            nanos: 123_456_000,
        }),
        event: Some(v1::run_event::Event::Status(v1::StatusChanged {
            status: v1::RunStatus::Failed.into(),
            error_code: Some("INTERNAL".to_owned()),
            message: None,
            stop_reason: None,
            output: None,
            stopped_by: None,
        })),
    };
    let (wire, message) = (event.encode_to_vec(), "runyard.v1.RunEvent");
    assert_eq!(
        CONTRACT.encode(message, Plain, &wire).unwrap(),
        compact(
            r#"{"agent_run_id": "r", "sequence": 9007199254740993, "created_at": "2025-08-15T10:30:00.123456Z",
               "status": {"status": "failed", "error_code": "INTERNAL", "message": null}}"#
        )
    );
    assert_eq!(
        CONTRACT.encode(message, Canonical, &wire).unwrap(),
        compact(
            r#"{"agentRunId": "r", "sequence": "9007199254740993", "createdAt": "2025-08-15T10:30:00.123456Z",
               "status": {"status": "RUN_STATUS_FAILED", "errorCode": "INTERNAL"}}"#
        )
    );
    let codec = &CONTRACT.codec;
    let id = codec.message(message).unwrap();
    assert_eq!(codec.set_member(id, &wire).unwrap(), Some("status"));
    assert_eq!(codec.set_member(id, b"").unwrap(), None);
    assert_eq!(
        codec.read_text((id, 2), Plain, &wire).unwrap().as_deref(),
        Some("9007199254740993")
    );
    assert_eq!(codec.read_text((id, 1), Plain, &wire).unwrap().as_deref(), Some("r"));
    assert_eq!(codec.read_text((id, 3), Plain, &wire).unwrap(), None, "not a scalar");
}

/// Converts JSON from one dialect to the other. Returns the printed JSON or the error.
fn through(from: Dialect, to: Dialect, json: &str) -> String {
    let wire = EVERYTHING.decode("runyard.test.Everything", from, json.as_bytes());
    match wire.and_then(|wire| EVERYTHING.encode("runyard.test.Everything", to, &wire)) {
        Ok(printed) => printed,
        Err(error) => error.to_string(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_canonical_dialect_reads_what_the_specification_allows() {
    let table = [
        // A field name may be the proto name or the JSON name, and may contain escapes.
        (r#"{"a_int32": 1}"#, r#"{"aInt32":1}"#),
        (r#"{"aInt32": 1}"#, r#"{"aInt32":1}"#),
        (r#"{"a \"quoted\" name": "x"}"#, r#"{"a \"quoted\" name":"x"}"#),
        (r#"{"renamed": "x"}"#, r#"{"a \"quoted\" name":"x"}"#),
        (r#"{"\u0061Int32": 1}"#, r#"{"aInt32":1}"#),
        // Numbers may be written as strings or with an exponent.
        (
            r#"{"aInt32": 1e2, "aInt64": 1.0, "aUint32": "5", "aUint64": "2.0"}"#,
            r#"{"aInt32":100,"aInt64":"1","aUint32":5,"aUint64":"2"}"#,
        ),
        (
            r#"{"aInt32": -2147483648, "aUint64": 18446744073709551615}"#,
            r#"{"aInt32":-2147483648,"aUint64":"18446744073709551615"}"#,
        ),
        (r#"{"aInt64": 9007199254740993.0}"#, r#"{"aInt64":"9007199254740993"}"#),
        (r#"{"aInt64": 90071992547409.93e2}"#, r#"{"aInt64":"9007199254740993"}"#),
        (
            r#"{"aInt32": 1000e-3, "rInt32": [-0, 0e999999999999999999999, -0.0]}"#,
            r#"{"aInt32":1,"rInt32":[0,0,0]}"#,
        ),
        (r#"{"aInt32": 2147483648}"#, "a_int32: is out of range"),
        (r#"{"aInt32": 1e99999999999999999999}"#, "a_int32: is out of range"),
        (
            r#"{"aInt32": 1e-99999999999999999999}"#,
            "a_int32: must be a whole number",
        ),
        (r#"{"aInt32": 0.5}"#, "a_int32: must be a whole number"),
        (r#"{"aInt32": " 1"}"#, "a_int32: must be a whole number"),
        (r#"{"aInt32": ""}"#, "a_int32: must be a whole number"),
        (r#"{"aInt32": "0x1"}"#, "a_int32: must be a whole number"),
        (r#"{"aUint32": -1}"#, "a_uint32: is out of range"),
        (r#"{"aInt32": true}"#, "a_int32: must be a number"),
        (
            r#"{"aDouble": "NaN", "aFloat": "-Infinity"}"#,
            r#"{"aDouble":"NaN","aFloat":"-Infinity"}"#,
        ),
        (
            r#"{"aDouble": "1.5e3", "aFloat": 0.1}"#,
            r#"{"aDouble":1500.0,"aFloat":0.1}"#,
        ),
        (r#"{"aDouble": 1e999}"#, "a_double: is out of range"),
        (r#"{"aFloat": 1e39}"#, "a_float: is out of range"),
        // Booleans and strings accept only the JSON type of the same name.
        (r#"{"aBool": "true"}"#, "a_bool: must be true or false"),
        (r#"{"aBool": 1}"#, "a_bool: must be true or false"),
        (r#"{"aString": 1}"#, "a_string: must be a string"),
        (r#"{"aString": "\ud834\udd1e \u0041\n"}"#, r#"{"aString":"𝄞 A\n"}"#),
        // Bytes accept either base64 alphabet, but not a mixture.
        (r#"{"aBytes": "-_8="}"#, r#"{"aBytes":"+/8="}"#),
        (r#"{"aBytes": "+/8"}"#, r#"{"aBytes":"+/8="}"#),
        (r#"{"aBytes": "+_8="}"#, "a_bytes: must be base64"),
        (r#"{"aBytes": "a b"}"#, "a_bytes: must be base64"),
        // An enum value may be its name or its number.
        (
            r#"{"aColour": "COLOUR_DARK_BLUE", "aLevel": 1}"#,
            r#"{"aColour":"COLOUR_DARK_BLUE","aLevel":"HIGH"}"#,
        ),
        (
            r#"{"rColour": [0, -1, 77, "COLOUR_RED"]}"#,
            r#"{"rColour":["COLOUR_UNSPECIFIED","COLOUR_BELOW",77,"COLOUR_RED"]}"#,
        ),
        (r#"{"aLevel": "low"}"#, r#"a_level: must be one of "LOW", "HIGH""#),
        // Null means unset, but lists and maps must not contain it. Only one field of a oneof may be set.
        (
            r#"{"aInt32": null, "anInner": null, "rInt32": null, "mString": null, "cString": null, "kTime": null}"#,
            "{}",
        ),
        (r#"{"rInt32": [1, null]}"#, "r_int32[1]: must be a number"),
        (r#"{"mString": {"a": null}}"#, r#"m_string["a"]: must be a string"#),
        (r#"{"rInt32": 1}"#, "r_int32: must be a list"),
        (r#"{"mInt32": {"1": "2", "-3": 4}}"#, r#"{"mInt32":{"1":"2","-3":"4"}}"#),
        (
            r#"{"mInt32": {"1.0": 4}}"#,
            r#"m_int32["1.0"]: the key must be a whole number"#,
        ),
        (
            r#"{"mBool": {"true": {"text": "x"}}}"#,
            r#"{"mBool":{"true":{"text":"x"}}}"#,
        ),
        (r#"{"cString": "", "cInt64": null}"#, r#"{"cString":""}"#),
        (
            r#"{"cString": "a", "cInt64": 1}"#,
            "c_int64: conflicts with another field of the same oneof",
        ),
        // Well-known types have their own JSON forms.
        (
            r#"{"kTime": "2025-08-15T12:30:00.5+02:00"}"#,
            r#"{"kTime":"2025-08-15T10:30:00.500Z"}"#,
        ),
        (
            r#"{"kTime": "2025-08-15T10:30:00Z"}"#,
            r#"{"kTime":"2025-08-15T10:30:00Z"}"#,
        ),
        (
            r#"{"kTime": "2025-02-29T10:30:00Z"}"#,
            "k_time: must be a time such as 2025-08-15T10:30:00.000Z",
        ),
        (
            r#"{"kTime": "0001-01-01T00:00:00+00:01"}"#,
            "k_time: must be in the years 1 to 9999",
        ),
        (
            r#"{"kTime": "2025-08-15t10:30:00z"}"#,
            "k_time: must be a time such as 2025-08-15T10:30:00.000Z",
        ),
        (r#"{"kDuration": "-1.5s"}"#, r#"{"kDuration":"-1.500s"}"#),
        (r#"{"kDuration": "-0.000000001s"}"#, r#"{"kDuration":"-0.000000001s"}"#),
        (
            r#"{"kDuration": "1"}"#,
            "k_duration: must be a duration in seconds such as 1.5s",
        ),
        (
            r#"{"kDuration": "315576000001s"}"#,
            "k_duration: must be at most 315576000000s",
        ),
        (r#"{"kMask": "aB.c,d"}"#, r#"{"kMask":"aB.c,d"}"#),
        (r#"{"kMask": "a_b"}"#, "k_mask: must contain camelCase paths"),
        (r#"{"kValue": null, "kNull": null}"#, r#"{"kValue":null}"#),
        (
            r#"{"kStruct": {"b": [1, 1.5, "x", null, {"c": true}]}}"#,
            r#"{"kStruct":{"b":[1,1.5,"x",null,{"c":true}]}}"#,
        ),
        (
            r#"{"wInt64": "5", "wBool": false, "wString": ""}"#,
            r#"{"wInt64":"5","wBool":false,"wString":""}"#,
        ),
        (
            r#"{"kAny": {"text": "x", "@type": "a/runyard.test.Inner"}}"#,
            r#"{"kAny":{"@type":"a/runyard.test.Inner","text":"x"}}"#,
        ),
        (
            r#"{"kAny": {"value": "1s", "@type": "a/google.protobuf.Duration"}}"#,
            r#"{"kAny":{"@type":"a/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (r#"{"kAny": {}}"#, r#"{"kAny":{}}"#),
        (r#"{"kAny": {"text": "x"}}"#, "k_any.@type: is required"),
        (
            r#"{"kAny": {"@type": "a/b"}}"#,
            "k_any.@type: is not a known message type",
        ),
        (
            r#"{"kAny": {"@type": "a/runyard.test.Inner", "@type": "a/runyard.test.Inner"}}"#,
            "k_any.@type: must not occur twice",
        ),
        (r#"{"kEmpty": {"a": 1}}"#, "k_empty.a: unknown field"),
    ];
    for (json, expected) in table {
        assert_eq!(through(Canonical, Canonical, json), expected, "{json}");
    }
}

/// Reads JSON in Runyard's dialect, and prints each of its fields as `name=value`.
fn ours(json: &str) -> String {
    let wire = EVERYTHING.decode("runyard.test.Everything", Plain, json.as_bytes());
    let wire = match wire {
        Ok(wire) => wire,
        Err(error) => return error.to_string(),
    };
    let id = EVERYTHING.codec.message("runyard.test.Everything").unwrap();
    let asked: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut printed = Vec::new();
    for name in asked.as_object().unwrap().keys() {
        let field = EVERYTHING.codec.field(id, name).unwrap();
        let mut value = Vec::new();
        EVERYTHING
            .codec
            .encode_field((id, field.number), Plain, &wire, &mut value)
            .unwrap();
        printed.push(format!("{}={}", field.name, String::from_utf8(value).unwrap()));
    }
    printed.sort();
    printed.join(" ")
}

#[test]
fn our_dialect_differs_from_the_canonical_one_as_documented() {
    let table = [
        // The codec reads the short name, the full name and the number of an enum value. It prints the short name,
        // null for the unspecified value, and the number of an unknown value.
        (r#"{"aColour": "dark_blue"}"#, "a_colour=\"dark_blue\""),
        (r#"{"aColour": "COLOUR_DARK_BLUE"}"#, "a_colour=\"dark_blue\""),
        (r#"{"aColour": 2}"#, "a_colour=\"dark_blue\""),
        (r#"{"aColour": 0}"#, "a_colour=null"),
        (r#"{"aColour": 99}"#, "a_colour=99"),
        (
            r#"{"aColour": "blue"}"#,
            r#"a_colour: must be one of "below", "red", "dark_blue""#,
        ),
        (r#"{"a_level": 0}"#, "a_level=\"low\""),
        (r#"{"r_colour": [null, "red"]}"#, "r_colour=[null,\"red\"]"),
        // Integers are printed as numbers, and may be read from strings.
        (r#"{"aInt64": "-9223372036854775808"}"#, "a_int64=-9223372036854775808"),
        (r#"{"m_int32": {"1": 18}}"#, "m_int32={\"1\":18}"),
        (r#"{"w_uint64": 18446744073709551615}"#, "w_uint64=18446744073709551615"),
        // Times are printed with at least three fractional digits.
        (
            r#"{"k_time": "2025-08-15T10:30:00Z"}"#,
            "k_time=\"2025-08-15T10:30:00.000Z\"",
        ),
        (
            r#"{"k_time": "2025-08-15T10:30:00.000001Z"}"#,
            "k_time=\"2025-08-15T10:30:00.000001Z\"",
        ),
        (r#"{"k_duration": "1s"}"#, "k_duration=\"1s\""),
        (r#"{"k_mask": "icon_name,iconColor"}"#, "k_mask=\"iconName,iconColor\""),
        // Null means unset. An unset optional field is printed as null.
        (
            r#"{"o_int32": null, "o_bool": null, "an_inner": null}"#,
            "an_inner=null o_bool=null o_int32=null",
        ),
        (
            r#"{"a_int32": null, "a_string": null, "r_int32": null}"#,
            "a_int32=0 a_string=\"\" r_int32=[]",
        ),
    ];
    for (json, expected) in table {
        assert_eq!(ours(json), expected, "{json}");
    }
}

#[test]
fn unset_fields_print_as_documented() {
    let all = EVERYTHING.encode("runyard.test.Everything", Plain, b"").unwrap();
    assert!(
        all.starts_with(r#"{"zulu":"","a_double":0.0,"a_float":0.0,"a_int32":0,"a_int64":0,"#),
        "fields are printed in file order: {all}"
    );
    for part in [
        r#""a_bool":false,"a_string":"","a_bytes":"","a_colour":null,"a_level":"low","an_inner":null,"#,
        r#""o_string":null,"o_bytes":null,"o_colour":null,"o_level":null,"r_double":[],"#,
        r#""r_unpacked":[],"m_string":{},"#,
        r#""k_time":null,"k_duration":null,"k_mask":null,"k_struct":null,"k_value":null,"#,
        r#""renamed":"","_odd__name_1":""}"#,
    ] {
        assert!(all.contains(part), "{part} in {all}");
    }
    for absent in ["c_string", "d_inner", "omitted"] {
        assert!(!all.contains(absent), "{absent} in {all}");
    }
    assert_eq!(
        EVERYTHING.encode("runyard.test.Everything", Canonical, b"").unwrap(),
        "{}"
    );
}

#[test]
fn repeated_wire_fields_merge_as_protobuf_specifies() {
    // The message contains text = "a", inner { text = "b", number = 1 }, inner { number = 2 }, an unknown field, and
    // text = "c".
    let wire = b"\x0a\x01a\x1a\x05\x0a\x01b\x10\x01\x1a\x02\x10\x02\xa8\x3e\x01\x0a\x01c";
    assert_eq!(
        EVERYTHING.encode("runyard.test.Inner", Canonical, wire).unwrap(),
        r#"{"text":"c","inner":{"text":"b","number":2}}"#
    );
    // The message contains a partly packed list, a map with a repeated key, and a oneof that is set twice.
    let mut wire = Vec::new();
    let pieces = [
        r#"{"rInt32":[1,2]}"#,
        r#"{"mString":{"a":"1","b":"2"}}"#,
        r#"{"cInner":{"text":"old"}}"#,
    ];
    for json in pieces {
        wire.extend(
            EVERYTHING
                .decode("runyard.test.Everything", Canonical, json.as_bytes())
                .unwrap(),
        );
    }
    wire.extend(b"\xd8\x02\x03");
    for json in [
        r#"{"cBool":true}"#,
        r#"{"cInner":{"number":5}}"#,
        r#"{"mString":{"a":"3"}}"#,
    ] {
        wire.extend(
            EVERYTHING
                .decode("runyard.test.Everything", Canonical, json.as_bytes())
                .unwrap(),
        );
    }
    let printed = EVERYTHING.encode("runyard.test.Everything", Canonical, &wire).unwrap();
    assert_eq!(
        printed,
        r#"{"rInt32":[1,2,3],"cInner":{"number":5},"mString":{"b":"2","a":"3"}}"#
    );
    let descriptor = EVERYTHING.pool.get_message_by_name("runyard.test.Everything").unwrap();
    let oracle = DynamicMessage::decode(descriptor, wire.as_slice()).unwrap();
    let (ours, oracle) = (printed, serde_json::to_string(&oracle).unwrap());
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(parse(&ours), parse(&oracle));
}
