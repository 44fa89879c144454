//! Gives a model the images of earlier messages again: those of the run's own prompt, of its tool results before a
//! restart, and of earlier runs of the thread.
//!
//! The images are read from the workspace, the newest first, in bounded memory. An image that is not read becomes a line
//! of text in its message. Nothing here fails the run.

use std::sync::Arc;

use crate::{
    blocking,
    engine::config::Vision,
    error::{Error, Result},
    images::{Image, MAX_FILE_BYTES, add_line, described, not_shown, too_many_bytes, unseen},
    llm::ChatMessage,
    projects::OnDemand,
    sandbox::{ErrorKind, Workspace},
    threads::{
        Attachment,
        history::{Past, PastImage},
    },
};

/// Maximum size in bytes of all images that are read.
const MAX_BYTES: u64 = 32 << 20;

/// An image, or the line of text that replaces it.
type Shown = std::result::Result<Image, String>;

/// Adds the images of the messages, or a line of text for each.
pub(super) async fn show(workplace: &Arc<OnDemand>, past: &mut Past, vision: Vision) {
    let records = std::mem::take(&mut past.images);
    if records.is_empty() {
        return;
    }
    let shown = if vision.images {
        let read = read(workplace, &records, vision.max_count).await;
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, "the images of a thread could not be read");
            let line = |image: &PastImage| Err(not_shown(&image.record.path, &"the workspace cannot be read"));
            records.iter().map(line).collect()
        })
    } else {
        records.iter().map(|image| Err(told(&image.record))).collect()
    };
    for (image, shown) in records.iter().zip(shown) {
        if let Some(message) = past.messages.get_mut(image.message) {
            add(message, shown);
        }
    }
}

/// Describes an image to a model that sees no images.
fn told(record: &Attachment) -> String {
    let dimensions = record.details.width.zip(record.details.height);
    unseen(&described(&record.path, &record.media_type, dimensions, record.size))
}

async fn read(workplace: &OnDemand, records: &[PastImage], max_count: usize) -> Result<Vec<Shown>> {
    let workspace = workplace.ensure().await?.workspace().clone();
    let records: Vec<Attachment> = records.iter().map(|image| image.record.clone()).collect();
    blocking::run("the images of a thread could not be read", move || {
        let mut room = MAX_BYTES;
        let mut shown: Vec<Shown> = Vec::with_capacity(records.len());
        // The newest images are the most useful ones.
        for (place, record) in records.iter().rev().enumerate() {
            let is_shown = place < max_count && record.size.min(MAX_FILE_BYTES) <= room;
            shown.push(if is_shown {
                room -= record.size.min(MAX_FILE_BYTES);
                load(&workspace, record)
            } else {
                Err(not_shown(&record.path, &"the conversation has too many images"))
            });
        }
        shown.reverse();
        Ok::<_, Error>(shown)
    })
    .await
}

fn load(workspace: &Workspace, record: &Attachment) -> Shown {
    let path = &record.path;
    if record.size > MAX_FILE_BYTES {
        return Err(not_shown(path, &too_many_bytes(record.size)));
    }
    // The file may have grown since it was recorded. It must still fit into the room that its record took.
    let bytes = workspace.read(path, record.size).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::FileNotFound => "the file no longer exists",
            ErrorKind::TooLarge => "the file has changed",
            _ => "the file cannot be read",
        };
        not_shown(path, &why)
    })?;
    Image::read(path, Some(path), bytes).map_err(|fault| not_shown(path, &fault))
}

fn add(message: &mut ChatMessage, shown: Shown) {
    if let ChatMessage::User { text, images } | ChatMessage::Tool { text, images, .. } = message {
        match shown {
            Ok(image) => images.push(image),
            Err(line) => add_line(text, &line),
        }
    }
}
