//! Reads one small document of each format; `tests/files/README.md` says where they come from.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{
    fs,
    io::{Cursor, Read as _, Write as _},
    path::Path,
};

use runyard_documents::{Document, Kind, Unit, read};
use zip::{ZipArchive, ZipWriter, write::SimpleFileOptions};

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

/// Copies an archive and changes one member, or all of them.
fn changed(name: &str, member: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let source = bytes(name);
    let mut archive = ZipArchive::new(Cursor::new(&source[..])).unwrap();
    let mut copy = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if member.is_empty() || name == member {
            content = match String::from_utf8(content) {
                Ok(text) => change(text).into_bytes(),
                Err(binary) => binary.into_bytes(),
            };
        }
        copy.start_file(name, SimpleFileOptions::default()).unwrap();
        copy.write_all(&content).unwrap();
    }
    copy.finish().unwrap().into_inner()
}

#[test]
fn text_that_a_tracked_change_moved_appears_once() {
    let moved = changed("plan.docx", "word/document.xml", |xml| {
        let run = "<w:r><w:t>A moved sentence.</w:t></w:r>";
        let places = format!(
            "<w:p><w:pPr><w:rPr><w:moveFrom w:id=\"1\" w:author=\"a\"/></w:rPr></w:pPr><w:moveFromRangeStart w:id=\"2\" \
             w:name=\"m\"/><w:moveFrom w:id=\"3\" w:author=\"a\">{run}</w:moveFrom><w:moveFromRangeEnd w:id=\"2\"/></w:p>\
             <w:p><w:moveToRangeStart w:id=\"4\" w:name=\"m\"/><w:moveTo w:id=\"5\" w:author=\"a\">{run}</w:moveTo>\
             <w:moveToRangeEnd w:id=\"4\"/></w:p>"
        );
        xml.replacen("<w:body>", &format!("<w:body>{places}"), 1)
    });
    let moved = read(&moved, "moved.docx").unwrap();
    let text = text(&moved);
    assert_eq!(text.matches("A moved sentence.").count(), 1, "{text}");
    assert!(text.contains("# Plan for 2027"), "{text}");
    assert!(
        moved.notes.iter().any(|note| note.contains("tracked changes")),
        "{moved:?}"
    );
}

#[test]
fn documents_in_the_strict_format_and_with_another_prefix_are_read_like_others() {
    let strict = |xml: String| {
        let families = ["wordprocessingml", "drawingml", "officeDocument"];
        families.iter().fold(xml, |xml, family| {
            xml.replace(
                &format!("http://schemas.openxmlformats.org/{family}/2006/"),
                &format!("http://purl.oclc.org/ooxml/{family}/"),
            )
        })
    };
    let prefixed = |xml: String| {
        let xml = xml.replace("<w:", "<ns0:").replace("</w:", "</ns0:");
        xml.replace(" w:", " ns0:").replace("xmlns:w=", "xmlns:ns0=")
    };
    let plan = text(&document("plan.docx"));
    for (what, file) in [
        ("strict", changed("plan.docx", "", strict)),
        ("prefix", changed("plan.docx", "word/document.xml", prefixed)),
        ("both", changed("plan.docx", "", |xml| prefixed(strict(xml)))),
    ] {
        assert_eq!(text(&read(&file, "plan.docx").unwrap()), plan, "{what}");
    }
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
fn open_document_sheets_can_have_layout_and_merged_cells() {
    let plain = document("sales.ods");
    let indented = changed("sales.ods", "content.xml", |xml| xml.replace("><", ">\n  <"));
    assert_eq!(text(&read(&indented, "sales.ods").unwrap()), text(&plain));
    let merged = changed("sales.ods", "content.xml", |xml| {
        let cell = "<table:table-cell table:number-columns-spanned=\"2\" table:number-rows-spanned=\"1\"";
        let row = format!(
            "<table:table-row>{cell} office:value-type=\"string\"><text:p>Sales<text:s text:c=\"2\"/>of <text:tab/>2027</text:p>\
             </table:table-cell><table:covered-table-cell/></table:table-row><table:table-row "
        );
        let xml = xml.replace("<table:table-row>", "<table:table-row >");
        xml.replacen("<table:table-row ", &row, 1)
    });
    let merged = text(&read(&merged, "sales.ods").unwrap());
    assert!(merged.contains("| 1 | Sales  of \t2027 |  |"), "{merged}");
    assert!(merged.contains("| 3 | North | 12 |"), "{merged}");
    assert!(merged.ends_with("\n[merged cells: A1:B1]\n"), "{merged}");
}

#[test]
fn workbooks_list_merged_cells() {
    let merged = changed("sales.xlsx", "xl/worksheets/sheet1.xml", |xml| {
        let cells = "<mergeCells count=\"1\"><mergeCell ref=\"A1:B1\"/></mergeCells>";
        xml.replacen("</sheetData>", &format!("</sheetData>{cells}"), 1)
    });
    let merged = read(&merged, "sales.xlsx").unwrap();
    assert!(
        merged.parts[0].text.ends_with("\n[merged cells: A1:B1]\n"),
        "{merged:?}"
    );
    assert!(!merged.parts[1].text.contains("merged"), "{merged:?}");
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
