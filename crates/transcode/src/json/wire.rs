//! The protobuf wire format. The reader accepts packed and unpacked lists, and records in any order, like prost.
//! Groups are skipped.

use super::{
    CodecError,
    tables::{Field, Kind, Shape},
};

/// Maximum nesting depth below the outermost message, as in prost.
pub(super) const MAX_DEPTH: u32 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Length = 2,
    Fixed32 = 5,
}

/// A tag and its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub number: u32,
    pub wire_type: WireType,
    /// Byte offset of the tag.
    pub tag_at: usize,
    /// A numeric value; 0 for bytes.
    pub value: u64,
    /// Byte offset of the value, after any length prefix.
    pub start: usize,
    /// Byte offset after the value.
    pub end: usize,
}

#[derive(Debug)]
pub(super) struct Records<'w> {
    bytes: &'w [u8],
    at: usize,
}

impl<'w> Records<'w> {
    pub fn new(bytes: &'w [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads records from the offset `at`, where a tag must begin.
    pub fn starting_at(bytes: &'w [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub fn next(&mut self) -> Result<Option<Record>, CodecError> {
        let mut open_groups: Vec<u32> = Vec::new();
        loop {
            let tag_at = self.at;
            if tag_at >= self.bytes.len() {
                return if open_groups.is_empty() {
                    Ok(None)
                } else {
                    Err(truncated())
                };
            }
            let tag = read_varint(self.bytes, &mut self.at)?;
            let number = u32::try_from(tag >> 3)
                .ok()
                .filter(|number| (1..1 << 29).contains(number));
            let number = number.ok_or_else(|| CodecError::wire("a tag has an invalid field number"))?;
            let wire_type = match tag & 7 {
                0 => WireType::Varint,
                1 => WireType::Fixed64,
                2 => WireType::Length,
                5 => WireType::Fixed32,
                3 if open_groups.len() < MAX_DEPTH as usize => {
                    open_groups.push(number);
                    continue;
                }
                3 => return Err(too_deep()),
                4 if open_groups.pop() == Some(number) => continue,
                _ => return Err(CodecError::wire("a tag has a wrong wire type")),
            };
            let record = self.value(number, wire_type, tag_at)?;
            if open_groups.is_empty() {
                return Ok(Some(record));
            }
        }
    }

    fn value(&mut self, number: u32, wire_type: WireType, tag_at: usize) -> Result<Record, CodecError> {
        let (start, value) = match wire_type {
            WireType::Varint => (self.at, read_varint(self.bytes, &mut self.at)?),
            WireType::Fixed64 => (self.at, u64::from_le_bytes(take(self.bytes, &mut self.at)?)),
            WireType::Fixed32 => (self.at, u32::from_le_bytes(take(self.bytes, &mut self.at)?).into()),
            WireType::Length => {
                let length = read_varint(self.bytes, &mut self.at)?;
                let rest = self.bytes.len() - self.at;
                let length = usize::try_from(length)
                    .ok()
                    .filter(|length| *length <= rest)
                    .ok_or_else(truncated)?;
                let start = self.at;
                self.at += length;
                (start, 0)
            }
        };
        Ok(Record {
            number,
            wire_type,
            tag_at,
            value,
            start,
            end: self.at,
        })
    }
}

/// Reads the next value of a packed list at offset `at`, and advances `at`; `None` at the end.
pub(super) fn read_packed(wire_type: WireType, bytes: &[u8], at: &mut usize) -> Result<Option<u64>, CodecError> {
    if *at >= bytes.len() {
        return Ok(None);
    }
    Ok(Some(match wire_type {
        WireType::Fixed64 => u64::from_le_bytes(take(bytes, at)?),
        WireType::Fixed32 => u32::from_le_bytes(take(bytes, at)?).into(),
        WireType::Varint | WireType::Length => read_varint(bytes, at)?,
    }))
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Result<u64, CodecError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at).ok_or_else(truncated)?;
        *at += 1;
        if shift == 63 && byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(CodecError::wire("a varint is longer than 64 bits"))
}

fn take<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], CodecError> {
    let taken = bytes
        .get(*at..)
        .and_then(|rest| rest.first_chunk::<N>())
        .ok_or_else(truncated)?;
    *at += N;
    Ok(*taken)
}

fn truncated() -> CodecError {
    CodecError::wire("the message ends in the middle of a field")
}

pub(super) fn too_deep() -> CodecError {
    CodecError::wire("nested too deeply")
}

impl Kind {
    pub fn wire_type(self) -> WireType {
        match self {
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::Fixed64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::Fixed32,
            Self::String | Self::Bytes | Self::Message(_) => WireType::Length,
            _ => WireType::Varint,
        }
    }

    /// Returns true for 32-bit varints, whose higher bits on the wire are ignored.
    fn is_narrow(self) -> bool {
        matches!(self, Self::Int32 | Self::Uint32 | Self::Sint32 | Self::Enum(_))
    }

    pub fn is_zero(self, value: u64) -> bool {
        if self.is_narrow() {
            low_half(value) == 0
        } else {
            value == 0
        }
    }
}

impl Field {
    /// Returns true if the field accepts records of this wire type. Lists accept single and packed values.
    pub fn accepts(&self, wire_type: WireType) -> bool {
        let own = match self.shape {
            Shape::Map(_) => WireType::Length,
            Shape::Single | Shape::List => self.kind.wire_type(),
        };
        wire_type == own || (self.shape == Shape::List && wire_type == WireType::Length)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the upper bits of a 32-bit field must be ignored"
)]
pub(super) fn low_half(value: u64) -> u32 {
    value as u32
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

pub(super) fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

#[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
pub(super) fn put_varint(wire: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        wire.push(value as u8 | 0x80);
        value >>= 7;
    }
    wire.push(value as u8);
}

pub(super) fn put_tag(wire: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(wire, u64::from(number) << 3 | wire_type as u64);
}

pub(super) fn put_bytes(wire: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(wire, bytes.len() as u64);
    wire.extend_from_slice(bytes);
}

/// Starts a length-prefixed payload of unknown length. Returns the payload's offset.
pub(super) fn open(wire: &mut Vec<u8>) -> usize {
    // Most lengths need one byte. If more are needed, `close` inserts them.
    wire.push(0);
    wire.len()
}

/// Ends a payload, and writes its length before it. `start` is the result of `open`.
pub(super) fn close(wire: &mut Vec<u8>, start: usize) {
    let end = wire.len();
    let mut length = [0; 10];
    put_varint(wire, (end - start) as u64);
    let length = &mut length[..wire.len() - end];
    length.copy_from_slice(&wire[end..]);
    // If the length needs more than the one byte of `open`, the payload moves.
    wire.truncate(end + length.len() - 1);
    wire.copy_within(start..end, start + length.len() - 1);
    wire[start - 1..start - 1 + length.len()].copy_from_slice(length);
}
