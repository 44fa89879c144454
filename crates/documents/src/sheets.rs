//! Workbooks: one Markdown table per sheet, with the column letters and row numbers of the sheet.
//!
//! Only cells with content are stored, so a sheet that uses distant cells needs little memory.

mod cell;
mod opendocument;

use std::{collections::BTreeMap, fmt::Write as _, io::Cursor};

use calamine::{DataRef, Dimensions, Ods, Range, Reader, SheetType, SheetVisible, Xls, Xlsb, Xlsx};

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    package,
};

/// Maximum number of rows shown per sheet.
const MAX_ROWS: usize = 2000;
/// Maximum number of columns shown per sheet.
const MAX_COLUMNS: usize = 200;
/// Maximum number of cells that are read per workbook.
const MAX_CELLS: usize = 5_000_000;
/// Maximum number of merged regions shown per sheet.
const MAX_MERGED: usize = 100;
/// Maximum size in bytes of a cell's text.
const MAX_CELL_BYTES: usize = 4 << 10;

type Source<'a> = Cursor<&'a [u8]>;

pub fn read(kind: Kind, bytes: &[u8]) -> Result<Document, Unreadable> {
    let damaged = || Unreadable::damaged(kind);
    let mut builder = Builder::new(kind, Unit::Sheet);
    let source = Cursor::new(bytes);
    match kind {
        Kind::Xlsx => {
            note_parts(bytes, &mut builder)?;
            let mut book = Xlsx::new(source).map_err(|_| damaged())?;
            add_sheets(&mut book, &mut builder, xlsx_sheet);
        }
        Kind::Xlsb => {
            package::open(bytes)?;
            let mut book = Xlsb::new(source).map_err(|_| damaged())?;
            add_sheets(&mut book, &mut builder, dense_sheet);
        }
        Kind::Ods => {
            package::open(bytes)?;
            let prepared = opendocument::prepared(bytes);
            let mut book = Ods::new(Cursor::new(&*prepared.bytes)).map_err(|_| damaged())?;
            add_sheets(&mut book, &mut builder, |book, name, left| {
                let mut cells = dense_sheet(book, name, left)?;
                cells.merged = prepared.merged.get(name).cloned().unwrap_or_default();
                Some(cells)
            });
        }
        _ => {
            let mut book = Xls::new(source).map_err(|error| match error {
                calamine::XlsError::Password => Unreadable::encrypted(),
                _ => damaged(),
            })?;
            add_sheets(&mut book, &mut builder, |book, name, left| {
                let mut cells = dense_sheet(book, name, left)?;
                cells.merged = book.merge_cells_by_sheet_name(name).unwrap_or_default();
                Some(cells)
            });
        }
    }
    Ok(builder.finish())
}

/// Notes parts of the workbook that are not shown.
fn note_parts(bytes: &[u8], builder: &mut Builder) -> Result<(), Unreadable> {
    let names = package::names(&package::open(bytes)?);
    let parts = [
        ("charts", "xl/charts/chart"),
        ("pictures", "xl/media/"),
        ("comments", "xl/comments"),
    ];
    for (what, prefix) in parts {
        if names.iter().any(|name| name.starts_with(prefix)) {
            builder.note(format!("{what} are left out"));
        }
    }
    Ok(())
}

/// The cells of a sheet that have content.
#[derive(Default)]
struct Cells {
    /// The shown rows, each with its columns and texts.
    rows: BTreeMap<u32, Vec<(u32, String)>>,
    /// Number of rows with content.
    row_count: usize,
    last_row: Option<u32>,
    is_cut: bool,
    left: usize,
    merged: Vec<Dimensions>,
}

impl Cells {
    fn new(left: usize) -> Self {
        Self {
            left,
            ..Self::default()
        }
    }

    /// Adds a cell. Returns false if the workbook has too many cells.
    fn add(&mut self, row: u32, column: u32, mut text: String) -> bool {
        if self.left == 0 {
            self.is_cut = true;
            return false;
        }
        self.left -= 1;
        if text.trim().is_empty() {
            return true;
        }
        if self.last_row != Some(row) {
            self.last_row = Some(row);
            self.row_count += usize::from(!self.rows.contains_key(&row));
        }
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&row) {
            return true;
        }
        if text.len() > MAX_CELL_BYTES {
            text.truncate(text.floor_char_boundary(MAX_CELL_BYTES));
            text.push_str(" […]");
        }
        self.rows.entry(row).or_default().push((column, text));
        true
    }
}

fn add_sheets<'a, R: Reader<Source<'a>>>(
    book: &mut R,
    builder: &mut Builder,
    read: impl Fn(&mut R, &str, usize) -> Option<Cells>,
) {
    let sheets = book.sheets_metadata().to_vec();
    let mut left = MAX_CELLS;
    for (index, sheet) in sheets.iter().enumerate() {
        if !builder.has_room() || left == 0 {
            builder.skip(sheets.len() - index);
            break;
        }
        let hidden = if sheet.visible == SheetVisible::Visible {
            ""
        } else {
            " (hidden)"
        };
        let name = format!("Sheet {:?}{hidden}", sheet.name);
        if sheet.typ != SheetType::WorkSheet {
            builder.push(name, "[a chart or macro sheet, which is left out]".to_owned());
            continue;
        }
        let Some(cells) = read(book, &sheet.name, left) else {
            builder.push(name, "[this sheet could not be read]".to_owned());
            builder.note("some sheets could not be read");
            continue;
        };
        left = cells.left;
        builder.push(name, written(&cells));
        if cells.is_cut {
            builder.truncated();
            builder.note(format!("only the first {MAX_CELLS} cells are read"));
        }
    }
}

/// Reads a sheet cell by cell.
fn xlsx_sheet(book: &mut Xlsx<Source<'_>>, name: &str, left: usize) -> Option<Cells> {
    let mut cells = Cells::new(left);
    let mut has_formulas = false;
    let mut reader = book.worksheet_cells_reader(name).ok()?;
    loop {
        match reader.next_cell_with_style_id() {
            Ok(Some((found, style))) => {
                let (row, column) = found.get_position();
                let style = reader.styles().get(style);
                let format = style.and_then(|style| style.number_format.as_ref());
                let code = format.map_or("", |format| format.format_code.as_str());
                has_formulas |= matches!(found.get_value(), DataRef::Empty);
                let text = cell::text(&found.get_value().clone().into(), code);
                if !cells.add(row, column, text) {
                    break;
                }
            }
            Ok(None) => break,
            // The cells before the damage are shown.
            Err(_) if cells.row_count > 0 => {
                cells.is_cut = true;
                break;
            }
            Err(_) => return None,
        }
    }
    drop(reader);
    if has_formulas {
        add_formulas(book, name, &mut cells);
    }
    cells.merged = book.merge_cells_by_sheet_name(name).unwrap_or_default();
    Some(cells)
}

/// Adds the formulas of cells for which the file has no value, because the program that wrote it does not calculate.
fn add_formulas(book: &mut Xlsx<Source<'_>>, name: &str, cells: &mut Cells) {
    let Ok(mut reader) = book.worksheet_cells_reader(name) else {
        return;
    };
    while let Ok(Some(found)) = reader.next_cell_with_formula() {
        if let (DataRef::Empty, Some(formula)) = (&found.value, found.formula)
            && !formula.is_empty()
            && !cells.add(found.pos.0, found.pos.1, format!("={formula}"))
        {
            break;
        }
    }
    for row in cells.rows.values_mut() {
        row.sort_by_key(|(column, _)| *column);
    }
}

fn dense_sheet<'a, R: Reader<Source<'a>>>(book: &mut R, name: &str, left: usize) -> Option<Cells> {
    let range = book.worksheet_range(name).ok()?;
    let formulas = book.worksheet_formula(name).unwrap_or_else(|_| Range::empty());
    let mut cells = Cells::new(left);
    let (top, first) = range.start().unwrap_or((0, 0));
    for (row, column, value) in range.used_cells() {
        let (row, column) = (top + u32::try_from(row).ok()?, first + u32::try_from(column).ok()?);
        if !cells.add(row, column, cell::text(value, "")) {
            return Some(cells);
        }
    }
    let (top, first) = formulas.start().unwrap_or((0, 0));
    for (row, column, formula) in formulas.used_cells() {
        let (row, column) = (top + u32::try_from(row).ok()?, first + u32::try_from(column).ok()?);
        let has_value = range
            .get_value((row, column))
            .is_some_and(|value| *value != calamine::Data::Empty);
        if !has_value && !formula.is_empty() && !cells.add(row, column, format!("={formula}")) {
            break;
        }
    }
    for row in cells.rows.values_mut() {
        row.sort_by_key(|(column, _)| *column);
    }
    Some(cells)
}

/// Lists the merged regions. A region's content is in its first cell.
fn write_merged(merged: &[Dimensions], text: &mut String) {
    let shown = merged.iter().take(MAX_MERGED).map(|region| {
        let corner = |(row, column): (u32, u32)| format!("{}{}", cell::letters(column), u64::from(row) + 1);
        format!("{}:{}", corner(region.start), corner(region.end))
    });
    let shown: Vec<_> = shown.collect();
    if !shown.is_empty() {
        let more = if merged.len() > MAX_MERGED { ", …" } else { "" };
        let _ = writeln!(text, "\n[merged cells: {}{more}]", shown.join(", "));
    }
}

/// Writes the table. Empty rows and columns are left out; the numbers and letters show the gaps.
fn written(cells: &Cells) -> String {
    let mut columns: Vec<u32> = cells.rows.values().flatten().map(|(column, _)| *column).collect();
    columns.sort_unstable();
    columns.dedup();
    if columns.is_empty() {
        return "[this sheet is empty]".to_owned();
    }
    let is_wide = columns.len() > MAX_COLUMNS;
    columns.truncate(MAX_COLUMNS);
    let mut table = vec![vec![String::new()]];
    table[0].extend(columns.iter().map(|column| cell::letters(*column)));
    for (row, content) in &cells.rows {
        let mut line = vec![String::new(); columns.len() + 1];
        line[0] = (u64::from(*row) + 1).to_string();
        for (column, text) in content {
            if let Ok(at) = columns.binary_search(column) {
                line[at + 1].clone_from(text);
            }
        }
        table.push(line);
    }
    let mut text = crate::markdown::table(&table);
    write_merged(&cells.merged, &mut text);
    let more = cells.row_count.saturating_sub(cells.rows.len());
    if more > 0 {
        let _ = writeln!(text, "\n[… {more} more rows]");
    }
    if is_wide {
        let _ = writeln!(text, "\n[only the first {MAX_COLUMNS} columns with content are shown]");
    }
    text
}
