//! To come.

use super::{CodecError, Dialect, MessageId, tables::Tables};

pub(super) fn decode(
    _tables: &Tables,
    (_message, _path): (MessageId, &str),
    _dialect: Dialect,
    _text: &str,
    _wire: &mut Vec<u8>,
) -> Result<(), CodecError> {
    Err(CodecError::text("to come"))
}
