//! Advice for common mistakes in configuration files. No advice contains a value, because the value may be a secret.

use super::nearest::nearest;

/// Adds advice to the parser's message about a line that is not valid TOML.
pub(super) fn of_syntax(what: &str, line: &str) -> String {
    let Some((key, value)) = line.split_once('=') else {
        return what.to_owned();
    };
    let (key, value) = (key.trim(), value.trim());
    let starts_as_value = value.starts_with(['"', '\'', '[', '{']) || ["true", "false"].contains(&value);
    let is_number = value.parse::<f64>().is_ok();
    if value.is_empty() || starts_as_value || is_number {
        return what.to_owned();
    }
    format!("a text needs quotes: write {key} = \"…\" ({what})")
}

/// Adds advice to the message about a value of the wrong type or an unknown key.
pub(super) fn of_type(what: &str) -> String {
    if let Some(advice) = unknown(what) {
        return advice;
    }
    let Some((found, expected)) = what.rsplit_once(", expected ") else {
        return what.to_owned();
    };
    let wants = |words: &[&str]| words.iter().any(|word| expected.contains(word));
    let is_text = found.starts_with("invalid type: string");
    let advice = if !is_text && wants(&["string", "socket address"]) {
        "a text needs quotes"
    } else if is_text && wants(&["usize", "u64", "u32", "u16", "i64", "i32", "f64"]) {
        "write a number without quotes"
    } else if is_text && wants(&["boolean"]) {
        "write true or false, without quotes"
    } else if wants(&["a sequence"]) {
        "write a list in brackets"
    } else {
        return what.to_owned();
    };
    format!("{what}; {advice}")
}

/// Returns the message about an unknown key that resembles a known one.
fn unknown(what: &str) -> Option<String> {
    let (name, known) = what.strip_prefix("unknown field `")?.split_once("`, expected ")?;
    let known = known.split('`').skip(1).step_by(2);
    let meant = nearest(name, known)?;
    Some(format!("unknown field `{name}`; did you mean `{meant}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_without_quotes_gets_the_advice_about_quotes() {
        for line in [
            "a = b",
            "a = /var",
            "a.b = postgres://u:p@h/d",
            "a = 127.0.0.1:80",
            "a = [\"b\"] c = d",
        ] {
            let is_value = line.ends_with('d') && line.contains('[');
            assert_eq!(
                of_syntax("wrong", line).starts_with("a text needs quotes"),
                !is_value,
                "{line}"
            );
        }
        for line in ["a = \"b", "a = 3", "a", "a = ", "[a", "a = true"] {
            assert_eq!(of_syntax("wrong", line), "wrong", "{line}");
        }
        assert!(!of_syntax("wrong", "a = hunter2").contains("hunter2"));
    }

    #[test]
    fn a_wrong_type_gets_advice() {
        for (what, advice) in [
            ("invalid type: integer `3`, expected path string", "a text needs quotes"),
            ("invalid type: string \"3\", expected usize", "without quotes"),
            ("invalid type: string \"x\", expected a boolean", "true or false"),
            ("invalid type: string \"x\", expected a sequence", "in brackets"),
            (
                "unknown field `listn`, expected one of `limits`, `listen`",
                "did you mean `listen`?",
            ),
        ] {
            assert!(
                of_type(what).ends_with(advice) || of_type(what).contains(advice),
                "{what}"
            );
        }
        let far = "unknown field `x`, expected one of `limits`, `listen`";
        assert_eq!(of_type(far), far);
    }
}
