//! Converts the messages of a thread to the conversation that a run sends to its model.

use std::{collections::HashMap, fmt::Write as _};

use sea_orm::ConnectionTrait;
use uuid::Uuid;

use super::{
    Attachment, Message,
    attachments::{self, Kind},
    messages::{self, Bound, StoredCall},
    steering,
};
use crate::{
    accounts::Scope,
    error::{Error, Result},
    llm::{ChatMessage, ToolRequest},
    v1::MessageRole,
};

/// Maximum number of messages. The engine shortens the history further to fit the model's context window.
const MAX_MESSAGES: usize = 2_000;
/// Maximum number of bytes of history per token of the context window. This is more than fits into the window, so
/// that the engine can choose what to shorten.
const BYTES_PER_TOKEN: u64 = 16;
/// Maximum size of the history in bytes, for any context window.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

pub struct Past {
    /// Oldest first.
    pub messages: Vec<ChatMessage>,
    /// Position of the first message of the run.
    pub own: usize,
    /// Tool calls of the run's last assistant message that have no result, because their worker stopped.
    pub interrupted: Vec<ToolRequest>,
    /// Number of messages at the end that are answers of the run without tool calls.
    pub final_answers: u32,
    /// Images of the messages, oldest first. The worker reads them from the workspace.
    pub images: Vec<PastImage>,
    /// The run's own prompt, if it has files whose text is not recorded yet, and earlier prompts whose documents could
    /// not be read. Oldest first.
    pub unread: Vec<UnreadFiles>,
}

/// The files of a prompt, of which some are not read yet.
pub struct UnreadFiles {
    /// Position of the prompt in [`Past::messages`].
    pub message: usize,
    /// The run of the prompt.
    pub run_id: Uuid,
    pub records: Vec<Attachment>,
}

/// An image of an earlier message.
pub struct PastImage {
    /// Position of the message in [`Past::messages`].
    pub message: usize,
    pub record: Attachment,
}

pub fn of_prompt(prompt: &str) -> Past {
    Past {
        messages: vec![ChatMessage::user(prompt)],
        own: 0,
        interrupted: Vec::new(),
        final_answers: 0,
        images: Vec::new(),
        unread: Vec::new(),
    }
}

/// Loads the messages that a run may read. `context_window` is in tokens.
pub async fn load(
    db: &impl ConnectionTrait,
    scope: Scope,
    (thread_id, run_id): (Uuid, Uuid),
    context_window: u64,
) -> Result<Past> {
    let bytes = context_window.saturating_mul(BYTES_PER_TOKEN).min(MAX_BYTES);
    let bound = Bound {
        rows: MAX_MESSAGES,
        bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
    };
    let rows = messages::history(db, scope, thread_id, run_id, bound).await?;
    let mut names: HashMap<String, String> = HashMap::new();
    let mut conversation = Vec::with_capacity(rows.len());
    let mut open: Vec<ToolRequest> = Vec::new();
    let mut final_answers = 0;
    let mut own: Option<usize> = None;
    let mut images = Vec::new();
    let mut unread = Vec::new();
    for row in without_repeated(steering::as_received(rows, run_id), run_id) {
        let records = attachments::of_message(&row)?;
        if row.run_id == Some(run_id) {
            own = own.or(Some(conversation.len()));
        }
        images.extend(
            records
                .iter()
                .filter(|record| record.kind == Kind::Image)
                .map(|record| PastImage {
                    message: conversation.len(),
                    record: record.clone(),
                }),
        );
        let role = MessageRole::try_from(i32::from(row.role)).unwrap_or(MessageRole::User);
        match role {
            MessageRole::Assistant => {
                let tool_calls = calls(&row)?;
                let is_final = row.run_id == Some(run_id) && tool_calls.is_empty();
                final_answers = if is_final { final_answers + 1 } else { 0 };
                names.extend(tool_calls.iter().map(|call| (call.id.clone(), call.name.clone())));
                open = if row.run_id == Some(run_id) {
                    tool_calls.clone()
                } else {
                    Vec::new()
                };
                conversation.push(ChatMessage::Assistant {
                    // If the provider data cannot be parsed, the message is sent without it.
                    carried: row.carried.and_then(|text| serde_json::from_str(&text).ok()),
                    text: row.content,
                    tool_calls,
                });
            }
            MessageRole::Tool => {
                final_answers = 0;
                let tool_call_id = row.tool_call_id.unwrap_or_default();
                open.retain(|call| call.id != tool_call_id);
                let name = names.get(&tool_call_id).cloned().unwrap_or_default();
                conversation.push(ChatMessage::Tool {
                    tool_call_id,
                    name,
                    text: row.content,
                    images: Vec::new(),
                    is_error: row.is_error,
                });
            }
            MessageRole::User | MessageRole::Unspecified => {
                final_answers = 0;
                let is_read = |record: &Attachment| record.kind != Kind::File || record.details.text.is_some();
                let is_own = row.run_id == Some(run_id);
                let awaits_retry = records.iter().any(|record| record.details.is_unread);
                let is_unread = awaits_retry || (is_own && !records.iter().all(is_read));
                let owner = row.run_id.filter(|_| is_unread);
                let mut text = with_files(row)?;
                match owner {
                    Some(run_id) => unread.push(UnreadFiles {
                        message: conversation.len(),
                        run_id,
                        records,
                    }),
                    None => text.push_str(&texts(&records)),
                }
                conversation.push(ChatMessage::user(text));
            }
        }
    }
    Ok(Past {
        own: own.unwrap_or(conversation.len()),
        messages: conversation,
        interrupted: open,
        final_answers,
        images,
        unread,
    })
}

/// Removes a partial answer if its run has called the model again. Also removes it if its run is `run_id`, because
/// that run calls the model next.
fn without_repeated(rows: Vec<Message>, run_id: Uuid) -> Vec<Message> {
    let mut kept: Vec<Message> = Vec::with_capacity(rows.len());
    for row in rows {
        if kept
            .last()
            .is_some_and(|last| last.partial && last.run_id == row.run_id)
        {
            kept.pop();
        }
        kept.push(row);
    }
    if kept
        .last()
        .is_some_and(|last| last.partial && last.run_id == Some(run_id))
    {
        kept.pop();
    }
    kept
}

fn calls(row: &Message) -> Result<Vec<ToolRequest>> {
    let Some(stored) = &row.tool_calls else {
        return Ok(Vec::new());
    };
    let stored: Vec<StoredCall> = serde_json::from_value(stored.clone())
        .map_err(|error| Error::internal("a message of the thread could not be decoded", error))?;
    Ok(stored
        .into_iter()
        .map(|call| ToolRequest {
            id: call.id,
            name: call.name,
            arguments: call.arguments,
        })
        .collect())
}

/// Returns the recorded texts of documents, for the end of their message.
pub fn texts(records: &[Attachment]) -> String {
    let mut texts = String::new();
    for text in records.iter().filter_map(|record| record.details.text.as_ref()) {
        let _ = write!(texts, "\n\n<document>\n{text}\n</document>");
    }
    texts
}

fn with_files(row: Message) -> Result<String> {
    let Some(files) = row.files else { return Ok(row.content) };
    let names: Vec<String> = serde_json::from_value(files)
        .map_err(|error| Error::internal("a message of the thread could not be decoded", error))?;
    Ok(format!("{}\n\nFiles in /workspace: {}", row.content, names.join(", ")))
}
