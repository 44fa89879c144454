//! JSON for protobuf messages, converted directly between wire bytes and text.
//!
//! Called by the transcoder and the `OpenAPI` document. A [`Codec`] holds tables compiled once from the descriptors; it
//! needs no generated code and builds no intermediate tree of values. It supports two dialects: canonical proto3 JSON
//! for third-party contracts, and the dialect of Runyard's own services. Invariant: no input, text or bytes, causes a
//! panic, and decoded messages never nest deeper than prost accepts.

mod decode;
mod decode_known;
mod encode;
mod encode_known;
mod enums;
mod error;
mod parse;
mod print;
mod slots;
mod tables;
mod text;
mod time;
mod wire;

use prost_reflect::DescriptorPool;

use self::{
    decode::Decoder,
    encode::Encoder,
    tables::{Field, Kind, Known, Shape, Tables},
};
pub use self::{enums::short_enum_name, error::CodecError};

/// The JSON dialect of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Canonical proto3 JSON.
    Canonical,
    /// Runyard's services: proto field names, null for unset fields, lower-case enums, 64-bit integers as numbers.
    Runyard,
}

/// A message type of one codec; meaningless to any other codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// One value.
    Single,
    /// Any number of values.
    List,
    /// One value per key.
    Map,
}

/// The type of a field's value, as far as a transcoder needs it; for a map, the type of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// `bool`.
    Bool,
    /// An integer or a floating-point number.
    Number,
    /// `string`.
    String,
    /// `bytes`.
    Bytes,
    /// An enum.
    Enum,
    /// `google.protobuf.FieldMask`.
    FieldMask,
    /// A message with a plain text form: a time, a duration or a wrapper.
    TextMessage(MessageId),
    /// Any other message.
    Message(MessageId),
}

/// Description of a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo<'c> {
    /// The name in the proto file.
    pub name: &'c str,
    /// The field number.
    pub number: u32,
    /// How often it may occur.
    pub cardinality: Cardinality,
    /// The type of its value.
    pub kind: FieldKind,
}

/// The tables of every message of a pool.
#[derive(Debug)]
pub struct Codec {
    tables: Tables,
}

impl Codec {
    /// Compiles the tables. Call once at start and share the result.
    pub fn new(pool: &DescriptorPool) -> Self {
        Self {
            tables: Tables::compile(pool),
        }
    }

    /// The message with this full name, such as `runyard.v1.Agent`.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.tables.by_name.get(full_name).copied()
    }

    /// The field of a message by its proto or camelCase name.
    pub fn field(&self, message: MessageId, name: &str) -> Option<FieldInfo<'_>> {
        let table = self.tables.message(message);
        table.find(name, 0).map(|index| self.describe(&table.fields[index]))
    }

    /// The field at the end of a path such as `agent.agent_id`; every segment but the last must be a single message.
    pub fn field_at(&self, message: MessageId, path: &str) -> Option<FieldInfo<'_>> {
        match path.split_once('.') {
            None => self.field(message, path),
            Some((head, rest)) => match self.field(message, head)? {
                FieldInfo {
                    cardinality: Cardinality::Single,
                    kind: FieldKind::Message(inner) | FieldKind::TextMessage(inner),
                    ..
                } => self.field_at(inner, rest),
                _ => None,
            },
        }
    }

    /// Appends a message to `json`; on error, `json` is unchanged.
    pub fn encode(
        &self,
        message: MessageId,
        dialect: Dialect,
        wire: &[u8],
        json: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        restoring(json, |json| {
            Encoder::new(&self.tables, dialect).message(message, wire, json)
        })
    }

    /// Appends the value of one field (`response_body` of a rule) to `json`; its default or null when unset.
    pub fn encode_field(
        &self,
        (message, number): (MessageId, u32),
        dialect: Dialect,
        wire: &[u8],
        json: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        restoring(json, |json| {
            Encoder::new(&self.tables, dialect).one_field(message, index, wire, json)
        })
    }

    /// Decodes JSON text and appends the message to `wire`; on error, `wire` is unchanged.
    pub fn decode(
        &self,
        message: MessageId,
        dialect: Dialect,
        json: &[u8],
        wire: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        restoring(wire, |wire| {
            Decoder::new(&self.tables, dialect, json)?.whole(message, wire)
        })
    }

    /// Like [`Codec::decode`]; also returns the keys of the outermost object as proto names, null ones included. A PUT
    /// or PATCH means to change these fields.
    pub fn decode_keys(
        &self,
        message: MessageId,
        dialect: Dialect,
        json: &[u8],
        wire: &mut Vec<u8>,
    ) -> Result<Vec<&str>, CodecError> {
        restoring(wire, |wire| {
            Decoder::new(&self.tables, dialect, json)?.whole_with_keys(message, wire)
        })
    }

    /// Decodes JSON text that is the value of one field (`body: "field"` of a rule).
    pub fn decode_field(
        &self,
        (message, number): (MessageId, u32),
        dialect: Dialect,
        json: &[u8],
        wire: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        restoring(wire, |wire| {
            Decoder::new(&self.tables, dialect, json)?.whole_field(message, index, wire)
        })
    }

    /// Decodes plain text (a path variable, a query parameter, a header, a form part) into the field at the end of a
    /// path of proto or camelCase names, according to that field's type. On a repeated field, each call appends one
    /// value; on a single field, the last call wins; nested messages merge.
    ///
    /// # Errors
    /// The field does not exist, a segment before the last is not a single message, or the text is not a value of the
    /// field.
    pub fn decode_text(
        &self,
        (message, path): (MessageId, &str),
        dialect: Dialect,
        text: &str,
        wire: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        restoring(wire, |wire| {
            text::decode(&self.tables, (message, path), dialect, text, wire)
        })
    }

    /// Returns true if a top-level field occurs in the wire bytes, even with its default value.
    pub fn is_set(&self, message: MessageId, number: u32, wire: &[u8]) -> Result<bool, CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        Encoder::new(&self.tables, Dialect::Canonical).is_set(message, index, wire)
    }

    /// The proto name of the set member of the message's first oneof, such as `tool_call` of a `RunEvent`.
    pub fn set_member(&self, message: MessageId, wire: &[u8]) -> Result<Option<&str>, CodecError> {
        Encoder::new(&self.tables, Dialect::Canonical).set_member(message, wire)
    }

    /// The value of a top-level scalar field as text without quotes; its default when the field is unset. `None` for
    /// lists, maps, messages, and unset enums and optional fields.
    pub fn read_text(
        &self,
        (message, number): (MessageId, u32),
        dialect: Dialect,
        wire: &[u8],
    ) -> Result<Option<String>, CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        Encoder::new(&self.tables, dialect).read_text(message, index, wire)
    }

    fn index_of(&self, message: MessageId, number: u32) -> Option<usize> {
        self.tables.message(message).by_number(number)
    }

    fn describe<'c>(&'c self, field: &'c Field) -> FieldInfo<'c> {
        let kind = match field.kind {
            Kind::Bool => FieldKind::Bool,
            Kind::String => FieldKind::String,
            Kind::Bytes => FieldKind::Bytes,
            Kind::Enum(_) => FieldKind::Enum,
            Kind::Message(id) => match self.tables.message(id).known {
                Some(Known::FieldMask) => FieldKind::FieldMask,
                Some(Known::Timestamp | Known::Duration | Known::Wrapper) => FieldKind::TextMessage(id),
                _ => FieldKind::Message(id),
            },
            _ => FieldKind::Number,
        };
        let cardinality = match field.shape {
            Shape::Single => Cardinality::Single,
            Shape::List => Cardinality::List,
            Shape::Map(_) => Cardinality::Map,
        };
        FieldInfo {
            name: &field.name,
            number: field.number,
            cardinality,
            kind,
        }
    }
}

/// Runs a step that appends to a buffer; if it fails, removes what it appended.
fn restoring<T>(
    buffer: &mut Vec<u8>,
    step: impl FnOnce(&mut Vec<u8>) -> Result<T, CodecError>,
) -> Result<T, CodecError> {
    let before = buffer.len();
    let result = step(buffer);
    if result.is_err() {
        buffer.truncate(before);
    }
    result
}

fn no_field(number: u32) -> CodecError {
    CodecError::wire(format!("the message has no field {number}"))
}
