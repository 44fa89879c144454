//! Turns the names and paths that clients send into safe names for the workspace.
//!
//! Names are normalised to Unicode NFC. Otherwise two names with different code points could look the same, and an
//! upload could imitate another file.

use unicode_normalization::UnicodeNormalization;

use crate::error::{Error, Result};

/// Maximum length of a name in bytes. File systems allow 255 bytes, so a suffix such as `-2` still fits.
const MAX_BYTES: usize = 200;

/// Returns a safe file name: the last segment of the given path, without control characters. `_` replaces characters
/// that Windows forbids. The result is never empty, hidden, or similar to a command-line option.
pub fn sanitise(given: &str) -> String {
    let last = given
        .rsplit(['/', '\\'])
        .find(|part| !part.trim_matches(['.', ' ']).is_empty())
        .unwrap_or("");
    let mut name: String = last
        .nfc()
        .filter(|letter| !letter.is_control() && !is_invisible(*letter))
        .map(|letter| if "<>:\"|?*".contains(letter) { '_' } else { letter })
        .collect();
    while name.ends_with(['.', ' ']) {
        name.pop();
    }
    let plain = name.trim_start_matches([' ', '.', '-']);
    let mut plain = if plain.len() == name.len() {
        name.clone()
    } else {
        format!("_{plain}")
    };
    if plain.is_empty() || plain == "_" {
        "file".clone_into(&mut plain);
    }
    cut(&plain)
}

/// Returns the first free name in the series `data.csv`, `data-2.csv`, `data-3.csv` and so on.
pub fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    let mut number = 2_usize;
    loop {
        let candidate = format!("{stem}-{number}{ending}");
        if !is_taken(&candidate) {
            return candidate;
        }
        number += 1;
    }
}

pub fn canonical(name: &str) -> String {
    name.nfc().collect()
}

/// Returns the NFC form of a requested path.
///
/// # Errors
/// INVALID_REQUEST if the path contains invisible or control characters. The workspace checks all other rules for
/// paths.
pub fn path(given: &str) -> Result<String> {
    if given.chars().any(|letter| letter.is_control() || is_invisible(letter)) {
        let message = "path must not contain control characters or invisible characters";
        return Err(Error::invalid_field("path", message));
    }
    Ok(canonical(given))
}

// Bidirectional controls can make `vsc.exe` look like `exe.csv`. Invisible characters can make different names look
// the same.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn cut(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    let ending = if ending.len() < 20 { ending } else { "" };
    let mut end = MAX_BYTES - ending.len();
    while !stem.is_char_boundary(end.min(stem.len())) {
        end -= 1;
    }
    format!("{}{ending}", &stem[..end.min(stem.len())])
}

fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 => name.split_at(dot),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_become_plain_file_names() {
        for (given, plain) in [
            ("data.csv", "data.csv"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\x.txt", "x.txt"),
            ("/abs/olute", "olute"),
            ("C:\\boot.ini", "boot.ini"),
            ("a\0b\nc", "abc"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("   ", "file"),
            ("-rf", "_rf"),
            (".bashrc", "_bashrc"),
            (".git/hooks/pre-commit", "pre-commit"),
            ("trailing. .", "trailing"),
            ("x\u{202e}vsc.exe", "xvsc.exe"),
            ("a:b?.txt", "a_b_.txt"),
            ("dir/", "dir"),
            ("%2e%2e%2f", "%2e%2e%2f"),
            ("u\u{308}ber.txt", "\u{fc}ber.txt"),
            ("a\u{200b}b.txt", "ab.txt"),
        ] {
            assert_eq!(sanitise(given), plain, "{given:?}");
        }
        let long = format!("{}.csv", "ä".repeat(400));
        assert!(sanitise(&long).len() <= MAX_BYTES && sanitise(&long).rsplit('.').next() == Some("csv"));
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let is_taken = |name: &str| ["data.csv", "data-2.csv", "plain"].contains(&name);
        assert_eq!(free("data.csv", is_taken), "data-3.csv");
        assert_eq!(free("plain", is_taken), "plain-2");
        assert_eq!(free("other.csv", is_taken), "other.csv");
    }
}
