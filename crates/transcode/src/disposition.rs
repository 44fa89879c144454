//! Reads the field name and file name in the `Content-Disposition` header of a form part.
//!
//! Clients encode non-ASCII names in different ways: UTF-8 (RFC 7578), `filename*` (RFC 8187), encoded words (RFC
//! 2047), percent-encoding, Latin-1. All of them are decoded. `filename*` takes precedence over `filename`.

use std::borrow::Cow;

use base64::{Engine, engine::general_purpose::STANDARD};
use encoding_rs::{Encoding, WINDOWS_1252};
use percent_encoding::percent_decode_str;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Disposition {
    pub name: Option<String>,
    /// `None` if the part is text, not a file.
    pub file_name: Option<String>,
}

impl Disposition {
    /// Parses the header. A name whose encoding is invalid is returned undecoded.
    pub fn read(header: &[u8]) -> Self {
        let header = match str::from_utf8(header) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => WINDOWS_1252.decode_without_bom_handling(header).0,
        };
        let parameters = parameters(&header);
        let value = |name: &str| {
            let named = |name: &str| {
                parameters
                    .iter()
                    .find(|(known, _)| known == name)
                    .map(|(_, value)| value)
            };
            let extended = named(&format!("{name}*")).and_then(|value| extended(value));
            extended.or_else(|| named(name).map(|value| plain(value)))
        };
        Self {
            name: value("name"),
            file_name: value("filename"),
        }
    }
}

/// Splits a header into its parameters, with names in lower case.
fn parameters(header: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while !rest.is_empty() {
        let end = rest.find(['=', ';']).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=') else {
            rest = after.get(1..).unwrap_or_default();
            continue;
        };
        let value = value.trim_start();
        let (value, after) = if let Some(quoted) = value.strip_prefix('"') {
            unquote(quoted)
        } else {
            let (value, after) = value.split_once(';').unwrap_or((value, ""));
            (value.trim_end().to_owned(), after)
        };
        parameters.push((name.trim().to_ascii_lowercase(), value));
        rest = after;
    }
    parameters
}

/// Reads a quoted string. Returns the unquoted text and the rest of the header.
fn unquote(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        let after = &quoted[at + letter.len_utf8()..];
        match letter {
            '"' => return (text, after),
            // A backslash escapes a backslash or a quote. Before the last quote, a backslash belongs to the name,
            // because browsers do not escape backslashes.
            '\\' if after.starts_with('\\') || (after.starts_with('"') && after[1..].contains('"')) => {
                text.extend(letters.next().map(|(_, escaped)| escaped));
            }
            _ => text.push(letter),
        }
    }
    (text, "")
}

/// Decodes the value of a parameter with `*`, such as `UTF-8''caf%C3%A9`; `None` if it is invalid.
fn extended(value: &str) -> Option<String> {
    let mut parts = value.splitn(3, '\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    in_charset(charset, &percent_decode_str(text).collect::<Vec<_>>())
}

/// Decodes the value of a parameter without `*`.
fn plain(value: &str) -> String {
    encoded_words(value)
        .or_else(|| percent_encoded(value))
        .unwrap_or_else(|| unescape(value))
}

/// Decodes only the characters that browsers percent-encode: quotes and line breaks.
fn unescape(value: &str) -> String {
    if !value.contains('%') {
        return value.to_owned();
    }
    let value = value.replace("%22", "\"");
    let value = value.replace("%0D", "\r").replace("%0d", "\r");
    value.replace("%0A", "\n").replace("%0a", "\n")
}

/// Decodes a percent-encoded value with non-ASCII characters; `None` for any other value.
fn percent_encoded(value: &str) -> Option<String> {
    if !value.is_ascii() || !value.contains('%') {
        return None;
    }
    let decoded = percent_decode_str(value).decode_utf8().ok()?;
    (!decoded.is_ascii()).then(|| decoded.into_owned())
}

/// Decodes encoded words such as `=?utf-8?B?Y2Fmw6k=?=`; `None` for any other value.
fn encoded_words(value: &str) -> Option<String> {
    let words = value.split_ascii_whitespace();
    let decoded: Option<String> = words.map(encoded_word).collect();
    decoded.filter(|text| !text.is_empty())
}

fn encoded_word(word: &str) -> Option<String> {
    let word = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let mut parts = word.splitn(3, '?');
    let (charset, encoding, text) = (parts.next()?, parts.next()?, parts.next()?);
    // A language may follow the charset (RFC 2231).
    let charset = charset.split('*').next().unwrap_or_default();
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(text).ok()?,
        "Q" | "q" => {
            let text = text.replace('%', "%25").replace('_', " ").replace('=', "%");
            percent_decode_str(&text).collect()
        }
        _ => return None,
    };
    in_charset(charset, &bytes)
}

/// Decodes bytes in the charset with this label; `None` if the charset is unknown or the bytes are invalid.
pub fn in_charset(charset: &str, bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
    Some(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_file(header: impl AsRef<[u8]>, name: &str) {
        let header = [b"form-data; name=\"files\"; ", header.as_ref()].concat();
        let read = Disposition::read(&header);
        let shown = String::from_utf8_lossy(&header).into_owned();
        assert_eq!(read.file_name.as_deref(), Some(name), "{shown}");
        assert_eq!(read.name.as_deref(), Some("files"), "{shown}");
    }

    #[test]
    fn file_names_of_common_clients_are_read() {
        // Browsers and curl (RFC 7578).
        assert_file("filename=\"文件.csv\"", "文件.csv");
        assert_file("filename=plain.txt", "plain.txt");
        assert_file("FileName = \"a b.txt\" ", "a b.txt");
        assert_file("filename=\"say %22hi%22%0D%0A.txt\"", "say \"hi\"\r\n.txt");
        assert_file("filename=\"100%25.txt\"", "100%25.txt");
        // Older versions of curl and Firefox escape with backslashes; other clients do not.
        assert_file(r#"filename="say \"hi\".txt""#, "say \"hi\".txt");
        assert_file(r#"filename="a\\b.txt""#, "a\\b.txt");
        assert_file(r#"filename="C:\dir\a.txt""#, "C:\\dir\\a.txt");
        assert_file(r#"filename="a\""#, "a\\");
        // Java and Python send `filename*` (RFC 8187). .NET adds a `filename` with an encoded word (RFC 2047).
        assert_file("filename*=UTF-8''caf%C3%A9.txt", "café.txt");
        assert_file("filename*=utf-8'en'caf%c3%a9.txt; filename=\"cafe.txt\"", "café.txt");
        assert_file("filename=\"cafe.txt\"; filename*=\"UTF-8''caf%C3%A9.txt\"", "café.txt");
        assert_file("filename*=iso-8859-1''caf%E9.txt", "café.txt");
        assert_file(
            "filename=\"=?utf-8?B?5paH5Lu2LmNzdg==?=\"; filename*=utf-8''%E6%96%87%E4%BB%B6.csv",
            "文件.csv",
        );
        assert_file("filename=\"=?utf-8?B?5paH5Lu2LmNzdg==?=\"", "文件.csv");
        assert_file("filename==?UTF-8?Q?caf=C3=A9_1.txt?=", "café 1.txt");
        assert_file("filename=\"=?utf-8?B?Y2Fm?= =?utf-8*en?Q?=C3=A9?=\"", "café");
        assert_file("filename=\"=?iso-8859-1?Q?caf=E9?=\"", "café");
        // Some libraries percent-encode the whole name. Old programs send Latin-1.
        assert_file("filename=\"caf%C3%A9%201.txt\"", "café 1.txt");
        assert_file(b"filename=\"caf\xe9.txt\"".as_slice(), "café.txt");
    }

    #[test]
    fn invalid_encodings_are_names_as_they_are() {
        assert_file("filename=\"a.txt\"; filename*=nonsense''b.txt", "a.txt");
        assert_file("filename=\"a.txt\"; filename*=UTF-8''%FF", "a.txt");
        assert_file("filename=\"a.txt\"; filename*=UTF-8", "a.txt");
        assert_file("filename=\"%2e%2e%2f\"", "%2e%2e%2f");
        assert_file("filename=\"=?utf-8?B?!?=\"", "=?utf-8?B?!?=");
        assert_file("filename=\"=?what?\"", "=?what?");
        assert_file("filename=\"unclosed", "unclosed");
        assert_file("filename=\"\"", "");
    }

    #[test]
    fn a_part_without_a_file_name_is_text() {
        for (header, name) in [
            ("form-data; name=prompt", Some("prompt")),
            ("form-data; xfilename=\"x\"; name=\"a;b\"", Some("a;b")),
            ("form-data; NAME*=UTF-8''%C3%BC; name=u", Some("ü")),
            ("form-data; name=\"filename=x\"", Some("filename=x")),
            ("form-data; filename", None),
            ("form-data", None),
            ("", None),
            (";;;==", None),
        ] {
            let expected = Disposition {
                name: name.map(str::to_owned),
                file_name: None,
            };
            assert_eq!(Disposition::read(header.as_bytes()), expected, "{header}");
        }
    }
}
