//! CSV and TSV as Markdown tables, in parts of rows under the same header.

use csv::ReaderBuilder;

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    encoding, markdown,
};

const ROWS_PER_PART: usize = 200;
/// Maximum number of columns of a table; the rest of each row is left out.
const MAX_COLUMNS: usize = 200;
const SNIFFED_LINES: usize = 20;

pub fn read(kind: Kind, bytes: &[u8]) -> Result<Document, Unreadable> {
    let text = encoding::decode(bytes, None);
    let mut text = text.as_ref();
    let mut delimiter = match kind {
        Kind::Tsv => b'\t',
        _ => sniff(text),
    };
    // Excel writes the delimiter to the first line: sep=;
    if let Some((stated, rest)) = text.strip_prefix("sep=").and_then(|rest| rest.split_once('\n')) {
        delimiter = stated.trim_end_matches('\r').bytes().next().unwrap_or(delimiter);
        text = rest;
    }
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false)
        .from_reader(text.as_bytes());
    let mut builder = Builder::new(kind, Unit::Part);
    let mut header: Option<Vec<String>> = None;
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (mut first, mut count, mut is_wide) = (1, 0_usize, false);
    for record in reader.records() {
        let record = record.map_err(|_| Unreadable::damaged(kind))?;
        is_wide |= record.len() > MAX_COLUMNS;
        let row = record.iter().take(MAX_COLUMNS).map(str::to_owned).collect();
        if header.is_none() {
            header = Some(row);
            continue;
        }
        count += 1;
        if !builder.has_room() {
            builder.truncated();
            continue;
        }
        rows.push(row);
        if rows.len() == ROWS_PER_PART {
            push(&mut builder, header.as_ref(), &mut rows, &mut first);
        }
    }
    if !rows.is_empty() || first == 1 {
        push(&mut builder, header.as_ref(), &mut rows, &mut first);
    }
    builder.note(format!("the table has {count} rows below its header"));
    if is_wide {
        builder.note(format!("only the first {MAX_COLUMNS} columns are shown"));
    }
    Ok(builder.finish())
}

fn push(builder: &mut Builder, header: Option<&Vec<String>>, rows: &mut Vec<Vec<String>>, first: &mut usize) {
    let last = *first + rows.len().max(1) - 1;
    let mut table: Vec<Vec<String>> = header.into_iter().cloned().collect();
    table.append(rows);
    builder.push(format!("Rows {first} to {last}"), markdown::table(&table));
    *first = last + 1;
}

/// Finds the delimiter that occurs in most of the first lines equally often.
fn sniff(text: &str) -> u8 {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.is_empty())
        .take(SNIFFED_LINES)
        .collect();
    let score = |delimiter: u8| {
        let counts: Vec<usize> = lines.iter().map(|line| outside_quotes(line, delimiter)).collect();
        let most = counts.first().copied().unwrap_or(0);
        let same = counts.iter().filter(|count| **count == most).count();
        if most == 0 { (0, 0) } else { (same, most) }
    };
    let candidates = [b',', b';', b'\t', b'|'];
    let best = candidates.into_iter().rev().max_by_key(|delimiter| score(*delimiter));
    best.filter(|delimiter| score(*delimiter).1 > 0).unwrap_or(b',')
}

fn outside_quotes(line: &str, delimiter: u8) -> usize {
    let mut is_quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        is_quoted ^= byte == b'"';
        count += usize::from(byte == delimiter && !is_quoted);
    }
    count
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        read(Kind::Csv, bytes).unwrap().parts[0].text.clone()
    }

    #[test]
    fn delimiters_quotes_and_encodings_are_recognised() {
        let table = "| a | b |\n| --- | --- |\n| 1,5 | ü |\n";
        assert_eq!(text("a;b\n1,5;ü\n".as_bytes()), table);
        assert_eq!(text(b"a;b\r\n1,5;\xfc\r\n"), table);
        assert_eq!(text("a,b\n\"1,5\",ü\n".as_bytes()), table);
        assert_eq!(text("\u{feff}sep=|\na|b\n1,5|ü\n".as_bytes()), table);
        assert_eq!(text("a\tb\n1,5\tü\n".as_bytes()), table);
        let wide: Vec<u8> = "a;b\n1,5;ü\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text(&[b"\xff\xfe".as_slice(), &wide].concat()), table);
        assert_eq!(
            text(b"a,b\n1\n1,2,3\n"),
            "| a | b |  |\n| --- | --- | --- |\n| 1 |  |  |\n| 1 | 2 | 3 |\n"
        );
    }

    #[test]
    fn each_part_repeats_the_header() {
        let rows: String = (0..450)
            .map(|row| format!("{row},x\n"))
            .fold("n,v\n".to_owned(), |all, row| all + &row);
        let document = read(Kind::Csv, rows.as_bytes()).unwrap();
        let names: Vec<&str> = document.parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["Rows 1 to 200", "Rows 201 to 400", "Rows 401 to 450"]);
        assert!(
            document.parts[2]
                .text
                .starts_with("| n | v |\n| --- | --- |\n| 400 | x |")
        );
        assert_eq!(document.notes, ["the table has 450 rows below its header"]);
    }
}
