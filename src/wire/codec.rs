//! The descriptors of the contract, and the gRPC and JSON codecs of its services.
//!
//! The gRPC codec refuses strings with the character NUL, because PostgreSQL cannot store NUL in text.

use std::{marker::PhantomData, sync::LazyLock};

use bytes::Buf;
use prost::{
    Message, Name,
    encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field},
};
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use runyard_transcode::json::Codec as JsonCodec;
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

use crate::{
    contract::{BARE_DESCRIPTORS, ERROR_DESCRIPTORS},
    error::{Error, Result},
};

static POOL: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| DescriptorPool::decode(BARE_DESCRIPTORS).ok());

/// Returns the descriptors of the contract, without comments. They are decoded once.
pub fn descriptors() -> Result<&'static DescriptorPool> {
    let failed = || Error::internal("the compiled-in API description is invalid", "it cannot be decoded");
    POOL.as_ref().ok_or_else(failed)
}

/// Returns the descriptors of all messages that Connect may transfer as JSON: the contract, the health service and
/// the error details.
pub fn connect_descriptors() -> Result<DescriptorPool> {
    let mut pool = descriptors()?.clone();
    for more in [tonic_health::pb::FILE_DESCRIPTOR_SET, ERROR_DESCRIPTORS] {
        pool.decode_file_descriptor_set(more)
            .map_err(|error| Error::internal("a compiled-in API description is invalid", error))?;
    }
    Ok(pool)
}

/// Returns the JSON codec of the contract, which declares the transcoder's options in the package `runyard.v1`.
pub fn json(pool: &DescriptorPool) -> JsonCodec {
    JsonCodec::with_options_of("runyard.v1", pool)
}

#[derive(Clone, Debug)]
pub struct PlainText<T, U> {
    of: PhantomData<(T, U)>,
}

impl<T, U> Default for PlainText<T, U> {
    fn default() -> Self {
        Self { of: PhantomData }
    }
}

impl<T, U> Codec for PlainText<T, U>
where
    T: Message + Send + 'static,
    U: Message + Name + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = PlainTextDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::default()
    }

    fn decoder(&mut self) -> Self::Decoder {
        PlainTextDecoder { of: PhantomData }
    }
}

#[derive(Clone, Debug)]
pub struct PlainTextDecoder<U> {
    of: PhantomData<U>,
}

impl<U: Message + Name + Default> Decoder for PlainTextDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = source.copy_to_bytes(source.remaining());
        let message = U::decode(bytes.clone()).map_err(|error| Error::invalid(error.to_string()))?;
        // Most messages contain no zero byte and need no further check.
        if bytes.contains(&0) {
            let pool = POOL.as_ref().and_then(|pool| pool.get_message_by_name(&U::full_name()));
            let descriptor = pool.ok_or_else(|| {
                Error::internal(
                    "the compiled-in API description is invalid",
                    format!("it has no message {}", U::full_name()),
                )
            })?;
            if let Some(field) = text_with_nul(&descriptor, &bytes) {
                let message = format!("{field} must not contain the character NUL");
                return Err(Error::invalid_field(field, message).into());
            }
        }
        Ok(Some(message))
    }
}

/// Returns the name of the first string field that contains NUL. The message is well formed, because it was decoded
/// before.
fn text_with_nul(descriptor: &MessageDescriptor, mut wire: &[u8]) -> Option<String> {
    while !wire.is_empty() {
        let (number, wire_type) = decode_key(&mut wire).ok()?;
        if wire_type != WireType::LengthDelimited {
            skip_field(wire_type, number, &mut wire, DecodeContext::default()).ok()?;
            continue;
        }
        let length = usize::try_from(decode_varint(&mut wire).ok()?).ok()?;
        let (payload, rest) = wire.split_at_checked(length)?;
        wire = rest;
        let Some(field) = descriptor.get_field(number) else {
            continue;
        };
        match field.kind() {
            Kind::String if payload.contains(&0) => return Some(field.name().to_owned()),
            Kind::Message(inner) => {
                if let Some(found) = text_with_nul(&inner, payload) {
                    // The fields of a map entry are `key` and `value`, so the error names the map instead.
                    return Some(if field.is_map() { field.name().to_owned() } else { found });
                }
            }
            _ => {}
        }
    }
    None
}
