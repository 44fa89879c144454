//! Documents as text: PDF, office files, e-books, web pages and tables.
//!
//! The `read` tool and the service's prompts call [`read`]. The parser runs in its own sandboxed process. If a
//! document cannot be read, even because it crashes the parser, the error is one sentence.

use std::io::{Cursor, Read as _};

pub use runyard_documents::{Document, Part, Unit};
use runyard_documents::{HEAD_BYTES, Kind, detect};
use runyard_sandbox::{CommandEnd, Conversion, ErrorKind, OpenFile, Sandbox};
use tokio::task::spawn_blocking;

/// Maximum size in bytes of a document.
const MAX_BYTES: u64 = runyard_documents::MAX_BYTES as u64;
/// Maximum size in bytes of the parser's answer: the text, written as JSON.
const MAX_ANSWER_BYTES: usize = 3 * runyard_documents::MAX_TEXT_BYTES;

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

/// Converts a document to text.
///
/// # Errors
/// One sentence for the model or the user, which says why the document cannot be read.
pub async fn read(sandbox: &dyn Sandbox, path: &str, found: Found) -> Result<Document, String> {
    if found.size > MAX_BYTES {
        return Err(format!(
            "the file has {} bytes; documents can have up to {MAX_BYTES} bytes",
            found.size
        ));
    }
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let conversion = Conversion::Own(vec!["read-document".to_owned(), "--".to_owned(), name]);
    let converted = sandbox.convert(conversion, found.file, MAX_ANSWER_BYTES).await;
    let converted = converted.map_err(|error| match error.kind() {
        ErrorKind::Unavailable => format!("documents cannot be read on this server: {}", error.message()),
        _ => {
            tracing::warn!(%error, "a document could not be converted");
            "the document cannot be read because of an internal error".to_owned()
        }
    })?;
    let failed = match converted.ending {
        CommandEnd::TimedOut => "the document cannot be read within the time limit of 30 s",
        CommandEnd::OutOfMemory => "the document needs more memory to be read than a document may use",
        _ => "the document cannot be read: its parser failed, so the file is probably damaged",
    };
    if !converted.ending.is_success() || converted.is_cut {
        return Err(failed.to_owned());
    }
    let answer: Result<Document, runyard_documents::Unreadable> =
        serde_json::from_slice(&converted.output).map_err(|_| failed.to_owned())?;
    answer.map_err(|unreadable| unreadable.message)
}
