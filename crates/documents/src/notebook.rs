//! Jupyter notebooks of formats 2, 3 and 4: text, code and text output.

use std::fmt::Write as _;

use serde_json::Value;

use crate::{
    Kind, Unreadable,
    document::{Builder, Document, Unit},
    markdown,
};

/// Maximum size in bytes of the output of one cell.
const MAX_OUTPUT_BYTES: usize = 8 << 10;

pub fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    let damaged = || Unreadable::damaged(Kind::Notebook);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let notebook: Value = serde_json::from_slice(bytes).map_err(|_| damaged())?;
    // Format 3 and older have worksheets of cells.
    let sheets = notebook["worksheets"].as_array();
    let older = sheets
        .into_iter()
        .flatten()
        .filter_map(|sheet| sheet["cells"].as_array())
        .flatten();
    let cells: Vec<&Value> = notebook["cells"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(older)
        .collect();
    if cells.is_empty() && notebook.get("cells").is_none() && sheets.is_none() {
        return Err(damaged());
    }
    let language = notebook["metadata"]["kernelspec"]["language"]
        .as_str()
        .or_else(|| notebook["metadata"]["language_info"]["name"].as_str())
        .filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric()))
        .unwrap_or("python");
    let mut builder = Builder::new(Kind::Notebook, Unit::Part);
    let mut text = String::new();
    let mut pictures = 0;
    for cell in cells {
        let source = joined(cell.get("source").or_else(|| cell.get("input")).unwrap_or(&Value::Null));
        match cell["cell_type"].as_str() {
            Some("code") => {
                if !source.trim().is_empty() {
                    let _ = write!(text, "```{language}\n{}\n```\n\n", source.trim_end());
                }
                for output in cell["outputs"].as_array().into_iter().flatten() {
                    write_output(&mut text, output, &mut pictures);
                }
            }
            Some("heading") => {
                let level = usize::try_from(cell["level"].as_u64().unwrap_or(1))
                    .unwrap_or(1)
                    .clamp(1, 6);
                let _ = write!(text, "{} {}\n\n", "#".repeat(level), source.trim());
            }
            _ => {
                let _ = write!(text, "{}\n\n", source.trim_end());
            }
        }
    }
    builder.push_divided(&markdown::tidy(&text));
    match pictures {
        0 => {}
        1 => builder.note("1 picture in the output is left out"),
        _ => builder.note(format!("{pictures} pictures in the output are left out")),
    }
    Ok(builder.finish())
}

fn write_output(text: &mut String, output: &Value, pictures: &mut usize) {
    let data = output.get("data").unwrap_or(output);
    let shown = match output["output_type"].as_str() {
        Some("stream") => joined(&output["text"]),
        Some("error" | "pyerr") => without_colours(&joined_lines(&output["traceback"])),
        _ => {
            let is_picture = |key: &String| key.starts_with("image/") || key == "png" || key == "jpeg" || key == "svg";
            *pictures += usize::from(data.as_object().is_some_and(|data| data.keys().any(is_picture)));
            joined(
                data.get("text/plain")
                    .or_else(|| data.get("text"))
                    .unwrap_or(&Value::Null),
            )
        }
    };
    if shown.trim().is_empty() {
        return;
    }
    let cut = shown.floor_char_boundary(MAX_OUTPUT_BYTES);
    let rest = if cut < shown.len() {
        "\n[the rest of the output is left out]"
    } else {
        ""
    };
    let _ = write!(text, "Output:\n\n```\n{}{rest}\n```\n\n", shown[..cut].trim_end());
}

/// Returns a text that the format stores as a string or as a list of its lines.
fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

fn joined_lines(value: &Value) -> String {
    let lines = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes the escape sequences of colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .find(|letter: char| !(letter.is_ascii_digit() || letter == ';'))
            .unwrap_or(part.len());
        plain.push_str(part[code..].strip_prefix('m').unwrap_or(&part[code..]));
    }
    plain
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn cells_and_text_output_of_all_formats_are_kept() {
        let new = r##"{"nbformat":4,"metadata":{"kernelspec":{"language":"R"}},"cells":[
            {"cell_type":"markdown","source":["# Title\n","text"]},
            {"cell_type":"code","source":"x <- 1","outputs":[
                {"output_type":"stream","text":["a\n","b"]},
                {"output_type":"display_data","data":{"image/png":"AAAA","text/plain":"<plot>"}},
                {"output_type":"error","traceback":["\u001b[0;31mError\u001b[0m","line"]}]}]}"##;
        let document = read(new.as_bytes()).unwrap();
        let text = "# Title\ntext\n\n```R\nx <- 1\n```\n\nOutput:\n\n```\na\nb\n```\n\nOutput:\n\n```\n<plot>\n```\n\nOutput:\n\n```\nError\nline\n```";
        assert_eq!(document.parts[0].text, text);
        assert_eq!(document.notes, ["1 picture in the output is left out"]);
        let old = r#"{"nbformat":3,"worksheets":[{"cells":[{"cell_type":"heading","level":2,"source":["H"]},
            {"cell_type":"code","input":"1+1","outputs":[{"output_type":"pyout","text":"2"}]}]}]}"#;
        let document = read(old.as_bytes()).unwrap();
        assert_eq!(
            document.parts[0].text,
            "## H\n\n```python\n1+1\n```\n\nOutput:\n\n```\n2\n```"
        );
        assert!(read(b"{}").is_err() && read(b"[1").is_err());
    }
}
