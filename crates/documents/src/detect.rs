//! Detects the format of a file by its first bytes, and by its name where formats look alike.

use serde::{Deserialize, Serialize};

/// Number of bytes at the start of a file that [`detect`] needs.
pub const HEAD_BYTES: usize = 4096;

/// A document format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "each name is the file name extension or the name of the format"
)]
pub enum Kind {
    Pdf,
    /// A ZIP archive that may be a document. Reading the document finds its format.
    Zip,
    /// An OLE compound file: an old office document, or an encrypted new one. Reading the document finds its format.
    Compound,
    Docx,
    Pptx,
    Xlsx,
    Xlsb,
    Xls,
    Ods,
    Doc,
    Ppt,
    Epub,
    Html,
    Csv,
    Tsv,
    Rtf,
    Notebook,
}

impl Kind {
    /// Returns the name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pdf => "PDF",
            Self::Zip => "office",
            Self::Compound => "office 97",
            Self::Docx => "Word (docx)",
            Self::Pptx => "PowerPoint (pptx)",
            Self::Xlsx => "Excel (xlsx)",
            Self::Xlsb => "Excel (xlsb)",
            Self::Xls => "Excel (xls)",
            Self::Ods => "OpenDocument sheet (ods)",
            Self::Doc => "Word (doc)",
            Self::Ppt => "PowerPoint (ppt)",
            Self::Epub => "EPUB",
            Self::Html => "HTML",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::Rtf => "RTF",
            Self::Notebook => "Jupyter notebook",
        }
    }

    /// Returns whether the file itself is text, which a reader may also want to see unconverted.
    pub fn is_plain_text(self) -> bool {
        matches!(self, Self::Html | Self::Csv | Self::Tsv | Self::Notebook)
    }
}

/// Detects the format. `head` is the file, or its first [`HEAD_BYTES`] bytes. Returns `None` for a file that is not a
/// document, such as source code, an image, or a ZIP archive without a document's name.
pub fn detect(head: &[u8], name: &str) -> Option<Kind> {
    let head = &head[..head.len().min(HEAD_BYTES)];
    let by_name = of_name(name);
    if head.starts_with(b"PK\x03\x04") {
        return by_name.filter(|kind| is_package(*kind)).map(|_| Kind::Zip);
    }
    if head.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(Kind::Compound);
    }
    if head.starts_with(b"{\\rt") {
        return Some(Kind::Rtf);
    }
    if head.windows(5).take(1024).any(|window| window == b"%PDF-") {
        return Some(Kind::Pdf);
    }
    match by_name {
        // A file with such a name and other content is damaged; its format's reader says so.
        Some(kind) if is_package(kind) || kind == Kind::Pdf => Some(kind),
        Some(kind) if kind.is_plain_text() => Some(kind),
        Some(kind @ (Kind::Xls | Kind::Doc | Kind::Ppt)) => match looks_like_html(head) {
            // Many programs write HTML or tables of text to a file named .xls.
            true => Some(Kind::Html),
            false if kind == Kind::Xls && !head.contains(&0) => Some(Kind::Tsv),
            false => Some(kind),
        },
        _ => (looks_like_html(head) && !is_source(name)).then_some(Kind::Html),
    }
}

fn is_package(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Docx | Kind::Pptx | Kind::Xlsx | Kind::Xlsb | Kind::Ods | Kind::Epub
    )
}

fn of_name(name: &str) -> Option<Kind> {
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "pdf" => Kind::Pdf,
        "docx" | "docm" | "dotx" => Kind::Docx,
        "pptx" | "pptm" | "ppsx" | "potx" => Kind::Pptx,
        "xlsx" | "xlsm" | "xltx" => Kind::Xlsx,
        "xlsb" => Kind::Xlsb,
        "xls" => Kind::Xls,
        "ods" => Kind::Ods,
        "doc" | "dot" => Kind::Doc,
        "ppt" | "pps" => Kind::Ppt,
        "epub" => Kind::Epub,
        "html" | "htm" | "xhtml" => Kind::Html,
        "csv" => Kind::Csv,
        "tsv" | "tab" => Kind::Tsv,
        "rtf" => Kind::Rtf,
        "ipynb" => Kind::Notebook,
        _ => return None,
    })
}

/// Returns whether the name is that of a program or template, whose HTML is not a page.
fn is_source(name: &str) -> bool {
    let name = name.rsplit('/').next().unwrap_or(name);
    name.contains('.')
}

fn looks_like_html(head: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&head[..head.len().min(512)]).to_ascii_lowercase();
    let start = start.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_decides_before_the_name() {
        assert_eq!(detect(b"%PDF-1.7\n", "x.docx"), Some(Kind::Pdf));
        assert_eq!(detect(b"junk\n%PDF-1.7\n", "x"), Some(Kind::Pdf));
        assert_eq!(detect(b"PK\x03\x04...", "a/Report.DOCX"), Some(Kind::Zip));
        assert_eq!(detect(b"PK\x03\x04...", "x.zip"), None);
        assert_eq!(
            detect(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "x.bin"),
            Some(Kind::Compound)
        );
        assert_eq!(detect(b"{\\rtf1", "x.doc"), Some(Kind::Rtf));
        assert_eq!(detect(b"<HTML><table>", "x.xls"), Some(Kind::Html));
        assert_eq!(detect(b"a\tb\n", "x.xls"), Some(Kind::Tsv));
        assert_eq!(detect(b"a,b\n", "x.csv"), Some(Kind::Csv));
        assert_eq!(detect(b"garbage", "x.pdf"), Some(Kind::Pdf));
        assert_eq!(detect(b"<!DOCTYPE html>", "page"), Some(Kind::Html));
    }

    #[test]
    fn other_files_are_not_documents() {
        assert_eq!(detect(b"fn main() {}", "main.rs"), None);
        assert_eq!(detect(b"<!DOCTYPE html>", "template.php"), None);
        assert_eq!(detect(b"\x89PNG\r\n", "x.png"), None);
        assert_eq!(detect(b"", "x"), None);
    }
}
