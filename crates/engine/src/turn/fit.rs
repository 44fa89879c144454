//! Shortens the conversation if it does not fit into the model's context window.

use runyard_contract::v1::NoticeKind;

use super::{RunLoop, output::Output};
use crate::{
    Outcome,
    compact::{Compacted, compact, estimate_all, estimate_bytes},
    config::VisionSettings,
    images::describe,
    record,
};

/// Target size of a shortened conversation, in percent of the available tokens. The rest stays free for new messages,
/// so that not every step shortens the conversation.
const COMPACTED_PERCENT: u64 = 75;
/// Maximum number of retries per answer after the provider found the conversation too long.
const MAX_REJECTIONS: u32 = 4;
/// Smallest plausible context window in tokens.
const MIN_WINDOW: u64 = 1_024;
/// If a provider reports a smaller context window than the configured one, an answer may use a quarter of the
/// reported window.
const ANSWER_SHARE: u64 = 4;

impl RunLoop<'_> {
    pub(super) async fn fit(&mut self) -> Result<(), Outcome> {
        // The answer can change during a run, because a provider's refusal teaches that its model sees no images.
        let vision = self.llm.vision(&self.model.name, VisionSettings::UNSET);
        if !vision.images {
            self.messages.iter_mut().for_each(|message| {
                describe(message);
            });
        }
        let room = self.room();
        if estimate_all(&self.messages) <= room {
            return Ok(());
        }
        self.shrink(room * COMPACTED_PERCENT / 100).await?;
        Ok(())
    }

    /// Shortens the conversation after the provider found it too long. Returns whether to call the model again.
    ///
    /// The run continues with the window size that the provider reported. If the conversation should have fit, the
    /// estimate was too low, so `ceiling` is lowered.
    pub(super) async fn refit(&mut self, window: Option<u64>, rejections: u32) -> Result<bool, Outcome> {
        if rejections > MAX_REJECTIONS {
            return Ok(false);
        }
        let is_narrower = self.narrow(window);
        let estimate = estimate_all(&self.messages);
        if (MIN_WINDOW..=self.room()).contains(&estimate) {
            self.ceiling = estimate * 2 / 3;
        }
        let is_shorter = self.shrink(self.room() * COMPACTED_PERCENT / 100).await?;
        Ok(is_narrower || is_shorter || rejections == 1)
    }

    /// Reduces the context window to the one that the provider reported. Returns whether the context window changed.
    fn narrow(&mut self, window: Option<u64>) -> bool {
        let Some(window) = window.filter(|window| (MIN_WINDOW..self.model.context_window).contains(window)) else {
            return false;
        };
        tracing::warn!(
            model = self.model.name,
            configured = self.model.context_window,
            window,
            "the provider's context window is smaller than the configured one"
        );
        self.model.context_window = window;
        let share = u32::try_from(window / ANSWER_SHARE).unwrap_or(u32::MAX);
        self.model.max_output_tokens = self.model.max_output_tokens.min(share);
        true
    }

    /// Shortens the conversation to `max_tokens`. Returns whether any message changed.
    async fn shrink(&mut self, max_tokens: u64) -> Result<bool, Outcome> {
        let mut compacted = compact(std::mem::take(&mut self.messages), max_tokens);
        self.messages = std::mem::take(&mut compacted.messages);
        if !compacted.is_changed() {
            return Ok(false);
        }
        self.record(vec![record::notice(NoticeKind::HistoryCompacted, explain(&compacted))])
            .await?;
        Ok(true)
    }

    pub(super) fn room(&self) -> u64 {
        self.model
            .context_window
            .saturating_sub(u64::from(self.model.max_output_tokens))
            .saturating_sub(self.fixed_tokens())
            .min(self.ceiling)
    }

    /// Estimates the tokens of the system prompt, the tool specs, the note and the output schema.
    pub(super) fn fixed_tokens(&self) -> u64 {
        let tools = self.bench.tools.spec_bytes();
        let note = self.note.as_ref().map_or(0, String::len);
        let schema = self.output.as_ref().map_or(0, Output::schema_bytes);
        estimate_bytes(self.system_prompt.len() + tools + note + schema)
    }
}

fn explain(compacted: &Compacted) -> String {
    let counted = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 earlier message was {what}")),
        count => Some(format!("{count} earlier messages were {what}")),
    };
    let prompt = || "your message was shortened".to_owned();
    let parts: Vec<String> = [
        counted(compacted.shortened, "shortened"),
        counted(compacted.dropped, "left out"),
        match compacted.images {
            0 => None,
            1 => Some("1 image was left out".to_owned()),
            count => Some(format!("{count} images were left out")),
        },
        compacted.is_prompt_shortened.then(prompt),
    ]
    .into_iter()
    .flatten()
    .collect();
    format!(
        "The conversation did not fit the model's context window: {}.",
        parts.join(", ")
    )
}
