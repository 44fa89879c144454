//! The output of a run: a JSON object that the final answer contains and that matches the schema of the request.
//!
//! The system prompt contains the schema. If the model's provider supports it, requests contain the schema too
//! ([`ModelRequest::output`](crate::llm::ModelRequest::output)). The loop calls the model again if an answer does not match.

use std::sync::Arc;

use jsonschema::Validator;
use runyard_contract::structs;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    schema,
};

/// Maximum number of model calls that repair the final answer.
pub const MAX_REPAIRS: u32 = 2;
/// Maximum number of fenced blocks, and of balanced objects, in which an answer's object is searched.
const MAX_CANDIDATES: usize = 16;
/// The schema in the prompt may use this share of the context window: one in four tokens.
const WINDOW_SHARE: u64 = 4;
/// Bytes of a schema per token.
const BYTES_PER_TOKEN: u64 = 3;

const INTRODUCTION: &str = "\
Final answer:
- When the work is done, answer with exactly one JSON object that matches the JSON schema below, and with nothing else: no \
introduction, no Markdown, no code fence.
- Use tools as usual before that. Every value of the object must come from your work; do not invent values.
The JSON schema:
";

/// The required form of a run's final answer.
pub struct OutputForm {
    schema: Arc<Value>,
    validator: Validator,
    /// Number of answers that earlier workers recorded after the last tool call. All but the last one were invalid.
    answers: u32,
}

impl OutputForm {
    /// Compiles the schema. `answers` is the number of final answers at the end of the history that belong to this run.
    ///
    /// # Errors
    /// `INTERNAL` if the schema is invalid; the service has accepted it at the start of the run.
    pub fn new(schema: Value, answers: u32) -> Result<Self> {
        let validator = schema::compile(&schema)
            .map_err(|refused| Error::internal("the schema of the output could not be compiled", refused))?;
        Ok(Self {
            schema: Arc::new(schema),
            validator,
            answers,
        })
    }

    pub(crate) fn schema(&self) -> &Arc<Value> {
        &self.schema
    }

    pub(crate) fn answers(&self) -> u32 {
        self.answers
    }

    /// Returns the section of the system prompt. A schema that uses too much of the context window is cut.
    pub(crate) fn instructions(&self, context_window: u64) -> String {
        let text = self.schema.to_string();
        let room = usize::try_from(context_window / WINDOW_SHARE * BYTES_PER_TOKEN).unwrap_or(usize::MAX);
        let shown = &text[..text.floor_char_boundary(room)];
        let end = if shown.len() < text.len() {
            "… (the rest of the schema is omitted)"
        } else {
            ""
        };
        format!("{INTRODUCTION}{shown}{end}")
    }

    /// Returns the object of an answer: the whole text, otherwise a fenced block, otherwise a balanced object in the text.
    ///
    /// # Errors
    /// The reason why the answer is invalid, for the model and for people.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let mut refused = None;
        for value in objects(text) {
            match self.check(&value) {
                Ok(()) => return Ok(value),
                Err(mistakes) => refused = refused.or(Some(mistakes)),
            }
        }
        Err(refused.unwrap_or_else(|| "it contains no complete JSON object".to_owned()))
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        // A value that is nested too deeply cannot be sent to clients.
        if structs::object(value).is_none() {
            return Err("it is nested too deeply".to_owned());
        }
        schema::check(&self.validator, value)
    }
}

/// Returns the candidates for the object of an answer.
fn objects(text: &str) -> impl Iterator<Item = Value> {
    let fences = fenced(text).take(MAX_CANDIDATES);
    let candidates = std::iter::once(text).chain(fences).chain(balanced(text));
    candidates
        .filter_map(|candidate| serde_json::from_str::<Value>(candidate.trim()).ok())
        .filter(Value::is_object)
}

/// Returns the content of each fenced block, without the line of its opening fence.
fn fenced(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split("```").skip(1).step_by(2);
    parts.map(|block| match block.split_once('\n') {
        Some((language, content)) if !language.contains('{') => content,
        _ => block,
    })
}

/// Returns the balanced objects of the text, up to a number of attempts.
fn balanced(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    let attempts = std::iter::from_fn(move || {
        let from = &rest[rest.find('{')?..];
        let end = end_of_object(from);
        rest = &from[end.unwrap_or(1)..];
        Some(end.map(|end| &from[..end]))
    });
    attempts.take(MAX_CANDIDATES).flatten()
}

/// Returns the position after the brace that closes the first one. Braces in strings do not count.
fn end_of_object(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth -= 1;
                if depth == 0 {
                    return Some(place + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use serde_json::json;

    use super::*;

    fn form() -> OutputForm {
        let schema = json!({
            "type": "object",
            "properties": {"total": {"type": "integer"}},
            "required": ["total"],
        });
        OutputForm::new(schema, 0).unwrap()
    }

    #[test]
    fn the_object_is_the_whole_text_or_a_fenced_block_or_a_balanced_object() {
        for text in [
            r#"{"total": 3}"#,
            " \n{\"total\": 3}\n",
            "Here it is:\n\n```json\n{\"total\": 3}\n```\nDone.",
            "```\n{\"total\": 3}\n```",
            "```json {\"total\": 3}```",
            "First an example:\n```json\n{\"a\": 1}\n```\nthen the answer:\n```json\n{\"total\": 3}\n```",
            r#"The answer is {"total": 3}, as far as I can see {really}."#,
            r#"With {placeholder} or { the answer is {"total": 3}."#,
        ] {
            assert_eq!(form().read(text), Ok(json!({"total": 3})), "{text}");
        }
        let escaped = r#"So: {"total": 3, "note": "a \"}\" and a {"} and more"#;
        assert_eq!(form().read(escaped), Ok(json!({"total": 3, "note": "a \"}\" and a {"})));
    }

    #[test]
    fn an_invalid_answer_is_explained() {
        for (text, reason) in [
            ("Three.", "no complete JSON object"),
            ("", "no complete JSON object"),
            (r#"{"total": 3"#, "no complete JSON object"),
            ("[1, 2]", "no complete JSON object"),
            (r#"{"total": "three"}"#, "/total: \"three\" is not of type \"integer\""),
            ("{}", "\"total\" is a required property"),
        ] {
            let refused = form().read(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
        let deep = format!(r#"{{"total": 3, "more": {}1{}}}"#, "[".repeat(40), "]".repeat(40));
        assert_eq!(form().read(&deep), Err("it is nested too deeply".to_owned()));
    }

    #[test]
    fn the_prompt_contains_the_schema_unless_the_window_is_too_small() {
        let whole = form().instructions(8_000);
        assert!(whole.ends_with(&form().schema().to_string()), "{whole}");
        let cut = form().instructions(40);
        assert!(cut.ends_with("is omitted)") && cut.len() < 500, "{cut}");
    }
}
