//! File names from outside, made harmless.

/// The longest name that is kept; leaves room for a number beneath the file system's 255.
const MAX_BYTES: usize = 200;

/// Makes a file name of what a client calls its file: the last component, without control and direction characters, without
/// a leading dot or dash and trailing dots and spaces, cut before 200 bytes with its extension kept; `file` when nothing is left.
pub fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c) && *c != char::REPLACEMENT_CHARACTER)
        .collect();
    let trimmed = visible
        .trim_start_matches(|c: char| c == '.' || c == '-' || c.is_whitespace())
        .trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    if trimmed.is_empty() {
        return "file".to_owned();
    }
    shorten(trimmed)
}

/// The same name with a number before its extension: `data.csv`, `data-2.csv`.
pub fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = split(name);
    format!("{stem}-{number}{extension}")
}

/// Direction marks, joiners of nothing, and other characters that make two different names look the same.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{00ad}')
}

fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let (stem, extension) = split(name);
    let extension = if extension.len() > 32 { "" } else { extension };
    let end = (0..=MAX_BYTES - extension.len())
        .rev()
        .find(|end| stem.is_char_boundary(*end))
        .unwrap_or_default();
    format!("{}{extension}", &stem[..end.min(stem.len())])
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
    fn names_from_outside_are_one_harmless_component() {
        for (given, kept) in [
            ("data.csv", "data.csv"),
            ("Umsätze 2026.csv", "Umsätze 2026.csv"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\x", "x"),
            ("C:\\x.txt", "x.txt"),
            ("/abs", "abs"),
            (".git/hooks/pre-commit", "pre-commit"),
            (".bashrc", "bashrc"),
            ("--help", "help"),
            ("a\nb\0c", "abc"),
            ("evil\u{202e}gpj.exe", "evilgpj.exe"),
            ("trailing. . ", "trailing"),
            ("", "file"),
            ("..", "file"),
            ("a/", "file"),
            ("%2e%2e%2f", "%2e%2e%2f"),
        ] {
            assert_eq!(clean_name(given), kept, "{given:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let name = clean_name(&format!("{}.csv", "ä".repeat(400)));
        assert!(name.len() <= MAX_BYTES && name.ends_with("ä.csv"), "{name}");
        assert_eq!(numbered("data.tar.gz", 2), "data.tar-2.gz");
        assert_eq!(numbered("data", 3), "data-3");
        assert!(clean_name(&format!("a.{}", "x".repeat(900))).len() <= MAX_BYTES);
    }
}
