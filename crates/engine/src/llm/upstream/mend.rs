//! Repairs JSON that is invalid but unambiguous.
//!
//! Some servers send half of a surrogate pair (`\ud83d`) at the end of a token, because their tokenizers split
//! characters. Others do not escape control characters in strings.

use std::{borrow::Cow, fmt::Write};

/// Lone surrogates become U+FFFD, and control characters in strings are escaped. Valid JSON does not change.
pub(super) fn mend(text: &str) -> Cow<'_, str> {
    let has_control = text.bytes().any(|byte| byte < b' ');
    if !has_control && !has_surrogate(text) {
        return Cow::Borrowed(text);
    }
    let mended = rewrite(text);
    if mended == text {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(mended)
    }
}

/// Returns whether the text may contain an escaped surrogate, paired or not.
fn has_surrogate(text: &str) -> bool {
    text.contains("\\ud") || text.contains("\\uD")
}

fn rewrite(text: &str) -> String {
    let mut mended = String::with_capacity(text.len() + 16);
    let mut in_string = false;
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let mut length = character.len_utf8();
        match character {
            '"' => {
                in_string = !in_string;
                mended.push('"');
            }
            '\\' if in_string => {
                length = escape(rest, &mut mended);
            }
            control if in_string && control < ' ' => {
                // Writing to a `String` cannot fail.
                let _ = write!(mended, "\\u{:04x}", u32::from(control));
            }
            other => mended.push(other),
        }
        rest = &rest[length..];
    }
    mended
}

/// Copies the escape sequence at the start of `rest`. A lone surrogate becomes U+FFFD. Returns the length of the
/// sequence in bytes.
fn escape(rest: &str, mended: &mut String) -> usize {
    let Some(first) = unit(rest) else {
        let length = 1 + rest.chars().nth(1).map_or(0, char::len_utf8);
        mended.push_str(&rest[..length]);
        return length;
    };
    let is_pair = (0xD800..0xDC00).contains(&first)
        && rest
            .get(6..)
            .and_then(unit)
            .is_some_and(|low| (0xDC00..0xE000).contains(&low));
    if is_pair {
        mended.push_str(&rest[..12]);
        12
    } else if (0xD800..0xE000).contains(&first) {
        mended.push('\u{fffd}');
        6
    } else {
        mended.push_str(&rest[..6]);
        6
    }
}

/// Returns the UTF-16 code unit of the escape sequence `\uXXXX` at the start of `text`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_and_control_characters_are_repaired() {
        let table = [
            (r#"{"a":"x\ud83d"}"#, "{\"a\":\"x\u{fffd}\"}"),
            (r#"{"a":"\ude00y"}"#, "{\"a\":\"\u{fffd}y\"}"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "{\"a\":\"\u{fffd}\\ud83d\\ude00\"}"),
            ("{\"a\":\"\0\"}", r#"{"a":"\u0000"}"#),
            ("{\n\"a\":\"\t\"}", "{\n\"a\":\"\\u0009\"}"),
            (r#"{"a":"\\ud83d"}"#, r#"{"a":"\\ud83d"}"#),
            (r#"{"a":"\ud83d\ude00"}"#, r#"{"a":"\ud83d\ude00"}"#),
            ("{\"a\": 1,\n\"b\": \"\\\"\"}", "{\"a\": 1,\n\"b\": \"\\\"\"}"),
            ("\"\\ud8", "\"\\ud8"),
        ];
        for (broken, expected) in table {
            assert_eq!(mend(broken), expected, "{broken}");
        }
    }
}
