//! The pages of a document that one call of the `read` tool returns.

use std::fmt::Write as _;

use super::{Arguments, MAX_BYTES, MAX_LINES};
use crate::{
    documents::{Document, Kind, Part, described},
    tools::{ToolAnswer, ToolFailure},
};

/// The parts of a document that the model requested.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    All,
    /// First and last page, counted from 1.
    Pages(usize, usize),
    Sheet(String),
}

impl Selection {
    /// # Errors
    /// Reports a range that ends before it begins, or pages together with a sheet.
    pub fn of(arguments: &Arguments) -> Result<Self, ToolFailure> {
        match (&arguments.pages, &arguments.sheet) {
            (None, None) => Ok(Self::All),
            (None, Some(name)) => Ok(Self::Sheet(name.clone())),
            (Some(pages), None) => {
                let (first, last) = pages.split_once('-').unwrap_or((pages, pages));
                match (first.parse(), last.parse()) {
                    (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok(Self::Pages(first, last)),
                    _ => Err(ToolFailure::Reported(format!(
                        "pages is {pages:?}; give a page such as 3, or a range such as 3-5"
                    ))),
                }
            }
            (Some(_), Some(_)) => Err(ToolFailure::Reported("give either pages or sheet, not both".to_owned())),
        }
    }

    pub fn is_given(&self) -> bool {
        *self != Self::All
    }

    /// Returns the numbers of the selected pages of a PDF file that have no text.
    pub fn scans(&self, document: &Document) -> Vec<usize> {
        if document.kind != Kind::Pdf {
            return Vec::new();
        }
        let range = match self {
            Self::Pages(first, last) => *first..=*last,
            Self::All | Self::Sheet(_) => 1..=document.parts.len(),
        };
        let numbered = document.parts.iter().enumerate().map(|(index, part)| (index + 1, part));
        numbered
            .filter(|(number, part)| range.contains(number) && part.text.is_empty())
            .map(|(number, _)| number)
            .collect()
    }

    fn parts<'a>(&self, document: &'a Document) -> Result<&'a [Part], ToolFailure> {
        let parts = &document.parts;
        match self {
            Self::All => Ok(parts),
            Self::Pages(first, last) if *first <= parts.len() => Ok(&parts[first - 1..(*last).min(parts.len())]),
            Self::Pages(first, _) => {
                let (unit, count, total) = (document.unit, parts.len(), document.total_parts);
                Err(ToolFailure::Reported(if total > count {
                    format!("only the first {count} of {total} {} are readable", unit.word(total))
                } else {
                    let (one, all) = (unit.word(1), unit.word(count));
                    format!("there is no {one} {first}; the document has {count} {all}")
                }))
            }
            Self::Sheet(name) => {
                let quoted = format!("{name:?}");
                let at = parts.iter().position(|part| part.name.contains(&quoted));
                let at = at.or_else(|| parts.iter().position(|part| part.name == *name));
                at.map(|at| &parts[at..=at]).ok_or_else(|| {
                    let names: Vec<&str> = parts.iter().take(50).map(|part| part.name.as_str()).collect();
                    ToolFailure::Reported(format!(
                        "there is no sheet {name:?}; the sheets are: {}",
                        names.join(", ")
                    ))
                })
            }
        }
    }
}

/// Returns the selected parts, from the line `offset` on. The first line describes the document.
pub fn shown(document: &Document, selection: &Selection, offset: u64, limit: u64) -> Result<ToolAnswer, ToolFailure> {
    let parts = selection.parts(document)?;
    let mut text = format!("[{}]\n", described(document));
    let last = offset.saturating_add(limit.min(MAX_LINES));
    let mut number = 0;
    for part in parts {
        let heading = format!("\n## {}\n\n", part.name);
        let body = if part.text.is_empty() {
            "[no text]"
        } else {
            part.text.trim_end()
        };
        for line in heading.lines().chain(body.lines()) {
            number += 1;
            if number < offset {
                continue;
            }
            if number >= last || text.len() + line.len() > MAX_BYTES {
                if number == offset {
                    // One line alone is too long.
                    text.push_str(&line[..line.floor_char_boundary(MAX_BYTES / 2)]);
                    number += 1;
                }
                let _ = write!(
                    text,
                    "\n[more follows in {}; continue with the same selection and offset {number}, or select other {}]",
                    part.name,
                    document.unit.word(2)
                );
                return Ok(ToolAnswer {
                    text,
                    is_error: false,
                    truncated: true,
                    images: Vec::new(),
                });
            }
            text.push_str(line);
            text.push('\n');
        }
    }
    if number < offset {
        return Err(ToolFailure::Reported(format!(
            "the selection has {number} lines; there is no line {offset}"
        )));
    }
    Ok(ToolAnswer {
        text,
        is_error: false,
        truncated: false,
        images: Vec::new(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn document(parts: usize) -> Document {
        let part = |number: usize| serde_json::json!({"name": format!("Page {number}"), "text": format!("text {number}\nend")});
        let parts: Vec<_> = (1..=parts).map(part).collect();
        let document = serde_json::json!({
            "kind": "pdf", "title": "T", "unit": "page", "total_parts": parts.len(), "parts": parts,
            "notes": [], "truncated": false, "has_failed_parts": false
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn pages_and_lines_are_selected() {
        let document = document(4);
        let show = |selection: Selection, offset, limit| shown(&document, &selection, offset, limit);
        let two = show(Selection::Pages(2, 3), 1, 100).unwrap();
        assert_eq!(
            two.text,
            "[PDF, 4 pages, title \"T\"]\n\n## Page 2\n\ntext 2\nend\n\n## Page 3\n\ntext 3\nend\n"
        );
        let first = show(Selection::All, 1, 5).unwrap();
        assert!(
            first.truncated && first.text.contains("continue with the same selection and offset 6"),
            "{first:?}"
        );
        let next = show(Selection::All, 6, 100).unwrap();
        assert!(
            next.text.contains("## Page 2") && !next.text.contains("text 1"),
            "{next:?}"
        );
        assert!(show(Selection::Pages(4, 9), 1, 100).is_ok());
        assert!(show(Selection::Pages(5, 5), 1, 100).is_err());
        assert!(show(Selection::All, 1000, 1).is_err());
        assert!(show(Selection::Sheet("x".to_owned()), 1, 1).is_err());
    }
}
