//! Tests that the `OpenAPI` document matches the router, contains every HTTP rule of the contract, and has no
//! unresolved references.

use std::{collections::BTreeSet, sync::LazyLock};

use prost_reflect::DescriptorPool;
use runyard::wire::{codec, openapi};
use runyard_transcode::route::Router;
use serde_json::{Value, json};

static DOCUMENT: LazyLock<(Router, Value)> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(runyard::contract::DESCRIPTORS).unwrap();
    let router = Router::new(&pool, &codec::json(&pool)).unwrap();
    let document = openapi::document(&router, &["code", "chat", "plan"]);
    (router, document)
});

fn document() -> &'static Value {
    &DOCUMENT.1
}

/// Returns the value at a JSON pointer such as `/paths/~1agents/get`.
fn at(pointer: &str) -> &'static Value {
    document()
        .pointer(pointer)
        .unwrap_or_else(|| panic!("nothing at {pointer}"))
}

fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = at("/paths").as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        let item = item.as_object().unwrap();
        item.iter()
            .map(move |(verb, operation)| (path.as_str(), verb.as_str(), operation))
    });
    all.collect()
}

fn walk<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str, &'v Value)) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                visit(key, value);
                walk(value, visit);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

#[test]
fn every_rule_has_one_operation_with_a_unique_id() {
    let rules = DOCUMENT.0.rules();
    let operations = operations();
    assert_eq!(
        operations.len(),
        rules.len(),
        "each rule is one operation; paths are listed without the /v1 prefix"
    );
    let mut ids = BTreeSet::new();
    let repeated: Vec<&str> = operations
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .filter(|id| !ids.insert(*id))
        .collect();
    assert!(repeated.is_empty(), "operation ids used more than once: {repeated:?}");
    let expected = rules.iter().map(|rule| {
        let method = &rule.method.descriptor;
        format!("{}_{}", method.parent_service().name(), method.name())
    });
    let missing: Vec<String> = expected.filter(|id| !ids.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "methods without an operation: {missing:?}");
    // Each additional HTTP binding of a method has its own operation id.
    assert_eq!(
        at("/paths/~1agents~1{agent_id}/put/operationId"),
        "AgentService_UpdateAgent"
    );
    assert_eq!(
        at("/paths/~1agents~1{agent_id}/patch/operationId"),
        "AgentService_UpdateAgent2"
    );
    assert_eq!(at("/servers/1/url"), "/v1");
}

#[test]
fn every_reference_resolves_and_every_schema_is_referenced() {
    let mut targets = BTreeSet::new();
    walk(document(), &mut |key, value| {
        if key == "$ref" {
            targets.insert(value.as_str().unwrap());
        }
    });
    assert!(targets.len() > 50, "{}", targets.len());
    for target in &targets {
        at(target.strip_prefix('#').unwrap());
    }
    let schemas = at("/components/schemas").as_object().unwrap();
    let unused: Vec<&String> = schemas
        .keys()
        .filter(|name| !targets.contains(format!("#/components/schemas/{name}").as_str()))
        .collect();
    assert!(unused.is_empty(), "schemas without a reference: {unused:?}");
}

#[test]
fn every_path_variable_is_a_parameter_and_names_are_unique() {
    for (path, verb, operation) in operations() {
        let parameters = operation["parameters"].as_array().unwrap();
        let mut seen = BTreeSet::new();
        for parameter in parameters {
            let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
            assert!(seen.insert((name, place)), "{verb} {path}: {name} twice");
            assert_eq!(
                place == "path",
                path.contains(&format!("{{{name}}}")),
                "{verb} {path}: {name}"
            );
        }
        assert_eq!(
            path.matches('{').count(),
            seen.iter().filter(|(_, place)| *place == "path").count(),
            "{verb} {path}"
        );
        for status in ["200", "400", "401", "402", "404", "409", "413", "429", "default"] {
            assert!(operation["responses"].get(status).is_some(), "{verb} {path}: {status}");
        }
        assert!(
            !operation["summary"].as_str().unwrap().is_empty(),
            "{verb} {path} has no comment"
        );
    }
}

#[test]
fn forms_streams_and_raw_bytes_are_described() {
    let form = at("/paths/~1agent~1start/post/requestBody/content/multipart~1form-data/schema/properties");
    assert_eq!(form["files"]["items"]["format"], "binary");
    assert_eq!(form["prompt"]["type"], serde_json::json!(["string", "null"]));
    assert_eq!(form["if_busy"]["anyOf"][0]["$ref"], "#/components/schemas/IfBusy");
    at("/paths/~1agent~1start/post/requestBody/content/application~1json/schema/$ref");

    let stream = at("/paths/~1agent-run~1{agent_run_id}~1stream/get");
    let content = &stream["responses"]["200"]["content"];
    assert_eq!(
        content["text/event-stream"]["schema"]["x-event-data"]["$ref"],
        "#/components/schemas/RunEvent"
    );
    assert_eq!(
        content["application/x-ndjson"]["schema"]["$ref"],
        "#/components/schemas/RunEvent"
    );
    assert!(stream["responses"].get("204").is_some());
    let names: Vec<_> = stream["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    let expected = [
        "agent_run_id",
        "after_sequence",
        "include_children",
        "Last-Event-ID",
        "last_id",
        "lastEventId",
    ];
    assert_eq!(names, expected);

    let omitted = at("/components/schemas/StartRunResponse/properties/sandbox_id/type");
    assert_eq!(
        omitted, "string",
        "the key is omitted when there is no sandbox, so the value is never null"
    );
    let raw = at("/paths/~1sandboxes~1{sandbox_id}~1files~1content/get/responses");
    assert_eq!(
        raw["200"]["content"]["application/octet-stream"]["schema"]["format"],
        "binary"
    );
    assert!(raw.get("206").is_some());
    let created = at("/paths/~1agents~1{agent_id}~1versions/post/requestBody/content/application~1json/schema/$ref");
    let created = at(created.as_str().unwrap().strip_prefix('#').unwrap());
    assert!(
        created["properties"].get("agent_id").is_none(),
        "agent_id is taken from the path"
    );
}

#[test]
fn json_printed_by_the_codec_matches_its_schema() {
    let pool = DescriptorPool::decode(runyard::contract::DESCRIPTORS).unwrap();
    let codec = codec::json(&pool);
    let schemas = at("/components/schemas").as_object().unwrap();
    let mut checked = 0;
    for message in pool
        .all_messages()
        .filter(|message| message.package_name() == "runyard.v1")
    {
        let Some(schema) = schemas.get(message.name()) else {
            continue;
        };
        // A refusal is printed as part of an error, with only the keys of that error.
        if schema["additionalProperties"] == false || message.name() == "Refusal" {
            continue;
        }
        let mut json = Vec::new();
        let id = codec.message(message.full_name()).unwrap();
        codec
            .encode(id, runyard_transcode::json::Dialect::Plain, b"", &mut json)
            .unwrap();
        let printed: Value = serde_json::from_slice(&json).unwrap();
        let mut whole = schema.clone();
        whole["components"] = document()["components"].clone();
        let validator = jsonschema::validator_for(&whole).unwrap();
        let problems: Vec<String> = validator.iter_errors(&printed).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:?} in {printed}", message.name());
        checked += 1;
    }
    assert!(checked > 30, "{checked}");
    let mut agent = schemas["Agent"].clone();
    agent["components"] = document()["components"].clone();
    assert!(!jsonschema::is_valid(&agent, &serde_json::json!({"agent_id": 1})));
}

/// Review a change with `cargo insta review`, or accept it with `INSTA_UPDATE=always`.
#[test]
fn the_document_is_the_reviewed_one() {
    let text = serde_json::to_string_pretty(document()).unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!("openapi", text);
    });
}

#[test]
fn requests_list_the_modes_and_responses_do_not() {
    let modes = |schema: &str| &at(&format!("/components/schemas/{schema}/properties/mode"))["enum"];
    assert_eq!(*modes("StartRunRequest"), json!(["code", "chat", "plan"]));
    assert_eq!(*modes("CreateTriggerRequest"), json!(["code", "chat", "plan"]));
    assert_eq!(
        *modes("UpdateScheduleRequest"),
        json!(["code", "chat", "plan", "", null])
    );
    assert_eq!(*modes("Run"), Value::Null);
    let forms = at("/paths/~1agent~1start/post/requestBody/content")
        .as_object()
        .unwrap();
    let listed = forms
        .values()
        .filter(|form| form.pointer("/schema/properties/mode/enum").is_some());
    assert_eq!(listed.count(), 2, "both forms");
}
