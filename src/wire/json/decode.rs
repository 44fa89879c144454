//! JSON text to wire bytes.

use super::{CodecError, Dialect, MessageId, tables::Tables};

pub(super) struct Decoder<'c> {
    tables: &'c Tables,
    dialect: Dialect,
}

impl<'c> Decoder<'c> {
    pub fn new(tables: &'c Tables, dialect: Dialect, _json: &[u8]) -> Result<Self, CodecError> {
        Ok(Self { tables, dialect })
    }
    pub fn whole(&mut self, _message: MessageId, _wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let _ = (self.tables, self.dialect);
        Err(CodecError::text("to come"))
    }
    pub fn whole_with_keys(&mut self, _m: MessageId, _wire: &mut Vec<u8>) -> Result<Vec<&'c str>, CodecError> {
        Err(CodecError::text("to come"))
    }
    pub fn whole_field(&mut self, _m: MessageId, _i: usize, _wire: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::text("to come"))
    }
}
