//! Approvals: the rules that decide which tool calls run at once, which ones wait for people, and which ones are refused.
//!
//! The rules about commands compare text. They stop a model from doing by mistake what its owner does not want; they do
//! not confine it. The sandbox does.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    config::modes::matches,
    error::{Error, Result},
    tools::bash,
};

/// Maximum number of rules, and of command patterns per rule.
const MAX_RULES: usize = 64;
/// Maximum length of a pattern in bytes.
const MAX_PATTERN: usize = 512;
/// Allowed expiry of an input in seconds: a minute to 30 days.
const EXPIRY: std::ops::RangeInclusive<u32> = 60..=2_592_000;
/// Expiry of an input in seconds, if an agent sets none.
const DEFAULT_EXPIRY: u32 = 86_400;
const FIELD: &str = "approvals";

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Approvals {
    pub rules: Vec<Rule>,
    /// `None` for [`DEFAULT_EXPIRY`].
    pub expires_after_seconds: Option<u32>,
    /// True if the run fails when an input expires.
    pub fail_on_expiry: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Name of a tool; `*` stands for any characters.
    pub tool: String,
    pub decision: Decision,
    /// Patterns of the commands of `bash` that the rule is about. An empty list means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    Auto,
    Ask,
    Deny,
}

impl Approvals {
    /// # Errors
    /// INVALID_REQUEST.
    pub fn check(&self) -> Result<()> {
        let wrong = |message: String| Err(Error::invalid_field(FIELD, message));
        if self.rules.len() > MAX_RULES {
            return wrong(format!("approvals can have at most {MAX_RULES} rules"));
        }
        let is_pattern = |text: &String| (1..=MAX_PATTERN).contains(&text.len()) && !text.contains('\0');
        for rule in &self.rules {
            if !is_pattern(&rule.tool) || !rule.commands.iter().all(is_pattern) {
                return wrong(format!(
                    "names of tools and patterns of commands must have 1 to {MAX_PATTERN} bytes"
                ));
            }
            if rule.commands.len() > MAX_RULES {
                return wrong(format!("a rule can have at most {MAX_RULES} patterns of commands"));
            }
            if !rule.commands.is_empty() && rule.tool != bash::NAME {
                return wrong(format!("only a rule for the tool {} can have commands", bash::NAME));
            }
        }
        if self
            .expires_after_seconds
            .is_some_and(|seconds| !EXPIRY.contains(&seconds))
        {
            return wrong(format!(
                "expires_after_seconds must be {} to {}",
                EXPIRY.start(),
                EXPIRY.end()
            ));
        }
        Ok(())
    }

    pub fn expires_after_seconds(&self) -> u32 {
        self.expires_after_seconds.unwrap_or(DEFAULT_EXPIRY)
    }

    /// True if every call of the tool is refused, so that a run does not offer the tool.
    pub fn removes(&self, tool: &str) -> bool {
        let first = self.rules.iter().find(|rule| matches(&rule.tool, tool));
        first.is_some_and(|rule| rule.decision == Decision::Deny && rule.commands.is_empty())
    }

    /// Decides about a call.
    pub fn decide(&self, tool: &str, arguments: &Value) -> Decision {
        let first = self.rules.iter().find(|rule| rule.applies(tool, arguments));
        first.map_or(Decision::Auto, |rule| rule.decision)
    }
}

impl Rule {
    fn applies(&self, tool: &str, arguments: &Value) -> bool {
        if !matches(&self.tool, tool) {
            return false;
        }
        if self.commands.is_empty() {
            return true;
        }
        let command = command(arguments);
        let matched = |text: &str| self.commands.iter().any(|pattern| matches(pattern, text.trim()));
        match self.decision {
            Decision::Auto => !command.contains(OPERATORS) && matched(command),
            Decision::Ask | Decision::Deny => matched(command) || command.split(OPERATORS).any(matched),
        }
    }
}

/// Characters with which a shell command can contain another command, or write a file.
const OPERATORS: &[char] = &[';', '&', '|', '<', '>', '(', ')', '{', '}', '`', '$', '\n', '\r', '\\'];

/// The command of a call of `bash`; empty for other tools.
pub fn command(arguments: &Value) -> &str {
    arguments
        .get("command")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Approvals, Decision, Rule};

    fn rule(tool: &str, decision: Decision, commands: &[&str]) -> Rule {
        Rule {
            tool: tool.to_owned(),
            decision,
            commands: commands.iter().map(|pattern| (*pattern).to_owned()).collect(),
        }
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let approvals = Approvals {
            rules: vec![
                rule("bash", Decision::Deny, &["rm *", "sudo *"]),
                rule("bash", Decision::Auto, &["ls", "ls *", "git status"]),
                rule("bash", Decision::Ask, &[]),
                rule("github__delete_*", Decision::Deny, &[]),
                rule("github__*", Decision::Ask, &[]),
            ],
            ..Approvals::default()
        };
        for (command, decision) in [
            ("ls", Decision::Auto),
            (" ls -l /tmp ", Decision::Auto),
            ("git status", Decision::Auto),
            ("git push", Decision::Ask),
            ("lsof", Decision::Ask),
            ("ls; echo x", Decision::Ask),
            ("ls $(echo x)", Decision::Ask),
            ("ls > x", Decision::Ask),
            ("ls\necho x", Decision::Ask),
            ("rm x", Decision::Deny),
            ("cd y && rm x", Decision::Deny),
            ("ls `sudo id`", Decision::Deny),
            ("echo rm x", Decision::Ask),
        ] {
            assert_eq!(
                approvals.decide("bash", &json!({"command": command})),
                decision,
                "{command}"
            );
        }
        for (tool, decision) in [
            ("github__delete_repository", Decision::Deny),
            ("github__list", Decision::Ask),
            ("write", Decision::Auto),
        ] {
            assert_eq!(approvals.decide(tool, &json!({})), decision, "{tool}");
        }
        assert!(approvals.removes("github__delete_repository"));
        assert!(!approvals.removes("bash"));
        assert!(!approvals.removes("github__list"));
    }
}
