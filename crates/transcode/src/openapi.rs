//! Generates the `OpenAPI` document from the rules of the router.
//!
//! Each path is listed once, without the prefix of its service. A prefix such as `/v1` is listed as a second server.

mod comments;
mod operation;
mod schemas;

use std::collections::BTreeSet;

use http::Method as HttpMethod;
use prost_reflect::{DescriptorPool, MessageDescriptor};
use serde_json::{Map, Value, json};

use self::{
    comments::Comments,
    operation::{description, operation, path_of},
    schemas::{Schemas, Shape, Way},
};
use crate::{
    json::Dialect,
    route::{Router, Rule, tree::Verb},
};

/// The parts of an `OpenAPI` document that the descriptors do not define.
#[derive(Clone, Debug)]
pub struct Description {
    /// The `info` object, with title and version.
    pub info: Value,
    /// The security requirements of all operations.
    pub security: Value,
    /// The components except `schemas`, such as `responses`, `headers` and `securitySchemes`.
    pub components: Map<String, Value>,
    /// Schemas that no message of the API has, such as those of error bodies.
    pub schemas: Map<String, Value>,
    /// The error responses of all operations: an HTTP status or `default`, and a name in `responses`.
    pub errors: Vec<(&'static str, &'static str)>,
    /// Descriptors with the comments of the proto files, if the descriptors of the router have none.
    pub comments: Option<DescriptorPool>,
}

impl Description {
    /// Describes an API without authentication that renders errors with [`StandardFaults`](crate::StandardFaults).
    pub fn new(title: &str, version: &str) -> Self {
        let error = json!({
            "type": "object",
            "properties": {
                "code": {"type": "integer", "description": "The HTTP status."},
                "message": {"type": "string"},
                "status": {"type": "string", "description": "The gRPC code, such as `NOT_FOUND`."},
                "details": {"type": "array", "items": {"type": "object", "properties": {"@type": {"type": "string"}}}},
            },
            "required": ["code", "message", "status"],
        });
        let body = json!({"type": "object", "properties": {"error": error}, "required": ["error"]});
        let response = json!({"description": "An error.", "content": {"application/json": {"schema": body}}});
        let mut components = Map::new();
        components.insert("responses".to_owned(), json!({"Error": response}));
        Self {
            info: json!({"title": title, "version": version}),
            security: json!([]),
            components,
            schemas: Map::new(),
            errors: vec![("default", "Error")],
            comments: None,
        }
    }
}

/// Generates the `OpenAPI` document for the rules of a router.
pub fn document(router: &Router, description: &Description) -> Value {
    let rules = router.rules();
    let info = &description.info;
    let Some(pool) = rules.first().map(|rule| rule.method.descriptor.parent_pool().clone()) else {
        return json!({"openapi": "3.1.0", "info": info, "paths": {}});
    };
    let comments = Comments::of(description.comments.as_ref().unwrap_or(&pool));
    let mut schemas = Schemas::new(&pool, &comments, router.package.omit_unset(&pool));
    let prefixes: BTreeSet<&str> = rules.iter().map(|rule| rule.method.prefix.as_str()).collect();
    let paths = paths(rules, description, prefixes.len() > 1, &mut schemas);
    // If all methods share a prefix, list it once for the document instead of in each operation.
    let shared = prefixes
        .first()
        .filter(|prefix| prefixes.len() == 1 && !prefix.is_empty());
    let mut components = Map::new();
    let mut all = schemas.finish();
    all.extend(description.schemas.clone());
    components.insert("schemas".to_owned(), all.into());
    components.extend(description.components.clone());
    json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": servers(shared.copied()),
        "security": description.security,
        "tags": tags(rules, &comments),
        "paths": paths,
        "components": components,
    })
}

/// Generates the paths of the document. If `lists_servers` is true, each operation whose service has a prefix lists
/// the URLs with and without the prefix.
fn paths(
    rules: &[Rule],
    description: &Description,
    lists_servers: bool,
    schemas: &mut Schemas<'_>,
) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    let mut ids = BTreeSet::new();
    for rule in rules {
        let path = path_of(&rule.template);
        for verb in verbs(&rule.verb) {
            let mut operation = operation(rule, schemas, &mut ids, &description.errors);
            if lists_servers && !rule.method.prefix.is_empty() {
                operation["servers"] = servers([rule.method.prefix.as_str()]);
            }
            let item = paths.entry(path.clone()).or_insert_with(|| json!({}));
            if let Some(item) = item.as_object_mut() {
                item.entry(verb).or_insert(operation);
            }
        }
    }
    paths
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

/// Returns the schemas of a message's fields, for a message that no method uses, such as an error detail. Null is not
/// allowed. Fields of message or enum type are not supported.
pub fn fields(message: &MessageDescriptor, dialect: Dialect) -> Map<String, Value> {
    let pool = message.parent_pool();
    let comments = Comments::of(pool);
    let mut schemas = Schemas::new(pool, &comments, None);
    let shape = Shape {
        way: Way::Response,
        dialect,
        without: Vec::new(),
    };
    let mut properties = Map::new();
    for field in message.fields() {
        let mut schema = if field.is_list() {
            schemas.field(&field, &shape)
        } else {
            schemas.value(&field.kind(), &shape)
        };
        schema["description"] = description(&field, &schemas).into();
        properties.insert(field.name().to_owned(), schema);
    }
    properties
}
