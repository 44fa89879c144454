//! Writes Markdown tables, and tidies the white space of a text.

use std::fmt::Write as _;

/// Writes a table. The first row becomes the header, because a Markdown table needs one. Missing cells are empty.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    if columns == 0 {
        return text;
    }
    for (number, row) in rows.iter().enumerate() {
        text.push('|');
        for column in 0..columns {
            let cell = row.get(column).map_or("", String::as_str);
            let _ = write!(text, " {} |", in_cell(cell));
        }
        text.push('\n');
        if number == 0 {
            text.push('|');
            text.push_str(&" --- |".repeat(columns));
            text.push('\n');
        }
    }
    text
}

/// Converts text to the content of a cell: replaces line breaks by `<br>`, and escapes `|`.
fn in_cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for (number, line) in text
        .trim()
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .enumerate()
    {
        if number > 0 {
            cell.push_str("<br>");
        }
        let mut before = ' ';
        for letter in line.chars() {
            if letter == '|' && before != '\\' {
                cell.push('\\');
            }
            cell.push(letter);
            before = letter;
        }
    }
    cell
}

/// Removes control characters, and white space at the ends of lines. Reduces several blank lines to one.
pub fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut blank_lines = 0;
    for line in text.lines() {
        let line = line.trim_end();
        if line.is_empty() {
            blank_lines += 1;
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if blank_lines > 0 { "\n\n" } else { "\n" });
        }
        blank_lines = 0;
        tidied.extend(line.chars().filter(|letter| *letter == '\t' || !letter.is_control()));
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_header_and_the_same_number_of_cells_in_each_row() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let rows = [row(&["name", "a|b"]), row(&["two\nlines"]), row(&["x", "y", "\\|"])];
        assert_eq!(
            table(&rows),
            "| name | a\\|b |  |\n| --- | --- | --- |\n| two<br>lines |  |  |\n| x | y | \\| |\n"
        );
        assert_eq!(table(&[]), "");
        assert_eq!(table(&[Vec::new()]), "");
    }

    #[test]
    fn white_space_is_tidied() {
        assert_eq!(tidy("\n a \u{0}b  \r\n\n\n\n\tc\u{1b}[0m\n"), " a b\n\n\tc[0m");
    }
}
