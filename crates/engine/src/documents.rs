//! Documents as text: PDF, office files, e-books, web pages and tables.
//!
//! The `read` tool and the service's prompts call [`read`]. The parser runs in its own sandboxed process. If a
//! document cannot be read, even because it crashes the parser, the error is one sentence.

mod recent;

use std::{
    fmt::Write as _,
    io::{Cursor, Read as _},
};

pub use recent::RecentDocuments;

pub use runyard_documents::{Document, Kind, Part, Unit};
use runyard_documents::{HEAD_BYTES, detect};
use runyard_sandbox::{CommandEnd, Conversion, Converted, ErrorKind, OpenFile, Sandbox, Sandboxes};
use tokio::task::spawn_blocking;

/// Maximum size in bytes of a document.
const MAX_BYTES: u64 = runyard_documents::MAX_BYTES as u64;
/// Maximum size in bytes of the parser's answer: the text, written as JSON.
const MAX_ANSWER_BYTES: usize = 3 * runyard_documents::MAX_TEXT_BYTES;

/// Maximum size in bytes of a rendered page.
const MAX_IMAGE_BYTES: usize = 8 << 20;
/// Longer side of a rendered page in pixels. Models scale larger images down.
const PAGE_PIXELS: u32 = 1568;
/// Exit status of a script whose program is not installed; the same as in a shell.
const NOT_INSTALLED: i32 = 127;

/// A file that was recognised as a document.
pub struct Found {
    /// The format as its first bytes and its name show it.
    pub kind: Kind,
    /// Size of the file in bytes.
    pub size: u64,
    /// True if the file itself has NUL bytes, so it is not readable as text.
    pub is_binary: bool,
    file: OpenFile,
}

/// Opens a file and detects its format by its first bytes and its name. Returns `None` if it is no document. Does not
/// parse the document.
///
/// # Errors
/// The errors of opening the file.
pub async fn find(sandbox: &dyn Sandbox, path: &str) -> runyard_sandbox::Result<Option<Found>> {
    let (files, path) = (sandbox.files(), path.to_owned());
    let found = spawn_blocking(move || {
        let OpenFile { mut content, size } = files.open(&path)?;
        let mut head = Vec::new();
        let mut start = content.by_ref().take(HEAD_BYTES as u64);
        if start.read_to_end(&mut head).is_err() {
            return Ok(None);
        }
        let Some(kind) = detect(&head, &path) else {
            return Ok(None);
        };
        let is_binary = head.contains(&0) || !(kind.is_plain_text());
        let content = Box::new(Cursor::new(head).chain(content));
        let file = OpenFile { content, size };
        Ok(Some(Found {
            kind,
            size,
            is_binary,
            file,
        }))
    });
    // A task that panicked found no document.
    found.await.unwrap_or(Ok(None))
}

/// Why a document has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// One sentence for the model or the user.
    pub why: String,
    /// True if the reason is the server, not the document, so that the document may be read later.
    pub is_of_server: bool,
}

impl Unread {
    fn of_document(why: String) -> Self {
        Self {
            why,
            is_of_server: false,
        }
    }

    fn of_server(why: String) -> Self {
        Self {
            why,
            is_of_server: true,
        }
    }
}

/// Converts a document to text.
///
/// # Errors
/// The reason why the document cannot be read.
pub async fn read(sandbox: &dyn Sandbox, path: &str, found: Found) -> Result<Document, Unread> {
    if found.size > MAX_BYTES {
        return Err(Unread::of_document(format!(
            "the file has {} bytes; documents can have up to {MAX_BYTES} bytes",
            found.size
        )));
    }
    let conversion = conversion(path.rsplit('/').next().unwrap_or(path));
    document_of(sandbox.convert(conversion, found.file, MAX_ANSWER_BYTES).await)
}

/// Converts the bytes of a document that is not in a workspace, such as a download, to text. `name` decides between
/// formats that look alike.
///
/// # Errors
/// The reason why the document cannot be read.
pub async fn read_bytes(sandboxes: &Sandboxes, name: &str, bytes: Vec<u8>) -> Result<Document, Unread> {
    let size = bytes.len() as u64;
    let content = Box::new(Cursor::new(bytes));
    let file = OpenFile { content, size };
    document_of(
        sandboxes
            .convert_without_project(conversion(name), file, MAX_ANSWER_BYTES)
            .await,
    )
}

fn conversion(name: &str) -> Conversion {
    Conversion::Own(vec!["read-document".to_owned(), "--".to_owned(), name.to_owned()])
}

fn document_of(converted: runyard_sandbox::Result<Converted>) -> Result<Document, Unread> {
    let converted = converted.map_err(|error| {
        if error.kind() == ErrorKind::Unavailable {
            let why = format!("documents cannot be read on this server: {}", error.message());
            return Unread::of_server(why);
        }
        tracing::warn!(%error, "a document could not be converted");
        Unread::of_server("the document cannot be read because of an internal error".to_owned())
    })?;
    let failed = match converted.ending {
        CommandEnd::TimedOut => "the document cannot be read within the time limit of 30 s",
        CommandEnd::OutOfMemory => "reading the document needs more memory than the limit allows",
        _ => "the document cannot be read: its parser failed, so the file is probably damaged",
    };
    if !converted.ending.is_success() || converted.is_cut {
        return Err(Unread::of_document(failed.to_owned()));
    }
    let answer: Result<Document, runyard_documents::Unreadable> =
        serde_json::from_slice(&converted.output).map_err(|_| Unread::of_document(failed.to_owned()))?;
    answer.map_err(|unreadable| Unread::of_document(unreadable.message))
}

/// Renders a page of a PDF file to a JPEG image, for a page without text. The program pdftoppm renders it in a sandbox.
///
/// # Errors
/// One sentence for the model, for example because the host has no pdftoppm.
pub async fn render(sandbox: &dyn Sandbox, path: &str, page: usize) -> Result<Vec<u8>, String> {
    let (files, name) = (sandbox.files(), path.to_owned());
    let opened = spawn_blocking(move || files.open(&name)).await;
    let Ok(Ok(file)) = opened else {
        return Err("the file cannot be opened again".to_owned());
    };
    let script = format!(
        "command -v pdftoppm >/dev/null || exit {NOT_INSTALLED}; \
         exec pdftoppm -q -jpeg -singlefile -f {page} -l {page} -scale-to {PAGE_PIXELS} -"
    );
    let converted = sandbox.convert(Conversion::Script(script), file, MAX_IMAGE_BYTES).await;
    let converted = converted.map_err(|error| error.message().to_owned())?;
    match converted.ending {
        CommandEnd::Exited(0) if !converted.is_cut && !converted.output.is_empty() => Ok(converted.output),
        CommandEnd::Exited(NOT_INSTALLED) => Err("the server has no pdftoppm (Debian: poppler-utils)".to_owned()),
        _ => Err(format!("page {page} cannot be rendered")),
    }
}

/// Describes a document in one line: its format, size in pages, title and what was left out.
pub fn described(document: &Document) -> String {
    let count = document.total_parts;
    let mut line = format!("{}, {count} {}", document.kind.name(), document.unit.word(count));
    if let Some(title) = &document.title {
        let _ = write!(line, ", title {title:?}");
    }
    for note in &document.notes {
        let _ = write!(line, "; {note}");
    }
    if document.parts.len() < count {
        let _ = write!(line, "; only the first {} can be read", document.parts.len());
    } else if document.truncated {
        line.push_str("; the document is too long, so its end is left out");
    }
    line
}

/// Returns the beginning of a document for a prompt: its description, and as much text as fits into `max_bytes`.
pub fn opening(document: &Document, path: &str, size: u64, max_bytes: usize) -> String {
    let mut text = format!("{path}, {size} bytes: {}", described(document));
    let mut is_cut = document.truncated;
    for part in document.parts.iter().filter(|part| !part.text.is_empty()) {
        let heading = format!("\n\n## {}\n\n", part.name);
        let Some(room) = max_bytes
            .checked_sub(text.len() + heading.len())
            .filter(|room| *room > 0)
        else {
            is_cut = true;
            break;
        };
        text.push_str(&heading);
        let body = part.text.trim_end();
        text.push_str(&body[..body.floor_char_boundary(room)]);
        is_cut |= body.len() > room;
    }
    if is_cut {
        let unit = document.unit.word(2);
        let _ = write!(
            text,
            "\n[… the rest of {path} is left out here; to see it, call the tool read and select {unit}]"
        );
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn the_opening_fits_and_says_what_follows() {
        let part = |name: &str, text: &str| serde_json::json!({"name": name, "text": text});
        let document = serde_json::json!({
            "kind": "pdf", "title": "T", "unit": "page", "total_parts": 2,
            "parts": [part("Page 1", &"ä".repeat(100)), part("Page 2", "end")],
            "notes": [], "truncated": false, "has_failed_parts": false
        });
        let document: Document = serde_json::from_value(document).unwrap();
        let whole = opening(&document, "a.pdf", 7, 1000);
        assert!(
            whole.starts_with("a.pdf, 7 bytes: PDF, 2 pages, title \"T\"\n\n## Page 1\n\nää"),
            "{whole}"
        );
        assert!(whole.ends_with("## Page 2\n\nend"), "{whole}");
        let cut = opening(&document, "a.pdf", 7, 101);
        assert!(
            cut.ends_with("ä\n[… the rest of a.pdf is left out here; to see it, call the tool read and select pages]"),
            "{cut}"
        );
        assert!(cut.len() < 101 + 90 && !cut.contains("Page 2"), "{cut}");
    }
}
