//! Gives each tool of a server a name for the model: `server__tool`.
//!
//! Model providers accept 1 to 64 letters, digits, `_` and `-`, and some require a letter or `_` at the start.
//! Servers may use any characters. A name that is too long or already used is shortened and gets a hash. Tools in the
//! same order always get the same names.

use std::collections::BTreeSet;

const MAX_LENGTH: usize = 64;
const HASH_LENGTH: usize = 8;

/// Number of characters at the start of a server's name that are never cut.
const MIN_SERVER: usize = 16;
const SEPARATOR: &str = "__";

/// The names of a run's tools.
#[derive(Debug, Default)]
pub struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// Returns a new name for a tool of a server.
    pub fn give(&mut self, server: &str, tool: &str) -> String {
        let (server_name, tool_name) = (first_safe(&safe(server)), safe(tool));
        let mut name = format!("{server_name}{SEPARATOR}{tool_name}");
        let mut attempt = 0_u32;
        while name.len() > MAX_LENGTH || !self.taken.insert(name.clone()) {
            let hash = blake3::hash(format!("{server}\0{tool}\0{attempt}").as_bytes()).to_hex();
            name = format!("{}_{}", shortened(&server_name, &tool_name), &hash[..HASH_LENGTH]);
            attempt += 1;
        }
        name
    }
}

fn safe(name: &str) -> String {
    let is_safe = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    name.chars()
        .map(|letter| if is_safe(letter) { letter } else { '_' })
        .collect()
}

fn first_safe(name: &str) -> String {
    let is_safe = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if is_safe { name.to_owned() } else { format!("_{name}") }
}

/// Joins the two names, cut so that `_` and a hash still fit. The server's name is cut first, because the tool's name
/// tells the model more. Names are ASCII here, so they can be cut at any byte.
fn shortened(server: &str, tool: &str) -> String {
    let room = MAX_LENGTH - HASH_LENGTH - 1 - SEPARATOR.len();
    let server = &server[..server.len().min(room.saturating_sub(tool.len()).max(MIN_SERVER))];
    let tool = &tool[..tool.len().min(room - server.len())];
    format!("{server}{SEPARATOR}{tool}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(name: &str) -> bool {
        let mut letters = name.chars();
        letters
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
            && name.len() <= MAX_LENGTH
    }

    #[test]
    fn every_name_is_accepted_by_providers_and_unique() {
        let mut names = Names::default();
        assert_eq!(names.give("weather", "get_forecast"), "weather__get_forecast");
        assert_eq!(names.give("my server", "a/b"), "my_server__a_b");
        let long = names.give(&"server".repeat(10), "get_the_weather_forecast");
        assert!(
            long.starts_with("serverserver") && long.contains("__get_the_weather_forecast_"),
            "{long}"
        );
        let mut given = BTreeSet::new();
        let long = "x".repeat(100);
        for server in ["1st", "größe", "my server", "my/server", long.as_str(), "-"] {
            for tool in ["a b", "a_b", "a/b", "ä", "", long.as_str(), "a\u{0}b"] {
                let name = names.give(server, tool);
                assert!(is_accepted(&name), "{name}");
                assert!(given.insert(name.clone()), "{name} was given twice");
            }
        }
    }

    #[test]
    fn the_same_tools_get_the_same_names() {
        let give = || {
            let mut names = Names::default();
            ["a b", "a/b", "a_b", "a b"].map(|tool| names.give("server", tool))
        };
        assert_eq!(give(), give());
        assert_eq!(give()[0], "server__a_b");
    }
}
