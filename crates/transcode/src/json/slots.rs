//! Locates the fields of a message in its wire bytes.
//!
//! The module implements the merge rules of protobuf. If a singular field occurs several times, the last value wins,
//! but messages are merged. Setting a member of a oneof clears the other members. If several entries of a map have the
//! same key, the last entry wins.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    CodecError,
    tables::{Field, Kind, Message, Presence},
    wire::{Records, WireType},
};

/// The location of a field: the offset of its first record, its last value, and the number of its records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub count: usize,
    first: usize,
    pub start: usize,
    pub end: usize,
    pub value: u64,
}

/// The slots of the messages that are being printed, as a stack: the slots of the innermost message are last. Each
/// message has one slot for each field, followed by one slot for each oneof. In the slot of a oneof, `start` is the
/// index of the member that is set.
#[derive(Debug)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    pub fn new() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// Returns the slot of the field at `index`. `base` is the index of the message's first slot.
    pub fn at(&self, base: usize, index: usize) -> Slot {
        self.0[base + index]
    }

    /// Locates the fields of a message, and pushes their slots. Returns the index of the message's first slot.
    pub fn index(&mut self, table: &Message, wire: &[u8]) -> Result<usize, CodecError> {
        let base = self.0.len();
        let oneofs = base + table.fields.len();
        self.0.resize(oneofs + table.oneofs, Slot::default());
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
                // Clears the member that was set before. If the cleared member occurs again later, its old value must
                // not be merged.
                let current = self.0[oneofs + usize::from(oneof)];
                if current.count > 0 && current.start != index {
                    self.0[base + current.start] = Slot::default();
                }
                self.0[oneofs + usize::from(oneof)] = Slot {
                    count: 1,
                    start: index,
                    ..Slot::default()
                };
            }
            let slot = &mut self.0[base + index];
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

    /// Removes the slots that `index` pushed.
    pub fn release(&mut self, base: usize) {
        self.0.truncate(base);
    }

    /// Returns the slot of the field with this number, or an empty slot if no field has this number.
    pub fn slot(&self, table: &Message, base: usize, number: u32) -> Slot {
        table
            .by_number(number)
            .map_or_else(Slot::default, |index| self.0[base + index])
    }

    pub fn member<'c>(&self, table: &'c Message, base: usize, oneof: usize) -> Option<(&'c Field, Slot)> {
        let current = self
            .0
            .get(base + table.fields.len() + oneof)
            .filter(|slot| slot.count > 0)?;
        table
            .fields
            .get(current.start)
            .map(|field| (field, self.0[base + current.start]))
    }
}

impl Slot {
    pub fn is_default(&self, kind: Kind) -> bool {
        match kind.wire_type() {
            WireType::Length => self.start == self.end,
            _ => kind.is_zero(self.value),
        }
    }

    /// Returns the bytes of the value. If a message field occurs several times, its values are concatenated, which
    /// merges the messages.
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

    /// Returns all records from the field's first record to its last record, including records of other fields.
    pub fn records<'w>(&self, wire: &'w [u8]) -> Records<'w> {
        Records::starting_at(&wire[..self.end], self.first)
    }
}

pub(super) struct Entry<'w> {
    pub bytes: &'w [u8],
    pub key: Key<'w>,
    pub value: Slot,
}

/// The key of a map entry. A numeric key is in `number`. A string key is in `text`, and `number` is then 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<'w> {
    pub number: u64,
    pub text: &'w [u8],
}

/// Removes each entry for which a later entry has the same key.
pub(super) fn keep_last(entries: &mut Vec<Entry<'_>>) {
    // In the usual case, the entries are sorted and have different keys, so nothing is removed.
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
