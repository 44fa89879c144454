#!/usr/bin/env bash
# rtf-parser 0.4.3 loses the second of two neighbouring characters that an RTF file writes as `\'hh`, the usual form of letters outside
# ASCII in files of Word and LibreOffice. `\par` adds no line break, so paragraphs are joined.
#
# Observed: the German word `Gr\'fc\'dfe` is read as "Grüe" instead of "Grüße", and two paragraphs "one" and "two" as "onetwo".
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

dependencies <<'TOML'
rtf-parser = "=0.4.3"
TOML
cat >src/main.rs <<'RUST'
fn text(rtf: &str) -> String {
    let document = rtf_parser::RtfDocument::try_from(rtf).expect("the document is valid");
    document.get_text()
}

fn main() {
    let word = text(r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Gr\'fc\'dfe}");
    let paragraphs = text(r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 one\par two}");
    println!("{word:?}, {paragraphs:?}");
}
RUST
seen=$(run)
echo "$seen"
expect "$seen" '"Grüe", "onetwo"'
