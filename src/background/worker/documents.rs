//! Gives a model the beginning of the documents of its prompt.
//!
//! A document is parsed once, in the sandbox. Its text goes into the record of the message, so that later runs, and this
//! run after a restart, read the record. Nothing here fails the run: a document that cannot be read costs a sentence. If
//! the reason is the server, for example because it has no bubblewrap, the record says so, and later runs try again.

use std::{mem, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, stream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    documents,
    error::Result,
    llm::ChatMessage,
    projects::OnDemand,
    runs::Run,
    sandbox::{MAX_CONVERSIONS, ProjectSandbox},
    threads::{
        Attachment,
        attachments::{self, Kind},
        history::{self, Past, UnreadFiles},
    },
};

/// Maximum number of documents that a run reads for its prompts.
const MAX_DOCUMENTS: usize = 10;
/// Maximum time for all documents of a message.
const MAX_TIME: Duration = Duration::from_secs(45);
/// Maximum size in bytes of the texts of a message.
const MAX_BYTES: u64 = 64 << 10;
/// Tokens of the context window per byte of the texts. The texts take about an eighth of the window.
const TOKENS_PER_BYTE: u64 = 2;

/// Adds the beginnings of the documents to the prompts that have unread ones, and stores them. Returns early when the run
/// is stopped.
pub(super) async fn show(
    app: &App,
    run: &Run,
    workplace: &Arc<OnDemand>,
    past: &mut Past,
    context_window: u64,
    stop: &CancellationToken,
) {
    let mut left = MAX_DOCUMENTS;
    // The newest prompt first, because the number of documents is limited.
    for mut files in mem::take(&mut past.unread).into_iter().rev() {
        let shown = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            shown = read(app, run, workplace, &mut files, &mut left, context_window) => shown,
        };
        if let Err(error) = shown {
            tracing::warn!(%error, "the documents of a prompt could not be read");
        }
        if let Some(ChatMessage::User { text, .. }) = past.messages.get_mut(files.message) {
            text.push_str(&history::texts(&files.records));
        }
    }
}

/// Reads up to `left` documents. Afterwards the records have the texts for the model.
async fn read(
    app: &App,
    run: &Run,
    workplace: &Arc<OnDemand>,
    files: &mut UnreadFiles,
    left: &mut usize,
    context_window: u64,
) -> Result<()> {
    let records = &mut files.records;
    let is_unread = |record: &Attachment| {
        let may_be_unread = files.run_id == run.id || record.details.is_unread;
        may_be_unread && record.kind == Kind::File && record.details.text.is_none()
    };
    let unread: Vec<usize> = (0..records.len())
        .filter(|at| is_unread(&records[*at]))
        .take(*left)
        .collect();
    if unread.is_empty() {
        return Ok(());
    }
    *left -= unread.len();
    let sandbox = workplace.ensure().await?;
    let room = (context_window / TOKENS_PER_BYTE).min(MAX_BYTES);
    let room = usize::try_from(room).unwrap_or(0) / unread.len().max(1);
    let begin = |at: &usize| beginning(sandbox.clone(), records[*at].clone(), room).boxed();
    let beginnings: Vec<_> = unread.iter().map(begin).collect();
    let mut beginnings = stream::iter(beginnings).buffered(MAX_CONVERSIONS);
    let mut found = Vec::new();
    // A document that is not read in time is named without its text.
    let collect = async {
        while let Some(beginning) = beginnings.next().await {
            found.push(beginning);
        }
    };
    let _ = timeout(MAX_TIME, collect).await;
    drop(beginnings);
    let before = records.clone();
    let mut for_now = Vec::new();
    for (at, beginning) in unread.into_iter().zip(found) {
        let details = &mut records[at].details;
        details.is_unread = matches!(beginning, Beginning::Later(_));
        match beginning {
            Beginning::Text(text) => details.text = Some(text),
            Beginning::Later(why) => for_now.push((at, why)),
            Beginning::NoDocument => {}
        }
    }
    let stored = if *records == before {
        Ok(())
    } else {
        store(app, run, files).await
    };
    for (at, why) in for_now {
        files.records[at].details.text = Some(why);
    }
    stored
}

async fn store(app: &App, run: &Run, files: &UnreadFiles) -> Result<()> {
    let tx = app.db.begin("documents.read").await?;
    attachments::attach(&tx, run.account_id, (run.thread_id, files.run_id), &files.records).await?;
    tx.commit().await
}

/// The part of a file that the model gets.
enum Beginning {
    /// The beginning of the document, or the reason why it cannot be read, for the record.
    Text(String),
    /// The reason why this server cannot read the document now. It is not recorded, so that a later run tries again.
    Later(String),
    NoDocument,
}

async fn beginning(sandbox: ProjectSandbox, record: Attachment, max_bytes: usize) -> Beginning {
    let path = &record.path;
    let Ok(Some(found)) = documents::find(&sandbox, path).await else {
        return Beginning::NoDocument;
    };
    match documents::read(&sandbox, path, found).await {
        Ok(document) => Beginning::Text(documents::opening(&document, path, record.size, max_bytes)),
        Err(unread) => {
            let text = format!("{path}, {} bytes: {}", record.size, unread.why);
            if unread.is_of_server {
                Beginning::Later(text)
            } else {
                Beginning::Text(text)
            }
        }
    }
}
