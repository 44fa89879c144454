//! The front matter of SKILL.md: YAML between two lines `---` at the start of the file.
//!
//! The format is public (agentskills.io). The parser refuses hostile YAML, such as aliases that expand to huge
//! values.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::archive::SKILL_FILE;
use crate::error::{Error, Result};

/// Maximum length of a skill's name in bytes.
pub(super) const MAX_NAME: usize = 64;
/// Maximum length of a description in characters.
const MAX_DESCRIPTION: usize = 1024;
/// Maximum length in characters of the fields `license` and `compatibility`.
const MAX_LINE: usize = 500;
/// Maximum size in bytes of the fields `metadata` and `allowed-tools`.
const MAX_MORE: usize = 4096;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct FrontMatter {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) license: Option<String>,
    pub(super) compatibility: Option<String>,
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, String>,
    /// Names of tools, separated by spaces.
    #[serde(default, rename = "allowed-tools")]
    allowed_tools: String,
}

impl FrontMatter {
    pub(super) fn allowed_tools(&self) -> Vec<&str> {
        self.allowed_tools.split_whitespace().collect()
    }
}

pub(super) fn read(text: &str) -> Result<(FrontMatter, &str)> {
    let Some((yaml, instructions)) = split(text) else {
        return Err(refused(
            "must start with front matter: YAML between two lines that contain only \"---\"",
        ));
    };
    if text.contains('\0') {
        return Err(refused("must not contain the character NUL"));
    }
    let mut options = serde_saphyr::Options::default();
    options.with_snippet = false;
    let front_matter: FrontMatter = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|error| refused(format!("has invalid front matter: {}", one_line(&error.to_string()))))?;
    front_matter.check()?;
    Ok((front_matter, instructions))
}

pub(super) fn instructions(text: &str) -> &str {
    split(text).map_or(text, |(_, instructions)| instructions)
}

fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == "---")?;
    let mut at = first.len();
    for line in lines {
        if line.trim_end() == "---" {
            return Some((&text[first.len()..at], text[at + line.len()..].trim()));
        }
        at += line.len();
    }
    None
}

impl FrontMatter {
    fn check(&self) -> Result<()> {
        check_name(&self.name).map_err(refused)?;
        let length = self.description.chars().count();
        if self.description.trim().is_empty() || length > MAX_DESCRIPTION {
            return Err(refused(format!(
                "must have a description of 1 to {MAX_DESCRIPTION} characters"
            )));
        }
        for (field, value) in [("license", &self.license), ("compatibility", &self.compatibility)] {
            let is_wrong = |text: &String| text.trim().is_empty() || text.chars().count() > MAX_LINE;
            if value.as_ref().is_some_and(is_wrong) {
                return Err(refused_field(format!(
                    "{field} in {SKILL_FILE} must have 1 to {MAX_LINE} characters; omit it if it is empty"
                )));
            }
        }
        let metadata: usize = self.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        for (field, bytes) in [("metadata", metadata), ("allowed-tools", self.allowed_tools.len())] {
            if bytes > MAX_MORE {
                return Err(refused_field(format!(
                    "{field} in {SKILL_FILE} must have at most {MAX_MORE} bytes"
                )));
            }
        }
        Ok(())
    }
}

/// The error text is the rule that the name breaks.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_plain = (1..=MAX_NAME).contains(&name.len())
        && name.split('-').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        });
    if is_plain {
        return Ok(());
    }
    Err(format!(
        "must have a name of 1 to {MAX_NAME} lower-case letters, digits and single hyphens, such as csv-report"
    ))
}

fn one_line(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(300).collect()
}

fn refused(what: impl std::fmt::Display) -> Error {
    refused_field(format!("{SKILL_FILE} {what}"))
}

fn refused_field(what: String) -> Error {
    Error::invalid_field("archive", what)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn the_front_matter_ends_at_the_second_line_of_hyphens() {
        let text = "\u{feff}---\r\nname: a-1\r\ndescription: Does one thing.\r\nmetadata:\r\n  version: 1.0\r\n---\r\n\r\n# Steps\n---\nmore\n";
        let (front_matter, instructions) = read(text).unwrap();
        assert_eq!(front_matter.name, "a-1");
        assert_eq!(front_matter.metadata["version"], "1.0");
        assert_eq!(instructions, "# Steps\n---\nmore");
        assert_eq!(super::instructions(text), instructions);
    }

    #[test]
    fn invalid_front_matter_is_refused_with_the_rule() {
        let good = "---\nname: good\ndescription: Good.\nallowed-tools: bash read\n---\nText";
        assert_eq!(read(good).unwrap().0.allowed_tools(), ["bash", "read"]);
        let long = "x".repeat(65);
        for (front, what) in [
            ("name: Good\ndescription: x", "lower-case"),
            ("name: a--b\ndescription: x", "single hyphens"),
            ("name: -a\ndescription: x", "single hyphens"),
            ("name: a-\ndescription: x", "single hyphens"),
            (&format!("name: {long}\ndescription: x"), "1 to 64"),
            ("name: good", "description"),
            ("name: good\ndescription: ' '", "description of 1 to 1024"),
            (
                &format!("name: good\ndescription: {}", "x".repeat(1025)),
                "description of 1 to 1024",
            ),
            (
                &format!("name: good\ndescription: x\ncompatibility: {}", "x".repeat(501)),
                "compatibility",
            ),
            ("name: good\ndescription: x\nunknown: y", "unknown"),
            ("name: good\ndescription: [", "front matter"),
            ("name: good\nname: good\ndescription: x", "front matter"),
        ] {
            let refused = read(&format!("---\n{front}\n---\nText")).unwrap_err();
            assert_eq!(refused.field(), Some("archive"));
            assert!(refused.message().contains(what), "{front}: {}", refused.message());
        }
        for text in ["", "# Steps", "---\nname: good\ndescription: x\n"] {
            assert!(
                read(text)
                    .unwrap_err()
                    .message()
                    .contains("two lines that contain only"),
                "{text}"
            );
        }
    }
}
