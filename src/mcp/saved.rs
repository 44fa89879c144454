//! Saves the files of a tool's result in the workspace, where the model's other tools find them.

use std::{fmt::Write as _, sync::Arc};

use runyard_mcp::Attachment;

use crate::{blocking, error::Error, sandbox::Files};

const FOLDER: &str = "/workspace/mcp";

/// Returns one line per file for the model.
pub(super) async fn save(files: Arc<dyn Files>, tool: &str, attachments: Vec<Attachment>) -> String {
    let tool = tool.to_owned();
    let written = blocking::run("saving the files of a tool's result failed", move || {
        let mut lines = String::new();
        for file in attachments {
            let hash = blake3::hash(&file.content).to_hex();
            let path = format!("{FOLDER}/{tool}-{}.{}", &hash[..8], extension(&file.mime_type));
            let _ = match files.write(&path, &file.content) {
                Ok(()) => write!(lines, "\n[file {} is saved as {path}]", file.number),
                Err(error) => write!(
                    lines,
                    "\n[file {} could not be saved: {}]",
                    file.number,
                    error.message()
                ),
            };
        }
        Ok::<_, Error>(lines)
    });
    written.await.unwrap_or_else(|error| format!("\n[{}]", error.message()))
}

fn extension(mime_type: &str) -> &'static str {
    let kind = mime_type.split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpg",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/svg+xml" => "svg",
        "audio/wav" | "audio/x-wav" => "wav",
        "audio/mpeg" => "mp3",
        "application/pdf" => "pdf",
        "application/json" => "json",
        "text/plain" => "txt",
        _ => "bin",
    }
}
