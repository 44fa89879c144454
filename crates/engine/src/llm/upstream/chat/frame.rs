//! The JSON of a Chat Completions chunk. Text is borrowed from the chunk, so that parsing is fast.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::Value;

/// A chunk of an answer, or a whole answer.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub(super) choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    pub(super) usage: Loose<'a>,
    #[serde(borrow)]
    pub(super) error: Loose<'a>,
    /// Groq's extension with token usage and errors.
    #[serde(borrow)]
    pub(super) x_groq: Loose<'a>,
    /// llama.cpp's token counts, which some versions send instead of `usage`.
    #[serde(borrow)]
    pub(super) timings: Loose<'a>,
    /// MiniMax's status, which reports errors.
    #[serde(borrow)]
    pub(super) base_resp: Loose<'a>,
    #[serde(borrow)]
    pub(super) object: Loose<'a>,
    #[serde(borrow)]
    pub(super) r#type: Loose<'a>,
    #[serde(borrow)]
    pub(super) message: Loose<'a>,
    #[serde(borrow)]
    pub(super) detail: Loose<'a>,
}

/// One of several alternative answers. Only the first one, with index 0, is used.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    pub(super) index: Loose<'a>,
    #[serde(borrow)]
    pub(super) delta: Option<Delta<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<Delta<'a>>,
    /// Text in the older Completions protocol.
    #[serde(borrow)]
    pub(super) text: Loose<'a>,
    #[serde(borrow)]
    pub(super) finish_reason: Loose<'a>,
    #[serde(borrow)]
    pub(super) error: Loose<'a>,
    #[serde(borrow)]
    pub(super) usage: Loose<'a>,
}

/// A chunk of a message, or a whole message.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Delta<'a> {
    #[serde(borrow)]
    pub(super) content: Loose<'a>,
    #[serde(borrow)]
    pub(super) refusal: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning_content: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning_text: Loose<'a>,
    #[serde(borrow)]
    pub(super) thinking: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning_details: Loose<'a>,
    #[serde(borrow)]
    pub(super) thinking_blocks: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning_opaque: Loose<'a>,
    #[serde(borrow)]
    pub(super) reasoning_signature: Loose<'a>,
    #[serde(borrow)]
    pub(super) encrypted_content: Loose<'a>,
    #[serde(borrow)]
    pub(super) extra_content: Loose<'a>,
    #[serde(borrow)]
    pub(super) provider_specific_fields: Loose<'a>,
    #[serde(borrow)]
    pub(super) tool_calls: Loose<'a>,
    /// The tool call in an older version of the protocol.
    #[serde(borrow)]
    pub(super) function_call: Loose<'a>,
    #[serde(borrow)]
    pub(super) error: Loose<'a>,
}

/// A field of any type. Some providers send numbers, objects or null instead of text.
#[derive(Debug, Default)]
pub(super) enum Loose<'a> {
    /// Missing or null.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    /// Boxed, because a chunk has many such fields and is moved during parsing.
    Other(Box<Value>),
}

impl Loose<'_> {
    fn boxed(value: impl Into<Value>) -> Self {
        Self::Other(Box::new(value.into()))
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Missing | Self::Other(_) => "",
        }
    }

    pub(super) fn other(&self) -> Option<&Value> {
        match self {
            Self::Other(value) => Some(value),
            Self::Missing | Self::Text(_) => None,
        }
    }

    /// Returns the error that the field reports. Null, false, zero and blank text are no errors, and neither are
    /// lists and objects of such values.
    pub(super) fn error(&self) -> Option<Value> {
        match self {
            Self::Missing => None,
            Self::Text(text) if text.trim().is_empty() => None,
            Self::Text(text) => Some(Value::String(text.clone().into_owned())),
            Self::Other(value) => (!is_nothing(value)).then(|| (**value).clone()),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_nothing),
        Value::Object(fields) => fields.values().all(is_nothing),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Missing)
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Missing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Loose::boxed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Loose::boxed(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Loose::boxed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Loose::boxed(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Loose::boxed)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(fields)).map(Loose::boxed)
    }
}
