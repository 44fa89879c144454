//! The `OpenAPI` document (`/openapi.json`). The transcoder generates it from the contract, and this file adds parts
//! that the contract does not define, such as error responses.

use prost_reflect::{DescriptorPool, MessageDescriptor};
use runyard_transcode::{
    json::Dialect,
    openapi::{self, Description},
    route::Router,
};
use serde_json::{Map, Value, json};

use crate::contract::DESCRIPTORS;

const ABOUT: &str = "Runyard runs AI agents for other programs. The same methods are available over gRPC, gRPC-Web and Connect; \
    this document is generated from their contract. Every error has the body `{\"detail\": …}` and a stable code in the \
    header `X-Error-Code`.";

pub fn document(router: &Router) -> Value {
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
        security: json!([{"bearer": []}, {"api_key": []}]),
        components: components(refusal.as_ref().map(schema)),
        errors: vec![
            ("400", "Invalid"),
            ("401", "Unauthenticated"),
            ("402", "Refused"),
            ("default", "Error"),
        ],
        comments: pool,
    };
    openapi::document(router, &description)
}

/// Returns the JSON Schema of a refusal. Only two keys are required, because the other keys depend on the error.
fn schema(refusal: &MessageDescriptor) -> Value {
    let properties = openapi::fields(refusal, Dialect::Plain);
    json!({"type": "object", "properties": properties, "required": ["message", "error_code"]})
}

fn components(refusal: Option<Value>) -> Map<String, Value> {
    let headers = json!({
        "X-Error-Code": {"description": "The stable code of the error.", "schema": {"type": "string"}},
        "X-Request-Id": {"description": "The request id, as written to the server log.", "schema": {"type": "string"}},
    });
    let schemes = json!({
        "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT or an API key."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    });
    let mut components = Map::new();
    components.insert("responses".to_owned(), error_responses(refusal));
    components.insert("headers".to_owned(), headers);
    components.insert("securitySchemes".to_owned(), schemes);
    components
}

fn error_responses(refusal: Option<Value>) -> Value {
    let sentence = json!({"type": "string", "description": "A human-readable message."});
    let refusal = refusal.unwrap_or_else(|| sentence.clone());
    let answer = |text: &str, detail: Value| {
        let body = json!({"type": "object", "properties": {"detail": detail}, "required": ["detail"]});
        json!({
            "description": text,
            "headers": {
                "X-Error-Code": {"$ref": "#/components/headers/X-Error-Code"},
                "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
            },
            "content": {"application/json": {"schema": body}},
        })
    };
    json!({
        "Invalid": answer("The request is invalid; the message names the field.", sentence.clone()),
        "Unauthenticated": answer("The credential is missing or invalid.", sentence.clone()),
        "Refused": answer("The account's plan does not allow the request.", refusal.clone()),
        "Error": answer("Any other error; see `X-Error-Code`.", json!({"oneOf": [sentence, refusal]})),
    })
}
