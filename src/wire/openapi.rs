//! The `OpenAPI` document (`/openapi.json`). The transcoder generates it from the contract, and this file adds parts
//! that the contract does not define, such as error responses.

use prost_reflect::{DescriptorPool, MessageDescriptor};
use runyard_transcode::{
    json::Dialect,
    openapi::{self, Description},
    route::{Router, tree::Verb},
};
use serde_json::{Map, Value, json};

use super::permit;
use crate::contract::DESCRIPTORS;

const ABOUT: &str = "Runyard runs AI agents for other programs. The same methods are available over gRPC, gRPC-Web and Connect; \
    this document is generated from their contract. Every error has the body `{\"detail\": …}` and a stable code in the \
    header `X-Error-Code`.";

/// `modes` are the names of the server's modes.
pub fn document(router: &Router, modes: &[&str]) -> Value {
    let pool = DescriptorPool::decode(DESCRIPTORS).ok();
    let refusal = pool
        .as_ref()
        .and_then(|pool| pool.get_message_by_name("runyard.v1.Refusal"));
    let description = Description {
        info: json!({
            "title": "Runyard",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        }),
        // Some generated clients send the credential in every listed way at once, which the server refuses.
        security: json!([{"bearer": []}]),
        components: components(),
        schemas: error_schemas(refusal.as_ref().map(schema)),
        errors: vec![
            ("400", "Invalid"),
            ("401", "Unauthenticated"),
            ("402", "Refused"),
            ("404", "NotFound"),
            ("409", "Conflict"),
            ("413", "TooLarge"),
            ("429", "Throttled"),
            ("default", "Error"),
        ],
        comments: pool,
    };
    let mut document = openapi::document(router, &description);
    add_examples(&mut document);
    add_modes(&mut document, modes);
    open_public(&mut document, router);
    document
}

/// Lists the modes in the schemas of requests, so that generated clients have a type for them. Responses contain any
/// text, because a run keeps its mode after the configuration has changed.
fn add_modes(document: &mut Value, modes: &[&str]) {
    let form = |media_type: &str| {
        let media_type = media_type.replace('/', "~1");
        format!("/paths/~1agent~1start/post/requestBody/content/{media_type}/schema")
    };
    let schema = |name: &str| format!("/components/schemas/{name}");
    let given = [
        form("multipart/form-data"),
        form("application/x-www-form-urlencoded"),
        schema("StartRunRequest"),
        schema("CreateScheduleRequest"),
        schema("CreateTriggerRequest"),
    ];
    // An update without the field keeps the mode, and one with an empty mode removes it.
    let changed = ["UpdateScheduleRequest", "UpdateTriggerRequest"].map(schema);
    let names = modes.iter().map(|name| json!(name));
    let or_none = names.clone().chain([json!(""), Value::Null]);
    let places = given.iter().map(|place| (place, names.clone().collect::<Vec<_>>()));
    let places = places.chain(changed.iter().map(|place| (place, or_none.clone().collect())));
    for (place, values) in places {
        if let Some(property) = document.pointer_mut(&format!("{place}/properties/mode")) {
            property["enum"] = Value::Array(values);
        }
    }
}

/// States that the public methods need no credential.
fn open_public(document: &mut Value, router: &Router) {
    for rule in router.rules() {
        let path = document["paths"].get_mut(&rule.path);
        if let (Some(path), None, Verb::Only(verb)) = (path, permit::scope(&rule.method.descriptor), &rule.verb) {
            path[verb.as_str().to_lowercase()]["security"] = json!([]);
        }
    }
}

/// Adds examples to fields whose values are free or depend on the caller's plan.
fn add_examples(document: &mut Value) {
    let examples = [
        ("model_name", json!(["runyard/demo"])),
        ("prompt", json!(["Analyze data.csv and create visualizations"])),
    ];
    for (field, values) in examples {
        let pointer = format!("/components/schemas/StartRunRequest/properties/{field}");
        if let Some(property) = document.pointer_mut(&pointer) {
            property["examples"] = values;
        }
    }
}

/// Returns the JSON Schema of a refusal. Only two keys are required, because the other keys depend on the error.
fn schema(refusal: &MessageDescriptor) -> Value {
    let properties = openapi::fields(refusal, Dialect::Plain);
    json!({"type": "object", "properties": properties, "required": ["message", "error_code"]})
}

fn components() -> Map<String, Value> {
    let headers = json!({
        "X-Error-Code": {"description": "The stable code of the error.", "schema": {"type": "string"}},
        "X-Request-Id": {"description": "The request id, as written to the server log.", "schema": {"type": "string"}},
        "Retry-After": {"description": "Seconds to wait before a retry.", "schema": {"type": "integer"}},
    });
    let schemes = json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT or an API key. The header X-API-Key also accepts an API key."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    });
    let mut components = Map::new();
    components.insert("responses".to_owned(), error_responses());
    components.insert("headers".to_owned(), headers);
    components.insert("securitySchemes".to_owned(), schemes);
    components
}

/// Returns the named schemas of error bodies. Generators make one type of each, instead of one type per operation.
fn error_schemas(refusal: Option<Value>) -> Map<String, Value> {
    let body = |detail: Value| json!({"type": "object", "properties": {"detail": detail}, "required": ["detail"]});
    let sentence = json!({"type": "string", "description": "A human-readable message."});
    let refusal_name = json!({"$ref": "#/components/schemas/Refusal"});
    let mut schemas = Map::new();
    schemas.insert("ErrorBody".to_owned(), body(sentence.clone()));
    schemas.insert("RefusalBody".to_owned(), body(refusal_name.clone()));
    let either = json!({"oneOf": [sentence, refusal_name]});
    schemas.insert("AnyErrorBody".to_owned(), body(either));
    schemas.insert("Refusal".to_owned(), refusal.unwrap_or(sentence));
    schemas
}

fn error_responses() -> Value {
    let answer = |text: &str, schema: &str| {
        json!({
            "description": text,
            "headers": {
                "X-Error-Code": {"$ref": "#/components/headers/X-Error-Code"},
                "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
            },
            "content": {"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}},
        })
    };
    let mut throttled = answer("Too many requests; `Retry-After` says when to retry.", "ErrorBody");
    throttled["headers"]["Retry-After"] = json!({"$ref": "#/components/headers/Retry-After"});
    json!({
        "Invalid": answer("The request is invalid; the message names the field.", "ErrorBody"),
        "Unauthenticated": answer("The credential is missing or invalid.", "ErrorBody"),
        "Refused": answer("The account's plan does not allow the request.", "RefusalBody"),
        "NotFound": answer("The resource does not exist or belongs to another account.", "ErrorBody"),
        "Conflict": answer("The state of the resource does not allow the request.", "ErrorBody"),
        "TooLarge": answer("The body or a file exceeds its size limit.", "ErrorBody"),
        "Throttled": throttled,
        "Error": answer("Any other error; see `X-Error-Code`.", "AnyErrorBody"),
    })
}
