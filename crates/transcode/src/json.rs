//! JSON for protobuf messages.
//!
//! A [`Codec`] converts directly between wire bytes and JSON text, with tables compiled from the descriptors.
//! Invariants: no input causes a panic, and decoded messages never exceed prost's nesting depth.

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

use std::borrow::Cow;

use prost_reflect::DescriptorPool;

pub(crate) use self::enums::short_enum_name;
pub use self::error::CodecError;
use self::{
    decode::Decoder,
    encode::Encoder,
    tables::{Field, Kind, Known, Shape, Tables},
};
use crate::options::{self, Package};

/// The JSON dialect of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Canonical proto3 JSON.
    Canonical,
    /// Proto field names, null for unset fields, enum values in lower case, and 64-bit integers as numbers.
    Plain,
}

/// The id of a message type in one codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(u32);

/// The number of values that a field can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// A singular field: one value or none.
    Single,
    /// A repeated field: any number of values.
    List,
    /// A map field: one value for each key.
    Map,
}

/// The type of a field's value; for a map field, of the map's values.
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
    /// An enum. The dialect determines the names of its values.
    Enum,
    /// `google.protobuf.FieldMask`.
    FieldMask,
    /// A message type with a plain text form: a timestamp, a duration or a wrapper.
    TextMessage(MessageId),
    /// Any other message type.
    Message(MessageId),
}

/// The description of a field.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo<'c> {
    /// The name in the proto file.
    pub name: &'c str,
    /// The field number.
    pub number: u32,
    /// The number of values that the field can have.
    pub cardinality: Cardinality,
    /// The type of the value.
    pub kind: FieldKind,
}

/// Converts all message types of a descriptor pool between wire bytes and JSON.
#[derive(Debug)]
pub struct Codec {
    tables: Tables,
    pub(crate) package: Package,
}

impl Codec {
    /// Compiles a codec for a descriptor pool with the options of `transcode/v1/options.proto`. This is slow: share
    /// one codec.
    pub fn new(pool: &DescriptorPool) -> Self {
        Self::with_options_of(options::PACKAGE, pool)
    }

    /// Compiles a codec for a pool that declares the options of `transcode/v1/options.proto` in another package.
    pub fn with_options_of(package: impl Into<Cow<'static, str>>, pool: &DescriptorPool) -> Self {
        let package = Package::new(package);
        Self {
            tables: Tables::compile(pool, package.omit_unset(pool)),
            package,
        }
    }

    /// Returns the id of the message with this full name, such as `greeter.v1.HelloRequest`.
    pub fn message(&self, full_name: &str) -> Option<MessageId> {
        self.tables.by_name.get(full_name).copied()
    }

    /// Returns the field with this proto name or camelCase name.
    pub fn field(&self, message: MessageId, name: &str) -> Option<FieldInfo<'_>> {
        let table = self.tables.message(message);
        table.find(name, 0).map(|index| self.describe(&table.fields[index]))
    }

    /// Returns all fields of a message, in the order of the proto file.
    pub fn fields(&self, message: MessageId) -> impl Iterator<Item = FieldInfo<'_>> {
        let fields = self.tables.message(message).fields.iter();
        fields.map(|field| self.describe(field))
    }

    /// Returns the field at the end of a path such as `agent.agent_id`. All segments before the last must name
    /// singular message fields.
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

    /// Encodes wire bytes as JSON, and appends it to `json`. On error, `json` is unchanged.
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

    /// Encodes the value of one field as JSON, for a rule with `response_body`. An unset field with presence becomes
    /// null; any other unset field becomes its default value.
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

    /// Decodes JSON, and appends the message's wire bytes to `wire`. On error, `wire` is unchanged.
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

    /// Decodes like [`Codec::decode`], and returns the proto names of all keys in the outermost object. The
    /// transcoder infers the update mask of a PUT or PATCH request from these names.
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

    /// Decodes JSON as the value of one field, for a rule with `body: "field"`. Appends the field to `wire`.
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

    /// Decodes plain text as the value of a field, and appends the field to `wire`. `path` consists of proto or
    /// camelCase names, separated by dots. For a repeated field, each call appends one value. For a singular field,
    /// the last call wins.
    ///
    /// # Errors
    /// The path leads to no field, or the text is not a valid value of the field.
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

    /// Returns true if a top-level field is in the wire bytes, even with its default value.
    pub fn is_set(&self, message: MessageId, number: u32, wire: &[u8]) -> Result<bool, CodecError> {
        let index = self.index_of(message, number).ok_or_else(|| no_field(number))?;
        Encoder::new(&self.tables, Dialect::Canonical).is_set(message, index, wire)
    }

    /// Returns the proto name of the member that is set in the message's first oneof; `None` if no member is set.
    pub fn set_member(&self, message: MessageId, wire: &[u8]) -> Result<Option<&str>, CodecError> {
        Encoder::new(&self.tables, Dialect::Canonical).set_member(message, wire)
    }

    /// Returns the value of a top-level scalar field as text without quotes. `None` for lists, maps and messages, for
    /// unset fields with presence, and for enum values that the dialect writes as null.
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

/// Runs `step`. On error, removes the bytes that `step` appended.
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
