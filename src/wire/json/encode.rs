//! Wire bytes to JSON text.
//!
//! A message is walked twice: once to note where each field's value lies (the last one wins, as the wire format wants), once
//! over the table's fields to print them in the order of the proto file, unset ones included where the dialect prints them.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{
    CodecError, Dialect, MessageId,
    tables::{Field, Kind, Message, Presence, Shape, Tables},
    wire::{MAX_DEPTH, Records, WireType, low_half, read_packed, too_deep, unzigzag},
};

/// Where a field's last value lies, and where its first record begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub count: usize,
    first: usize,
    start: usize,
    end: usize,
    pub value: u64,
}

/// One encoding.
#[derive(Debug)]
pub(super) struct Encoder<'c> {
    pub tables: &'c Tables,
    pub dialect: Dialect,
    /// The slots of the messages that are being printed, innermost last: a field each, then an oneof each.
    slots: Vec<Slot>,
    depth: u32,
}

impl<'c> Encoder<'c> {
    /// Begins an encoding.
    pub fn new(tables: &'c Tables, dialect: Dialect) -> Self {
        Self {
            tables,
            dialect,
            slots: Vec::with_capacity(64),
            depth: 0,
        }
    }

    /// Prints a message.
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

    /// Prints a message inside another one.
    pub fn nested(&mut self, id: MessageId, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        self.descend()?;
        self.message(id, wire, json)?;
        self.ascend();
        Ok(())
    }

    /// Goes one level down.
    pub fn descend(&mut self) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(too_deep())
        } else {
            Ok(())
        }
    }

    /// Comes back up.
    pub fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Prints the fields of a message, without the braces; `first` says whether a key stands before them.
    pub fn fields(
        &mut self,
        table: &'c Message,
        wire: &[u8],
        json: &mut Vec<u8>,
        mut first: bool,
    ) -> Result<(), CodecError> {
        let base = self.index(table, wire)?;
        for (index, field) in table.fields.iter().enumerate() {
            let slot = self.slots[base + index];
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
        self.slots.truncate(base);
        Ok(())
    }

    /// Prints a field's value behind its key; false when the key is to be taken back.
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

    /// Notes where the fields of a message lie; returns where its slots begin.
    pub fn index(&mut self, table: &Message, wire: &[u8]) -> Result<usize, CodecError> {
        let base = self.slots.len();
        let oneofs = base + table.fields.len();
        self.slots.resize(oneofs + table.oneofs, Slot::default());
        let mut records = Records::new(wire);
        while let Some(record) = records.next()? {
            let Some(index) = table.by_number(record.number) else {
                continue;
            };
            let field = &table.fields[index];
            if !field.accepts(record.wire_type) {
                return Err(CodecError::wire("the field has a wrong wire type").within(&field.name));
            }
            if let Presence::Oneof(oneof) = field.presence {
                // Another member loses its value, also for a later merge.
                let current = self.slots[oneofs + usize::from(oneof)];
                if current.count > 0 && current.start != index {
                    self.slots[base + current.start] = Slot::default();
                }
                self.slots[oneofs + usize::from(oneof)] = Slot {
                    count: 1,
                    start: index,
                    ..Slot::default()
                };
            }
            let slot = &mut self.slots[base + index];
            *slot = Slot {
                count: slot.count + 1,
                first: if slot.count == 0 { record.tag_at } else { slot.first },
                start: record.start,
                end: record.end,
                value: record.value,
            };
        }
        Ok(base)
    }

    /// Forgets the slots that `index` made.
    pub fn release(&mut self, base: usize) {
        self.slots.truncate(base);
    }

    /// The slot of a field of an indexed message; empty when the message has no such field.
    pub fn slot(&self, table: &Message, base: usize, number: u32) -> Slot {
        table
            .by_number(number)
            .map_or_else(Slot::default, |index| self.slots[base + index])
    }

    /// The member that is set in an oneof of an indexed message.
    pub fn member(&self, table: &'c Message, base: usize, oneof: usize) -> Option<(&'c Field, Slot)> {
        let current = self
            .slots
            .get(base + table.fields.len() + oneof)
            .filter(|slot| slot.count > 0)?;
        table
            .fields
            .get(current.start)
            .map(|field| (field, self.slots[base + current.start]))
    }

    /// Prints the value of a single field that is set.
    pub fn single(&mut self, field: &Field, slot: Slot, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        let bytes = slot.bytes(field, wire)?;
        self.value(field.kind, slot.value, &bytes, json)
    }

    /// Prints a list; false when it is empty.
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

    /// Prints a map; false when it is empty. Of two entries with one key the last one counts.
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
                let base = self.index(table, bytes)?;
                let (key, value) = (self.slot(table, base, 1), self.slot(table, base, 2));
                self.release(base);
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
            return Err(too_deep());
        };
        for entry in &entries {
            separate(&mut count, json);
            self.key(key_field.kind, &entry.key, json)?;
            self.single(value_field, entry.value, entry.bytes, json)
                .map_err(|error| error.at_key(&String::from_utf8_lossy(entry.key.text)))?;
        }
        json.push(b'}');
        self.ascend();
        Ok(count > 0)
    }

    fn key(&mut self, kind: Kind, key: &Key<'_>, json: &mut Vec<u8>) -> Result<(), CodecError> {
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

    /// Prints one value: a number, or what its bytes say.
    pub fn value(&mut self, kind: Kind, value: u64, bytes: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        match kind {
            Kind::Message(id) => self.nested(id, bytes, json),
            Kind::String => print(text(bytes)?, json),
            Kind::Bytes => base64(bytes, json),
            Kind::Enum(id) => {
                let number = low_half(value).cast_signed();
                match self.tables.enumeration(id).name(number, self.dialect) {
                    Some(Some(name)) => print(name, json),
                    Some(None) => print(&(), json),
                    None => print(&number, json),
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

    /// Prints the value of one field of a message; null when it is unset and has no default.
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
        let base = self.index(table, wire)?;
        let slot = self.slots[base + index];
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
        self.release(base);
        Ok(())
    }

    /// Whether a field occurs.
    pub fn is_set(&mut self, id: MessageId, index: usize, wire: &[u8]) -> Result<bool, CodecError> {
        let base = self.index(self.tables.message(id), wire)?;
        Ok(self.slots[base + index].count > 0)
    }

    /// The name of the member that is set in the first oneof.
    pub fn set_member(&mut self, id: MessageId, wire: &[u8]) -> Result<Option<&'c str>, CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        let base = self.index(table, wire)?;
        Ok(self.member(table, base, 0).map(|(field, _)| &*field.name))
    }

    /// A scalar as text without quotes.
    pub fn read_text(&mut self, id: MessageId, index: usize, wire: &[u8]) -> Result<Option<String>, CodecError> {
        let tables = self.tables;
        let table = tables.message(id);
        let field = &table.fields[index];
        let base = self.index(table, wire)?;
        let slot = self.slots[base + index];
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

impl Slot {
    fn is_default(&self, kind: Kind) -> bool {
        match kind.wire_type() {
            WireType::Length => self.start == self.end,
            _ => kind.is_zero(self.value),
        }
    }

    /// The bytes of a single value; a message that came in pieces is put together, which is how pieces merge.
    pub fn bytes<'w>(&self, field: &Field, wire: &'w [u8]) -> Result<Cow<'w, [u8]>, CodecError> {
        if self.count < 2 || !matches!(field.kind, Kind::Message(_)) {
            return Ok(Cow::Borrowed(&wire[self.start..self.end]));
        }
        let mut whole = Vec::with_capacity(self.end - self.first);
        let mut records = self.records(wire);
        while let Some(record) = records.next()? {
            if record.number == field.number {
                whole.extend_from_slice(&wire[record.start..record.end]);
            }
        }
        Ok(Cow::Owned(whole))
    }

    /// The records from the field's first to its last, others in between included.
    fn records<'w>(&self, wire: &'w [u8]) -> Records<'w> {
        Records::starting_at(&wire[..self.end], self.first)
    }
}

/// A map's entry.
struct Entry<'w> {
    bytes: &'w [u8],
    key: Key<'w>,
    value: Slot,
}

/// A map's key, whatever its type: a number, or text when the number is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key<'w> {
    number: u64,
    text: &'w [u8],
}

/// Drops entries that a later one with the same key replaces.
fn keep_last(entries: &mut Vec<Entry<'_>>) {
    // What prost writes is sorted, so that this is all the work there is.
    if entries.windows(2).all(|pair| pair[0].key < pair[1].key) {
        return;
    }
    let last: HashMap<Key<'_>, usize> = entries.iter().enumerate().map(|(at, entry)| (entry.key, at)).collect();
    let kept: HashSet<usize> = last.into_values().collect();
    let mut at = 0;
    entries.retain(|_| {
        at += 1;
        kept.contains(&(at - 1))
    });
}

fn separate(count: &mut usize, json: &mut Vec<u8>) {
    if *count > 0 {
        json.push(b',');
    }
    *count += 1;
}

/// Prints a value that serde knows.
pub(super) fn print<T: Serialize + ?Sized>(value: &T, json: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(json, value).map_err(|_| CodecError::wire("a value cannot be printed"))
}

/// The text that bytes are.
pub(super) fn text(bytes: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(bytes).map_err(|_| CodecError::wire("a string is not valid UTF-8"))
}

fn number(kind: Kind, value: u64, json: &mut Vec<u8>) -> Result<(), CodecError> {
    match kind {
        Kind::Double => float(f64::from_bits(value), f64::from_bits(value), json),
        Kind::Float => {
            let value = f32::from_bits(low_half(value));
            float(value, value.into(), json)
        }
        Kind::Int32 | Kind::Sfixed32 => print(&low_half(value).cast_signed(), json),
        Kind::Uint32 | Kind::Fixed32 => print(&low_half(value), json),
        Kind::Sint32 => print(&unzigzag(low_half(value).into()), json),
        Kind::Int64 | Kind::Sfixed64 => print(&value.cast_signed(), json),
        Kind::Sint64 => print(&unzigzag(value), json),
        Kind::Bool => print(&(value != 0), json),
        _ => print(&value, json),
    }
}

/// Prints a float in its own width; JSON has no numbers for three of its values.
fn float<T: Serialize>(value: T, wide: f64, json: &mut Vec<u8>) -> Result<(), CodecError> {
    if wide.is_finite() {
        print(&value, json)
    } else if wide.is_nan() {
        print("NaN", json)
    } else {
        print(if wide > 0.0 { "Infinity" } else { "-Infinity" }, json)
    }
}

fn base64(bytes: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
    let too_long = || CodecError::wire("the bytes are too many to print");
    json.push(b'"');
    let start = json.len();
    json.resize(start + base64::encoded_len(bytes.len(), true).ok_or_else(too_long)?, 0);
    BASE64_STANDARD
        .encode_slice(bytes, &mut json[start..])
        .map_err(|_| too_long())?;
    json.push(b'"');
    Ok(())
}
