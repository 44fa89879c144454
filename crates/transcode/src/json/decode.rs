//! Decodes JSON text to wire bytes. Default values are written too, because a key in the JSON means that the field is
//! set.

use std::{borrow::Cow, collections::HashSet};

use super::{
    CodecError, Dialect, MessageId,
    parse::{Parser, Token},
    tables::{Field, Kind, Known, Message, Shape, Tables},
    text::{put_base64, put_enum, put_number},
    wire::{MAX_DEPTH, WireType, close, open, put_bytes, put_tag, put_varint},
};

#[derive(Debug)]
pub(super) struct Decoder<'c, 'j> {
    pub tables: &'c Tables,
    pub dialect: Dialect,
    pub json: Parser<'j>,
    depth: u32,
}

/// The fields and oneofs that have occurred in a message. `first` has one bit for each index below 128; `others`
/// contains the higher indices.
#[derive(Debug, Default)]
struct Seen {
    first: [u128; 2],
    others: Vec<(usize, usize)>,
}

impl Seen {
    const FIELDS: usize = 0;
    const ONEOFS: usize = 1;

    fn insert(&mut self, group: usize, index: usize) -> bool {
        if index >= 128 {
            let new = !self.others.contains(&(group, index));
            self.others.push((group, index));
            return new;
        }
        let bit = 1 << index;
        let new = self.first[group] & bit == 0;
        self.first[group] |= bit;
        new
    }
}

/// The keys that have occurred in a map. For a few keys, comparing is faster than hashing.
#[derive(Debug, Default)]
struct Keys<'j> {
    few: Vec<Cow<'j, str>>,
    many: HashSet<Cow<'j, str>>,
}

impl<'j> Keys<'j> {
    const FEW: usize = 16;

    fn insert(&mut self, key: Cow<'j, str>) -> bool {
        if self.many.contains(&key) || self.few.contains(&key) {
            return false;
        }
        self.few.push(key);
        if self.few.len() > Self::FEW {
            self.many.extend(self.few.drain(..));
        }
        true
    }
}

impl<'c, 'j> Decoder<'c, 'j> {
    /// Fails if the text begins with a byte order mark.
    pub fn new(tables: &'c Tables, dialect: Dialect, json: &'j [u8]) -> Result<Self, CodecError> {
        Ok(Self {
            tables,
            dialect,
            json: Parser::new(json)?,
            depth: 0,
        })
    }

    pub fn whole(&mut self, id: MessageId, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        self.message(id, wire)?;
        self.json.end()
    }

    /// Decodes the whole text, and returns the proto names of the keys in the outermost object; none for a well-known
    /// type.
    pub fn whole_with_keys(&mut self, id: MessageId, wire: &mut Vec<u8>) -> Result<Vec<&'c str>, CodecError> {
        let mut keys = Vec::new();
        let table = self.tables.message(id);
        if table.known.is_some() {
            self.message(id, wire)?;
        } else {
            self.object(table, wire, |field| keys.push(&*field.name))?;
        }
        self.json.end()?;
        Ok(keys)
    }

    pub fn whole_field(&mut self, id: MessageId, index: usize, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let field = &self.tables.message(id).fields[index];
        self.whole_value(field, wire).map_err(|error| error.within(&field.name))
    }

    /// Decodes the whole text as the value of a field. Error locations omit the field's name.
    pub fn whole_value(&mut self, field: &Field, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        self.field(field, wire)?;
        self.json.end()
    }

    /// Decodes a message, and appends its fields without a tag or length.
    pub fn message(&mut self, id: MessageId, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let table = self.tables.message(id);
        match table.known {
            Some(known) => self.known(known, table, wire),
            None => self.object(table, wire, |_| ()),
        }
    }

    pub fn descend(&mut self) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(CodecError::text("nested too deeply"))
        } else {
            Ok(())
        }
    }

    pub fn ascend(&mut self) {
        self.depth -= 1;
    }

    /// Decodes a JSON object, and appends its fields to `wire`. Calls `met` with the field of each key.
    pub fn object(
        &mut self,
        table: &'c Message,
        wire: &mut Vec<u8>,
        met: impl FnMut(&'c Field),
    ) -> Result<(), CodecError> {
        self.object_besides("", table, wire, met)
    }

    /// Like `object`, but skips the key `besides` if no field has this name.
    pub fn object_besides(
        &mut self,
        besides: &str,
        table: &'c Message,
        wire: &mut Vec<u8>,
        mut met: impl FnMut(&'c Field),
    ) -> Result<(), CodecError> {
        self.expect(Token::Object, "must be an object")?;
        self.json.enter()?;
        let (mut seen, mut first, mut guess) = (Seen::default(), true, 0);
        while let Some(name) = self.json.key(&mut first)? {
            let Some(index) = table.find(name, guess) else {
                if !besides.is_empty() && name == besides {
                    self.json.skip()?;
                    continue;
                }
                return Err(CodecError::text("unknown field").within(name));
            };
            guess = index + 1;
            let field = &table.fields[index];
            if !seen.insert(Seen::FIELDS, index) {
                return Err(CodecError::text("must not occur twice").within(&field.name));
            }
            met(field);
            let set = self.field(field, wire).map_err(|error| error.within(&field.name))?;
            if let Some(oneof) = field.presence.oneof()
                && set
                && !seen.insert(Seen::ONEOFS, oneof.into())
            {
                return Err(CodecError::text("conflicts with another field of the same oneof").within(&field.name));
            }
        }
        Ok(())
    }

    /// Decodes the value of a field. Returns false if it stays unset because its value is null.
    fn field(&mut self, field: &Field, wire: &mut Vec<u8>) -> Result<bool, CodecError> {
        if self.json.peek()? == Token::Null && !(field.shape == Shape::Single && self.takes_null(field.kind)) {
            self.json.null()?;
            return Ok(false);
        }
        match field.shape {
            Shape::Single => self.single(field, wire)?,
            Shape::List => self.list(field, wire)?,
            Shape::Map(entry) => self.map(field.number, entry, wire)?,
        }
        Ok(true)
    }

    pub fn single(&mut self, field: &Field, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        put_tag(wire, field.number, field.kind.wire_type());
        self.value(field.kind, wire)
    }

    /// Returns true if null is a value of this kind. Otherwise, null means that the field is unset.
    fn takes_null(&self, kind: Kind) -> bool {
        self.tables.known(kind) == Some(Known::Value) || self.tables.is_null_enum(kind)
    }

    pub fn list(&mut self, field: &Field, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        self.expect(Token::Array, "must be a list")?;
        self.json.enter()?;
        let before = wire.len();
        let packed = field.packed && field.kind.wire_type() != WireType::Length;
        let start = packed.then(|| {
            put_tag(wire, field.number, WireType::Length);
            open(wire)
        });
        let (mut first, mut count) = (true, 0);
        while self.json.element(&mut first)? {
            if !packed {
                put_tag(wire, field.number, field.kind.wire_type());
            }
            self.value(field.kind, wire).map_err(|error| error.at_index(count))?;
            count += 1;
        }
        match start {
            Some(_) if count == 0 => wire.truncate(before),
            Some(start) => close(wire, start),
            None => {}
        }
        Ok(())
    }

    /// Decodes a map. `entry` is the message type of its entries.
    pub fn map(&mut self, number: u32, entry: MessageId, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        self.expect(Token::Object, "must be an object")?;
        let [key_field, value_field, ..] = self.tables.message(entry).fields.as_slice() else {
            return Err(CodecError::wire("the message is not a map entry"));
        };
        self.json.enter()?;
        self.descend()?;
        let mut keys = Keys::default();
        let mut first = true;
        while let Some(name) = self.json.map_key(&mut first)? {
            put_tag(wire, number, WireType::Length);
            let start = open(wire);
            put_tag(wire, key_field.number, key_field.kind.wire_type());
            put_key(key_field.kind, &name, wire).map_err(|error| error.at_key(&name))?;
            put_tag(wire, value_field.number, value_field.kind.wire_type());
            self.value(value_field.kind, wire)
                .map_err(|error| error.at_key(&name))?;
            close(wire, start);
            if !keys.insert(name.clone()) {
                return Err(CodecError::text("must not occur twice").at_key(&name));
            }
        }
        self.ascend();
        Ok(())
    }

    /// Decodes one value, and appends it without its tag. Strings, bytes and messages are preceded by their length.
    fn value(&mut self, kind: Kind, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        match kind {
            Kind::Message(id) => {
                self.descend()?;
                let start = open(wire);
                self.message(id, wire)?;
                close(wire, start);
                self.ascend();
                Ok(())
            }
            Kind::String => {
                put_bytes(wire, self.string("must be a string")?.as_bytes());
                Ok(())
            }
            Kind::Bytes => put_base64(self.string("must be a string of base64")?, wire).map_err(CodecError::text),
            Kind::Bool => {
                self.expect(Token::Bool, "must be true or false")?;
                put_varint(wire, self.json.boolean()?.into());
                Ok(())
            }
            Kind::Enum(id) => self.enumeration(id, wire),
            kind => match self.json.peek()? {
                Token::Number => put_number(kind, self.json.number()?, wire).map_err(CodecError::text),
                Token::String => put_number(kind, self.json.string()?, wire).map_err(CodecError::text),
                _ => Err(CodecError::text("must be a number")),
            },
        }
    }

    fn enumeration(&mut self, id: u32, wire: &mut Vec<u8>) -> Result<(), CodecError> {
        let table = self.tables.enumeration(id);
        match self.json.peek()? {
            // The plain dialect writes the unspecified value of an enum as null, even in lists and maps.
            Token::Null if table.is_null || self.dialect == Dialect::Plain => {
                self.json.null()?;
                put_varint(wire, 0);
                Ok(())
            }
            Token::String => put_enum(table, self.json.string()?, self.dialect, wire),
            Token::Number => put_number(Kind::Enum(id), self.json.number()?, wire).map_err(CodecError::text),
            _ => Err(CodecError::text("must be the name of an enum value")),
        }
    }

    /// Reads a string. `refusal` is the error text for any other token.
    pub fn string(&mut self, refusal: &'static str) -> Result<&str, CodecError> {
        self.expect(Token::String, refusal)?;
        self.json.string()
    }

    pub fn expect(&mut self, token: Token, refusal: &'static str) -> Result<(), CodecError> {
        if self.json.peek()? == token {
            Ok(())
        } else {
            Err(CodecError::text(refusal))
        }
    }
}

/// Parses a map key, which is always a string in JSON, and appends its value.
fn put_key(kind: Kind, text: &str, wire: &mut Vec<u8>) -> Result<(), CodecError> {
    match kind {
        Kind::String => put_bytes(wire, text.as_bytes()),
        Kind::Bool if text == "true" => put_varint(wire, 1),
        Kind::Bool if text == "false" => put_varint(wire, 0),
        Kind::Bool => return Err(CodecError::text("the key must be true or false")),
        // Each number has only one accepted notation, so that two different strings never mean the same key.
        _ if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) && text != "-0" => {
            put_number(kind, text, wire)
                .map_err(|_| CodecError::text("the key is out of range for its integer type"))?;
        }
        _ => return Err(CodecError::text("the key must be a whole number")),
    }
    Ok(())
}
