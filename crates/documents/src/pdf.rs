//! PDF to text, page by page.
//!
//! The text of a page has the order of the page's drawing commands. A page on which the parser fails does not affect the
//! others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{Document as Pdf, PlainTextOutput, output_doc_page};

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    markdown,
};

/// Maximum number of pages that are read.
const MAX_PAGES: usize = 500;

/// Note on pages without text. The service renders such pages for models that see.
pub const NO_TEXT: &str = "has no text; it is probably a scan or a picture";

pub fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    let damaged = || Unreadable::damaged(Kind::Pdf);
    let mut pdf = Pdf::load_mem(bytes).map_err(|_| damaged())?;
    if pdf.is_encrypted() {
        // Files that only restrict printing or changes open with the empty password.
        pdf.decrypt("").map_err(|_| Unreadable::encrypted())?;
    }
    let pages = pdf.get_pages();
    if pages.is_empty() {
        return Err(damaged());
    }
    let mut builder = Builder::new(Kind::Pdf, Unit::Page);
    builder.title(title(&pdf));
    let mut failed = 0;
    for (index, (number, id)) in pages.iter().enumerate() {
        if index >= MAX_PAGES || !builder.has_room() {
            builder.skip(pages.len() - index);
            break;
        }
        let page = catch_unwind(AssertUnwindSafe(|| {
            let mut text = String::new();
            let written = output_doc_page(&pdf, &mut PlainTextOutput::new(&mut text), *number);
            written.map(|()| text)
        }));
        let text = match page {
            Ok(Ok(text)) => tidy(&text),
            _ => String::new(),
        };
        if text.is_empty() && draws_text(&pdf, *id) {
            failed += 1;
        }
        builder.push(format!("Page {number}"), text);
    }
    if failed == pages.len() {
        return Err(damaged());
    }
    let mut document = builder.finish();
    note_empty_pages(&mut document);
    if failed > 0 {
        document.has_failed_parts = true;
        let unit = Unit::Page.word(failed);
        document
            .notes
            .push(format!("the text of {failed} {unit} could not be decoded"));
    }
    Ok(document)
}

/// Makes a document of the pages that another program extracted.
pub fn from_pages(pages: &[String]) -> Document {
    let mut builder = Builder::new(Kind::Pdf, Unit::Page);
    for (index, text) in pages.iter().enumerate() {
        builder.push(format!("Page {}", index + 1), tidy(text));
    }
    let mut document = builder.finish();
    note_empty_pages(&mut document);
    document
}

fn note_empty_pages(document: &mut Document) {
    let numbered = document.parts.iter().enumerate();
    let empty: Vec<String> = numbered
        .filter(|(_, part)| part.text.is_empty())
        .map(|(index, _)| (index + 1).to_string())
        .collect();
    match &empty[..] {
        [] => {}
        [page] => document.notes.push(format!("page {page} {NO_TEXT}")),
        all if all.len() == document.parts.len() => document
            .notes
            .push("no page has text; the document is probably a scan".to_owned()),
        some => document.notes.push(format!(
            "{} pages have no text and are probably scans or pictures: {}",
            some.len(),
            some[..some.len().min(50)].join(", ")
        )),
    }
}

/// Returns whether the page's own commands show text.
fn draws_text(pdf: &Pdf, id: (u32, u16)) -> bool {
    let Ok(content) = catch_unwind(AssertUnwindSafe(|| pdf.get_page_content(id))) else {
        return false;
    };
    content.is_ok_and(|content| {
        let mut words = content.split(|byte| byte.is_ascii_whitespace() || b")]>".contains(byte));
        words.any(|word| word == b"Tj" || word == b"TJ")
    })
}

fn title(pdf: &Pdf) -> Option<String> {
    let info = pdf.trailer.get(b"Info").ok()?.as_reference().ok()?;
    let title = pdf.get_dictionary(info).ok()?.get(b"Title").ok()?.as_str().ok()?;
    let title = match title.strip_prefix(b"\xfe\xff") {
        Some(_) => crate::encoding::decode(title, Some("utf-16be")).into_owned(),
        None => crate::encoding::decode(title, None).into_owned(),
    };
    Some(title.replace(|letter: char| letter.is_control(), " "))
}

/// Joins the lines' fragments, which the parser separates by blank lines and spaces.
fn tidy(text: &str) -> String {
    markdown::tidy(&text.replace('\u{c}', "\n"))
        .trim_start_matches('\n')
        .to_owned()
}
