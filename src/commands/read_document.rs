//! `runyard read-document`: converts the document on standard input to text.
//!
//! The service runs this hidden command in a sandbox with limits on time and memory (`crates/sandbox/src/convert.rs`).
//! The engine reads its output (`crates/engine/src/documents.rs`). If the parser of PDF files fails and poppler's
//! pdftotext is installed, that program gets a try.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    thread,
};

use clap::Args;
use runyard_documents::{Document, Kind, MAX_BYTES, Unreadable};

use super::{Outcome, output::Output};
use crate::error::{Error, Result};

/// Stack of the thread that parses. Some parsers are recursive, and a deeply nested document must not end them.
const STACK_BYTES: usize = 64 << 20;
const PDFTOTEXT: &str = "/usr/bin/pdftotext";
const COPY: &str = "/tmp/document.pdf";

/// Convert the document on standard input to text.
#[derive(Args, Debug)]
pub(super) struct ReadDocument {
    /// Name of the document's file.
    name: String,
}

impl ReadDocument {
    pub(super) fn execute(self) -> Result<Outcome> {
        let failed = |error| Error::internal("the document cannot be read", error);
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().take(MAX_BYTES as u64 + 1);
        input.read_to_end(&mut bytes).map_err(failed)?;
        let parser = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || read(&bytes, &self.name));
        let read = parser.map_err(failed)?.join();
        let read = read.map_err(|_| Error::internal("the document cannot be read", "the parser panicked"))?;
        let answer = serde_json::to_vec(&read).map_err(|error| Error::internal("no answer", error))?;
        Output::new().bytes(&answer)?;
        Ok(Outcome::Success)
    }
}

fn read(bytes: &[u8], name: &str) -> Result<Document, Unreadable> {
    let read = runyard_documents::read(bytes, name);
    let is_incomplete = match &read {
        Ok(document) => document.kind == Kind::Pdf && document.has_failed_parts,
        Err(error) => error.may_retry && bytes.starts_with(b"%PDF-"),
    };
    if is_incomplete && let Some(document) = with_pdftotext(bytes) {
        return Ok(document);
    }
    read
}

/// Returns `None` if pdftotext is not installed, fails, or finds no text.
fn with_pdftotext(bytes: &[u8]) -> Option<Document> {
    let mut copy = OpenOptions::new().write(true).create_new(true).open(COPY).ok()?;
    copy.write_all(bytes).ok()?;
    let mut command = Command::new(PDFTOTEXT);
    command.args(["-q", "-enc", "UTF-8", "-l", "500", COPY, "-"]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut pages: Vec<String> = text.split('\u{c}').map(str::to_owned).collect();
    // The last page, too, ends with a form feed.
    pages.pop();
    let has_text = pages.iter().any(|page| !page.trim().is_empty());
    (output.status.success() && has_text).then(|| runyard_documents::pdf_from_pages(&pages))
}
