//! Decodes text files. The encoding comes from the byte order mark, or else from a declaration. Without both, UTF-16
//! is recognized by its NUL bytes, and other bytes are UTF-8 or, if they are invalid in UTF-8, Windows-1252.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Number of bytes at the start of a file that are searched for a declared encoding.
const PRESCAN_BYTES: usize = 4096;

/// Decodes bytes as text. `declared` is the label of an encoding that the source of the bytes stated, such as the
/// charset of an HTTP response. Bytes that are invalid in the encoding become U+FFFD.
pub fn decode<'a>(bytes: &'a [u8], declared: Option<&str>) -> Cow<'a, str> {
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let encoding = declared.unwrap_or_else(|| guess(bytes));
    // `decode` prefers the encoding of a byte order mark, and removes the mark.
    encoding.decode(bytes).0
}

/// Decodes HTML or XML. If `declared` is missing or unknown, uses the encoding that the first bytes declare.
pub fn decode_markup<'a>(bytes: &'a [u8], declared: Option<&str>) -> Cow<'a, str> {
    let stated = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    match stated.or_else(|| stated_in(bytes)) {
        Some(encoding) => encoding.decode(bytes).0,
        None => decode(bytes, None),
    }
}

/// Returns the encoding of a code page, as RTF and old office formats name it.
pub fn of_code_page(number: u16) -> Option<&'static Encoding> {
    let label = match number {
        437 | 850 | 1252 => return Some(WINDOWS_1252),
        866 => "ibm866".to_owned(),
        874 => "windows-874".to_owned(),
        932 => "shift_jis".to_owned(),
        936 => "gbk".to_owned(),
        949 => "euc-kr".to_owned(),
        950 => "big5".to_owned(),
        10000 => "macintosh".to_owned(),
        65001 => "utf-8".to_owned(),
        1250..=1258 => format!("windows-{number}"),
        _ => return None,
    };
    Encoding::for_label(label.as_bytes())
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if let Some(encoding) = utf_16_without_mark(bytes) {
        return encoding;
    }
    // A cut file can end within a character.
    match std::str::from_utf8(bytes) {
        Ok(_) => UTF_8,
        Err(error) if error.error_len().is_none() => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

/// Detects UTF-16 by the NUL bytes of its ASCII characters.
fn utf_16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(PRESCAN_BYTES) & !1];
    let zeros = |offset: usize| start.iter().skip(offset).step_by(2).filter(|byte| **byte == 0).count();
    let (first, second) = (zeros(0), zeros(1));
    let enough = start.len() / 2 * 2 / 5;
    if start.len() >= 8 && second > enough && first == 0 {
        Some(UTF_16LE)
    } else if start.len() >= 8 && first > enough && second == 0 {
        Some(UTF_16BE)
    } else {
        None
    }
}

/// Finds `charset=…` of an HTML meta element, or `encoding="…"` of an XML declaration.
fn stated_in(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = bytes[..bytes.len().min(PRESCAN_BYTES)].to_ascii_lowercase();
    let start = String::from_utf8_lossy(&start);
    let label = if let Some(declaration) = start.trim_start_matches('\u{feff}').strip_prefix("<?xml") {
        let declaration = declaration.split('>').next()?;
        value_after(declaration, "encoding").or_else(|| charset(&start))
    } else {
        charset(&start)
    }?;
    let encoding = Encoding::for_label(label.as_bytes())?;
    // A text whose encoding label is readable as ASCII is not UTF-16.
    Some(if encoding == UTF_16LE || encoding == UTF_16BE {
        UTF_8
    } else {
        encoding
    })
}

fn charset(start: &str) -> Option<&str> {
    let metas = start.match_indices("<meta").map(|(at, _)| &start[at..]);
    metas
        .filter_map(|meta| meta.split('>').next())
        .find_map(|meta| value_after(meta, "charset"))
}

fn value_after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    let value = rest.trim_start().strip_prefix('=')?.trim_start();
    let value = value.trim_start_matches(['"', '\'']);
    let end = value.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_:.".contains(letter)));
    let value = &value[..end.unwrap_or(value.len())];
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_the_statement_and_the_bytes_choose_the_encoding() {
        assert_eq!(decode("Grüße".as_bytes(), None), "Grüße");
        assert_eq!(decode(b"Gr\xfc\xdfe", None), "Grüße");
        assert_eq!(decode(b"\xef\xbb\xbfa", None), "a");
        assert_eq!(decode(b"\xff\xfea\0b\0", None), "ab");
        assert_eq!(decode(b"a\0;\0b\0\n\0c\0", None), "a;b\nc");
        assert_eq!(decode(b"\0a\0;\0b\0\n\0c", None), "a;b\nc");
        assert_eq!(decode(b"\xcf\xf0\xe8", Some("windows-1251")), "При");
        assert_eq!(decode("Grüße".as_bytes(), Some("no such label")), "Grüße");
        // The last character is cut.
        assert_eq!(decode(b"Gr\xc3\xbc\xc3", None), "Grü\u{fffd}");
    }

    #[test]
    fn markup_states_its_encoding() {
        let russian = |head: &str| [head.as_bytes(), b"\xcf\xf0\xe8"].concat();
        let stated = |head: &str| decode_markup(&russian(head), None).into_owned();
        assert!(stated("<meta charset=windows-1251>").ends_with("При"));
        assert!(stated("<META content='text/html; charset=windows-1251' />").ends_with("При"));
        assert!(stated("<?xml version='1.0' encoding='windows-1251'?>").ends_with("При"));
        assert!(stated("<p>charset=windows-1251</p>").ends_with("Ïðè"));
        assert_eq!(
            decode_markup("<meta charset=utf-16>ü".as_bytes(), None),
            "<meta charset=utf-16>ü"
        );
        assert_eq!(
            decode_markup("<meta charset=latin1>ü".as_bytes(), Some("utf-8")),
            "<meta charset=latin1>ü"
        );
    }

    #[test]
    fn code_pages_have_encodings() {
        assert_eq!(of_code_page(1251).map(Encoding::name), Some("windows-1251"));
        assert_eq!(of_code_page(932).map(Encoding::name), Some("Shift_JIS"));
        assert_eq!(of_code_page(10000).map(Encoding::name), Some("macintosh"));
        assert_eq!(of_code_page(42), None);
    }
}
