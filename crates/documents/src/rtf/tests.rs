//! Tests of the RTF reader.

use super::*;

fn text(rtf: &[u8]) -> String {
    let document = read(rtf);
    document
        .parts
        .into_iter()
        .map(|part| part.text)
        .collect::<Vec<_>>()
        .join("\n\n")
}

#[test]
fn code_pages_unicode_and_fallbacks_are_decoded() {
    assert_eq!(
        text(br"{\rtf1\ansi\ansicpg1252 Gr\'fc\'dfe\par \u8364?\u-10179 ?\u-8704 ?!}"),
        "Grüße\n\n€😀!"
    );
    assert_eq!(text(br"{\rtf1\ansicpg1251 \'cf\'f0\'e8}"), "При");
    let fonts = br"{\rtf1{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset128 MS;}}\f1\'93\'fa\'96\'7b\f0\'e9}";
    assert_eq!(text(fonts), "日本é");
    assert_eq!(text(br"{\rtf1 {\uc2\u246 oe}x \u246\'f6y}"), "öx öy");
}

#[test]
fn paragraphs_and_tables_are_kept_and_other_groups_are_not() {
    let rtf = br"{\rtf1{\info{\title no}}{\*\generator no;}{\pict 0102}one\line two\par{\v no}{\deleted no}
\trowd\cellx1\cellx2\pard\intbl a\cell b\par c\cell\row\trowd\intbl 1\cell 2\cell\row\pard after\par \{x\}}";
    assert_eq!(
        text(rtf),
        "one\ntwo\n\n| a | b<br>c |\n| --- | --- |\n| 1 | 2 |\n\nafter\n\n{x}"
    );
}

#[test]
fn any_bytes_are_accepted() {
    let deep = format!("{{\\rtf1 {}deep", "{".repeat(100_000));
    assert_eq!(text(deep.as_bytes()), "deep");
    assert_eq!(text(br"{\rtf1 a}}}}b\'"), "ab");
    assert_eq!(text(b"{\\rtf1 \\bin99999999999 x"), "x");
    assert_eq!(text(b"\\u"), "");
}
