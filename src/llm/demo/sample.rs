//! Analyzes the first rows of a table: delimiter, header, and the kind of each column.

/// Minimum share of values that must match a kind, in percent.
const ENOUGH: usize = 90;

const MISSING: &[&str] = &["", "-", "na", "n/a", "nan", "null", "none"];

/// Kind of the values in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Date,
    Text,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Date => "date",
            Self::Text => "text",
        }
    }
}

/// A column of the sample.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) values: Vec<String>,
    pub(super) distinct: usize,
}

/// The beginning of a table.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) delimiter: char,
    pub(super) has_header: bool,
    pub(super) decimal: char,
    pub(super) columns: Vec<Column>,
}

impl Sample {
    /// Parses the beginning of a file. `is_whole` is true if nothing was cut off. Returns `None` if there is no row.
    pub(super) fn of(text: &str, is_whole: bool) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}');
        let delimiter = delimiter(text);
        let mut records = records(text, delimiter);
        if !is_whole && records.len() > 2 {
            records.pop();
        }
        let width = records.iter().map(Vec::len).max()?;
        let decimal = decimal(&records, delimiter);
        let has_header = has_header(&records, decimal);
        let first = if has_header {
            records.first().cloned().unwrap_or_default()
        } else {
            Vec::new()
        };
        let rows = &records[usize::from(has_header)..];
        let columns = (0..width).map(|at| column(at, first.get(at), rows, decimal)).collect();
        Some(Self {
            delimiter,
            has_header,
            decimal,
            columns,
        })
    }
}

fn column(at: usize, name: Option<&String>, rows: &[Vec<String>], decimal: char) -> Column {
    let name = name
        .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|name| !name.is_empty());
    let values: Vec<String> = rows
        .iter()
        .filter_map(|row| row.get(at))
        .filter(|value| !is_missing(value))
        .cloned()
        .collect();
    let enough = |fits: &dyn Fn(&str) -> bool| {
        !values.is_empty() && values.iter().filter(|value| fits(value)).count() * 100 >= values.len() * ENOUGH
    };
    let kind = if enough(&is_date) {
        Kind::Date
    } else if enough(&|value| is_number(value, decimal)) {
        Kind::Number
    } else {
        Kind::Text
    };
    let mut distinct: Vec<&String> = values.iter().collect();
    distinct.sort_unstable();
    distinct.dedup();
    let distinct = distinct.len();
    Column {
        name: name.unwrap_or_else(|| format!("column {}", at + 1)),
        kind,
        values,
        distinct,
    }
}

fn is_missing(value: &str) -> bool {
    MISSING.contains(&value.trim().to_lowercase().as_str())
}

/// Selects the delimiter that splits most records into the same number of fields, preferably many.
fn delimiter(text: &str) -> char {
    let score = |delimiter: char| {
        let widths: Vec<usize> = records(text, delimiter).iter().map(Vec::len).take(50).collect();
        let common = widths.first().copied().unwrap_or(1);
        let same = widths.iter().filter(|width| **width == common).count();
        if common < 2 {
            0
        } else {
            same * 1000 / widths.len() + common.min(20)
        }
    };
    let mut best = (',', score(','));
    for other in [';', '\t', '|'] {
        if score(other) > best.1 {
            best = (other, score(other));
        }
    }
    best.0
}

/// Selects the decimal separator: a comma if it is not the delimiter and most numbers use it as one.
fn decimal(records: &[Vec<String>], delimiter: char) -> char {
    if delimiter == ',' {
        return '.';
    }
    let values = || {
        records
            .iter()
            .flatten()
            .map(|value| value.trim())
            .filter(|value| value.contains(['.', ',']))
    };
    let by_comma = values().filter(|value| is_number(value, ',')).filter(|value| {
        !is_number(value, '.') || {
            let after = value.rsplit(',').next().unwrap_or_default();
            after.len() != 3 && value.contains(',')
        }
    });
    if by_comma.count() * 2
        > values()
            .filter(|value| is_number(value, ',') || is_number(value, '.'))
            .count()
    {
        ','
    } else {
        '.'
    }
}

fn has_header(records: &[Vec<String>], decimal: char) -> bool {
    let Some(first) = records.first() else { return false };
    let filled = first.iter().filter(|cell| !cell.trim().is_empty()).count();
    let values = first
        .iter()
        .filter(|cell| is_number(cell, decimal) || is_date(cell))
        .count();
    filled > 0 && values * 2 < first.len().max(2)
}

/// Returns whether a value is a number after removing currency, percent and thousands signs.
pub(super) fn is_number(value: &str, decimal: char) -> bool {
    let value = value
        .trim()
        .trim_matches(|character: char| "$€£¥% \u{a0}".contains(character));
    let value: String = value
        .chars()
        .filter(|character| !matches!(character, ' ' | '\u{a0}' | '\''))
        .collect();
    let thousands = if decimal == ',' { '.' } else { ',' };
    let plain = value.replace(thousands, "").replace(decimal, ".");
    let is_grouped_well = value.split(thousands).skip(1).all(|group| {
        group
            .split(decimal)
            .next()
            .is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|b| b.is_ascii_digit()))
    });
    is_grouped_well
        && plain.bytes().any(|byte| byte.is_ascii_digit())
        && plain
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte))
        && plain.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Returns whether a value starts like 2026-11 or 2026/11/21. Other orders of day and month are ambiguous.
fn is_date(value: &str) -> bool {
    let bytes = value.trim().as_bytes();
    let digits = |from: usize, to: usize| {
        bytes
            .get(from..to)
            .is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let sign = |at: usize| bytes.get(at).is_some_and(|byte| matches!(byte, b'-' | b'/'));
    let is_month = digits(0, 4) && sign(4) && digits(5, 7);
    is_month
        && (bytes.len() == 7 || (sign(7) && digits(8, 10) && bytes.get(10).is_none_or(|byte| b" T".contains(byte))))
}

/// Splits a text into records. Understands quoted fields and skips empty lines.
fn records(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut records = Vec::new();
    let (mut record, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.trim().is_empty() => {
                is_quoted = true;
                field.clear();
            }
            '\n' if !is_quoted => {
                record.push(std::mem::take(&mut field).trim().to_owned());
                records.push(std::mem::take(&mut record));
            }
            other if other == delimiter && !is_quoted => record.push(std::mem::take(&mut field).trim().to_owned()),
            other => field.push(other),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field.trim().to_owned());
        records.push(record);
    }
    records.retain(|record| record.iter().any(|cell| !cell.is_empty()));
    records
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn kinds(text: &str) -> (char, bool, char, Vec<Kind>) {
        let sample = Sample::of(text, true).unwrap();
        let kinds = sample.columns.iter().map(|column| column.kind).collect();
        (sample.delimiter, sample.has_header, sample.decimal, kinds)
    }

    #[test]
    fn tables_are_recognized() {
        use Kind::{Date, Number, Text};
        let table = [
            ("a,b\nx,1\ny,2\n", (',', true, '.', vec![Text, Number])),
            (
                "day;x\n2026-01-02;1,5\n2026-01-03;1.200,5\n",
                (';', true, ',', vec![Date, Number]),
            ),
            ("a\tb\nx, y\t\"1,000\"\nz\t2\n", ('\t', true, '.', vec![Text, Number])),
            ("x,1\ny,2\n", (',', false, '.', vec![Text, Number])),
            ("1,2\n3,4\n", (',', false, '.', vec![Number, Number])),
            ("a|b\n$1.50|12 %\n$2.00|3%\n", ('|', true, '.', vec![Number, Number])),
            (
                "a,b\n\"x\ny, \"\"z\"\"\",1\n,n/a\nw,3\n",
                (',', true, '.', vec![Text, Number]),
            ),
            ("name\nx\n", (',', true, '.', vec![Text])),
            ("a,b\n", (',', true, '.', vec![Text, Text])),
        ];
        for (text, expected) in table {
            assert_eq!(kinds(text), expected, "{text:?}");
        }
        assert!(Sample::of("", true).is_none() && Sample::of("\n \n", true).is_none());
    }

    #[test]
    fn an_incomplete_last_row_is_ignored() {
        assert_eq!(
            Sample::of("a,b\nx,1\ny,2\nz,", false).unwrap().columns[0].values.len(),
            2
        );
        assert_eq!(
            Sample::of("a,b\nx,1\ny,2\nz,", true).unwrap().columns[0].values.len(),
            3
        );
    }
}
