//! Checks the media type of a request body, and reads the body up to a size limit.

use std::{error::Error as StdError, iter::successors};

use axum_core::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::{Error, ErrorKind, Result};

pub fn check_encoding(headers: &HeaderMap) -> Result<()> {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Error::new(
            ErrorKind::UnsupportedMedia,
            "Content-Encoding is not supported; send the body uncompressed",
        )),
        _ => Ok(()),
    }
}

/// Returns the media type without parameters; `None` if the header is missing or is not ASCII text.
pub fn essence(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}

/// Returns true for `application/json`, `application/…+json`, and a missing media type.
pub fn is_json(headers: &HeaderMap) -> bool {
    if !headers.contains_key(header::CONTENT_TYPE) {
        return true;
    }
    let Some((kind, subtype)) = essence(headers).and_then(|essence| essence.split_once('/')) else {
        return false;
    };
    let suffix = subtype.rsplit('+').next().unwrap_or_default();
    kind.eq_ignore_ascii_case("application") && suffix.eq_ignore_ascii_case("json")
}

pub fn is_reading(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

/// Reads the whole body. Fails with 413 if it is larger than `max_bytes` or than the limit of an outer layer, and with
/// 400 if it is incomplete.
pub async fn collect(mut body: Body, max_bytes: usize) -> Result<Bytes> {
    let too_large = || {
        Error::new(
            ErrorKind::TooLarge,
            format!("the body is larger than {max_bytes} bytes"),
        )
    };
    if body.size_hint().lower() > max_bytes as u64 {
        return Err(too_large());
    }
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if exceeds_limit(&error) {
                return Error::new(ErrorKind::TooLarge, "the body is too large for this method").caused_by(error);
            }
            Error::invalid("the request body ended early").caused_by(error)
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len().max(joined.len()) + data.len() > max_bytes {
            return Err(too_large());
        }
        match (first.is_empty(), joined.is_empty()) {
            (true, true) => first = data,
            (false, true) => {
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
            }
            _ => joined.extend_from_slice(&data),
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

/// True if `http_body_util::Limited` around the body has ended it.
fn exceeds_limit(error: &(dyn StdError + 'static)) -> bool {
    let mut causes = successors(Some(error), |error: &&(dyn StdError + 'static)| (*error).source());
    causes.any(<dyn StdError>::is::<LengthLimitError>)
}

/// Appends an encoded `google.api.HttpBody` to `wire`. If `number` is set, the body becomes the value of that field.
pub fn put_raw(number: Option<u32>, content_type: &[u8], data: &[u8], wire: &mut Vec<u8>) {
    let mut body = Vec::with_capacity(data.len() + content_type.len() + 16);
    // Field 1 of `HttpBody` is `content_type`, field 2 is `data`. A content type that is not UTF-8 is omitted,
    // because a protobuf string must be UTF-8.
    if let Ok(text) = std::str::from_utf8(content_type)
        && !text.is_empty()
    {
        put_bytes(1, text.as_bytes(), &mut body);
    }
    if !data.is_empty() {
        put_bytes(2, data, &mut body);
    }
    match number {
        Some(number) => put_bytes(number, &body, wire),
        None => wire.extend_from_slice(&body),
    }
}

pub fn put_bytes(number: u32, bytes: &[u8], wire: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, wire);
    encode_varint(bytes.len() as u64, wire);
    wire.extend_from_slice(bytes);
}
