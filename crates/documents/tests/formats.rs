//! Reads one small document of each format; `tests/files/README.md` says where they come from.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{fs, path::Path};

use runyard_documents::{Document, Kind, Unit, read};

fn bytes(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(name)).unwrap()
}

fn document(name: &str) -> Document {
    read(&bytes(name), name).unwrap()
}

fn text(document: &Document) -> String {
    let parts = document.parts.iter().map(|part| part.text.as_str());
    parts.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_pdf_is_read_page_by_page() {
    let report = document("report.pdf");
    assert_eq!(
        (report.kind, report.unit, report.total_parts),
        (Kind::Pdf, Unit::Page, 3)
    );
    assert_eq!(report.title.as_deref(), Some("Quarterly report"));
    assert_eq!(report.parts[1].name, "Page 2");
    assert!(report.parts[1].text.starts_with("Heading of page 2"), "{report:?}");
    assert!(
        report.parts[1]
            .text
            .contains("Line 3 of page 2: revenue grew by 4 percent.")
    );
    assert!(report.notes.is_empty() && !report.truncated);
}

#[test]
fn a_scan_has_no_text_and_a_locked_file_is_refused() {
    let scan = document("scan.pdf");
    assert_eq!(scan.parts.len(), 2);
    assert!(scan.parts.iter().all(|part| part.text.is_empty()));
    assert_eq!(scan.notes, ["no page has text; the document is probably a scan"]);
    for name in ["locked.pdf", "locked.xlsx"] {
        let refused = read(&bytes(name), name).unwrap_err();
        assert!(
            refused.message.contains("password") && !refused.may_retry,
            "{name}: {refused}"
        );
    }
}

#[test]
fn word_documents_keep_structure() {
    let plan = document("plan.docx");
    assert_eq!((plan.kind, plan.title.as_deref()), (Kind::Docx, Some("Plan")));
    let text = text(&plan);
    for part in [
        "# Plan for 2027",
        "umlauts: äöü.",
        "point",
        "| Name | Sum |",
        "| Ann | 12 |",
    ] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("onetwo"), "{text}");
}

#[test]
fn a_long_table_of_equal_cells_is_read() {
    let list = document("checklist.docx");
    assert_eq!(text(&list).matches("| OK |").count(), 200 * 4);
}

#[test]
fn slides_keep_notes_and_tables() {
    let deck = document("results.pptx");
    assert_eq!((deck.unit, deck.total_parts), (Unit::Slide, 2));
    assert!(deck.parts[0].text.contains("Growth of 12 %") && deck.parts[0].text.contains("Thank the team"));
    assert!(deck.parts[1].text.contains("| 2026 | 7 |"), "{deck:?}");
    assert_eq!(deck.notes, ["1 slide is hidden in the presentation"]);
}

#[test]
fn workbooks_keep_coordinates_formats_and_formulas() {
    let book = document("sales.xlsx");
    let names: Vec<_> = book.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["Sheet \"Sales\"", "Sheet \"Internal\" (hidden)"]);
    assert_eq!(
        book.parts[0].text,
        "|  | A | B | C | D | F |\n| --- | --- | --- | --- | --- | --- |\n| 1 | Region | Share | Since | Total |  |\n\
         | 2 | North | 12.5% | 2024-02-29 | =SUM(B2:B2) |  |\n| 9 |  |  |  |  | far \\| away |\n"
    );
    for name in ["sales.xls", "sales.ods"] {
        assert!(
            document(name).parts[0].text.contains("| 2 | North | 12"),
            "{:?}",
            document(name)
        );
    }
}

#[test]
fn books_pages_letters_tables_and_notebooks_are_read() {
    let book = document("book.epub");
    assert_eq!((book.title.as_deref(), book.unit), (Some("A book"), Unit::Chapter));
    assert_eq!(book.parts[0].name, "Chapter 1: First");
    assert_eq!(book.parts[1].text, "# Second\n\nThe end.");
    assert_eq!(text(&document("letter.rtf")), "Dear Grüße,\n\nthe sum is €5.");
    let page = document("page.html");
    assert_eq!(page.title.as_deref(), Some("A page"));
    assert_eq!(text(&page), "# Prices\n\n| Item | Price |\n| --- | --- |\n| Tea | 3 |");
    assert_eq!(
        text(&document("people.csv")),
        "| name | city |\n| --- | --- |\n| Jörg | Köln |\n"
    );
    assert!(text(&document("study.ipynb")).contains("```python\n1 + 1\n```\n\nOutput:\n\n```\n2\n```"));
}

#[test]
fn damaged_and_foreign_files_cost_one_sentence() {
    for name in [
        "x.pdf", "x.docx", "x.xlsx", "x.ods", "x.pptx", "x.epub", "x.ipynb", "x.doc", "x.ppt",
    ] {
        let error = read(b"this is no document\0\x01", name).unwrap_err().message;
        assert!(
            !error.contains('\n') && error.len() < 200 && !error.is_empty(),
            "{name}: {error}"
        );
    }
    assert!(read(b"fn main() {}", "main.rs").is_err());
    // The positive control: the content counts, not the name.
    assert_eq!(read(&bytes("report.pdf"), "x.docx").unwrap().kind, Kind::Pdf);
    for name in [
        "plan.docx",
        "sales.xlsx",
        "results.pptx",
        "book.epub",
        "sales.ods",
        "sales.xls",
    ] {
        let whole = bytes(name);
        // A cut file is refused, or read as far as it goes; nothing else is promised.
        for part in [0, 1, 100, whole.len() / 2, whole.len() - 1] {
            drop(read(&whole[..part], name));
        }
    }
}
