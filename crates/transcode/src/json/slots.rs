//! Locates the fields of a message in its wire bytes, with protobuf's merge rules.
//!
//! The last value of a singular field wins, but messages are merged. Setting a member of a oneof clears the other
//! members. The last map entry with a key wins.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    CodecError,
    tables::{Field, Kind, Message, Presence},
    wire::{Records, WireType},
};

/// The location of a field in the wire bytes: its first record, its last value, and the number of its records.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub count: usize,
    first: usize,
    pub start: usize,
    pub end: usize,
    pub value: u64,
}

/// A stack of slots, with those of the innermost message last. Each message has one slot per field, then one per
/// oneof. A oneof's `start` is the index of the member that is set.
#[derive(Debug)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    pub fn new() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// Returns the slot of field `index`. `base` is the index of the message's first slot.
    pub fn at(&self, base: usize, index: usize) -> Slot {
        self.0[base + index]
    }

    /// Locates the fields of a message, and pushes their slots. Returns the index of the first slot.
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
                // Clear the member that was set before, so that the old value of this member is not merged with a
                // later value.
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

    pub fn release(&mut self, base: usize) {
        self.0.truncate(base);
    }

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

    /// Returns the bytes of the value. Several values of a message field are concatenated, which merges them.
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

    /// Returns all records from the field's first to its last, including those of other fields.
    pub fn records<'w>(&self, wire: &'w [u8]) -> Records<'w> {
        Records::starting_at(&wire[..self.end], self.first)
    }
}

pub(super) struct Entry<'w> {
    pub bytes: &'w [u8],
    pub key: Key<'w>,
    pub value: Slot,
}

/// The key of a map entry: `number` for numeric keys, `text` for strings.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<'w> {
    pub number: u64,
    pub text: &'w [u8],
}

/// Removes each entry whose key occurs again later.
pub(super) fn keep_last(entries: &mut Vec<Entry<'_>>) {
    // Usually the entries are sorted and have different keys.
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
