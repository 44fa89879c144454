#!/usr/bin/env bash
# htmd 0.5.6 ignores `rowspan` when it converts an HTML table to Markdown. The rows below the spanning cell have one cell less, so their
# cells move under the wrong headings, without a warning. A reader of the Markdown, such as a language model, then takes a price for a
# date. `colspan` is honoured. Repeat the spanning cell in each row before the conversion.
#
# Observed for a table Region | Year | Sales, whose region spans two rows: the second row has 2025 under Region, 700 under Year, and nothing under Sales.
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
htmd = "=0.5.6"
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let table = "<table><tr><th>Region</th><th>Year</th><th>Sales</th></tr>\
        <tr><td rowspan=\"2\">North</td><td>2024</td><td>500</td></tr><tr><td>2025</td><td>700</td></tr></table>";
    let text = htmd::convert(table).expect("the table is valid");
    eprintln!("{text}");
    let last = text.trim().lines().last().unwrap_or_default();
    let cells: Vec<&str> = last.trim_matches('|').split('|').map(str::trim).collect();
    println!("{}", cells.join(","));
}
RUST
seen=$(run)
echo "cells of the second row: $seen"
expect "$seen" '2025,700,'
