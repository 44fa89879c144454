//! Keeping the conversation within the model's window, visibly.

use super::Turn;
use crate::{
    engine::{
        Outcome,
        compact::{compact, estimate_all, estimate_bytes},
        record,
    },
    v1::NoticeKind,
};

/// A compacted conversation fills this part of its room, so that it is not compacted again at the next step.
const COMPACTED_PERCENT: u64 = 75;

impl Turn<'_> {
    /// Compacts the conversation when it is longer than the model's window.
    pub(super) async fn fit(&mut self) -> Result<(), Outcome> {
        let room = self.room();
        if estimate_all(&self.messages) <= room {
            return Ok(());
        }
        self.shrink(room * COMPACTED_PERCENT / 100).await
    }

    /// Makes the conversation at most so many tokens, and says so.
    pub(super) async fn shrink(&mut self, max_tokens: u64) -> Result<(), Outcome> {
        let compacted = compact(std::mem::take(&mut self.messages), max_tokens);
        self.messages = compacted.messages;
        if compacted.shortened + compacted.dropped == 0 {
            return Ok(());
        }
        let message = format!(
            "The conversation did not fit the model's context window: {} earlier messages were shortened, {} left out.",
            compacted.shortened, compacted.dropped
        );
        self.record(vec![record::notice(NoticeKind::HistoryCompacted, message)])
            .await
    }

    /// Tokens that the conversation may have.
    pub(super) fn room(&self) -> u64 {
        let window = self
            .model
            .context_window
            .saturating_sub(u64::from(self.model.max_output_tokens));
        (window / self.squeeze).saturating_sub(self.fixed_tokens())
    }

    /// About how many tokens every request has besides the conversation.
    pub(super) fn fixed_tokens(&self) -> u64 {
        let tools = self.bench.tools.spec_bytes();
        estimate_bytes(self.system_prompt.len() + tools + self.note.as_ref().map_or(0, String::len))
    }
}
