//! Decodes values from text: scalars in JSON, path variables, query parameters, headers and form parts.

use std::str::FromStr;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    CodecError, Dialect, MessageId,
    decode::Decoder,
    enums::Enum,
    tables::{Field, Kind, Known, Message, Shape, Tables},
    wire::{MAX_DEPTH, WireType, close, open, put_bytes, put_tag, put_varint, zigzag},
};

/// The reason why a value is invalid, as an error text.
pub(super) type Refusal = &'static str;

const NOT_WHOLE: Refusal = "must be a whole number";
const OUT_OF_RANGE: Refusal = "is out of range";

const BASE64: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, BASE64);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, BASE64);

pub(super) fn decode(
    tables: &Tables,
    (message, path): (MessageId, &str),
    dialect: Dialect,
    text: &str,
    wire: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let reading = Reading { tables, dialect, text };
    reading.step(tables.message(message), path, 0, wire)
}

struct Reading<'t> {
    tables: &'t Tables,
    dialect: Dialect,
    text: &'t str,
}

impl Reading<'_> {
    fn step(&self, message: &Message, path: &str, depth: u32, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let (name, rest) = match path.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (path, None),
        };
        let index = message
            .find(name, 0)
            .ok_or_else(|| CodecError::text("unknown field").within(name))?;
        let field = &message.fields[index];
        let Some(rest) = rest else {
            return self.leaf(field, wire).map_err(|error| error.within(&field.name));
        };
        match (field.shape, field.kind) {
            (Shape::Single, Kind::Message(inner)) if depth < MAX_DEPTH => {
                put_tag(wire, field.number, WireType::Length);
                let start = open(wire);
                let result = self.step(self.tables.message(inner), rest, depth + 1, wire);
                close(wire, start);
                result.map_err(|error| error.within(&field.name))
            }
            _ => Err(CodecError::text("unknown field").within(rest).within(&field.name)),
        }
    }

    fn leaf(&self, field: &Field, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let single_message = match field.shape {
            Shape::Map(_) => return self.json(field, wire),
            // The text of a repeated message field is one message or a JSON array of messages.
            Shape::List => !self.text.trim_start().starts_with('['),
            Shape::Single => true,
        };
        match field.kind {
            Kind::Message(_) if !single_message => self.json(field, wire),
            Kind::Message(id) => self.message(field, id, wire),
            kind => {
                put_tag(wire, field.number, kind.wire_type());
                put_scalar(self.tables, kind, (self.text, self.dialect), wire)
            }
        }
    }

    /// Decodes the value of a message field. Timestamps, durations, field masks and wrappers have a plain text form.
    /// The text of any other message is JSON.
    fn message(&self, field: &Field, id: MessageId, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let inner = self.tables.message(id);
        put_tag(wire, field.number, WireType::Length);
        let start = open(wire);
        let result = match (inner.known, inner.fields.as_slice()) {
            (Some(known @ (Known::Timestamp | Known::Duration | Known::FieldMask)), _) => {
                known.put_text(self.text, self.dialect, wire).map_err(CodecError::text)
            }
            (Some(Known::Wrapper), [value, ..]) => {
                put_tag(wire, value.number, value.kind.wire_type());
                put_scalar(self.tables, value.kind, (self.text, self.dialect), wire)
            }
            _ => Decoder::new(self.tables, self.dialect, self.text.as_bytes())
                .and_then(|mut decoder| decoder.whole(id, wire)),
        };
        close(wire, start);
        result
    }

    fn json(&self, field: &Field, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        Decoder::new(self.tables, self.dialect, self.text.as_bytes())?.whole_value(field, wire)
    }
}

fn put_scalar(
    tables: &Tables,
    kind: Kind,
    (text, dialect): (&str, Dialect),
    wire: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match kind {
        Kind::String => {
            put_bytes(wire, text.as_bytes());
            Ok(())
        }
        Kind::Bytes => put_base64(text, wire).map_err(CodecError::text),
        Kind::Bool if text.eq_ignore_ascii_case("true") => {
            put_varint(wire, 1);
            Ok(())
        }
        Kind::Bool if text.eq_ignore_ascii_case("false") => {
            put_varint(wire, 0);
            Ok(())
        }
        Kind::Bool => Err(CodecError::text("must be \"true\" or \"false\"")),
        Kind::Enum(id) => match whole::<i32>(text) {
            Ok(number) => {
                put_varint(wire, i64::from(number).cast_unsigned());
                Ok(())
            }
            Err(_) => put_enum(tables.enumeration(id), text, dialect, wire),
        },
        _ => put_number(kind, text, wire).map_err(CodecError::text),
    }
}

pub(super) fn put_enum(table: &Enum, name: &str, dialect: Dialect, wire: &mut Vec<u8>) -> Result<(), CodecError> {
    let number = table.number(name, dialect).ok_or_else(|| {
        let names = table.names(dialect);
        CodecError::text(if names.is_empty() {
            "is not a value of this enum".to_owned()
        } else {
            format!("must be one of {names}")
        })
    })?;
    put_varint(wire, i64::from(number).cast_unsigned());
    Ok(())
}

/// Decodes base64, standard or URL-safe, with or without padding. Appends the length and the bytes.
pub(super) fn put_base64(text: &str, wire: &mut Vec<u8>) -> Result<(), Refusal> {
    let engine = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let start = open(wire);
    engine.decode_vec(text, wire).map_err(|_| "must be base64")?;
    close(wire, start);
    Ok(())
}

/// Parses a number, and appends it. Integer fields also accept `1e3` and `5.0`, which are whole.
pub(super) fn put_number(kind: Kind, text: &str, wire: &mut Vec<u8>) -> Result<(), Refusal> {
    match kind {
        Kind::Double => wire.extend_from_slice(&double(text)?.to_le_bytes()),
        Kind::Float => wire.extend_from_slice(&single(text)?.to_le_bytes()),
        Kind::Fixed32 => wire.extend_from_slice(&whole::<u32>(text)?.to_le_bytes()),
        Kind::Fixed64 => wire.extend_from_slice(&whole::<u64>(text)?.to_le_bytes()),
        Kind::Sfixed32 => wire.extend_from_slice(&whole::<i32>(text)?.to_le_bytes()),
        Kind::Sfixed64 => wire.extend_from_slice(&whole::<i64>(text)?.to_le_bytes()),
        Kind::Int32 | Kind::Enum(_) => put_varint(wire, i64::from(whole::<i32>(text)?).cast_unsigned()),
        Kind::Int64 => put_varint(wire, whole::<i64>(text)?.cast_unsigned()),
        Kind::Uint32 => put_varint(wire, whole::<u32>(text)?.into()),
        Kind::Uint64 => put_varint(wire, whole(text)?),
        Kind::Sint32 => put_varint(wire, zigzag(whole::<i32>(text)?.into())),
        Kind::Sint64 => put_varint(wire, zigzag(whole(text)?)),
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Message(_) => return Err("must not be a number"),
    }
    Ok(())
}

fn whole<T: FromStr + TryFrom<i128>>(text: &str) -> Result<T, Refusal> {
    if !is_number(text) {
        return Err(NOT_WHOLE);
    }
    if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) && text != "-0" {
        return text.parse().map_err(|_| OUT_OF_RANGE);
    }
    T::try_from(exact(text)?).map_err(|_| OUT_OF_RANGE)
}

/// Returns the exact value of a JSON number that must be whole.
fn exact(text: &str) -> Result<i128, Refusal> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.trim_start_matches('-').is_empty() {
        return Ok(0);
    }
    // An exponent outside `i64` needs no exact value: the number is out of range or not whole.
    let negative = exponent.starts_with('-');
    let exponent: i64 = exponent
        .parse()
        .unwrap_or(if negative { i64::MIN / 2 } else { i64::MAX / 2 });
    let zeros = i64::try_from(digits.len() - significant.len()).map_err(|_| OUT_OF_RANGE)?;
    let fraction = i64::try_from(fraction.len()).map_err(|_| OUT_OF_RANGE)?;
    let shift = exponent.saturating_add(zeros).saturating_sub(fraction);
    if shift < 0 {
        return Err(NOT_WHOLE);
    }
    let power = u32::try_from(shift)
        .ok()
        .and_then(|shift| 10_i128.checked_pow(shift))
        .ok_or(OUT_OF_RANGE)?;
    significant
        .parse::<i128>()
        .ok()
        .and_then(|number| number.checked_mul(power))
        .ok_or(OUT_OF_RANGE)
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !leading_zero && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

fn double(text: &str) -> Result<f64, Refusal> {
    match special(text) {
        Some(special) => Ok(special),
        None if !is_number(text) => Err("must be a number"),
        None => text
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or(OUT_OF_RANGE),
    }
}

fn single(text: &str) -> Result<f32, Refusal> {
    match special(text) {
        #[expect(clippy::cast_possible_truncation, reason = "infinities and NaN have no digits")]
        Some(special) => Ok(special as f32),
        None if !is_number(text) => Err("must be a number"),
        None => text
            .parse()
            .ok()
            .filter(|number: &f32| number.is_finite())
            .ok_or(OUT_OF_RANGE),
    }
}

fn special(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}
