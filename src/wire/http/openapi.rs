//! The `OpenAPI` document of the HTTP API (`/openapi.json`). It is generated from the rules that the router uses.
//!
//! Called once at start by `wire/stack.rs`. No part is written by hand, so every method of the contract appears in the
//! document. Each path is listed once. The second root (`/v1`) is listed as a second server.

mod comments;
mod operation;
mod schemas;

use std::collections::BTreeSet;

use http::Method as HttpMethod;
use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

use self::{
    comments::Comments,
    operation::{description, operation, path_of},
    schemas::{Schemas, Shape, Way},
};
use super::route::{Rule, tree::Verb};

const ABOUT: &str = "Runyard runs AI agents for other programs. The same methods are available over gRPC and gRPC-Web; \
    this document is generated from their contract. Every error has the body `{\"detail\": …}` and a stable code in the \
    header `X-Error-Code`.";

/// The `OpenAPI` document of these rules.
pub fn document(rules: &[Rule]) -> Value {
    let Some(pool) = rules.first().map(|rule| rule.method.descriptor.parent_pool().clone()) else {
        return json!({"openapi": "3.1.0", "info": info(), "paths": {}});
    };
    let comments = Comments::of(&pool);
    let mut schemas = Schemas::new(&pool, &comments);
    let mut paths: Map<String, Value> = Map::new();
    let mut ids = BTreeSet::new();
    let prefixes: BTreeSet<&str> = rules.iter().map(|rule| rule.method.prefix.as_str()).collect();
    for rule in rules {
        let path = path_of(&rule.template);
        for verb in verbs(&rule.verb) {
            let mut operation = operation(rule, &mut schemas, &mut ids);
            if prefixes.len() > 1 && !rule.method.prefix.is_empty() {
                operation["servers"] = servers([rule.method.prefix.as_str()]);
            }
            let item = paths.entry(path.clone()).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.entry(verb).or_insert(operation);
            }
        }
    }
    // If all methods have the same second root, the document lists it once instead of in each operation.
    let shared = prefixes
        .first()
        .filter(|prefix| prefixes.len() == 1 && !prefix.is_empty());
    let refusal = pool
        .get_message_by_name("runyard.v1.Refusal")
        .map(|message| refusal(&message, &mut schemas));
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": servers(shared.copied()),
        "security": [{"bearer": []}, {"api_key": []}],
        "tags": tags(rules, &comments),
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": error_responses(refusal),
            "headers": {
                "X-Error-Code": {"description": "The stable code of the error.", "schema": {"type": "string"}},
                "X-Request-Id": {"description": "The request id, as written to the server log.", "schema": {"type": "string"}},
            },
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A JWT or an API key."},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    })
}

fn info() -> Value {
    json!({
        "title": "Runyard",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    })
}

fn servers<'p>(prefixes: impl IntoIterator<Item = &'p str>) -> Value {
    let mut servers = vec![json!({"url": "/"})];
    servers.extend(
        prefixes
            .into_iter()
            .map(|prefix| json!({"url": prefix, "description": "The same API under a path prefix."})),
    );
    servers.into()
}

fn tags(rules: &[Rule], comments: &Comments) -> Value {
    let mut tags: Vec<Value> = Vec::new();
    for rule in rules {
        let service = rule.method.descriptor.parent_service();
        if tags.iter().all(|tag| tag["name"] != service.name()) {
            let text = comments.at(&service.parent_file(), service.path());
            tags.push(json!({"name": service.name(), "description": text}));
        }
    }
    tags.into()
}

fn verbs(verb: &Verb) -> Vec<String> {
    match verb {
        Verb::Any => ["get", "put", "post", "delete", "patch"].map(str::to_owned).to_vec(),
        Verb::Only(method) => {
            let known = [
                HttpMethod::GET,
                HttpMethod::PUT,
                HttpMethod::POST,
                HttpMethod::DELETE,
                HttpMethod::OPTIONS,
                HttpMethod::HEAD,
                HttpMethod::PATCH,
                HttpMethod::TRACE,
            ];
            let name = method.as_str().to_ascii_lowercase();
            vec![if known.contains(method) {
                name
            } else {
                format!("x-{name}")
            }]
        }
    }
}

/// The schema of a refusal by the plan. A refusal contains only the details that apply, so only two keys are required.
fn refusal(message: &MessageDescriptor, schemas: &mut Schemas<'_>) -> Value {
    let shape = Shape {
        way: Way::Response,
        dialect: crate::wire::json::Dialect::Runyard,
        without: Vec::new(),
    };
    let properties: Map<String, Value> = message
        .fields()
        .map(|field| {
            let mut schema = if field.is_list() {
                schemas.field(&field, &shape)
            } else {
                schemas.value(&field.kind(), &shape)
            };
            schema["description"] = description(&field, schemas).into();
            (field.name().to_owned(), schema)
        })
        .collect();
    json!({"type": "object", "properties": properties, "required": ["message", "error_code"]})
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
