//! Fits the conversation into the model's context window, and records a notice when it has to be shortened.

use runyard_contract::v1::NoticeKind;

use super::RunLoop;
use crate::{
    Outcome,
    compact::{compact, estimate_all, estimate_bytes},
    record,
};

/// Target size of a compacted conversation, in percent of the available tokens. It is below 100, so that the next step
/// does not compact the conversation again.
const COMPACTED_PERCENT: u64 = 75;

impl RunLoop<'_> {
    /// Compacts the conversation if it does not fit the model's context window.
    pub(super) async fn fit(&mut self) -> Result<(), Outcome> {
        let room = self.room();
        if estimate_all(&self.messages) <= room {
            return Ok(());
        }
        self.shrink(room * COMPACTED_PERCENT / 100).await
    }

    /// Shortens the conversation to a maximum of `max_tokens` tokens and records a notice.
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

    /// Number of tokens available for the conversation.
    pub(super) fn room(&self) -> u64 {
        let window = self
            .model
            .context_window
            .saturating_sub(u64::from(self.model.max_output_tokens));
        (window / self.squeeze).saturating_sub(self.fixed_tokens())
    }

    /// Estimated number of tokens that every request has in addition to the conversation.
    pub(super) fn fixed_tokens(&self) -> u64 {
        let tools = self.bench.tools.spec_bytes();
        estimate_bytes(self.system_prompt.len() + tools + self.note.as_ref().map_or(0, String::len))
    }
}
