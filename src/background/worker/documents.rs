//! Gives a model the beginning of the documents of its prompt.
//!
//! A document is parsed once, in the sandbox. Its text goes into the record of the message, so that later runs, and this
//! run after a restart, read the record. Nothing here fails the run: a document that cannot be read costs a sentence.

use std::{sync::Arc, time::Duration};

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
        history::{self, Past},
    },
};

/// Maximum number of documents of a message that are read.
const MAX_DOCUMENTS: usize = 10;
/// Maximum time for all documents of a message.
const MAX_TIME: Duration = Duration::from_secs(45);
/// Maximum size in bytes of the texts of a message.
const MAX_BYTES: u64 = 64 << 10;
/// Tokens of the context window per byte of the texts. The texts take about an eighth of the window.
const TOKENS_PER_BYTE: u64 = 2;

/// Adds the beginnings of the documents to the run's own prompt, and stores them. Returns early when the run is stopped.
pub(super) async fn show(
    app: &App,
    run: &Run,
    workplace: &Arc<OnDemand>,
    past: &mut Past,
    context_window: u64,
    stop: &CancellationToken,
) {
    let Some((message, mut records)) = past.unread.take() else {
        return;
    };
    let shown = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        shown = read(app, run, workplace, &mut records, context_window) => shown,
    };
    if let Err(error) = shown {
        tracing::warn!(%error, "the documents of a prompt could not be read");
    }
    if let Some(ChatMessage::User { text, .. }) = past.messages.get_mut(message) {
        text.push_str(&history::texts(&records));
    }
}

async fn read(
    app: &App,
    run: &Run,
    workplace: &Arc<OnDemand>,
    records: &mut [Attachment],
    context_window: u64,
) -> Result<()> {
    let sandbox = workplace.ensure().await?;
    let unread: Vec<usize> = (0..records.len())
        .filter(|at| records[*at].kind == Kind::File && records[*at].details.text.is_none())
        .take(MAX_DOCUMENTS)
        .collect();
    let room = (context_window / TOKENS_PER_BYTE).min(MAX_BYTES);
    let room = usize::try_from(room).unwrap_or(0) / unread.len().max(1);
    let begin = |at: &usize| beginning(sandbox.clone(), records[*at].clone(), room).boxed();
    let beginnings: Vec<_> = unread.iter().map(begin).collect();
    let mut beginnings = stream::iter(beginnings).buffered(MAX_CONVERSIONS);
    let mut texts = Vec::new();
    // A document that is not read in time is named without its text.
    let collect = async {
        while let Some(text) = beginnings.next().await {
            texts.push(text);
        }
    };
    let _ = timeout(MAX_TIME, collect).await;
    drop(beginnings);
    let mut has_changed = false;
    for (at, text) in unread.iter().zip(texts) {
        has_changed |= text.is_some();
        records[*at].details.text = text;
    }
    if has_changed {
        let tx = app.db.begin("documents.read").await?;
        attachments::attach(&tx, run.account_id, (run.thread_id, run.id), records).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Returns the text for the record; `None` for a file that is not a document.
async fn beginning(sandbox: ProjectSandbox, record: Attachment, max_bytes: usize) -> Option<String> {
    let path = &record.path;
    let found = documents::find(&sandbox, path).await.ok()??;
    Some(match documents::read(&sandbox, path, found).await {
        Ok(document) => documents::opening(&document, path, record.size, max_bytes),
        Err(why) => format!("{path}, {} bytes: {why}", record.size),
    })
}
