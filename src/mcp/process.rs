//! Builds the command of a stdio server, and explains its failures.

use std::time::Duration;

use runyard_mcp::Error;

use crate::{
    agents::mcp::Server,
    sandbox::{Command, Execution},
};

/// Maximum lifetime of a server process, which normally ends with its run.
const MAX_LIFE: Duration = Duration::from_hours(24);
/// Maximum number of bytes of standard error in an error text.
const MAX_QUOTED: usize = 600;

pub(super) fn command(server: &Server) -> Command {
    let words = std::iter::once(&server.command).chain(&server.args);
    let line: Vec<String> = words.map(|word| quoted(word)).collect();
    Command {
        script: format!("exec {}", line.join(" ")),
        timeout: MAX_LIFE,
    }
}

/// Describes an error for the owner of the agent. The text ends with the last bytes of the process's standard error.
pub(super) fn explained(error: &Error, ended: Option<&Execution>) -> String {
    let Some(ended) = ended else { return error.to_string() };
    let mut text = error.to_string();
    if let Some(ending) = ended.ending.describe()
        && ended.ending != crate::sandbox::CommandEnd::Cancelled
    {
        text = format!("{text}; the command ended: {ending}");
    }
    let stderr = ended.text.trim();
    if !stderr.is_empty() {
        let tail = &stderr[stderr.ceil_char_boundary(stderr.len().saturating_sub(MAX_QUOTED))..];
        text = format!("{text}; its standard error: {tail}");
    }
    text
}

/// Quotes a text as one word for a shell.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("plain"), "'plain'");
        assert_eq!(quoted("it's $HOME; rm *"), "'it'\\''s $HOME; rm *'");
    }
}
