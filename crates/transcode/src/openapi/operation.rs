//! Generates an operation of the `OpenAPI` document: parameters, body and responses.

use std::{collections::BTreeSet, fmt::Write as _};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value, json};

use super::schemas::{Schemas, Shape, Way};
use crate::route::{
    BodyRule, Rule,
    template::{Segment, Template},
};

/// Maximum nesting depth of messages whose fields become query parameters.
const MAX_QUERY_DEPTH: usize = 3;

/// Returns a template's path without the patterns of variables: `/v1/{name=agents/*}:stop` becomes `/v1/{name}:stop`.
pub(super) fn path_of(template: &Template) -> String {
    let mut path = String::new();
    let mut index = 0;
    while index < template.segments.len() {
        path.push('/');
        if let Some(capture) = template.captures.iter().find(|capture| capture.start == index) {
            let _ = write!(path, "{{{}}}", capture.field);
            index = capture.end.unwrap_or(template.segments.len()).max(index + 1);
            continue;
        }
        match &template.segments[index] {
            Segment::Literal(text) => path.push_str(text),
            Segment::One => path.push('*'),
            Segment::Rest => path.push_str("**"),
        }
        index += 1;
    }
    if path.is_empty() {
        path.push('/');
    }
    if let Some(verb) = &template.verb {
        path.push(':');
        path.push_str(verb);
    }
    path
}

/// Generates the operation of a rule. `errors` is `Description::errors`.
pub(super) fn operation(
    rule: &Rule,
    schemas: &mut Schemas<'_>,
    ids: &mut BTreeSet<String>,
    errors: &[(&str, &str)],
) -> Value {
    let method = &rule.method.descriptor;
    let comment = schemas.comments.at(&method.parent_file(), method.path());
    let summary = comment.split_inclusive(['.', ';']).next().unwrap_or_default();
    let summary = summary.trim_end_matches(['.', ';']).to_owned();
    let mut operation = json!({
        "operationId": id(rule, ids),
        "tags": [method.parent_service().name()],
        "summary": summary,
        "description": comment,
        "parameters": parameters(rule, schemas),
        "responses": responses(rule, schemas, errors),
    });
    if let Some(body) = request_body(rule, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

/// Returns the operation id, such as `AgentService_UpdateAgent`. A number follows for a method's second and later
/// rules.
fn id(rule: &Rule, ids: &mut BTreeSet<String>) -> String {
    let method = &rule.method.descriptor;
    let first = format!("{}_{}", method.parent_service().name(), method.name());
    let mut id = first.clone();
    let mut number = 1;
    while !ids.insert(id.clone()) {
        number += 1;
        id = format!("{first}{number}");
    }
    id
}

fn shape(rule: &Rule, way: Way) -> Shape {
    Shape {
        way,
        dialect: rule.method.dialect,
        without: Vec::new(),
    }
}

fn parameters(rule: &Rule, schemas: &mut Schemas<'_>) -> Vec<Value> {
    let input = rule.method.descriptor.input();
    let shape = shape(rule, Way::Request);
    let mut parameters = Vec::new();
    for capture in &rule.template.captures {
        if let Some(field) = field_at(&input, &capture.field) {
            let schema = schemas.value(&field.kind(), &shape);
            let mut parameter = parameter("path", &capture.field, &schema, &description(&field, schemas));
            parameter["required"] = true.into();
            parameters.push(parameter);
        }
    }
    let in_body = match rule.body {
        BodyRule::Whole | BodyRule::Raw(None) => None,
        BodyRule::None => Some(0),
        BodyRule::Field(number) | BodyRule::Raw(Some(number)) => Some(number),
    };
    if let Some(in_body) = in_body {
        let captured = rule.template.captures.iter().map(|capture| &*capture.field).collect();
        let mut query = Query {
            schemas,
            shape: shape.clone(),
            captured,
            found: Vec::new(),
        };
        for field in input.fields().filter(|field| field.number() != in_body) {
            query.add("", &field, 0);
        }
        parameters.extend(query.found);
    }
    for alias in &rule.method.aliases {
        let Some(field) = field_at(&input, &alias.field) else {
            continue;
        };
        let text = description(&field, schemas);
        let text = format!("Sets the field `{}`. {text}", alias.field);
        if let Some(header) = &alias.header {
            let name = capitals(header.as_str());
            parameters.push(parameter("header", &name, &schemas.field(&field, &shape), text.trim()));
        }
        if let Some(name) = &alias.query {
            parameters.push(parameter("query", name, &schemas.field(&field, &shape), text.trim()));
        }
    }
    parameters
}

fn parameter(place: &str, name: &str, schema: &Value, description: &str) -> Value {
    json!({"name": name, "in": place, "description": description, "schema": schema})
}

pub(super) fn description(field: &FieldDescriptor, schemas: &Schemas<'_>) -> String {
    schemas
        .comments
        .at(&field.parent_message().parent_file(), field.path())
        .to_owned()
}

/// Capitalizes a header name: `last-event-id` becomes `Last-Event-ID`.
fn capitals(header: &str) -> String {
    let words = header.split('-').map(|word| {
        if word == "id" {
            return "ID".to_owned();
        }
        let (first, rest) = word.split_at(usize::from(!word.is_empty()));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

fn field_at(message: &MessageDescriptor, path: &str) -> Option<FieldDescriptor> {
    let (head, rest) = path
        .split_once('.')
        .map_or((path, None), |(head, rest)| (head, Some(rest)));
    let field = message
        .get_field_by_name(head)
        .or_else(|| message.get_field_by_json_name(head))?;
    match rest {
        None => Some(field),
        Some(rest) => field_at(field.kind().as_message()?, rest),
    }
}

/// Collects a rule's query parameters, including the fields of nested messages.
struct Query<'s, 'p, 'r> {
    schemas: &'s mut Schemas<'p>,
    shape: Shape,
    captured: Vec<&'r str>,
    found: Vec<Value>,
}

impl Query<'_, '_, '_> {
    fn add(&mut self, prefix: &str, field: &FieldDescriptor, depth: usize) {
        let name = format!("{prefix}{}", field.name());
        if self.captured.contains(&name.as_str()) || field.is_map() {
            return;
        }
        if let Kind::Message(message) = field.kind()
            && message.package_name() != "google.protobuf"
        {
            if !field.is_list() && depth < MAX_QUERY_DEPTH {
                for inner in message.fields() {
                    self.add(&format!("{name}."), &inner, depth + 1);
                }
            }
            return;
        }
        // A client omits a parameter without a value, so null is not allowed.
        let schema = if field.is_list() {
            self.schemas.field(field, &self.shape)
        } else {
            self.schemas.value(&field.kind(), &self.shape)
        };
        let mut parameter = parameter("query", &name, &schema, &description(field, self.schemas));
        if depth == 0 && self.schemas.is_required(field, &self.shape) {
            parameter["required"] = true.into();
        }
        self.found.push(parameter);
    }
}

fn request_body(rule: &Rule, schemas: &mut Schemas<'_>) -> Option<Value> {
    let input = rule.method.descriptor.input();
    let mut shape = shape(rule, Way::Request);
    let schema = match rule.body {
        BodyRule::None => return None,
        BodyRule::Raw(_) => return Some(json!({"required": true, "content": {"*/*": {"schema": binary()}}})),
        BodyRule::Field(number) => schemas.field(&input.get_field(number)?, &shape),
        BodyRule::Whole => {
            let captures = rule
                .template
                .captures
                .iter()
                .filter_map(|capture| input.get_field_by_name(&capture.field));
            shape.without = captures.map(|field| field.number()).collect();
            schemas.message(&input, &shape)
        }
    };
    let mut content = Map::new();
    if let Some(files) = &rule.method.form_files {
        content.insert("multipart/form-data".to_owned(), form(&input, files, &shape, schemas));
        // A urlencoded form cannot contain files.
        let mut fields_only = shape.clone();
        fields_only
            .without
            .extend(input.get_field_by_name(files).map(|field| field.number()));
        let urlencoded = form(&input, files, &fields_only, schemas);
        content.insert("application/x-www-form-urlencoded".to_owned(), urlencoded);
    }
    content.insert("application/json".to_owned(), json!({"schema": schema}));
    Some(json!({"required": true, "content": content}))
}

fn form(input: &MessageDescriptor, files: &str, shape: &Shape, schemas: &mut Schemas<'_>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in input.fields().filter(|field| !shape.without.contains(&field.number())) {
        let mut property = schemas.property(&field, shape);
        if field.name() == files {
            property["items"] = binary();
        }
        if schemas.is_required(&field, shape) {
            required.push(Value::from(field.name()));
        }
        properties.insert(field.name().to_owned(), property);
    }
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = required.into();
    }
    json!({"schema": schema})
}

fn binary() -> Value {
    json!({"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"})
}

fn responses(rule: &Rule, schemas: &mut Schemas<'_>, errors: &[(&str, &str)]) -> Value {
    let method = &rule.method;
    let output = method.descriptor.output();
    let shape = shape(rule, Way::Response);
    let mut responses = Map::new();
    if method.answers_raw {
        let raw = json!({"application/octet-stream": {"schema": binary()}});
        responses.insert(
            "200".to_owned(),
            json!({"description": "The raw bytes.", "content": raw}),
        );
        if method
            .aliases
            .iter()
            .any(|alias| alias.header == Some(http::header::RANGE))
        {
            responses.insert(
                "206".to_owned(),
                json!({"description": "The requested range.", "content": raw}),
            );
            responses.insert(
                "304".to_owned(),
                json!({"description": "Not modified: the client's copy is current."}),
            );
            responses.insert(
                "416".to_owned(),
                json!({"description": "The requested range is not satisfiable."}),
            );
        }
    } else {
        let schema = match rule.response_body.and_then(|number| output.get_field(number)) {
            Some(field) => schemas.field(&field, &shape),
            None => schemas.message(&output, &shape),
        };
        let text = schemas.comments.at(&output.parent_file(), output.path());
        let text = if text.is_empty() { "Success." } else { text };
        let content = if method.streams {
            json!({
                "text/event-stream": {"schema": {
                    "type": "string",
                    "description": "Server-sent events. `event` names the field that is set in the message, `data` is the \
                        message as JSON, and `id` is the cursor if the stream has one. A failure after the stream has begun \
                        is sent as an event `fault` with the usual error body.",
                    "contentMediaType": "text/event-stream",
                    "x-event-data": schema,
                }},
                "application/x-ndjson": {"schema": schema},
            })
        } else {
            json!({"application/json": {"schema": schema}})
        };
        responses.insert("200".to_owned(), json!({"description": text, "content": content}));
        if method.event_id.is_some() {
            let text = "The cursor is at the end of the stream; no more events will follow.";
            responses.insert("204".to_owned(), json!({"description": text}));
        }
    }
    for (status, name) in errors {
        responses.insert(
            (*status).to_owned(),
            json!({"$ref": format!("#/components/responses/{name}")}),
        );
    }
    responses.into()
}
