//! Reads the content of placed files for the record of their message: whether a file is an image, and its dimensions.
//!
//! The bytes come from clients. A file that cannot be read is recorded as a file of no known kind, and never fails the
//! run.

use std::io::Read;

use super::Upload;
use crate::{
    error::{Error, Result},
    images::{Image, MAX_FILE_BYTES, SIGNATURE_BYTES, media_type},
    sandbox::Workspace,
    threads::{
        Attachment,
        attachments::{Details, Kind},
    },
};

/// Content type of a file whose name tells nothing.
const UNKNOWN: &str = "application/octet-stream";

/// Reads the records of files that are in the workspace, in their order.
///
/// # Errors
/// INTERNAL if the work panics.
pub(super) async fn records(workspace: &Workspace, uploads: Vec<Upload>) -> Result<Vec<Attachment>> {
    let workspace = workspace.clone();
    super::blocking(move || {
        let records = uploads.iter().filter_map(|upload| record(&workspace, upload));
        Ok::<_, Error>(records.collect())
    })
    .await
}

fn record(workspace: &Workspace, upload: &Upload) -> Option<Attachment> {
    let path = upload.placed_as.clone()?;
    let (name, size) = (upload.name.clone(), upload.size.unsigned_abs());
    let Some(media_type) = image_type(workspace, &path) else {
        return Some(Attachment {
            name,
            size,
            media_type: mime_guess::from_path(&path).first_raw().unwrap_or(UNKNOWN).to_owned(),
            kind: Kind::File,
            details: Details::default(),
            path,
        });
    };
    Some(Attachment {
        name,
        size,
        media_type: media_type.to_owned(),
        kind: Kind::Image,
        // A damaged or hostile image has no dimensions. The model is told why it does not get the image.
        details: dimensions(workspace, &path).unwrap_or_default(),
        path,
    })
}

/// Returns the media type of an image; `None` if the file is not an image.
fn image_type(workspace: &Workspace, path: &str) -> Option<&'static str> {
    let mut start = Vec::new();
    let file = workspace.open_file(path).ok()?;
    file.take(SIGNATURE_BYTES as u64).read_to_end(&mut start).ok()?;
    media_type(&start)
}

fn dimensions(workspace: &Workspace, path: &str) -> Option<Details> {
    let bytes = workspace.read(path, MAX_FILE_BYTES).ok()?;
    let image = Image::read(path, None, bytes).ok()?;
    Some(Details {
        width: Some(image.width()),
        height: Some(image.height()),
        ..Details::default()
    })
}
