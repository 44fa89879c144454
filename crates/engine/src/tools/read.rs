//! read: shows numbered lines of a text file, pages of a document, or an image.

mod pages;

use std::{
    fmt::Write as _,
    io::{BufReader, Cursor, Read as _},
};

use async_trait::async_trait;
use runyard_sandbox::Sandbox;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Effect, Tool, ToolAnswer, ToolContext, ToolFailure,
    files::{self, Files},
    lines::{Lines, shown},
};
use crate::{
    documents,
    images::{Image, MAX_FILE_BYTES, SIGNATURE_BYTES, is_image, too_many_bytes},
    llm::ToolSpec,
};

/// Maximum number of lines in a result.
pub const MAX_LINES: u64 = 2000;
/// Maximum bytes shown per line.
pub const MAX_LINE_BYTES: usize = 2000;
/// Maximum bytes of a result.
pub const MAX_BYTES: usize = 64 << 10;
/// Maximum bytes read per call, including the lines before the offset.
pub const MAX_SCANNED_BYTES: u64 = 1 << 30;

/// Maximum number of pages without text that one call shows as images.
const MAX_SCANS: usize = 4;

/// The `read` tool.
pub struct Read;

#[derive(Deserialize)]
struct Arguments {
    path: String,
    #[serde(default = "first")]
    offset: u64,
    #[serde(default = "most")]
    limit: u64,
    pages: Option<String>,
    sheet: Option<String>,
}

fn first() -> u64 {
    1
}

fn most() -> u64 {
    MAX_LINES
}

#[async_trait]
impl Tool for Read {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "read".to_owned(),
            description: format!(
                "Reads a text file or an image (PNG, JPEG, WebP or GIF) in /workspace. Each line of a text starts with its \
                 number and a tab, which are not part of the file. One call returns up to {MAX_LINES} lines and {MAX_BYTES} \
                 bytes; use offset to continue. Lines are cut after {MAX_LINE_BYTES} bytes. Also reads documents as text: PDF, \
                 Word, Excel, PowerPoint, OpenDocument sheets, EPUB and RTF; choose pages or a sheet. HTML, CSV and Jupyter \
                 notebooks are shown as they are, or as a document if you give pages. Other binary files are refused."
            ),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {
                        "type": "string", "minLength": 1, "maxLength": 4096,
                        "description": "Path of the file, such as data.csv or /workspace/data.csv."
                    },
                    "offset": {"type": "integer", "minimum": 1, "description": "Number of the first line to read, counted from 1."},
                    "limit": {"type": "integer", "minimum": 1, "description": "Maximum number of lines."},
                    "pages": {
                        "type": "string", "pattern": "^[0-9]{1,6}(-[0-9]{1,6})?$",
                        "description": "Pages, slides, chapters, sheets or parts of a document, counted from 1, such as 3 or 3-5."
                    },
                    "sheet": {"type": "string", "maxLength": 300, "description": "Name of a sheet of a workbook."}
                },
                "required": ["path"],
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        Effect::ReadOnly
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        let arguments: Arguments = files::arguments(arguments)?;
        if let Some(answer) = document(&arguments, context).await? {
            return Ok(answer);
        }
        files::blocking(context, move |files| read(files, &arguments)).await
    }
}

/// Returns `None` for a file that is shown as plain text.
async fn document(arguments: &Arguments, context: &ToolContext) -> Result<Option<ToolAnswer>, ToolFailure> {
    let path = &arguments.path;
    let selection = pages::Selection::of(arguments)?;
    let sandbox = context.sandbox().await?;
    let found = documents::find(&*sandbox, path).await;
    let found = found.map_err(|error| files::told(path, &error))?;
    let Some(found) = found.filter(|found| found.is_binary || selection.is_given()) else {
        if !selection.is_given() {
            return Ok(None);
        }
        return Err(ToolFailure::Reported(format!(
            "{path} is not a document with pages or sheets; omit pages and sheet to read it as text"
        )));
    };
    let read = context.documents.read(&*sandbox, path, found);
    let document = tokio::select! {
        biased;
        () = context.cancel.cancelled() => return Err(files::stopped()),
        read = read => read.map_err(|unread| ToolFailure::Reported(format!("{path}: {}", unread.why)))?,
    };
    let mut answer = pages::shown(&document, &selection, arguments.offset, arguments.limit)?;
    let scans = selection.scans(&document);
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => return Err(files::stopped()),
        () = show_scans(path, &scans, &*sandbox, &mut answer) => {}
    }
    Ok(Some(answer))
}

/// Adds pages without text as images, up to [`MAX_SCANS`].
async fn show_scans(path: &str, pages: &[usize], sandbox: &dyn Sandbox, answer: &mut ToolAnswer) {
    for page in pages.iter().take(MAX_SCANS) {
        let image = match documents::render(sandbox, path, *page).await {
            Ok(bytes) => Image::read(&format!("{path} page {page}"), None, bytes).map_err(|fault| fault.to_string()),
            Err(why) => Err(why),
        };
        match image {
            Ok(image) => answer.images.push(image),
            Err(why) => {
                let _ = write!(answer.text, "\n[pages without text are not shown as images: {why}]");
                return;
            }
        }
    }
    if pages.len() > MAX_SCANS {
        let _ = write!(
            answer.text,
            "\n[only the first {MAX_SCANS} pages without text are shown as images; use pages to select others]"
        );
    }
}

fn read(files: &Files, arguments: &Arguments) -> Result<ToolAnswer, ToolFailure> {
    let path = &arguments.path;
    let file = files.workspace.open(path).map_err(|error| files::told(path, &error))?;
    let (size, mut content) = (file.size, file.content);
    let mut start = Vec::with_capacity(SIGNATURE_BYTES);
    let read = content.by_ref().take(SIGNATURE_BYTES as u64).read_to_end(&mut start);
    read.map_err(|error| files::unreadable(path, &error))?;
    if is_image(&start) {
        return image(files, path, size);
    }
    let content = Cursor::new(start).chain(content);
    let mut lines = Lines::new(BufReader::with_capacity(64 << 10, content), MAX_LINE_BYTES + 4);
    if lines.is_binary().map_err(|error| files::unreadable(path, &error))? {
        return Err(ToolFailure::Reported(format!(
            "{path} is a binary file of {size} bytes; read shows only text, images and documents. Inspect it with bash, for example with od or python3"
        )));
    }
    let last = arguments.offset.saturating_add(arguments.limit.min(MAX_LINES));
    let mut text = String::new();
    let mut buffer = Vec::new();
    let mut number = 0;
    let give_up = |bytes_read| bytes_read > MAX_SCANNED_BYTES || files.is_over();
    loop {
        let line = lines
            .next(&mut buffer, give_up)
            .map_err(|error| files::unreadable(path, &error))?;
        let Some(line) = line else { break };
        number += 1;
        if give_up(lines.bytes_read()) {
            let told = format!(
                "[stopped at line {number}: the file is too large for read; use bash, for example with sed -n or tail]"
            );
            text.push_str(&told);
            return Ok(ToolAnswer {
                text,
                is_error: false,
                truncated: true,
                images: Vec::new(),
            });
        }
        if number < arguments.offset {
            continue;
        }
        let shown = shown(&buffer, line.bytes, MAX_LINE_BYTES);
        if number >= last || text.len() + shown.len() > MAX_BYTES {
            let _ = write!(
                text,
                "[more lines follow; continue with offset {number}. The file has {size} bytes]"
            );
            return Ok(ToolAnswer {
                text,
                is_error: false,
                truncated: true,
                images: Vec::new(),
            });
        }
        let _ = writeln!(text, "{number:>6}\t{shown}");
    }
    match number {
        0 => Ok(files::whole("(the file is empty)")),
        number if number < arguments.offset => Err(ToolFailure::Reported(format!(
            "{path} has {number} lines; there is no line {}",
            arguments.offset
        ))),
        _ => Ok(files::whole(text)),
    }
}

/// Returns an image. A model that sees no images is told the format, the dimensions and the size.
fn image(files: &Files, path: &str, size: u64) -> Result<ToolAnswer, ToolFailure> {
    let refused =
        |why: &dyn std::fmt::Display| ToolFailure::Reported(format!("the image {path} cannot be shown: {why}"));
    if size > MAX_FILE_BYTES {
        return Err(refused(&too_many_bytes(size)));
    }
    let bytes = files
        .workspace
        .read(path, MAX_FILE_BYTES)
        .map_err(|error| files::told(path, &error))?;
    let name = files::beneath(path);
    let image = Image::read(&name, Some(&name), bytes).map_err(|fault| refused(&fault))?;
    Ok(ToolAnswer {
        images: vec![image],
        ..files::whole("The file is an image.")
    })
}
