//! JSON for protobuf messages, straight between wire bytes and text.
//!
//! Called by the transcoder and the `OpenAPI` document. A [`Codec`] holds tables compiled once from the descriptors; there is
//! no generated code and no tree of values in between. Two dialects: canonical proto3 JSON for other people's contracts,
//! and the one in which our own services answer. The invariant: no input, text or bytes, makes it panic, and what it
//! decodes is never nested deeper than prost will read.

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

/// Which JSON is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Canonical proto3 JSON.
    Canonical,
    /// Our services': proto names, null for what is unset, lower-case enums, 64-bit integers as numbers.
    Runyard,
}

/// A message type of one codec; it means nothing to another codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

/// How often a field may occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Once.
    Single,
    /// Any number of times.
    List,
    /// Once for each key.
    Map,
}

/// What a field's value is, as far as a transcoder cares; for a map it is what its values are.
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
    /// A message that one piece of text can stand for: a time, a duration or a wrapper.
    TextMessage(MessageId),
    /// Any other message.
    Message(MessageId),
}

/// What is known about a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo<'c> {
    /// The name in the proto file.
    pub name: &'c str,
    /// The number.
    pub number: u32,
    /// How often it may occur.
    pub cardinality: Cardinality,
    /// What its value is.
    pub kind: FieldKind,
}

/// The tables of every message of a pool.
#[derive(Debug)]
pub struct Codec {
    tables: Tables,
}

impl Codec {
    /// Compiles the tables. Once at start, to be shared from then on.
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

    /// The field at the end of a path such as `agent.agent_id`; every step but the last is a single message.
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

    /// Writes a message as JSON behind what `json` holds; after an error `json` is as before.
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

    /// Writes the value of one field of a message as JSON (`response_body` of a rule): its default or null when unset.
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

    /// Reads JSON text into wire bytes behind what `wire` holds; after an error `wire` is as before.
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

    /// Like [`Codec::decode`]; returns the keys of the outermost object as proto names, null ones included: what a PUT or
    /// PATCH is meant to change.
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

    /// Reads JSON text that is the value of one field (`body: "field"` of a rule).
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

    /// Reads a piece of text (a path variable, a query parameter, a header, a form part) into the field at the end of a
    /// path of proto or camelCase names, by the type of that field. Each call on a repeated field appends one value; on a
    /// single one the last call wins; nested messages merge.
    ///
    /// # Errors
    /// There is no such field, a step on the way is not a single message, or the text is not a value of the field.
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

    /// Whether a top-level field occurs in the wire bytes, even with its default value.
    pub fn is_set(&self, message: MessageId, number: u32, wire: &[u8]) -> Result<bool, CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        Encoder::new(&self.tables, Dialect::Canonical).is_set(message, index, wire)
    }

    /// The proto name of the member that is set in the message's first oneof, such as `tool_call` of a `RunEvent`.
    pub fn set_member(&self, message: MessageId, wire: &[u8]) -> Result<Option<&str>, CodecError> {
        Encoder::new(&self.tables, Dialect::Canonical).set_member(message, wire)
    }

    /// The value of a top-level scalar field as text without quotes, its default when it is not there; nothing for lists,
    /// maps, messages, and enums and optional fields that are unset.
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

/// Runs a step that appends, and takes back what it appended when it fails.
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
