//! Decodes the well-known types from their special JSON forms.

use super::{
    CodecError, Dialect,
    decode::Decoder,
    parse::Token,
    tables::{Known, Message, Shape},
    text::Refusal,
    time,
    wire::{WireType, close, open, put_bytes, put_tag, put_varint},
};

/// Field numbers of the members of `google.protobuf.Value`.
mod value {
    pub const NULL: u32 = 1;
    pub const NUMBER: u32 = 2;
    pub const STRING: u32 = 3;
    pub const BOOL: u32 = 4;
    pub const STRUCT: u32 = 5;
    pub const LIST: u32 = 6;
}

impl<'c> Decoder<'c, '_> {
    pub(super) fn known(&mut self, known: Known, table: &'c Message, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        match known {
            Known::Timestamp | Known::Duration | Known::FieldMask => {
                let dialect = self.dialect;
                let text = self.string("must be a string")?;
                known.put_text(text, dialect, wire).map_err(CodecError::text)
            }
            Known::Empty => self.object(table, wire, |_| ()),
            Known::Any => self.any(wire),
            Known::Value => self.any_value(table, wire),
            Known::Wrapper | Known::List | Known::Struct => {
                let [field, ..] = table.fields.as_slice() else {
                    return Err(CodecError::wire("the message is not a well-known type"));
                };
                match field.shape {
                    Shape::Single => self.single(field, wire),
                    Shape::List => self.list(field, wire),
                    Shape::Map(entry) => self.map(field.number, entry, wire),
                }
            }
        }
    }

    fn any_value(&mut self, table: &'c Message, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let number = match self.json.peek()? {
            Token::Null => value::NULL,
            Token::Number => value::NUMBER,
            Token::String => value::STRING,
            Token::Bool => value::BOOL,
            Token::Object => value::STRUCT,
            Token::Array => value::LIST,
        };
        let index = table
            .by_number(number)
            .ok_or_else(|| CodecError::wire("the message is not google.protobuf.Value"))?;
        self.single(&table.fields[index], wire)
    }

    /// Decodes a `google.protobuf.Any`: an object whose key `@type` names a message type. The other keys are the
    /// fields of that message. If the type has a special JSON form, the key `value` contains this form instead.
    fn any(&mut self, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let Some(url) = self.find_type()? else {
            // Only an empty object may lack `@type`.
            self.json.enter()?;
            return match self.json.key(&mut true)? {
                None => Ok(()),
                Some(_) => Err(CodecError::text("is required").within("@type")),
            };
        };
        let id = url.rsplit_once('/').and_then(|(_, name)| self.tables.by_name.get(name));
        let id = *id.ok_or_else(|| CodecError::text("is not a known message type").within("@type"))?;
        let inner = self.tables.message(id);
        put_tag(wire, 1, WireType::Length);
        put_bytes(wire, url.as_bytes());
        put_tag(wire, 2, WireType::Length);
        self.descend()?;
        let start = open(wire);
        match inner.known {
            None => self.object_besides("@type", inner, wire, |_| ())?,
            Some(known) => {
                self.json.enter()?;
                let (mut first, mut found) = (true, false);
                while let Some(key) = self.json.key(&mut first)? {
                    match key {
                        "@type" => self.json.skip()?,
                        "value" if !found => {
                            found = true;
                            self.known(known, inner, wire).map_err(|error| error.within("value"))?;
                        }
                        "value" => return Err(CodecError::text("must not occur twice").within("value")),
                        other => return Err(CodecError::text("unknown field").within(other)),
                    }
                }
                if !found {
                    return Err(CodecError::text("is required").within("value"));
                }
            }
        }
        close(wire, start);
        self.ascend();
        Ok(())
    }

    /// Returns the `@type` of an Any without consuming the object, because `@type` may be the last key.
    fn find_type(&mut self) -> Result<Option<String>, CodecError> {
        self.expect(Token::Object, "must be an object")?;
        let here = self.json.clone();
        let mut url = None;
        self.json.enter()?;
        let mut first = true;
        while let Some(key) = self.json.key(&mut first)? {
            if key != "@type" {
                self.json.skip()?;
                continue;
            }
            let text = self
                .string("must be a string")
                .map_err(|error| error.within("@type"))?
                .to_owned();
            if url.replace(text).is_some() {
                return Err(CodecError::text("must not occur twice").within("@type"));
            }
        }
        self.json = here;
        Ok(url)
    }
}

impl Known {
    /// Parses the text of a timestamp, duration or field mask, and appends the fields of the message.
    pub(super) fn put_text(self, text: &str, dialect: Dialect, wire: &mut Vec<u8>) -> Result<(), Refusal> {
        let (seconds, nanos) = match self {
            Self::Timestamp => time::parse_time(text)?,
            Self::Duration => time::parse_duration(text)?,
            _ => return put_field_mask(text, dialect, wire),
        };
        put_tag(wire, 1, WireType::Varint);
        put_varint(wire, seconds.cast_unsigned());
        put_tag(wire, 2, WireType::Varint);
        put_varint(wire, i64::from(nanos).cast_unsigned());
        Ok(())
    }
}

/// Parses comma-separated paths in camelCase. The plain dialect also accepts proto names.
fn put_field_mask(text: &str, dialect: Dialect, wire: &mut Vec<u8>) -> Result<(), Refusal> {
    if text.is_empty() {
        return Ok(());
    }
    for path in text.split(',') {
        let mut proto = String::with_capacity(path.len() + 4);
        for character in path.chars() {
            match character {
                'A'..='Z' => {
                    proto.push('_');
                    proto.push(character.to_ascii_lowercase());
                }
                '_' if dialect == Dialect::Canonical => return Err("must contain camelCase paths"),
                'a'..='z' | '0'..='9' | '.' | '_' => proto.push(character),
                _ => return Err("must be comma-separated field names"),
            }
        }
        // Without a lower-case letter after each `_`, the path would have no camelCase form to encode.
        let has_camel_case = proto
            .split('_')
            .skip(1)
            .all(|word| word.starts_with(|c: char| c.is_ascii_lowercase()));
        if proto.is_empty() || !has_camel_case {
            return Err("must be comma-separated field names");
        }
        put_tag(wire, 1, WireType::Length);
        put_bytes(wire, proto.as_bytes());
    }
    Ok(())
}
