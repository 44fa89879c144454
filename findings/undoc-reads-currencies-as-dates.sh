#!/usr/bin/env bash
# undoc 0.27.1 decides by letters of the number format whether a spreadsheet cell is a date, and also looks at quoted text. A number
# with the format `0.00 "USD"` or `0 "days"` comes out as a date, because of the `d`. Excel and LibreOffice ignore quoted text in formats.
#
# Observed for the number 45000, in a file of openpyxl 3.1.5: with both formats undoc prints 2023-03-15. calamine 0.38.0 reads 45000.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openpyxl==3.1.5
venv/bin/python - <<'PYTHON'
import openpyxl

book = openpyxl.Workbook()
sheet = book.active
sheet.append(["plain", "price", "duration"])
sheet.append([45000, 45000, 45000])
sheet["A2"].number_format = "0.00"
sheet["B2"].number_format = '0.00 "USD"'
sheet["C2"].number_format = '0 "days"'
book.save("numbers.xlsx")
PYTHON
dependencies <<'TOML'
undoc = { version = "=0.27.1", default-features = false, features = ["xlsx"] }
calamine = "=0.38.0"
TOML
cat >src/main.rs <<'RUST'
use calamine::{open_workbook, DataType, Reader, Xlsx};

fn main() {
    let document = undoc::parse_file("numbers.xlsx").expect("undoc reads the file");
    let text = undoc::render::to_text(&document, &undoc::render::RenderOptions::default()).expect("undoc prints the sheet");
    eprintln!("{text}");
    let last = text.lines().rfind(|line| line.contains(char::is_numeric)).unwrap_or_default();
    let last: Vec<&str> = last.split_whitespace().filter(|cell| *cell != "|").collect();
    let mut book: Xlsx<_> = open_workbook("numbers.xlsx").expect("calamine reads the file");
    let sheet = book.worksheet_range("Sheet").expect("the sheet exists");
    let cells: Vec<String> = sheet.rows().nth(1).expect("two rows").iter().map(|cell| cell.get_float().map_or("no number".to_owned(), |n| n.to_string())).collect();
    println!("undoc: {}; calamine: {}", last.join(" "), cells.join(" "));
}
RUST
seen=$(run)
echo "$seen"
expect "$seen" 'undoc: 45000 2023-03-15 2023-03-15; calamine: 45000 45000 45000'
