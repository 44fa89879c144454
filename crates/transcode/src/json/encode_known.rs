//! Encodes the well-known types in their special JSON forms.

use super::{
    CodecError, Dialect,
    encode::Encoder,
    print::{print, text},
    tables::{Kind, Known, Message},
    time::{self, Fraction},
    wire::{Records, low_half},
};

/// 2^53: a double represents all whole numbers up to this limit exactly.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

impl<'c> Encoder<'c> {
    pub(super) fn known(
        &mut self,
        known: Known,
        table: &'c Message,
        wire: &[u8],
        json: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let base = self.slots.index(table, wire)?;
        match known {
            Known::Empty => json.extend_from_slice(b"{}"),
            Known::Timestamp | Known::Duration => self.time(known, table, base, json)?,
            Known::FieldMask => field_mask(wire, json)?,
            Known::Wrapper => {
                if let [field, ..] = table.fields.as_slice() {
                    let slot = self.slots.slot(table, base, field.number);
                    self.single(field, slot, wire, json)?;
                }
            }
            Known::Struct => {
                if let [fields, ..] = table.fields.as_slice() {
                    let slot = self.slots.slot(table, base, fields.number);
                    self.map(fields, slot, wire, json)?;
                }
            }
            Known::List => {
                if let [values, ..] = table.fields.as_slice() {
                    let slot = self.slots.slot(table, base, values.number);
                    self.list(values, slot, wire, json)?;
                }
            }
            Known::Value => self.any_value(table, base, wire, json)?,
            Known::Any => self.any(table, base, wire, json)?,
        }
        self.slots.release(base);
        Ok(())
    }

    fn time(&self, known: Known, table: &Message, base: usize, json: &mut Vec<u8>) -> Result<(), CodecError> {
        let seconds = self.slots.slot(table, base, 1).value.cast_signed();
        let nanos = low_half(self.slots.slot(table, base, 2).value).cast_signed();
        let fraction = match self.dialect {
            Dialect::Canonical => Fraction::Optional,
            Dialect::Plain => Fraction::Milliseconds,
        };
        json.push(b'"');
        match known {
            Known::Duration => time::print_duration(seconds, nanos, json),
            _ => time::print_time(seconds, nanos, fraction, json),
        }
        .map_err(CodecError::wire)?;
        json.push(b'"');
        Ok(())
    }

    fn any_value(
        &mut self,
        table: &'c Message,
        base: usize,
        wire: &[u8],
        json: &mut Vec<u8>,
    ) -> Result<(), CodecError> {
        let Some((field, slot)) = self.slots.member(table, base, 0) else {
            return print(&(), json);
        };
        if field.kind != Kind::Double {
            return self.single(field, slot, wire, json);
        }
        let number = f64::from_bits(slot.value);
        if !number.is_finite() {
            return Err(CodecError::wire("a number inside a Value must be finite"));
        }
        if number.fract() == 0.0 && number.abs() <= LARGEST_EXACT && (number != 0.0 || number.is_sign_positive()) {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 53 bits")]
            return print(&(number as i64), json);
        }
        print(&number, json)
    }

    fn any(&mut self, table: &'c Message, base: usize, wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
        let tables = self.tables;
        let (url, value) = (self.slots.slot(table, base, 1), self.slots.slot(table, base, 2));
        let [url_field, value_field, ..] = table.fields.as_slice() else {
            return Err(CodecError::wire("the message is not google.protobuf.Any"));
        };
        let url = url.bytes(url_field, wire)?;
        let url = text(&url)?;
        if url.is_empty() && value.count == 0 {
            json.extend_from_slice(b"{}");
            return Ok(());
        }
        let id = url.rsplit_once('/').and_then(|(_, name)| tables.by_name.get(name));
        let id = *id.ok_or_else(|| CodecError::wire("the message type in an Any is unknown"))?;
        let inner = tables.message(id);
        let value = value.bytes(value_field, wire)?;
        json.extend_from_slice(b"{\"@type\":");
        print(url, json)?;
        self.descend()?;
        if inner.known.is_some() {
            json.extend_from_slice(b",\"value\":");
            self.message(id, &value, json)?;
        } else {
            self.fields(inner, &value, json, false)?;
        }
        self.ascend();
        json.push(b'}');
        Ok(())
    }
}

fn field_mask(wire: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
    let mut mask = String::new();
    let mut records = Records::new(wire);
    while let Some(record) = records.next()? {
        if record.number == 1 {
            if !mask.is_empty() {
                mask.push(',');
            }
            camel_case(text(&wire[record.start..record.end])?, &mut mask)?;
        }
    }
    print(mask.as_str(), json)
}

/// Converts a path to camelCase: `current_version.model` becomes `currentVersion.model`. Fails if the conversion is
/// not reversible.
fn camel_case(path: &str, out: &mut String) -> Result<(), CodecError> {
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '_' => match characters.next() {
                Some(next) if next.is_ascii_lowercase() => out.push(next.to_ascii_uppercase()),
                _ => return Err(CodecError::wire("a path of a field mask has no camelCase form")),
            },
            'A'..='Z' => return Err(CodecError::wire("a path of a field mask has no camelCase form")),
            other => out.push(other),
        }
    }
    Ok(())
}
