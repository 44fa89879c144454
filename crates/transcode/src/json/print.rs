//! Prints scalars as JSON text, with `serde_json`.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use super::{
    CodecError,
    tables::Kind,
    wire::{low_half, unzigzag},
};

pub(super) fn print<T: Serialize + ?Sized>(value: &T, json: &mut Vec<u8>) -> Result<(), CodecError> {
    serde_json::to_writer(json, value).map_err(|_| CodecError::wire("a value could not be encoded"))
}

pub(super) fn text(bytes: &[u8]) -> Result<&str, CodecError> {
    std::str::from_utf8(bytes).map_err(|_| CodecError::wire("a string is not valid UTF-8"))
}

/// Prints a number. `value` is its wire form, such as the bits of a double or a zigzag-encoded integer.
pub(super) fn number(kind: Kind, value: u64, json: &mut Vec<u8>) -> Result<(), CodecError> {
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

/// Prints `value` with the digits that its type needs. `wide` is the same number as a double. NaN and infinities
/// become strings, because JSON numbers cannot represent them.
fn float<T: Serialize>(value: T, wide: f64, json: &mut Vec<u8>) -> Result<(), CodecError> {
    if wide.is_finite() {
        print(&value, json)
    } else if wide.is_nan() {
        print("NaN", json)
    } else {
        print(if wide > 0.0 { "Infinity" } else { "-Infinity" }, json)
    }
}

pub(super) fn base64(bytes: &[u8], json: &mut Vec<u8>) -> Result<(), CodecError> {
    let too_long = || CodecError::wire("the bytes field is too long to encode");
    json.push(b'"');
    let start = json.len();
    json.resize(start + base64::encoded_len(bytes.len(), true).ok_or_else(too_long)?, 0);
    BASE64_STANDARD
        .encode_slice(bytes, &mut json[start..])
        .map_err(|_| too_long())?;
    json.push(b'"');
    Ok(())
}

pub(super) fn separate(count: &mut usize, json: &mut Vec<u8>) {
    if *count > 0 {
        json.push(b',');
    }
    *count += 1;
}
