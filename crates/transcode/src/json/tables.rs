//! The codec's tables, compiled once from the descriptors: print order, JSON keys and enum names.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, ExtensionDescriptor, FieldDescriptor, MessageDescriptor};

use super::{Dialect, MessageId, enums::Enum};
use crate::options;

/// Field numbers below this limit are in the array `Message::dense`, all others in a hash map.
const DENSE: u32 = 256;

/// Value in `Message::dense` for an unused field number.
const NO_FIELD: u16 = u16::MAX;

#[derive(Debug)]
pub(super) struct Tables {
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
    pub by_name: HashMap<Box<str>, MessageId>,
}

/// A well-known type with a special JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Any,
    Duration,
    Empty,
    FieldMask,
    List,
    Struct,
    Timestamp,
    Value,
    Wrapper,
}

/// A message type, with its fields in the order of the proto file. `names` maps proto and camelCase names to indices
/// in `fields`; `dense` and `sparse` map field numbers to indices.
#[derive(Debug)]
pub(super) struct Message {
    pub known: Option<Known>,
    pub fields: Vec<Field>,
    pub oneofs: usize,
    names: HashMap<Box<str>, u16>,
    dense: Box<[u16]>,
    sparse: HashMap<u32, u16>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub name: Box<str>,
    pub number: u32,
    pub kind: Kind,
    pub shape: Shape,
    pub presence: Presence,
    pub packed: bool,
    pub omit_unset: bool,
    json_name: Box<str>,
    key: Box<[u8]>,
    canonical_key: Box<[u8]>,
}

/// The type of a field's value; for a map field, of the map's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(u32),
    Message(MessageId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Single,
    List,
    /// A map, with the message type of its entries.
    Map(MessageId),
}

/// Whether the wire format distinguishes an unset singular field from its default value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// No presence: an unset field and a default value look alike on the wire.
    Implicit,
    /// Explicit presence: the field is `optional`, or its type is a message.
    Explicit,
    /// The field is a member of the oneof with this index.
    Oneof(u16),
}

impl Tables {
    /// Compiles the tables of a descriptor pool. `omit_unset` is the field option that omits the key of an unset
    /// field, if the pool declares this option.
    pub fn compile(pool: &DescriptorPool, omit_unset: Option<ExtensionDescriptor>) -> Self {
        let mut by_name = HashMap::new();
        for (id, message) in (0..).zip(pool.all_messages()) {
            by_name.insert(message.full_name().into(), MessageId(id));
        }
        let mut enum_ids = HashMap::new();
        for (id, descriptor) in (0..).zip(pool.all_enums()) {
            enum_ids.insert(descriptor.full_name().to_owned(), id);
        }
        let compiler = Compiler {
            messages: &by_name,
            enums: &enum_ids,
            omit_unset,
        };
        let messages = pool.all_messages().map(|message| compiler.message(&message)).collect();
        let enums = pool.all_enums().map(|descriptor| Enum::compile(&descriptor)).collect();
        Self {
            messages,
            enums,
            by_name,
        }
    }

    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0 as usize]
    }

    pub fn enumeration(&self, id: u32) -> &Enum {
        &self.enums[id as usize]
    }

    pub fn known(&self, kind: Kind) -> Option<Known> {
        match kind {
            Kind::Message(id) => self.message(id).known,
            _ => None,
        }
    }

    pub fn is_null_enum(&self, kind: Kind) -> bool {
        matches!(kind, Kind::Enum(id) if self.enumeration(id).is_null)
    }
}

struct Compiler<'p> {
    messages: &'p HashMap<Box<str>, MessageId>,
    enums: &'p HashMap<String, u32>,
    omit_unset: Option<ExtensionDescriptor>,
}

impl Compiler<'_> {
    fn message(&self, message: &MessageDescriptor) -> Message {
        // The order of the proto file can differ from the order of the field numbers.
        let fields: Vec<Field> = message
            .descriptor_proto()
            .field
            .iter()
            .filter_map(|proto| message.get_field_by_name(proto.name()))
            .map(|field| self.field(message, &field))
            .collect();
        let highest = fields
            .iter()
            .map(|field| field.number)
            .filter(|number| *number < DENSE)
            .max()
            .unwrap_or(0);
        let mut dense = vec![NO_FIELD; highest as usize + 1];
        let mut sparse = HashMap::new();
        let mut names = HashMap::new();
        for (index, field) in (0..NO_FIELD).zip(&fields) {
            match dense.get_mut(field.number as usize) {
                Some(place) => *place = index,
                None => drop(sparse.insert(field.number, index)),
            }
            names.insert(field.json_name.clone(), index);
        }
        // Proto names are inserted last, so that they take precedence over camelCase names of other fields.
        for (index, field) in (0..NO_FIELD).zip(&fields) {
            names.insert(field.name.clone(), index);
        }
        Message {
            known: known(message.full_name()),
            oneofs: message.oneofs().len(),
            names,
            dense: dense.into(),
            sparse,
            fields,
        }
    }

    fn field(&self, message: &MessageDescriptor, field: &FieldDescriptor) -> Field {
        let value = if field.is_map() {
            entry(field).map(|entry| entry.map_entry_value_field())
        } else {
            None
        };
        let kind = self.kind(&value.as_ref().unwrap_or(field).kind());
        let shape = if field.is_map() {
            Shape::Map(entry(field).map_or(MessageId(0), |entry| self.messages[entry.full_name()]))
        } else if field.is_list() {
            Shape::List
        } else {
            Shape::Single
        };
        let oneof = field.containing_oneof().filter(|oneof| !oneof.is_synthetic());
        let presence = match oneof {
            Some(oneof) => {
                let position = message.oneofs().position(|other| other.name() == oneof.name());
                Presence::Oneof(position.and_then(|position| u16::try_from(position).ok()).unwrap_or(0))
            }
            None if field.supports_presence() && shape == Shape::Single => Presence::Explicit,
            None => Presence::Implicit,
        };
        Field {
            name: field.name().into(),
            number: field.number(),
            kind,
            shape,
            presence,
            packed: field.is_packed(),
            omit_unset: options::is_true(self.omit_unset.as_ref(), field),
            key: key(field.name()),
            canonical_key: key(field.json_name()),
            json_name: field.json_name().into(),
        }
    }

    fn kind(&self, kind: &prost_reflect::Kind) -> Kind {
        use prost_reflect::Kind as K;
        match kind {
            K::Double => Kind::Double,
            K::Float => Kind::Float,
            K::Int32 => Kind::Int32,
            K::Int64 => Kind::Int64,
            K::Uint32 => Kind::Uint32,
            K::Uint64 => Kind::Uint64,
            K::Sint32 => Kind::Sint32,
            K::Sint64 => Kind::Sint64,
            K::Fixed32 => Kind::Fixed32,
            K::Fixed64 => Kind::Fixed64,
            K::Sfixed32 => Kind::Sfixed32,
            K::Sfixed64 => Kind::Sfixed64,
            K::Bool => Kind::Bool,
            K::String => Kind::String,
            K::Bytes => Kind::Bytes,
            K::Enum(descriptor) => Kind::Enum(self.enums[descriptor.full_name()]),
            K::Message(descriptor) => Kind::Message(self.messages[descriptor.full_name()]),
        }
    }
}

fn entry(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    field.kind().as_message().cloned()
}

fn key(name: &str) -> Box<[u8]> {
    let mut key = serde_json::Value::from(name).to_string().into_bytes();
    key.push(b':');
    key.into()
}

fn known(full_name: &str) -> Option<Known> {
    Some(match full_name.strip_prefix("google.protobuf.")? {
        "Any" => Known::Any,
        "Duration" => Known::Duration,
        "Empty" => Known::Empty,
        "FieldMask" => Known::FieldMask,
        "ListValue" => Known::List,
        "Struct" => Known::Struct,
        "Timestamp" => Known::Timestamp,
        "Value" => Known::Value,
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value" | "BoolValue"
        | "StringValue" | "BytesValue" => Known::Wrapper,
        _ => return None,
    })
}

impl Message {
    pub fn by_number(&self, number: u32) -> Option<usize> {
        let index = match self.dense.get(number as usize) {
            Some(index) => *index,
            None if self.sparse.is_empty() => NO_FIELD,
            None => self.sparse.get(&number).copied().unwrap_or(NO_FIELD),
        };
        (index != NO_FIELD).then_some(usize::from(index))
    }

    /// Finds a field by name. Index `guess` is checked first, because clients usually send fields in order.
    pub fn find(&self, name: &str, guess: usize) -> Option<usize> {
        match self.fields.get(guess) {
            Some(field) if *field.name == *name => Some(guess),
            _ => self.names.get(name).map(|index| usize::from(*index)),
        }
    }
}

impl Field {
    /// Returns the field's key as JSON text, with quotes and colon.
    pub fn key(&self, dialect: Dialect) -> &[u8] {
        match dialect {
            Dialect::Canonical => &self.canonical_key,
            Dialect::Plain => &self.key,
        }
    }
}

impl Presence {
    pub fn oneof(self) -> Option<u16> {
        match self {
            Self::Oneof(oneof) => Some(oneof),
            Self::Implicit | Self::Explicit => None,
        }
    }
}
