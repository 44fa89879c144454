//! The modes: the tools, the prompt and the budget of a run.
//!
//! The configuration can replace the three built-in modes and add others. A run's row names its mode, and the worker
//! looks the mode up again at each claim.

use serde::Deserialize;

use super::place::Mistake;
use crate::error::{Error, Result};

/// Maximum length of a mode's name in bytes.
const MAX_NAME: usize = 64;

/// Mode of a run whose request names none.
pub const DEFAULT_MODE: &str = "code";

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    pub name: String,
    /// One sentence for people who choose a mode.
    pub description: String,
    /// Names of the tools that a run may use. A `*` stands for any characters: `github__*` allows all tools of the
    /// MCP server github.
    pub tools: Vec<String>,
    /// Added to the system prompt.
    #[serde(default)]
    pub prompt: String,
    /// Maximum number of model calls per run; `None` for the worker's `max_steps`.
    pub max_steps: Option<u32>,
    /// Maximum number of tokens per run; `None` for the worker's `max_tokens`.
    pub max_tokens: Option<u64>,
    /// Maximum duration of a run, unless the plan's limit is shorter.
    pub run_timeout_seconds: Option<u64>,
}

impl Mode {
    pub fn allows(&self, tool: &str) -> bool {
        self.tools.iter().any(|pattern| matches(pattern, tool))
    }

    /// True if the mode permits tools of MCP servers. The names of these tools contain `__`.
    pub fn allows_servers(&self) -> bool {
        self.tools
            .iter()
            .any(|pattern| pattern.contains('*') || pattern.contains("__"))
    }
}

/// True if `pattern` matches the whole name. A `*` in the pattern stands for any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(start) else {
        return false;
    };
    let mut ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    ends.any(|at| matches(rest, &name[at..]))
}

#[derive(Clone, Debug)]
pub struct ModeTable {
    modes: Vec<Mode>,
}

impl ModeTable {
    /// A configured mode replaces the built-in mode of the same name. `check` must have accepted the configured modes.
    pub fn new(configured: &[Mode]) -> Self {
        let mut modes = built_in().to_vec();
        for mode in configured {
            match modes.iter_mut().find(|other| other.name == mode.name) {
                Some(other) => other.clone_from(mode),
                None => modes.push(mode.clone()),
            }
        }
        Self { modes }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Mode> {
        self.modes.iter()
    }

    /// An empty name selects [`DEFAULT_MODE`].
    ///
    /// # Errors
    /// INVALID_REQUEST with the names of all modes.
    pub fn load(&self, name: &str) -> Result<&Mode> {
        let name = if name.is_empty() { DEFAULT_MODE } else { name };
        self.modes.iter().find(|mode| mode.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.modes.iter().map(|mode| mode.name.as_str()).collect();
            Error::invalid_field("mode", format!("mode must be one of {}", names.join(", ")))
        })
    }
}

fn built_in() -> [Mode; 3] {
    let mode = |name: &str, description: &str, tools: &[&str], prompt: &str| Mode {
        name: name.to_owned(),
        description: description.to_owned(),
        tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
        prompt: prompt.to_owned(),
        ..Mode::default()
    };
    [
        mode(
            DEFAULT_MODE,
            "The agent works with all its tools in its sandbox.",
            &["*"],
            "",
        ),
        mode(
            "chat",
            "The agent answers without a sandbox. It may use its memory, its skills and the web.",
            &[
                "remember",
                "recall",
                "forget",
                "skill",
                "web_fetch",
                "web_search",
                "ask_user",
            ],
            "",
        ),
        mode(
            "plan",
            "The agent reads, changes nothing, and ends with a plan.",
            &[
                "read",
                "glob",
                "grep",
                "recall",
                "skill",
                "web_fetch",
                "web_search",
                "ask_user",
            ],
            PLAN,
        ),
    ]
}

const PLAN: &str = "\
You are in plan mode. You can read, but you cannot run commands or change anything.
- Read what you need in order to understand the task. Do not guess what a file contains.
- Do not carry out the task, and do not claim that you did.
- End with a plan: the goal in one sentence, the numbered steps with the files that each step changes, how to check the \
result, and the questions that are still open.";

pub(super) fn check(modes: &[Mode]) -> std::result::Result<(), Mistake<'_>> {
    let is_plain = |text: &str, more: &str| {
        (1..=MAX_NAME).contains(&text.len())
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || more.contains(letter))
    };
    for (index, mode) in modes.iter().enumerate() {
        let wrong = |key, what: String| Err(Mistake::entry("modes", (index, key), what));
        if !is_plain(&mode.name, "_-") {
            let what = format!("a name must have 1 to {MAX_NAME} letters, digits, hyphens and underscores");
            return wrong("name", what);
        }
        if modes[..index].iter().any(|other| other.name == mode.name) {
            return wrong("name", format!("the name {} occurs twice", mode.name));
        }
        if let Some(tool) = mode.tools.iter().find(|tool| !is_plain(tool, "_-.:*")) {
            let what = format!(
                "the mode {} names {tool:?}, which is not a valid tool name; use letters, digits and _ - . : *",
                mode.name
            );
            return wrong("tools", what);
        }
        let limits = [
            ("max_steps", mode.max_steps.map(u64::from)),
            ("max_tokens", mode.max_tokens),
            ("run_timeout_seconds", mode.run_timeout_seconds),
        ];
        if let Some((key, _)) = limits.into_iter().find(|(_, limit)| *limit == Some(0)) {
            let what = format!(
                "a limit of the mode {} must be 1 or more; to remove the limit, remove the key",
                mode.name
            );
            return wrong(key, what);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        let mode = |tools: &[&str]| Mode {
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            ..Mode::default()
        };
        let some = mode(&["read", "github__*", "*_search", "a*b*c"]);
        for tool in ["read", "github__", "github__list", "web_search", "abc", "a-b-b-c"] {
            assert!(some.allows(tool), "{tool}");
        }
        for tool in [
            "",
            "reads",
            "bread",
            "github_list",
            "gitlab__list",
            "search",
            "ab",
            "bc",
            "abcd",
        ] {
            assert!(!some.allows(tool), "{tool}");
        }
        assert!(mode(&["*"]).allows("anything__at_all"));
        assert!(!mode(&[]).allows("read"));
    }
}
