//! Prompt templates. A placeholder in a template is replaced by a value of the request:
//!
//! | placeholder | value |
//! |---|---|
//! | `{{body}}` | the whole body |
//! | `{{body.issue.labels.0}}` | a value of a JSON body, by names of fields and indexes of lists |
//! | `{{header.x-event}}` | a header |
//!
//! A missing value is an error. After a question mark, as in `{{body.issue?}}`, it is empty. Values are not expanded
//! again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";
/// The headers of a request, by their names in lower case.
pub type Headers = BTreeMap<String, String>;

/// Headers with credentials.
const SECRET_HEADERS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "webhook-signature"];

/// A parsed template.
#[derive(Debug)]
pub struct Template<'t> {
    parts: Vec<Part<'t>>,
}

#[derive(Debug)]
enum Part<'t> {
    Text(&'t str),
    Placeholder {
        name: &'t str,
        source: Source<'t>,
        is_optional: bool,
    },
}

#[derive(Debug)]
enum Source<'t> {
    Body(Vec<&'t str>),
    Header(String),
}

impl<'t> Template<'t> {
    /// # Errors
    /// INVALID_REQUEST, with the placeholder.
    pub fn parse(text: &'t str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            parts.push(Part::Text(before));
            let Some((name, after)) = after.split_once(CLOSE) else {
                return Err(wrong("a placeholder in the template has no closing }}"));
            };
            parts.push(placeholder(name)?);
            rest = after;
        }
        parts.push(Part::Text(rest));
        Ok(Self { parts })
    }

    /// Returns the prompt for a request.
    ///
    /// # Errors
    /// INVALID_REQUEST, with the placeholder, if a value is missing.
    pub fn fill(&self, body: &str, headers: &Headers) -> Result<String> {
        let json: Option<Value> = serde_json::from_str(body).ok();
        let mut prompt = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => prompt.push_str(text),
                Part::Placeholder {
                    name,
                    source,
                    is_optional,
                } => match source.value(body, json.as_ref(), headers) {
                    Some(value) => prompt.push_str(&value),
                    None if *is_optional => {}
                    None => {
                        let message = format!("the request has no value for {OPEN}{name}{CLOSE}");
                        return Err(Error::invalid_field("body", message));
                    }
                },
            }
        }
        Ok(prompt)
    }
}

fn placeholder(name: &str) -> Result<Part<'_>> {
    let trimmed = name.trim();
    let (path, is_optional) = match trimmed.strip_suffix('?') {
        Some(path) => (path, true),
        None => (trimmed, false),
    };
    let source = match path.split_once('.') {
        None if path == "body" => Source::Body(Vec::new()),
        Some(("body", path)) if path.split('.').all(|step| !step.is_empty()) => Source::Body(path.split('.').collect()),
        Some(("header", header)) => {
            let header = header.to_ascii_lowercase();
            if SECRET_HEADERS.contains(&header.as_str()) {
                return Err(wrong(format!("the header {header} cannot be part of a prompt")));
            }
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
            if header.is_empty() || !header.chars().all(is_plain) {
                return Err(wrong(format!("{OPEN}{name}{CLOSE} does not name a header")));
            }
            Source::Header(header)
        }
        _ => {
            let message = format!(
                "{OPEN}{name}{CLOSE} is not a placeholder; they are {{{{body}}}}, {{{{body.FIELD}}}} and {{{{header.NAME}}}}"
            );
            return Err(wrong(message));
        }
    };
    Ok(Part::Placeholder {
        name: trimmed,
        source,
        is_optional,
    })
}

impl Source<'_> {
    fn value(&self, body: &str, json: Option<&Value>, headers: &Headers) -> Option<String> {
        match self {
            Self::Body(path) if path.is_empty() => Some(body.to_owned()).filter(|body| !body.is_empty()),
            Self::Body(path) => {
                let value = path.iter().try_fold(json?, |value, step| match value {
                    Value::Object(fields) => fields.get(*step),
                    Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                    _ => None,
                });
                match value? {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                }
            }
            Self::Header(name) => headers.get(name).cloned(),
        }
    }
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::invalid_field("prompt", message)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn fill(template: &str, body: &str) -> Result<String> {
        let headers = Headers::from([("x-event".to_owned(), "push".to_owned())]);
        Template::parse(template)?.fill(body, &headers)
    }

    #[test]
    fn placeholders_are_replaced_by_values_of_the_request() {
        let body =
            r#"{"issue": {"title": "It {{body}} breaks", "labels": ["bug", {"n": 2}], "open": true, "by": null}}"#;
        for (template, prompt) in [
            ("plain } text {", "plain } text {"),
            ("{{body.issue.title}}!", "It {{body}} breaks!"),
            ("{{ body.issue.labels.0 }} {{header.X-Event}}", "bug push"),
            ("{{body.issue.labels}}", r#"["bug",{"n":2}]"#),
            ("{{body.issue.open}}", "true"),
            ("[{{body.issue.by?}}{{body.none?}}{{header.none?}}]", "[]"),
            ("{{body}}", body),
        ] {
            assert_eq!(fill(template, body).unwrap(), prompt, "{template}");
        }
        assert_eq!(fill("{{body}} {{body.x?}}", "no json").unwrap(), "no json ");
    }

    #[test]
    fn a_missing_value_is_an_error_that_names_the_placeholder() {
        for (template, body) in [
            ("{{body.issue.by}}", r#"{"issue": {"by": null}}"#),
            ("{{body.list.7}}", r#"{"list": [1]}"#),
            ("{{body.x}}", "no json"),
            ("{{body}}", ""),
            ("{{header.none}}", "{}"),
        ] {
            let error = fill(template, body).unwrap_err();
            assert!(error.message().contains(template), "{error:?}");
        }
    }

    #[test]
    fn invalid_templates_are_refused() {
        for template in [
            "{{body",
            "{{}}",
            "{{body.}}",
            "{{body..x}}",
            "{{query.x}}",
            "{{header.a b}}",
            "{{header}}",
            "{{header.Authorization}}",
            "{{header.webhook-signature}}",
        ] {
            assert!(Template::parse(template).is_err(), "{template}");
        }
        assert!(Template::parse("{{body.x}} {{header.webhook-id}}").is_ok());
    }
}
