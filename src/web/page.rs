//! The content of a fetched page as text: media types, compression and conversion.

use std::io::Read;

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};
use flate2::read::MultiGzDecoder;
use runyard_documents::html;
use url::Url;

use super::client::Body;

/// How a media type becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Html,
    /// Text that is returned as it is.
    Plain,
    /// XML, which is also returned as it is, and which may state its encoding.
    Xml,
    /// A PDF file, which is read as a document.
    Pdf,
    /// Any other file. It is not returned.
    Other,
}

/// The media type of a response.
#[derive(Clone, Debug)]
pub(super) struct Media {
    pub(super) name: String,
    charset: Option<String>,
    /// `None` if the response states no media type.
    pub(super) kind: Option<Kind>,
}

/// The text of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: Option<String>,
    pub(super) text: String,
    /// True if the page is larger than the limit, and `text` comes from its beginning.
    pub(super) is_cut: bool,
}

impl Media {
    /// Parses the header Content-Type; an empty text if the header is missing.
    pub(super) fn parse(header: &str) -> Self {
        let mut parts = header.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts.find_map(|part| {
            let (key, value) = part.split_once('=')?;
            let is_charset = key.trim().eq_ignore_ascii_case("charset");
            is_charset.then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        });
        let kind = (!name.is_empty()).then(|| kind(&name));
        Self { name, charset, kind }
    }

    /// Guesses the media type of a response that states none.
    pub(super) fn guess(&mut self, bytes: &[u8]) {
        let start = bytes.trim_ascii_start();
        let begins = |tag: &[u8]| {
            start
                .get(..tag.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(tag))
        };
        let is_cut = |error: std::str::Utf8Error| error.error_len().is_none();
        let is_text = !bytes.contains(&0) && std::str::from_utf8(bytes).err().is_none_or(is_cut);
        let (name, kind) = if bytes.starts_with(b"%PDF-") {
            ("application/pdf", Kind::Pdf)
        } else if begins(b"<!doctype html") || begins(b"<html") {
            ("text/html", Kind::Html)
        } else if is_text {
            ("text/plain", Kind::Plain)
        } else {
            ("application/octet-stream", Kind::Other)
        };
        name.clone_into(&mut self.name);
        self.kind = Some(kind);
    }
}

fn kind(media: &str) -> Kind {
    let (group, name) = media.split_once('/').unwrap_or_default();
    let name = name.strip_prefix("x-").unwrap_or(name);
    match (group, name) {
        ("text", "html") | ("application", "xhtml+xml") => Kind::Html,
        ("text" | "application", "xml") => Kind::Xml,
        ("application", "pdf") => Kind::Pdf,
        ("image" | "audio" | "video" | "font", _) => Kind::Other,
        ("text", _)
        | (
            "application",
            "json" | "ndjson" | "jsonlines" | "markdown" | "javascript" | "ecmascript" | "yaml" | "toml" | "sh" | "sql"
            | "graphql" | "tex",
        ) => Kind::Plain,
        (_, name) if name.ends_with("+json") || name.ends_with("+yaml") => Kind::Plain,
        (_, name) if name.ends_with("+xml") => Kind::Xml,
        _ => Kind::Other,
    }
}

/// Decompresses up to `max_bytes`. A body that is cut or damaged gives the bytes before that place.
pub(super) fn unpacked(body: &Body, max_bytes: usize) -> Body {
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    let whole = MultiGzDecoder::new(body.bytes.as_slice())
        .take(limit)
        .read_to_end(&mut bytes);
    let is_cut = body.is_cut || whole.is_err() || bytes.len() > max_bytes;
    bytes.truncate(max_bytes);
    Body { bytes, is_cut }
}

/// Converts the body of the page at `url` to text. May take seconds, so it runs on a thread that may block.
pub(super) fn convert(body: &Body, media: &Media, url: &Url) -> Page {
    let charset = media.charset.as_deref();
    if media.kind == Some(Kind::Html) {
        let html::Text {
            title,
            markdown,
            truncated,
        } = html::to_markdown(&body.bytes, charset, Some(url));
        return Page {
            title,
            text: markdown,
            is_cut: body.is_cut || truncated,
        };
    }
    let declared = charset.or_else(|| declared_in(&body.bytes).filter(|_| media.kind == Some(Kind::Xml)));
    let encoding = declared.and_then(|label| Encoding::for_label(label.as_bytes()));
    // `decode` prefers the encoding of a byte order mark, and removes the mark.
    let (text, ..) = encoding.unwrap_or_else(|| guess(&body.bytes)).decode(&body.bytes);
    Page {
        title: None,
        text: text.into_owned(),
        is_cut: body.is_cut,
    }
}

/// Returns the encoding that the declaration of an XML document names.
fn declared_in(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == b'>')?;
    let declaration = std::str::from_utf8(&bytes[..end]).ok()?.strip_prefix("<?xml")?;
    let (_, value) = declaration.split_once("encoding")?;
    value.split(['"', '\'']).nth(1)
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    // The limit may have cut the last character.
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_some() => WINDOWS_1252,
        _ => UTF_8,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    #[test]
    fn media_types_are_text_or_other_files() {
        for (header, kind) in [
            ("text/html; charset=utf-8", Some(Kind::Html)),
            ("TEXT/HTML", Some(Kind::Html)),
            ("application/xhtml+xml", Some(Kind::Html)),
            ("text/plain", Some(Kind::Plain)),
            ("text/markdown", Some(Kind::Plain)),
            ("application/json", Some(Kind::Plain)),
            ("application/problem+json", Some(Kind::Plain)),
            ("application/x-ndjson", Some(Kind::Plain)),
            ("application/rss+xml", Some(Kind::Xml)),
            ("application/xml", Some(Kind::Xml)),
            ("image/svg+xml", Some(Kind::Other)),
            ("image/png", Some(Kind::Other)),
            ("application/pdf", Some(Kind::Pdf)),
            ("application/zip", Some(Kind::Other)),
            ("application/octet-stream", Some(Kind::Other)),
            ("nonsense", Some(Kind::Other)),
            ("", None),
        ] {
            assert_eq!(Media::parse(header).kind, kind, "{header}");
        }
        let media = Media::parse("text/html ; a=b; CharSet=\"windows-1251\"");
        assert_eq!(media.charset.as_deref(), Some("windows-1251"));
    }

    #[test]
    fn a_missing_media_type_is_guessed() {
        for (bytes, kind) in [
            (&b" <!DOCTYPE html><p>x"[..], Kind::Html),
            (b"<html lang=en>", Kind::Html),
            (b"plain", Kind::Plain),
            (b"cut \xc3", Kind::Plain),
            (b"", Kind::Plain),
            (b"%PDF-1.7\n\0", Kind::Pdf),
            (b"\x89PNG\r\n", Kind::Other),
            (b"a\0b", Kind::Other),
        ] {
            let mut media = Media::parse("");
            media.guess(bytes);
            assert_eq!(media.kind, Some(kind), "{bytes:?}");
        }
    }

    #[test]
    fn text_is_decoded_with_the_declared_or_the_guessed_encoding() {
        let url = Url::parse("https://example.com/").unwrap();
        for (header, bytes, text) in [
            ("text/plain", &b"gr\xc3\xbcn"[..], "grün"),
            ("text/plain", b"gr\xfcn", "grün"),
            ("text/plain", b"cut \xc3", "cut \u{fffd}"),
            ("text/plain", b"\xff\xfea\0", "a"),
            ("text/plain; charset=koi8-r", b"\xf0", "П"),
            ("text/plain; charset=unknown", b"\xc3\xbc", "ü"),
            (
                "text/xml",
                b"<?xml version='1.0' encoding='koi8-r'?>\xf0",
                "<?xml version='1.0' encoding='koi8-r'?>П",
            ),
            (
                "text/xml; charset=utf-8",
                b"<?xml encoding='koi8-r'?>\xc3\xbc",
                "<?xml encoding='koi8-r'?>ü",
            ),
        ] {
            let body = Body {
                bytes: bytes.to_vec(),
                is_cut: false,
            };
            assert_eq!(convert(&body, &Media::parse(header), &url).text, text, "{header}");
        }
    }

    #[test]
    fn a_compressed_body_is_unpacked_up_to_the_limit() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all("a".repeat(100_000).as_bytes()).unwrap();
        let bytes = encoder.finish().unwrap();
        let packed = |bytes: &[u8], is_cut| Body {
            bytes: bytes.to_vec(),
            is_cut,
        };
        let whole = unpacked(&packed(&bytes, false), 100_000);
        assert_eq!((whole.bytes.len(), whole.is_cut), (100_000, false));
        let bounded = unpacked(&packed(&bytes, false), 99_999);
        assert_eq!((bounded.bytes.len(), bounded.is_cut), (99_999, true));
        let damaged = unpacked(&packed(&bytes[..bytes.len() / 2], true), 100_000);
        assert!(damaged.is_cut && damaged.bytes.len() < 100_000);
        assert!(unpacked(&packed(b"no gzip", false), 100).is_cut);
    }
}
