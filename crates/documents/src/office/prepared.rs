//! Rewrites Word files before the library reads them: it knows the elements only with the prefix `w`, and it shows text
//! that a tracked change moved twice.

use std::borrow::Cow;

use quick_xml::{Reader, events::Event};

use crate::package;

/// Names of the namespace of Word's elements: in the transitional and in the strict format of ISO 29500.
const NAMESPACES: [&str; 2] = [
    "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "http://purl.oclc.org/ooxml/wordprocessingml/main",
];
/// The namespace is declared in the first bytes of a part.
const HEAD_BYTES: usize = 64 << 10;

/// Returns the file with the prefix `w`, and with moved text only at its new place.
pub fn prepared(bytes: &[u8]) -> Cow<'_, [u8]> {
    let rewritten = package::rewritten(bytes, |name, content| {
        if !name.starts_with("word/") {
            return None;
        }
        let renamed = prefix(content).and_then(|prefix| renamed(content, prefix));
        let content = renamed.as_deref().unwrap_or(content);
        let moved = content.contains("moveFrom ").then(|| without_moved(content)).flatten();
        moved.or(renamed)
    });
    rewritten.map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// Returns the prefix of Word's elements if it is not `w`; empty if the elements have none.
fn prefix(xml: &str) -> Option<&str> {
    let head = &xml[..xml.floor_char_boundary(HEAD_BYTES)];
    let at = NAMESPACES.iter().find_map(|namespace| {
        let quoted = |quote: char| head.find(&format!("={quote}{namespace}{quote}"));
        quoted('"').or_else(|| quoted('\''))
    })?;
    let declaration = head[..at].rsplit(|letter: char| letter.is_ascii_whitespace()).next()?;
    let prefix = match declaration {
        "xmlns" => "",
        other => other.strip_prefix("xmlns:")?,
    };
    (prefix != "w").then_some(prefix)
}

/// Replaces the prefix of elements and attributes by `w`. Returns `None` if the XML is damaged.
fn renamed(xml: &str, prefix: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut renamed = String::with_capacity(xml.len());
    loop {
        let from = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let raw = xml.get(from..usize::try_from(reader.buffer_position()).ok()?)?;
        match event {
            Event::Start(_) | Event::Empty(_) | Event::End(_) => rename(raw, prefix, &mut renamed),
            Event::Eof => return Some(renamed),
            _ => renamed.push_str(raw),
        }
    }
}

/// Appends a tag with the prefix `w`.
fn rename(tag: &str, prefix: &str, renamed: &mut String) {
    let mut quote = None;
    let (mut is_start, mut is_element) = (true, true);
    let mut rest = tag;
    while let Some(letter) = rest.chars().next() {
        if is_start && quote.is_none() && !matches!(letter, '<' | '/') && !letter.is_ascii_whitespace() {
            is_start = false;
            let name = rest.split(|letter: char| letter.is_ascii_whitespace() || "=/>".contains(letter));
            let name = name.clone().next().unwrap_or_default();
            let local = match prefix {
                "" => (is_element && !name.contains(':')).then_some(name),
                prefix => name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(':')),
            };
            is_element = false;
            if let Some(local) = local {
                renamed.push_str("w:");
                rest = &rest[name.len() - local.len()..];
                continue;
            }
        }
        match quote {
            Some(open) if letter == open => quote = None,
            None if matches!(letter, '"' | '\'') => quote = Some(letter),
            None if letter.is_ascii_whitespace() => is_start = true,
            _ => {}
        }
        renamed.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
}

/// Removes the text that was moved to another place. Returns `None` if the XML is damaged.
fn without_moved(xml: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut kept = String::with_capacity(xml.len());
    let (mut depth, mut from) = (0_usize, 0);
    loop {
        let at = usize::try_from(reader.buffer_position()).ok()?;
        match reader.read_event().ok()? {
            Event::Start(start) if start.local_name().as_ref() == "moveFrom" => {
                if depth == 0 {
                    kept.push_str(xml.get(from..at)?);
                }
                depth += 1;
            }
            Event::End(end) if end.local_name().as_ref() == "moveFrom" => {
                depth = depth.checked_sub(1)?;
                from = usize::try_from(reader.buffer_position()).ok()?;
            }
            Event::Eof if depth == 0 => {
                kept.push_str(xml.get(from..)?);
                return Some(kept);
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_prefixes_are_replaced() {
        let [transitional, strict] = NAMESPACES;
        let text = format!("<n:p xmlns:n=\"{strict}\" n:id='n:p' a:n=\"1\">n:p <n:t\n n:x=\"<\"/></n:p>");
        let expected = format!("<w:p xmlns:n=\"{strict}\" w:id='n:p' a:n=\"1\">n:p <w:t\n w:x=\"<\"/></w:p>");
        assert_eq!(prefix(&text), Some("n"));
        assert_eq!(renamed(&text, "n"), Some(expected));
        let text = format!("<p xmlns='{transitional}' b='1'><a:t/><t/></p>");
        assert_eq!(prefix(&text), Some(""));
        let expected = format!("<w:p xmlns='{transitional}' b='1'><a:t/><w:t/></w:p>");
        assert_eq!(renamed(&text, ""), Some(expected));
        assert_eq!(prefix(&format!("<w:p xmlns:w=\"{transitional}\"/>")), None);
        assert_eq!(prefix("<w:p/>"), None);
    }

    #[test]
    fn only_the_old_place_of_moved_text_is_removed() {
        let xml = "<w:p>a<w:moveFrom w:id=\"1\"><w:r>b</w:r></w:moveFrom>c<w:rPr><w:moveFrom w:id=\"2\"/></w:rPr><w:moveTo>d</w:moveTo></w:p>";
        let kept = "<w:p>ac<w:rPr><w:moveFrom w:id=\"2\"/></w:rPr><w:moveTo>d</w:moveTo></w:p>";
        assert_eq!(without_moved(xml).as_deref(), Some(kept));
        assert_eq!(without_moved("<w:moveFrom><w:p>"), None);
    }
}
