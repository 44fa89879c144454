//! A plain reader of docx files, for documents that the main reader refuses: paragraphs and tables, without styles.

use quick_xml::{Reader, XmlVersion, events::Event};

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    markdown, package,
};

pub fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    let damaged = || Unreadable::damaged(Kind::Docx);
    let mut archive = package::open(bytes)?;
    let types = package::member(&mut archive, "[Content_Types].xml").unwrap_or_default();
    let main = main_part(&String::from_utf8_lossy(&types)).unwrap_or_else(|| "word/document.xml".to_owned());
    let content = package::member(&mut archive, &main).ok_or_else(damaged)?;
    let text = text(&String::from_utf8_lossy(&content)).ok_or_else(damaged)?;
    let mut builder = Builder::new(Kind::Docx, Unit::Part);
    builder.push_divided(&markdown::tidy(&text));
    builder.note("the document is shown without headings, lists, notes and headers");
    Ok(builder.finish())
}

/// Finds the path of the main part in the list of content types.
fn main_part(types: &str) -> Option<String> {
    let overrides = types.split("<Override").skip(1);
    let mut main = overrides.filter(|entry| {
        entry
            .split('>')
            .next()
            .is_some_and(|entry| entry.contains("document.main+xml"))
    });
    let (_, rest) = main.next()?.split_once("PartName=\"/")?;
    rest.split('"').next().map(str::to_owned)
}

/// The text of a table that is being read.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
}

fn text(xml: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    // The text around the tables, and the cells of the open tables.
    let mut open: Vec<String> = vec![String::new()];
    let mut tables: Vec<Table> = Vec::new();
    let (mut is_text, mut moved) = (false, 0_usize);
    loop {
        let event = reader.read_event().ok()?;
        let is_in_cell = open.len() > 1;
        let cell = open.last_mut()?;
        match event {
            Event::Start(start) => match start.local_name().as_ref() {
                "t" => is_text = moved == 0,
                "moveFrom" => moved += 1,
                "tbl" => tables.push(Table::default()),
                "tc" => open.push(String::new()),
                _ => {}
            },
            Event::Empty(start) => match start.local_name().as_ref() {
                "tab" => cell.push('\t'),
                "br" | "cr" => cell.push('\n'),
                "noBreakHyphen" => cell.push('-'),
                _ => {}
            },
            Event::Text(text) if is_text => cell.push_str(&text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(name) if is_text => cell.push_str(&entity(&name)),
            Event::End(end) => match end.local_name().as_ref() {
                "t" => is_text = false,
                "moveFrom" => moved = moved.saturating_sub(1),
                "p" => cell.push_str("\n\n"),
                "tc" if is_in_cell => {
                    let cell = open.pop()?;
                    tables.last_mut()?.row.push(cell);
                }
                "tr" => {
                    let table = tables.last_mut()?;
                    let row = std::mem::take(&mut table.row);
                    table.rows.push(row);
                }
                "tbl" => {
                    let table = tables.pop()?;
                    if tables.is_empty() {
                        cell.push_str(&markdown::table(&table.rows));
                        cell.push('\n');
                    } else {
                        let rows = table.rows.iter().map(|row| row.join("\t"));
                        cell.push_str(&rows.collect::<Vec<_>>().join("\n"));
                    }
                }
                _ => {}
            },
            Event::Eof => return (open.len() == 1).then(|| open.concat()),
            _ => {}
        }
    }
}

fn entity(name: &str) -> String {
    let number = name.strip_prefix("#x").map(|digits| u32::from_str_radix(digits, 16));
    let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
    let letter = match (name, number) {
        ("lt", _) => Some('<'),
        ("gt", _) => Some('>'),
        ("amp", _) => Some('&'),
        ("quot", _) => Some('"'),
        ("apos", _) => Some('\''),
        (_, Some(Ok(number))) => char::from_u32(number),
        _ => None,
    };
    letter.map(String::from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_tables_and_entities_are_kept() {
        let xml = "<w:document><w:p><w:t>a &lt; b</w:t><w:tab/><w:t>&#252;</w:t></w:p><w:moveFrom><w:t>no</w:t></w:moveFrom>\
                   <w:p><w:delText>no</w:delText></w:p>\
                   <w:tbl><w:tr><w:tc><w:p><w:t>x</w:t></w:p></w:tc><w:tc><w:p><w:t>y</w:t></w:p></w:tc></w:tr></w:tbl></w:document>";
        let text = text(xml).unwrap_or_default();
        assert_eq!(markdown::tidy(&text), "a < b\tü\n\n| x | y |\n| --- | --- |");
    }

    #[test]
    fn the_main_part_can_have_any_name() {
        let types = r#"<Types><Override PartName="/word/styles.xml" ContentType="x.styles+xml"/><Override
            PartName="/word/document2.xml" ContentType="x.wordprocessingml.document.main+xml"/></Types>"#;
        assert_eq!(main_part(types).as_deref(), Some("word/document2.xml"));
    }
}
