//! The record of the files that belong to a message. `uploads::place` writes it for the files of a `StartRun` request,
//! and the journal for the images of tool results. Messages are read and written with their records.
//!
//! A record says where the file is and what it contains; the bytes stay in the workspace. Records of one message are a
//! JSON list in the message's row. New kinds and details may be added at any time: a reader ignores details that it
//! does not know, and treats an unknown kind as [`Kind::File`].

use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::message::{Column, Entity, Model};
use crate::{
    db::Tx,
    error::{Error, Result},
    images::Image,
};

/// A file that belongs to a message.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Path of the file, relative to the workspace.
    pub path: String,
    /// Name under which the file was sent or created.
    pub name: String,
    /// Size of the file in bytes.
    pub size: u64,
    /// Media type, such as `image/png`.
    pub media_type: String,
    pub kind: Kind,
    #[serde(default)]
    pub details: Details,
}

/// How a file is given to the model.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// As an image.
    Image,
    /// Only by its name.
    #[default]
    #[serde(other)]
    File,
}

/// Facts about the content of a file, by its kind.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Details {
    /// Width of an image in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Height of an image in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Beginning of a document as text, or the sentence that says why it cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// True if this server could not read the document, so that a later run tries again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_unread: bool,
}

impl Attachment {
    /// Returns the record of an image; `None` if the image is not in a file.
    pub fn of_image(image: &Image) -> Option<Self> {
        Some(Self {
            path: image.path()?.to_owned(),
            name: image.name().to_owned(),
            size: image.size() as u64,
            media_type: image.media_type().to_owned(),
            kind: Kind::Image,
            details: Details {
                width: Some(image.width()),
                height: Some(image.height()),
                ..Details::default()
            },
        })
    }
}

/// Reads the records of a message.
///
/// # Errors
/// INTERNAL if the records cannot be decoded.
pub fn of_message(row: &Model) -> Result<Vec<Attachment>> {
    let Some(records) = &row.attachments else {
        return Ok(Vec::new());
    };
    serde_json::from_value(records.clone())
        .map_err(|error| Error::internal("a message of the thread could not be decoded", error))
}

/// Converts records to the value of the column; `None` without records.
///
/// # Errors
/// INTERNAL if a record cannot be encoded as JSON.
pub(super) fn stored(records: &[Attachment]) -> Result<Option<serde_json::Value>> {
    if records.is_empty() {
        return Ok(None);
    }
    let value = serde_json::to_value(records);
    value
        .map(Some)
        .map_err(|error| Error::internal("the message could not be encoded", error))
}

/// Stores the records of the files that a `StartRun` request named, in the user message of the run.
///
/// # Errors
/// Database errors; INTERNAL if a record cannot be encoded as JSON.
pub async fn attach(
    tx: &Tx,
    account_id: Uuid,
    (thread_id, run_id): (Uuid, Uuid),
    records: &[Attachment],
) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::Attachments, Expr::value(stored(records)?))
        .filter(Column::AccountId.eq(account_id))
        .filter(is_naming(thread_id, run_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// Selects the message that names the files of a run. The conditions on `thread_id` and `turn` let the query use the
/// index of messages.
pub(super) fn is_naming(thread_id: Uuid, run_id: Uuid) -> Condition {
    Condition::all()
        .add(Column::ThreadId.eq(thread_id))
        .add(Column::Turn.eq(run_id))
        .add(Column::RunId.eq(run_id))
        .add(Column::Files.is_not_null())
}
