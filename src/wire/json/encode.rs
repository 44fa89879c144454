//! Wire bytes to JSON text.

use super::{CodecError, Dialect, MessageId, tables::Tables};

pub(super) struct Encoder<'c> {
    tables: &'c Tables,
    dialect: Dialect,
}

impl<'c> Encoder<'c> {
    pub fn new(tables: &'c Tables, dialect: Dialect) -> Self {
        Self { tables, dialect }
    }
    pub fn message(&mut self, _message: MessageId, _wire: &[u8], _json: &mut Vec<u8>) -> Result<(), CodecError> {
        let _ = (self.tables, self.dialect);
        Err(CodecError::wire("to come"))
    }
    pub fn one_field(&mut self, _m: MessageId, _i: usize, _w: &[u8], _j: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::wire("to come"))
    }
    pub fn is_set(&mut self, _m: MessageId, _i: usize, _w: &[u8]) -> Result<bool, CodecError> {
        Err(CodecError::wire("to come"))
    }
    pub fn set_member(&mut self, _m: MessageId, _w: &[u8]) -> Result<Option<&'c str>, CodecError> {
        Err(CodecError::wire("to come"))
    }
    pub fn read_text(&mut self, _m: MessageId, _i: usize, _w: &[u8]) -> Result<Option<String>, CodecError> {
        Err(CodecError::wire("to come"))
    }
}
