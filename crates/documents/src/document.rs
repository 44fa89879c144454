//! The result of a conversion, and the builder that keeps it within its limits.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// Maximum size in bytes of the text of a document.
pub const MAX_TEXT_BYTES: usize = 2 << 20;
/// Maximum number of parts.
const MAX_PARTS: usize = 2000;
/// Preferred size in bytes of a part of a document that has no pages.
const PART_BYTES: usize = 8 << 10;

/// A document as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The format.
    pub kind: Kind,
    /// The title that the document states.
    pub title: Option<String>,
    /// Kind of the parts.
    pub unit: Unit,
    /// The pages, sheets, slides, chapters or parts, in order.
    pub parts: Vec<Part>,
    /// Number of parts of the document, including those that were left out at the end.
    pub total_parts: usize,
    /// Sentences on content that was left out.
    pub notes: Vec<String>,
    /// True if text was left out because the document is long.
    pub truncated: bool,
    /// True if the parser failed on some parts, so that another program may find more text.
    pub has_failed_parts: bool,
}

/// The parts of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Pages of a PDF.
    Page,
    /// Sheets of a workbook.
    Sheet,
    /// Slides of a presentation.
    Slide,
    /// Chapters of a book.
    Chapter,
    /// Parts of about 8 KB, of a document that has no pages.
    Part,
}

impl Unit {
    /// Returns the word for one part, or for several.
    pub fn word(self, count: usize) -> &'static str {
        match (self, count) {
            (Self::Page, 1) => "page",
            (Self::Page, _) => "pages",
            (Self::Sheet, 1) => "sheet",
            (Self::Sheet, _) => "sheets",
            (Self::Slide, 1) => "slide",
            (Self::Slide, _) => "slides",
            (Self::Chapter, 1) => "chapter",
            (Self::Chapter, _) => "chapters",
            (Self::Part, 1) => "part",
            (Self::Part, _) => "parts",
        }
    }
}

/// One page, sheet, slide, chapter or part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the part, such as `Page 3` or `Sheet "Sales" (hidden)`.
    pub name: String,
    /// The content as Markdown.
    pub text: String,
}

/// Why a document has no text: one sentence for the user, without content of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The sentence, in lower case and without a full stop.
    pub message: String,
    /// True if the parser gave up, so that another program may succeed.
    pub may_retry: bool,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    fn new(message: impl Into<String>, may_retry: bool) -> Self {
        Self {
            message: message.into(),
            may_retry,
        }
    }

    pub(crate) fn damaged(kind: Kind) -> Self {
        Self::new(
            format!("the file is damaged or is not a valid {} file", kind.name()),
            true,
        )
    }

    pub(crate) fn encrypted() -> Self {
        Self::new(
            "the file is protected with a password; save it without the password and attach it again",
            false,
        )
    }

    pub(crate) fn too_large() -> Self {
        Self::new("the file is too large to be read as a document", false)
    }

    pub(crate) fn unknown() -> Self {
        Self::new("the file has no known document format", false)
    }
}

/// Builds a document within the limits of text and parts.
pub(crate) struct Builder {
    document: Document,
    left: usize,
}

impl Builder {
    pub fn new(kind: Kind, unit: Unit) -> Self {
        Self {
            document: Document {
                kind,
                title: None,
                unit,
                parts: Vec::new(),
                total_parts: 0,
                notes: Vec::new(),
                truncated: false,
                has_failed_parts: false,
            },
            left: MAX_TEXT_BYTES,
        }
    }

    pub fn title(&mut self, title: Option<String>) {
        let title = title.map(|title| title.split_whitespace().collect::<Vec<_>>().join(" "));
        self.document.title = title.filter(|title| !title.is_empty()).map(|mut title| {
            title.truncate(title.floor_char_boundary(200));
            title
        });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if self.document.notes.len() < 20 && !self.document.notes.contains(&note) {
            self.document.notes.push(note);
        }
    }

    /// Returns whether there is room for another part.
    pub fn has_room(&self) -> bool {
        self.left > 0 && self.document.parts.len() < MAX_PARTS
    }

    pub fn push(&mut self, name: impl Into<String>, mut text: String) {
        self.document.total_parts += 1;
        if !self.has_room() {
            self.document.truncated = true;
            return;
        }
        if text.len() > self.left {
            text.truncate(text.floor_char_boundary(self.left));
            text.push_str("\n[the rest is left out: the document has too much text]");
            self.document.truncated = true;
            self.left = 0;
        }
        self.left -= text.len().min(self.left);
        let mut name: String = name.into();
        name.truncate(name.floor_char_boundary(200));
        self.document.parts.push(Part { name, text });
    }

    /// Adds a text without pages, divided between paragraphs.
    pub fn push_divided(&mut self, text: &str) {
        let mut rest = text.trim_end();
        while !rest.is_empty() {
            let mut end = rest.len();
            if rest.len() > PART_BYTES + PART_BYTES / 2 {
                let room = rest.floor_char_boundary(PART_BYTES);
                let start = &rest[..room];
                end = start
                    .rfind("\n\n")
                    .or_else(|| start.rfind('\n'))
                    .filter(|at| *at > PART_BYTES / 4)
                    .unwrap_or(room);
            }
            let name = format!("Part {}", self.document.total_parts + 1);
            self.push(name, rest[..end].trim_matches('\n').to_owned());
            rest = rest[end..].trim_start_matches('\n');
        }
    }

    /// Counts parts that were not read.
    pub fn skip(&mut self, parts: usize) {
        self.document.total_parts += parts;
        self.document.truncated |= parts > 0;
    }

    pub fn truncated(&mut self) {
        self.document.truncated = true;
    }

    pub fn finish(self) -> Document {
        self.document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_divided_between_paragraphs_and_cut_at_the_limit() {
        let mut builder = Builder::new(Kind::Docx, Unit::Part);
        let paragraph = "word ".repeat(500);
        builder.push_divided(&format!("{paragraph}\n\n").repeat(20));
        let document = builder.finish();
        assert!(document.parts.len() > 4 && !document.truncated);
        assert!(
            document
                .parts
                .iter()
                .all(|part| part.text.starts_with("word") && part.text.len() <= PART_BYTES * 3 / 2)
        );
        assert_eq!(document.parts[1].name, "Part 2");

        let mut builder = Builder::new(Kind::Pdf, Unit::Page);
        builder.push("Page 1", "ä".repeat(MAX_TEXT_BYTES));
        builder.push("Page 2", "b".to_owned());
        let document = builder.finish();
        assert!(document.truncated);
        assert_eq!((document.parts.len(), document.total_parts), (1, 2));
        assert!(document.parts[0].text.len() < MAX_TEXT_BYTES + 100);
    }
}
