//! The text of a cell, as a spreadsheet program shows it.

use calamine::{Data, ExcelDateTime};

/// Returns the text of a value. `code` is the cell's number format, or empty if it is unknown.
pub fn text(value: &Data, code: &str) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) => text.clone(),
        Data::Bool(true) => "TRUE".to_owned(),
        Data::Bool(false) => "FALSE".to_owned(),
        Data::Int(number) => {
            i32::try_from(*number).map_or_else(|_| number.to_string(), |number| formatted(number.into(), code))
        }
        Data::Float(number) => formatted(*number, code),
        Data::DateTime(time) => date(time),
        Data::DateTimeIso(text) => text.replacen('T', " ", 1).trim_end_matches(" 00:00:00").to_owned(),
        Data::DurationIso(text) => duration(text),
        Data::Error(error) => error.to_string(),
    }
}

/// Returns the letters of a column, counted from 0.
pub fn letters(column: u32) -> String {
    let mut letters = Vec::new();
    let mut rest = u64::from(column) + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(b'A' + u8::try_from(rest % 26).unwrap_or(0));
        rest /= 26;
    }
    letters.reverse();
    String::from_utf8(letters).unwrap_or_default()
}

fn formatted(number: f64, code: &str) -> String {
    // Only the format of positive numbers counts. Text in quotes is no format.
    let code = code.split(';').next().unwrap_or_default();
    if outside_quotes(code).contains('%') {
        return format!("{}%", plain(number * 100.0));
    }
    match currency(code) {
        Some(sign) => format!("{} {sign}", plain(number)),
        None => plain(number),
    }
}

/// Writes a number with 15 significant digits, the precision of spreadsheet programs.
fn plain(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    let size = rounded.abs();
    if size != 0.0 && !(1e-7..1e21).contains(&size) {
        format!("{rounded:e}")
    } else {
        format!("{rounded}")
    }
}

fn outside_quotes(code: &str) -> String {
    code.split('"').step_by(2).collect()
}

/// Returns the currency of a format, such as `[$€-407]`, `"€"` or `$`.
fn currency(code: &str) -> Option<&str> {
    if let Some((_, rest)) = code.split_once("[$") {
        let sign = rest.split(['-', ']']).next()?.trim();
        return (!sign.is_empty()).then_some(sign);
    }
    let at = code.find(['€', '$', '£', '¥'])?;
    code[at..].chars().next().map(|sign| &code[at..at + sign.len_utf8()])
}

fn date(time: &ExcelDateTime) -> String {
    if time.is_duration() {
        let Some(duration) = time.as_duration() else {
            return plain(time.as_f64());
        };
        let seconds = duration.num_seconds();
        let sign = if seconds < 0 { "-" } else { "" };
        let seconds = seconds.abs();
        return format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let Some(moment) = time.as_datetime() else {
        return plain(time.as_f64());
    };
    if (0.0..1.0).contains(&time.as_f64()) {
        return moment.format("%H:%M:%S").to_string();
    }
    let text = moment.format("%Y-%m-%d %H:%M:%S").to_string();
    text.trim_end_matches(" 00:00:00").to_owned()
}

/// Converts a duration such as PT13H30M00S to 13:30:00.
fn duration(text: &str) -> String {
    let parts = text.strip_prefix("PT").and_then(|rest| {
        let (hours, rest) = rest.split_once('H')?;
        let (minutes, rest) = rest.split_once('M')?;
        let seconds = rest.strip_suffix('S')?.split(['.', ',']).next()?;
        let all_digits = [hours, minutes, seconds]
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        all_digits.then(|| format!("{hours}:{minutes:0>2}:{seconds:0>2}"))
    });
    parts.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn values_look_like_in_a_spreadsheet_program() {
        let number = |value: f64, code: &str| text(&Data::Float(value), code);
        assert_eq!(number(0.1 + 0.2, ""), "0.3");
        assert_eq!(number(0.125, "0.0%"), "12.5%");
        assert_eq!(number(5.0, "0 \"%\""), "5");
        assert_eq!(number(1234.5, "#,##0.00 [$€-407]"), "1234.5 €");
        assert_eq!(number(5.0, "\"$\"#,##0"), "5 $");
        assert_eq!(number(5.0, "[$-409]d"), "5");
        assert_eq!(number(1e300, ""), "1e300");
        let moment = |value: f64, kind| text(&Data::DateTime(ExcelDateTime::new(value, kind, false)), "");
        assert_eq!(moment(45_000.0, ExcelDateTimeType::DateTime), "2023-03-15");
        assert_eq!(moment(45_000.75, ExcelDateTimeType::DateTime), "2023-03-15 18:00:00");
        assert_eq!(moment(0.5, ExcelDateTimeType::DateTime), "12:00:00");
        assert_eq!(moment(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        assert_eq!(text(&Data::DurationIso("PT13H30M00S".to_owned()), ""), "13:30:00");
        assert_eq!(
            text(&Data::DateTimeIso("2024-02-29T00:00:00".to_owned()), ""),
            "2024-02-29"
        );
    }

    #[test]
    fn columns_have_letters() {
        let names: Vec<String> = [0, 25, 26, 701, 702, 16383].into_iter().map(letters).collect();
        assert_eq!(names, ["A", "Z", "AA", "ZZ", "AAA", "XFD"]);
    }
}
