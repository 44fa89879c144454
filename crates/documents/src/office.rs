//! Word and PowerPoint documents.

mod prepared;

use std::{borrow::Cow, collections::HashMap};

use undoc::{
    ErrorKind, FormatType, SectionMarkerStyle,
    render::{RenderOptions, render_section_to_string, to_markdown},
};

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    markdown, package, wordprocessing,
};

pub fn read(kind: Kind, bytes: &[u8]) -> Result<Document, Unreadable> {
    let is_package = matches!(kind, Kind::Docx | Kind::Pptx);
    let mut prepared = Cow::Borrowed(bytes);
    if is_package {
        package::open(bytes)?;
    }
    if kind == Kind::Docx {
        prepared = prepared::prepared(bytes);
    }
    let bytes = &*prepared;
    let parsed = std::panic::catch_unwind(|| undoc::parse_bytes(bytes));
    let parsed = match parsed {
        Ok(Ok(parsed)) if kind_of(parsed.format) == Some(kind) => parsed,
        Ok(Err(error)) if error.kind() == ErrorKind::Encrypted => return Err(Unreadable::encrypted()),
        // The library refuses some valid documents, such as long tables of equal cells.
        _ if kind == Kind::Docx => return wordprocessing::read(bytes),
        _ => return Err(Unreadable::damaged(kind)),
    };
    let options = RenderOptions::new()
        .with_preserve_breaks(true)
        .with_include_headers_footers(true)
        .with_section_markers(SectionMarkerStyle::None);
    let is_slides = matches!(kind, Kind::Pptx | Kind::Ppt);
    let mut builder = Builder::new(kind, if is_slides { Unit::Slide } else { Unit::Part });
    builder.title(parsed.metadata.title.clone());
    let mut pictures = 0;
    if is_slides {
        for (index, section) in parsed.sections.iter().enumerate() {
            let none = HashMap::new();
            let text = render_section_to_string(section, index, parsed.format, &options, &none);
            let text = markdown::tidy(&without_pictures(&text, &mut pictures));
            builder.push(format!("Slide {}", index + 1), text);
        }
    } else {
        let text = to_markdown(&parsed, &options).map_err(|_| Unreadable::damaged(kind))?;
        builder.push_divided(&markdown::tidy(&without_pictures(&text, &mut pictures)));
    }
    if pictures > 0 {
        builder.note("pictures are left out; their descriptions are shown where the document has them");
    }
    if is_package {
        note_left_out(kind, bytes, &mut builder)?;
    }
    Ok(builder.finish())
}

fn kind_of(format: FormatType) -> Option<Kind> {
    let name = format!("{format:?}");
    [
        ("Docx", Kind::Docx),
        ("Pptx", Kind::Pptx),
        ("Doc", Kind::Doc),
        ("Ppt", Kind::Ppt),
    ]
    .iter()
    .find(|(known, _)| *known == name)
    .map(|(_, kind)| *kind)
}

/// Replaces links to pictures, which the reader does not have, by the pictures' descriptions.
fn without_pictures(text: &str, pictures: &mut usize) -> String {
    let mut parts = text.split("![");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let link = part.split_once("](").and_then(|(description, rest)| {
            let (target, behind) = rest.split_once(')')?;
            (!description.contains('\n') && !target.contains(char::is_whitespace)).then_some((description, behind))
        });
        let Some((description, behind)) = link else {
            shown.push_str("![");
            shown.push_str(part);
            continue;
        };
        *pictures += 1;
        match description.trim() {
            "" => shown.push_str("[picture]"),
            description => {
                shown.push_str("[picture: ");
                shown.push_str(description);
                shown.push(']');
            }
        }
        shown.push_str(behind);
    }
    shown
}

/// Notes parts of the document that the library does not show.
fn note_left_out(kind: Kind, bytes: &[u8], builder: &mut Builder) -> Result<(), Unreadable> {
    let mut archive = package::open(bytes)?;
    let names = package::names(&archive);
    if names.iter().any(|name| name.contains("/comments")) {
        builder.note("comments are left out");
    }
    let count = |content: &[u8], mark: &[u8]| content.windows(mark.len()).filter(|window| *window == mark).count();
    if kind == Kind::Docx {
        let content = package::member(&mut archive, "word/document.xml").unwrap_or_default();
        let equations = count(&content, b"<m:oMath>") + count(&content, b"<m:oMath ");
        match equations {
            0 => {}
            1 => builder.note("1 equation is left out"),
            _ => builder.note(format!("{equations} equations are left out")),
        }
        let marks: [&[u8]; 3] = [b"<w:del ", b"<w:ins ", b"<w:moveTo "];
        if marks.iter().any(|mark| count(&content, mark) > 0) {
            builder.note("the document has tracked changes; the text is shown as if all were accepted");
        }
        return Ok(());
    }
    let mut hidden = 0;
    for name in names.iter().filter(|name| name.starts_with("ppt/slides/slide")) {
        let content = package::member(&mut archive, name).unwrap_or_default();
        let start = String::from_utf8_lossy(&content[..content.len().min(2048)]).into_owned();
        let slide = start.split_once("<p:sld").and_then(|(_, rest)| rest.split('>').next());
        hidden += usize::from(slide.is_some_and(|slide| slide.contains("show=\"0\"")));
    }
    match hidden {
        0 => {}
        1 => builder.note("1 slide is hidden in the presentation"),
        _ => builder.note(format!("{hidden} slides are hidden in the presentation")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_become_their_descriptions() {
        let mut pictures = 0;
        let text = without_pictures("a ![A chart](image1.png) b ![](x.png) ![not a link", &mut pictures);
        assert_eq!(text, "a [picture: A chart] b [picture] ![not a link");
        assert_eq!(pictures, 2);
    }
}
