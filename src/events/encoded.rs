//! A `RunEvent` that is encoded only once. Every stream sends the stored bytes.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};

use crate::v1::RunEvent;

/// The server uses this type instead of `RunEvent` in response streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedEvent {
    bytes: Bytes,
}

impl EncodedEvent {
    pub fn encode(event: &RunEvent) -> Self {
        Self {
            bytes: event.encode_to_vec().into(),
        }
    }

    pub fn from_stored(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into() }
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Message for EncodedEvent {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.bytes);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        // Skip the field: the server never receives events, and clients decode into `RunEvent`.
        prost::encoding::skip_field(wire_type, tag, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes = Bytes::new();
    }
}
