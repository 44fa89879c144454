//! Text and Markdown from documents.
//!
//! [`read`] converts a document to a [`Document`]: its pages, sheets or other parts as Markdown, and notes on what was
//! left out. Everything here is a pure function from bytes to text: no file, no network, no clock, no async runtime.
//! A hostile document can still use much time and memory, or end the process. The service therefore calls [`read`] only
//! in a sandboxed process with limits. [`html::to_markdown`] has its own limits and may be called anywhere.

#![warn(missing_docs)]

mod detect;
mod document;
mod encoding;
mod epub;
pub mod html;
mod markdown;
mod notebook;
mod office;
mod package;
mod pdf;
mod rtf;
mod sheets;
mod table_text;
mod wordprocessing;

pub use detect::{HEAD_BYTES, Kind, detect};
pub use document::{Document, MAX_TEXT_BYTES, Part, Unit, Unreadable};
pub use pdf::from_pages as pdf_from_pages;

/// Maximum size of a document in bytes.
pub const MAX_BYTES: usize = 50 << 20;

/// Converts a document. The content decides the format. The name, such as `report.pdf`, decides only between formats
/// that look alike.
///
/// # Errors
/// One sentence for the user: the document is encrypted, damaged, too large, or in no known format.
pub fn read(bytes: &[u8], name: &str) -> Result<Document, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::too_large());
    }
    let kind = detect(bytes, name).ok_or_else(Unreadable::unknown)?;
    // A parser that panics must not hide what the file is. The panic's text may contain parts of the document.
    let read = || read_as(kind, bytes);
    std::panic::catch_unwind(read).unwrap_or_else(|_| Err(Unreadable::damaged(kind)))
}

fn read_as(kind: Kind, bytes: &[u8]) -> Result<Document, Unreadable> {
    match kind {
        Kind::Pdf => pdf::read(bytes),
        Kind::Zip => read_as(package::kind(bytes)?, bytes),
        Kind::Docx | Kind::Pptx | Kind::Doc | Kind::Ppt => office::read(kind, bytes),
        Kind::Xlsx | Kind::Xlsb | Kind::Xls | Kind::Ods => sheets::read(kind, bytes),
        Kind::Compound => read_as(package::compound_kind(bytes)?, bytes),
        Kind::Epub => epub::read(bytes),
        Kind::Html => Ok(html::read(bytes)),
        Kind::Csv | Kind::Tsv => table_text::read(kind, bytes),
        Kind::Rtf => Ok(rtf::read(bytes)),
        Kind::Notebook => notebook::read(bytes),
    }
}
