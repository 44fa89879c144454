//! Prints messages as JSON lines, in the encoding of the HTTP API.

use prost::{Message, Name};
use prost_reflect::DescriptorPool;
use runyard_transcode::json::{Codec, Dialect};

use super::output::Output;
use crate::{
    contract::BARE_DESCRIPTORS,
    error::{Error, Result},
    wire::codec,
};

pub(super) struct JsonLines {
    codec: Codec,
    out: Output,
}

impl JsonLines {
    pub(super) fn new() -> Result<Self> {
        let pool = DescriptorPool::decode(BARE_DESCRIPTORS).map_err(|error| broken(&error.to_string()))?;
        Ok(Self {
            codec: codec::json(&pool),
            out: Output::new(),
        })
    }

    pub(super) fn print<M: Message + Name>(&mut self, message: &M) -> Result<()> {
        let name = M::full_name();
        let id = self.codec.message(&name).ok_or_else(|| broken(&format!("no {name}")))?;
        let mut line = Vec::new();
        self.codec
            .encode(id, Dialect::Plain, &message.encode_to_vec(), &mut line)
            .map_err(|error| Error::internal("cannot encode a message as JSON", error.to_string()))?;
        self.out.line(&String::from_utf8_lossy(&line))
    }
}

fn broken(error: &str) -> Error {
    Error::internal("the compiled-in API description is invalid", error.to_owned())
}
