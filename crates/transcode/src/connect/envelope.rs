//! Envelopes, the frames of Connect streams. They have the format of gRPC frames, plus a flag for the last envelope
//! of a response.

use bytes::{Buf, Bytes};
use serde_json::{Map, Value, json};
use tonic::Status;

use super::{error, metadata};
use crate::{frames, json::Codec};

pub const COMPRESSED: u8 = 0b01;
/// Flag that marks the last envelope of a response.
pub const END: u8 = 0b10;

/// Returns the flags and the message of a body that must contain exactly one envelope.
pub fn only(mut body: Bytes) -> Result<(u8, Bytes), Status> {
    let header = body
        .get(..frames::HEADER_BYTES)
        .and_then(|header| header.first_chunk::<5>());
    let Some(&[flags, a, b, c, d]) = header else {
        return Err(Status::invalid_argument("the request has no complete message"));
    };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    body.advance(frames::HEADER_BYTES);
    if body.len() < length {
        return Err(Status::invalid_argument("the request has no complete message"));
    }
    if body.len() > length {
        return Err(Status::invalid_argument("the request has more than one message"));
    }
    if flags & !COMPRESSED != 0 {
        return Err(Status::invalid_argument("the message of the request has unknown flags"));
    }
    Ok((flags, body))
}

/// Appends an envelope. Fails for 4 GiB or more, because the length field has four bytes.
pub fn put(flags: u8, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
    let length =
        u32::try_from(message.len()).map_err(|_| Status::internal("the message is too long for an envelope"))?;
    out.push(flags);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(message);
    Ok(())
}

/// Appends the last envelope of a response: the trailing metadata and, for a failed call, the error.
pub fn put_end(codec: &Codec, outcome: Result<&http::HeaderMap, &Status>, out: &mut Vec<u8>) {
    let mut end = Map::new();
    let trailers = match outcome {
        Ok(trailers) => trailers.clone(),
        Err(status) => {
            end.insert("error".to_owned(), error::json(codec, status));
            status.metadata().clone().into_headers()
        }
    };
    let mut named = Map::new();
    for (name, value) in metadata(&trailers) {
        let values = named.entry(name.as_str()).or_insert_with(|| json!([]));
        if let (Value::Array(values), Ok(text)) = (values, value.to_str()) {
            values.push(text.into());
        }
    }
    if !named.is_empty() {
        end.insert("metadata".to_owned(), named.into());
    }
    let text = Value::from(end).to_string();
    // `put` cannot fail: headers are far shorter than 4 GiB.
    let _ = put(END, text.as_bytes(), out);
}
