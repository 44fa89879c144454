//! A `RunEvent` that was encoded once, when it was recorded: the stored bytes are what every follower gets.

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType},
};

use crate::v1::RunEvent;

/// The encoded bytes of a `RunEvent`; stands for it on the server's side of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedEvent {
    bytes: Bytes,
}

impl EncodedEvent {
    /// Encodes an event.
    pub fn encode(event: &RunEvent) -> Self {
        Self {
            bytes: event.encode_to_vec().into(),
        }
    }

    /// Takes bytes that were encoded earlier.
    pub fn from_stored(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// The bytes.
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
        // The server never receives events, a client decodes `RunEvent` itself; so the fields are passed over.
        prost::encoding::skip_field(wire_type, tag, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.bytes.len()
    }

    fn clear(&mut self) {
        self.bytes = Bytes::new();
    }
}
