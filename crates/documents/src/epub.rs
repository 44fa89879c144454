//! E-books: the chapters in reading order.

use std::io::Cursor;

use rbook::Epub;

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    html, package,
};

pub fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    let damaged = || Unreadable::damaged(Kind::Epub);
    let mut archive = package::open(bytes)?;
    // Fonts may be obfuscated; only protected books encrypt their text.
    let encryption = package::member(&mut archive, "META-INF/encryption.xml").unwrap_or_default();
    let encryption = String::from_utf8_lossy(&encryption);
    if encryption.contains(".xhtml\"") || encryption.contains(".html\"") {
        return Err(Unreadable::encrypted());
    }
    let book = Epub::options()
        .strict(false)
        .read(Cursor::new(bytes.to_vec()))
        .map_err(|_| damaged())?;
    let mut builder = Builder::new(Kind::Epub, Unit::Chapter);
    builder.title(book.metadata().title().map(|title| title.value().to_owned()));
    let mut lost = 0;
    for (index, entry) in book.spine().iter().enumerate() {
        let content = entry.manifest_entry().and_then(|entry| entry.read_bytes().ok());
        let Some(content) = content else {
            lost += 1;
            continue;
        };
        let page = html::to_markdown(&content, None, None);
        if page.markdown.is_empty() {
            continue;
        }
        let heading = page.markdown.lines().find_map(|line| line.strip_prefix('#'));
        let name = heading
            .map(|line| line.trim_matches(['#', ' ', '*']).to_owned())
            .or(page.title);
        let name = name
            .filter(|name| !name.is_empty())
            .map_or_else(String::new, |name| format!(": {name}"));
        builder.push(format!("Chapter {}{name}", index + 1), page.markdown);
    }
    match lost {
        0 => {}
        1 => builder.note("1 chapter could not be read"),
        _ => builder.note(format!("{lost} chapters could not be read")),
    }
    let document = builder.finish();
    if document.parts.is_empty() {
        return Err(damaged());
    }
    Ok(document)
}
