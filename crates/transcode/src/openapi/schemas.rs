//! Generates JSON schemas of the messages that operations use. A schema describes the JSON that the codec prints or
//! accepts.
//!
//! In the schema of a response, the fields that are always present are required. In the schema of a request, the
//! fields with the behaviour `REQUIRED` are required.

use std::collections::{BTreeMap, HashMap, VecDeque};

use prost_reflect::{
    DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value as Setting,
};
use serde_json::{Map, Value, json};

use super::comments::Comments;
use crate::{json::Dialect, options};

/// Value of `google.api.field_behavior` for a field that a request must set.
const REQUIRED: i32 = 2;
/// Value of `google.api.field_behavior` for a field that is ignored in requests.
const OUTPUT_ONLY: i32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Request,
    Response,
}

/// A variant of a message: direction, JSON dialect, and the field numbers that the path sets, which the schema omits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub way: Way,
    pub dialect: Dialect,
    pub without: Vec<u32>,
}

/// The components of the document that were generated or requested so far.
#[derive(Debug)]
pub(super) struct Schemas<'p> {
    pool: &'p DescriptorPool,
    pub comments: &'p Comments,
    omit_unset: Option<ExtensionDescriptor>,
    names: HashMap<(String, Shape), String>,
    queue: VecDeque<(String, MessageDescriptor, Shape)>,
    done: BTreeMap<String, Value>,
}

impl<'p> Schemas<'p> {
    /// Creates an empty set of components. `omit_unset` is the field option that omits the key of an unset field.
    pub fn new(pool: &'p DescriptorPool, comments: &'p Comments, omit_unset: Option<ExtensionDescriptor>) -> Self {
        Self {
            pool,
            comments,
            omit_unset,
            names: HashMap::new(),
            queue: VecDeque::new(),
            done: BTreeMap::new(),
        }
    }

    pub fn finish(mut self) -> Map<String, Value> {
        while let Some((name, message, shape)) = self.queue.pop_front() {
            let schema = self.object(&message, &shape);
            self.done.insert(name, schema);
        }
        self.done.into_iter().collect()
    }

    /// Returns a reference to the component of a message, or an inline schema for a well-known type.
    pub fn message(&mut self, message: &MessageDescriptor, shape: &Shape) -> Value {
        if let Some(known) = self.known(message, shape) {
            return known;
        }
        let key = (message.full_name().to_owned(), shape.clone());
        if let Some(name) = self.names.get(&key) {
            return reference(name);
        }
        let name = self.free_name(message.full_name(), message.package_name(), shape.way);
        self.names.insert(key, name.clone());
        // Reserve the name until the schema is generated.
        self.done.insert(name.clone(), Value::Null);
        self.queue.push_back((name.clone(), message.clone(), shape.clone()));
        reference(&name)
    }

    /// Returns the schema of a field, without its description.
    pub fn field(&mut self, field: &FieldDescriptor, shape: &Shape) -> Value {
        let inner = Shape {
            without: Vec::new(),
            ..shape.clone()
        };
        let kind = field.kind();
        match &kind {
            Kind::Message(entry) if field.is_map() => {
                let value = self.value(&entry.map_entry_value_field().kind(), &inner);
                json!({"type": "object", "additionalProperties": value})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.value(kind, &inner)}),
            kind => {
                let value = self.value(kind, &inner);
                let null_when_unset = shape.way == Way::Request || !self.is_omitted(field);
                let is_plain = shape.dialect == Dialect::Plain;
                if field.supports_presence() && !is_member(field) && null_when_unset && is_plain {
                    nullable(value)
                } else {
                    value
                }
            }
        }
    }

    fn object(&mut self, message: &MessageDescriptor, shape: &Shape) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message
            .fields()
            .filter(|field| !shape.without.contains(&field.number()))
        {
            let name = match shape.dialect {
                Dialect::Canonical => field.json_name(),
                Dialect::Plain => field.name(),
            };
            if self.is_required(&field, shape) {
                required.push(Value::from(name));
            }
            properties.insert(name.to_owned(), self.property(&field, shape));
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        self.comments
            .describe(&message.parent_file(), message.path(), &mut schema);
        schema.insert("properties".to_owned(), properties.into());
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
        if shape.way == Way::Request {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
        schema.into()
    }

    /// Returns the schema of a field, with its description.
    pub fn property(&mut self, field: &FieldDescriptor, shape: &Shape) -> Value {
        let mut schema = self.field(field, shape);
        if let Some(schema) = schema.as_object_mut() {
            self.comments
                .describe(&field.parent_message().parent_file(), field.path(), schema);
            if self.behaves(field, OUTPUT_ONLY) {
                schema.insert("readOnly".to_owned(), true.into());
            }
        }
        schema
    }

    /// Response fields are required if they are always present, request fields if they have the behaviour `REQUIRED`.
    pub fn is_required(&self, field: &FieldDescriptor, shape: &Shape) -> bool {
        match (shape.way, shape.dialect) {
            (Way::Request, _) => self.behaves(field, REQUIRED),
            (Way::Response, Dialect::Canonical) => false,
            (Way::Response, Dialect::Plain) => !self.is_omitted(field) && !is_member(field),
        }
    }

    fn is_omitted(&self, field: &FieldDescriptor) -> bool {
        options::is_true(self.omit_unset.as_ref(), field)
    }

    fn behaves(&self, field: &FieldDescriptor, behaviour: i32) -> bool {
        let option = self.pool.get_extension_by_name("google.api.field_behavior");
        option.is_some_and(|option| {
            let options = field.options();
            let listed = options.get_extension(&option);
            listed
                .as_list()
                .is_some_and(|listed| listed.contains(&Setting::EnumNumber(behaviour)))
        })
    }

    /// Returns the schema of one value, such as one element of a list.
    pub fn value(&mut self, kind: &Kind, shape: &Shape) -> Value {
        let wide = |format: &str| match shape.dialect {
            Dialect::Canonical => json!({"type": "string", "format": format}),
            Dialect::Plain => json!({"type": "integer", "format": format}),
        };
        match kind {
            Kind::Double => json!({"type": "number", "format": "double"}),
            Kind::Float => json!({"type": "number", "format": "float"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => json!({"type": "integer", "format": "int32"}),
            Kind::Uint32 | Kind::Fixed32 => json!({"type": "integer", "format": "uint32", "minimum": 0}),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => wide("int64"),
            Kind::Uint64 | Kind::Fixed64 => wide("uint64"),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::Enum(descriptor) => self.enumeration(descriptor, shape.dialect),
            Kind::Message(message) => self.message(message, shape),
        }
    }

    /// Returns a reference to the component of an enum. The plain dialect prints the `UNSPECIFIED` value as null, so
    /// its component omits the value and the returned schema allows null.
    fn enumeration(&mut self, descriptor: &EnumDescriptor, dialect: Dialect) -> Value {
        let shape = Shape {
            way: Way::Response,
            dialect,
            without: Vec::new(),
        };
        let key = (descriptor.full_name().to_owned(), shape);
        let unspecified = |value: &prost_reflect::EnumValueDescriptor| {
            dialect == Dialect::Plain && value.number() == 0 && value.name().ends_with("UNSPECIFIED")
        };
        if !self.names.contains_key(&key) {
            let name = self.free_name(descriptor.full_name(), descriptor.package_name(), Way::Response);
            let mut lines = vec![
                self.comments
                    .at(&descriptor.parent_file(), descriptor.path())
                    .to_owned(),
            ];
            let mut values = Vec::new();
            for value in descriptor.values().filter(|value| !unspecified(value)) {
                let spelled = spelled(&value, dialect);
                let comment = self.comments.at(&descriptor.parent_file(), value.path());
                lines.push(format!("- `{spelled}`: {comment}"));
                values.push(Value::from(spelled));
            }
            let schema = json!({"type": "string", "description": lines.join("\n"), "enum": values});
            self.done.insert(name.clone(), schema);
            self.names.insert(key.clone(), name);
        }
        let schema = reference(&self.names[&key]);
        if descriptor.values().any(|value| unspecified(&value)) {
            nullable(schema)
        } else {
            schema
        }
    }

    fn known(&mut self, message: &MessageDescriptor, shape: &Shape) -> Option<Value> {
        Some(match message.full_name().strip_prefix("google.protobuf.")? {
            "Timestamp" => json!({"type": "string", "format": "date-time"}),
            "Duration" => json!({"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$"}),
            "FieldMask" => json!({"type": "string"}),
            "Struct" => json!({"type": "object", "additionalProperties": true}),
            "ListValue" => json!({"type": "array", "items": {}}),
            "Value" => json!({}),
            "Empty" => json!({"type": "object", "additionalProperties": false}),
            "Any" => {
                json!({"type": "object", "properties": {"@type": {"type": "string"}}, "additionalProperties": true})
            }
            name if name.ends_with("Value") => self.value(&message.fields().next()?.kind(), shape),
            _ => return None,
        })
    }

    /// Returns an unused component name: `Agent`, `AgentInput` for the variant in requests, or `Agent2` if `Agent` is
    /// taken.
    fn free_name(&self, full_name: &str, package: &str, way: Way) -> String {
        let short = full_name
            .strip_prefix(package)
            .unwrap_or(full_name)
            .trim_start_matches('.');
        let suffix = if way == Way::Request && !short.ends_with("Request") {
            "Input"
        } else {
            ""
        };
        let first = format!("{short}{suffix}");
        if !self.done.contains_key(&first) {
            return first;
        }
        let mut number = 2;
        while self.done.contains_key(&format!("{first}{number}")) {
            number += 1;
        }
        format!("{first}{number}")
    }
}

/// Returns true for members of a declared oneof. proto3 `optional` creates synthetic oneofs, which do not count.
fn is_member(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic())
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

pub(super) fn nullable(mut schema: Value) -> Value {
    let plain = schema.get("type").filter(|kind| kind.is_string()).cloned();
    match (schema.as_object_mut(), plain) {
        (Some(map), Some(kind)) if !map.contains_key("enum") => {
            map.insert("type".to_owned(), json!([kind, "null"]));
            schema
        }
        (Some(map), _) if map.is_empty() || map.contains_key("anyOf") => schema,
        _ => json!({"anyOf": [schema, {"type": "null"}]}),
    }
}

/// Returns the text that the codec prints for an enum value.
fn spelled(value: &prost_reflect::EnumValueDescriptor, dialect: Dialect) -> String {
    if dialect == Dialect::Canonical {
        return value.name().to_owned();
    }
    crate::json::short_enum_name(value.parent_enum().name(), value.name())
}
