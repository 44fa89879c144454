//! Encodes wire bytes as JSON text.
//!
//! The first pass over a message locates its fields (`slots`). The second pass prints the fields in the order of the
//! proto file. The dialect and the field option `omit_unset` decide whether unset fields are printed.

use super::{
    CodecError, Dialect, MessageId,
    enums::Spelling,
    print::{base64, number, print, separate, text},
    slots::{Entry, Key, Slot, Slots, keep_last},
    tables::{Field, Kind, Message, Presence, Shape, Tables},
    wire::{MAX_DEPTH, WireType, low_half, read_packed, too_deep},
};

#[derive(Debug)]
pub(super) struct Encoder<'c> {
    pub tables: &'c Tables,
    pub dialect: Dialect,
    pub slots: Slots,
    depth: u32,
}

impl<'c> Encoder<'c> {
    pub fn new(tables: &'c Tables, dialect: Dialect) -> Self {
        Self {
            tables,
            dialect,
            slots: Slots::new(),
            depth: 0,
        }
    }

    pub fn message(&mut self, id: MessageId, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        if let Some(known) = table.known {
            return self.known(known, table, wire, json);
        }
        json.push(b'{');
        self.fields(table, wire, json, true)?;
        json.push(b'}');
        Ok(())
    }

    pub fn nested(&mut self, id: MessageId, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        self.descend()?;
        self.message(id, wire, json)?;
        self.ascend();
        Ok(())
    }

    pub fn descend(&mut self) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(too_deep())
        } else {
            Ok(())
        }
    }

    pub fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Prints fields without braces. `first` is false if other keys precede the fields.
    pub fn fields(
        &mut self,
        table: &'c Message,
        wire: &[u8],
        json: &mut Vec<u8>,
        mut first: bool,
    ) -> Result<(), CodecError> {
        let base = self.slots.index(table, wire)?;
        for (index, field) in table.fields.iter().enumerate() {
            let slot = self.slots.at(base, index);
            let before = json.len();
            if !first {
                json.push(b',');
            }
            json.extend_from_slice(field.key(self.dialect));
            match self.field(field, slot, wire, json) {
                Ok(true) => first = false,
                Ok(false) => json.truncate(before),
                Err(error) => return Err(error.within(&field.name)),
            }
        }
        self.slots.release(base);
        Ok(())
    }

    /// Prints the value of a field. Returns false if it is omitted; the caller then removes the key.
    fn field(&mut self, field: &Field, slot: Slot, wire: &[u8], json: &mut Vec<u8>) -> Result<bool, CodecError> {
        let omits = self.dialect == Dialect::Canonical || field.omit_unset;
        match field.shape {
            Shape::List | Shape::Map(_) if slot.count == 0 && omits => Ok(false),
            Shape::List => Ok(self.list(field, slot, wire, json)? || !omits),
            Shape::Map(_) => Ok(self.map(field, slot, wire, json)? || !omits),
            Shape::Single if slot.count > 0 => {
                if omits && field.presence == Presence::Implicit && slot.is_default(field.kind) {
                    return Ok(false);
                }
                self.single(field, slot, wire, json)?;
                Ok(true)
            }
            Shape::Single if omits => Ok(false),
            Shape::Single => match field.presence {
                Presence::Oneof(_) => Ok(false),
                Presence::Explicit => {
                    json.extend_from_slice(b"null");
                    Ok(true)
                }
                Presence::Implicit => {
                    self.value(field.kind, 0, &[], json)?;
                    Ok(true)
                }
            },
        }
    }

    pub fn single(&mut self, field: &Field, slot: Slot, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        let bytes = slot.bytes(field, wire)?;
        self.value(field.kind, slot.value, &bytes, json)
    }

    /// Prints an array. Returns false if it is empty.
    pub fn list(&mut self, field: &Field, slot: Slot, wire: &[u8], json: &mut Vec<u8>) -> Result<bool, CodecError> {
        json.push(b'[');
        let mut count = 0;
        let mut records = slot.records(wire);
        while let Some(record) = records.next()? {
            if record.number != field.number {
                continue;
            }
            let bytes = &wire[record.start..record.end];
            if record.wire_type == WireType::Length && field.kind.wire_type() != WireType::Length {
                let mut at = 0;
                while let Some(value) = read_packed(field.kind.wire_type(), bytes, &mut at)? {
                    separate(&mut count, json);
                    self.value(field.kind, value, &[], json)?;
                }
            } else {
                separate(&mut count, json);
                self.value(field.kind, record.value, bytes, json)
                    .map_err(|error| error.at_index(count - 1))?;
            }
        }
        json.push(b']');
        Ok(count > 0)
    }

    /// Prints a map as an object. Returns false if it is empty. Of several entries with the same key, the last wins.
    pub fn map(&mut self, field: &Field, slot: Slot, wire: &[u8], json: &mut Vec<u8>) -> Result<bool, CodecError> {
        let tables = self.tables;
        let Shape::Map(entry) = field.shape else {
            return Ok(false);
        };
        let (table, mut entries) = (tables.message(entry), Vec::with_capacity(slot.count));
        let mut records = slot.records(wire);
        while let Some(record) = records.next()? {
            if record.number == field.number {
                let bytes = &wire[record.start..record.end];
                let base = self.slots.index(table, bytes)?;
                let (key, value) = (self.slots.slot(table, base, 1), self.slots.slot(table, base, 2));
                self.slots.release(base);
                entries.push(Entry {
                    bytes,
                    key: Key {
                        text: &bytes[key.start..key.end],
                        number: key.value,
                    },
                    value,
                });
            }
        }
        keep_last(&mut entries);
        self.descend()?;
        json.push(b'{');
        let mut count = 0;
        let [key_field, value_field, ..] = table.fields.as_slice() else {
            return Err(CodecError::wire("the message is not a map entry"));
        };
        for entry in &entries {
            separate(&mut count, json);
            put_key(key_field.kind, &entry.key, json)?;
            self.single(value_field, entry.value, entry.bytes, json)
                .map_err(|error| error.at_key(&String::from_utf8_lossy(entry.key.text)))?;
        }
        json.push(b'}');
        self.ascend();
        Ok(count > 0)
    }

    /// Prints a value. Numbers, booleans and enums are in `value`; strings, bytes and messages are in `bytes`.
    pub fn value(&mut self, kind: Kind, value: u64, bytes: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        match kind {
            Kind::Message(id) => self.nested(id, bytes, json),
            Kind::String => print(text(bytes)?, json),
            Kind::Bytes => base64(bytes, json),
            Kind::Enum(id) => {
                let number = low_half(value).cast_signed();
                match self.tables.enumeration(id).spelling(number, self.dialect) {
                    Spelling::Name(name) => print(name, json),
                    Spelling::Null => print(&(), json),
                    Spelling::Number => print(&number, json),
                }
            }
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64
                if self.dialect == Dialect::Canonical =>
            {
                json.push(b'"');
                number(kind, value, json)?;
                json.push(b'"');
                Ok(())
            }
            _ => number(kind, value, json),
        }
    }

    /// Prints the value of one field, or null for an unset field with presence.
    pub fn one_field(
        &mut self,
        id: MessageId,
        index: usize,
        wire: &[u8],
        json: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        let field = &table.fields[index];
        let base = self.slots.index(table, wire)?;
        let slot = self.slots.at(base, index);
        match field.shape {
            Shape::List => drop(
                self.list(field, slot, wire, json)
                    .map_err(|error| error.within(&field.name))?,
            ),
            Shape::Map(_) => drop(
                self.map(field, slot, wire, json)
                    .map_err(|error| error.within(&field.name))?,
            ),
            Shape::Single if slot.count == 0 && field.presence != Presence::Implicit => print(&(), json)?,
            Shape::Single => self
                .single(field, slot, wire, json)
                .map_err(|error| error.within(&field.name))?,
        }
        self.slots.release(base);
        Ok(())
    }

    pub fn is_set(&mut self, id: MessageId, index: usize, wire: &[u8]) -> Result<bool, CodecError> {
        let base = self.slots.index(self.tables.message(id), wire)?;
        Ok(self.slots.at(base, index).count > 0)
    }

    /// Returns the proto name of the member that is set in the first oneof; `None` if no member is set.
    pub fn set_member(&mut self, id: MessageId, wire: &[u8]) -> Result<Option<&'c str>, CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        let base = self.slots.index(table, wire)?;
        Ok(self.slots.member(table, base, 0).map(|(field, _)| &*field.name))
    }

    /// Returns the value of a scalar field as text without quotes. `None` for lists, maps and messages, for unset
    /// fields with presence, and for enum values that the dialect writes as null.
    pub fn read_text(&mut self, id: MessageId, index: usize, wire: &[u8]) -> Result<Option<String>, CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        let field = &table.fields[index];
        let base = self.slots.index(table, wire)?;
        let slot = self.slots.at(base, index);
        let unset = slot.count == 0 && field.presence != Presence::Implicit;
        if unset || field.shape != Shape::Single || matches!(field.kind, Kind::Message(_)) {
            return Ok(None);
        }
        let mut json = Vec::new();
        if field.kind == Kind::String {
            json.extend_from_slice(text(&wire[slot.start..slot.end])?.as_bytes());
        } else {
            self.single(field, slot, wire, &mut json)?;
            if json == b"null" {
                return Ok(None);
            }
            json.retain(|byte| *byte != b'"');
        }
        Ok(String::from_utf8(json).ok())
    }
}

/// Prints a map key, which is always a string in JSON.
fn put_key(kind: Kind, key: &Key<'_>, json: &mut Vec<u8>) -> Result<(), CodecError> {
    if kind == Kind::String {
        print(text(key.text)?, json)?;
    } else {
        json.push(b'"');
        number(kind, key.number, json)?;
        json.push(b'"');
    }
    json.push(b':');
    Ok(())
}
