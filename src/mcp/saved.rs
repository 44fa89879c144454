//! Saves the files of a tool's result in the workspace, where the model's other tools find them. The images are also
//! shown to the model.

use std::{fmt::Write as _, sync::Arc};

use runyard_mcp::Attachment;

use crate::{
    blocking,
    error::Error,
    images::{Image, add_line, is_image, not_shown},
    sandbox::Files,
};

/// Folder of the files, in the workspace.
const FOLDER: &str = "mcp";

/// Returns one line per file for the model, and the images.
pub(super) async fn save(files: Arc<dyn Files>, tool: &str, attachments: Vec<Attachment>) -> (String, Vec<Image>) {
    let tool = tool.to_owned();
    let written = blocking::run("saving the files of a tool's result failed", move || {
        let (mut lines, mut images) = (String::new(), Vec::new());
        for file in attachments {
            let hash = blake3::hash(&file.content).to_hex();
            let path = format!("{FOLDER}/{tool}-{}.{}", &hash[..8], extension(&file.mime_type));
            let saved = files.write(&path, &file.content);
            let _ = match &saved {
                Ok(()) => write!(lines, "\n[file {} is saved as /workspace/{path}]", file.number),
                Err(error) => write!(
                    lines,
                    "\n[file {} could not be saved: {}]",
                    file.number,
                    error.message()
                ),
            };
            if is_image(&file.content) {
                let place = saved.is_ok().then_some(path.as_str());
                let name = place.map_or_else(|| format!("file {}", file.number), str::to_owned);
                match Image::read(&name, place, file.content) {
                    Ok(image) => images.push(image),
                    Err(fault) => add_line(&mut lines, &not_shown(&name, &fault)),
                }
            }
        }
        Ok::<_, Error>((lines, images))
    });
    written
        .await
        .unwrap_or_else(|error| (format!("\n[{}]", error.message()), Vec::new()))
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
