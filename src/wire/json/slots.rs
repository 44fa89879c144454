//! Where the fields of a message lie in its wire bytes.
//!
//! Made by the encoder's first walk over a message. The rules of merging live here: the last value wins, messages in pieces
//! are put together, a member of an oneof drives out the others, of two entries with one key the later one counts.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{
    CodecError,
    tables::{Field, Kind, Message, Presence},
    wire::{Records, WireType},
};

/// Where a field's last value lies, and where its first record begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Slot {
    pub count: usize,
    first: usize,
    pub start: usize,
    pub end: usize,
    pub value: u64,
}

/// The slots of the messages that are being printed, innermost last: one for each field, then one for each oneof, which holds
/// the index of the set member as its start.
#[derive(Debug)]
pub(super) struct Slots(Vec<Slot>);

impl Slots {
    /// None yet.
    pub fn new() -> Self {
        Self(Vec::with_capacity(64))
    }

    /// The slot of the field with this index.
    pub fn at(&self, base: usize, index: usize) -> Slot {
        self.0[base + index]
    }

    /// Notes where the fields of a message lie; returns where its slots begin.
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
                // Another member loses its value, also for a later merge.
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

    /// Forgets the slots that `index` made.
    pub fn release(&mut self, base: usize) {
        self.0.truncate(base);
    }

    /// The slot of a field of an indexed message; empty when the message has no such field.
    pub fn slot(&self, table: &Message, base: usize, number: u32) -> Slot {
        table
            .by_number(number)
            .map_or_else(Slot::default, |index| self.0[base + index])
    }

    /// The member that is set in an oneof of an indexed message.
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
    /// Whether a single value is the default of its kind.
    pub fn is_default(&self, kind: Kind) -> bool {
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
    pub fn records<'w>(&self, wire: &'w [u8]) -> Records<'w> {
        Records::starting_at(&wire[..self.end], self.first)
    }
}

/// A map's entry.
pub(super) struct Entry<'w> {
    pub bytes: &'w [u8],
    pub key: Key<'w>,
    pub value: Slot,
}

/// A map's key, whatever its type: a number, or text when the number is 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key<'w> {
    pub number: u64,
    pub text: &'w [u8],
}

/// Drops entries that a later one with the same key replaces.
pub(super) fn keep_last(entries: &mut Vec<Entry<'_>>) {
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
