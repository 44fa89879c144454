//! Prepares OpenDocument sheets for the library, which refuses white space between elements, and finds merged cells,
//! which it does not report.

use std::{borrow::Cow, collections::HashMap};

use calamine::Dimensions;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::MAX_MERGED;
use crate::package;

/// A file that the library can read, and the merged cells of its sheets.
pub struct Prepared<'a> {
    pub bytes: Cow<'a, [u8]>,
    pub merged: HashMap<String, Vec<Dimensions>>,
}

pub fn prepared(bytes: &[u8]) -> Prepared<'_> {
    let mut merged = HashMap::new();
    let rewritten = package::rewritten(bytes, |name, content| {
        if name != "content.xml" {
            return None;
        }
        let mut found = Merged::default();
        let compact = compact(content, &mut found)?;
        merged = found.sheets;
        (compact.len() != content.len()).then_some(compact)
    });
    Prepared {
        bytes: rewritten.map_or(Cow::Borrowed(bytes), Cow::Owned),
        merged,
    }
}

/// The position in a sheet, and the merged cells so far.
#[derive(Default)]
struct Merged {
    sheets: HashMap<String, Vec<Dimensions>>,
    sheet: Option<String>,
    row: u32,
    row_repeats: u32,
    column: u32,
}

impl Merged {
    fn start(&mut self, element: &BytesStart<'_>) {
        let number = |name: &str| {
            let found = element.try_get_attribute(name).ok().flatten();
            found.and_then(|found| found.value.parse().ok()).unwrap_or(1_u32)
        };
        match element.name().as_ref() {
            "table:table" => {
                let name = element.try_get_attribute("table:name").ok().flatten();
                let name = name.and_then(|name| Some(quick_xml::escape::unescape(&name.value).ok()?.into_owned()));
                (self.sheet, self.row, self.row_repeats) = (name, 0, 0);
            }
            "table:table-row" => {
                self.row = self.row.saturating_add(self.row_repeats);
                (self.row_repeats, self.column) = (number("table:number-rows-repeated"), 0);
            }
            "table:table-cell" => {
                let columns = number("table:number-columns-spanned").max(1);
                let rows = number("table:number-rows-spanned").max(1);
                if let Some(sheet) = &self.sheet
                    && (columns > 1 || rows > 1)
                {
                    let merged = self.sheets.entry(sheet.clone()).or_default();
                    if merged.len() <= MAX_MERGED {
                        merged.push(Dimensions {
                            start: (self.row, self.column),
                            end: (
                                self.row.saturating_add(rows - 1),
                                self.column.saturating_add(columns - 1),
                            ),
                        });
                    }
                }
                self.column = self.column.saturating_add(number("table:number-columns-repeated"));
            }
            "table:covered-table-cell" => {
                self.column = self.column.saturating_add(number("table:number-columns-repeated"));
            }
            _ => {}
        }
    }
}

/// Removes white space between elements, and reduces it in paragraphs, as OpenDocument 1.3, part 3, section 6.1.2 says.
/// Returns `None` if the XML is damaged.
fn compact(xml: &str, merged: &mut Merged) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    let mut compact = String::with_capacity(xml.len());
    let mut paragraphs = 0_usize;
    let mut is_behind_space = true;
    loop {
        let from = usize::try_from(reader.buffer_position()).ok()?;
        let event = reader.read_event().ok()?;
        let raw = xml.get(from..usize::try_from(reader.buffer_position()).ok()?)?;
        let is_paragraph = |name: &str| matches!(name, "text:p" | "text:h");
        match event {
            Event::Text(_) if paragraphs == 0 => {
                if raw.contains(|letter: char| !letter.is_ascii_whitespace()) {
                    compact.push_str(raw);
                }
                continue;
            }
            Event::Text(_) => {
                for letter in raw.chars() {
                    let is_space = letter.is_ascii_whitespace();
                    match (is_space, is_behind_space) {
                        (false, _) => compact.push(letter),
                        (true, false) => compact.push(' '),
                        (true, true) => {}
                    }
                    is_behind_space = is_space;
                }
                continue;
            }
            Event::Start(start) => {
                merged.start(&start);
                if is_paragraph(start.name().as_ref()) {
                    paragraphs += 1;
                    is_behind_space = true;
                }
            }
            Event::Empty(start) => {
                merged.start(&start);
                is_behind_space = false;
            }
            Event::End(end) => {
                if is_paragraph(end.name().as_ref()) {
                    paragraphs = paragraphs.checked_sub(1)?;
                    if compact.ends_with(' ') {
                        compact.pop();
                    }
                }
            }
            Event::Eof => return Some(compact),
            _ => is_behind_space = false,
        }
        compact.push_str(raw);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_layout_between_elements_and_content_in_paragraphs() {
        let xml = "<table:table table:name=\"A &amp; B\">\n <table:table-row>\n  <table:table-cell table:number-columns-spanned=\"2\">\n   \
                   <text:p>\n one  <text:span> two</text:span>&amp; <text:s text:c=\"2\"/> three\n</text:p>\n  </table:table-cell>\n  \
                   <table:covered-table-cell/>\n </table:table-row>\n</table:table>\n";
        let mut merged = Merged::default();
        assert_eq!(
            compact(xml, &mut merged).as_deref(),
            Some(
                "<table:table table:name=\"A &amp; B\"><table:table-row><table:table-cell table:number-columns-spanned=\"2\">\
                 <text:p>one <text:span>two</text:span>&amp; <text:s text:c=\"2\"/> three</text:p></table:table-cell>\
                 <table:covered-table-cell/></table:table-row></table:table>"
            )
        );
        let found = Dimensions {
            start: (0, 0),
            end: (0, 1),
        };
        assert_eq!(merged.sheets["A & B"], [found]);
    }
}
