//! Calls the model again after an incomplete answer, an empty answer, or an answer that reached its length limit
//! without text.
//!
//! The text of an incomplete answer becomes a partial message, which is not sent to the model.

use runyard_contract::v1::NoticeKind;

use super::{Next, RunLoop, failed};
use crate::{
    MODEL_EMPTY_ANSWER, MODEL_REFUSED, Outcome, Recorded,
    answer::{Answer, Ended},
    compact::estimate_all,
    llm::{EndReason, LlmError},
    record,
};

/// Maximum number of retries per step after incomplete answers.
const MAX_BROKEN: u32 = 2;
/// Factor by which the output token limit grows after an answer without text reached the limit.
const GROWTH: u32 = 4;

impl RunLoop<'_> {
    /// Returns true for an incomplete answer without tool calls, if the step has retries left.
    pub(super) fn may_repeat(&self, answer: &Answer) -> bool {
        matches!(answer.ended, Ended::Broken(LlmError::Broken(_)))
            && answer.has_begun()
            && !answer.has_calls()
            && self.broken < MAX_BROKEN
    }

    pub(super) async fn repeat(&mut self, answer: &Answer, usage: Option<Recorded>) -> Result<Next, Outcome> {
        self.broken += 1;
        let why = match &answer.ended {
            Ended::Broken(LlmError::Broken(why)) => why.as_str(),
            _ => "the connection ended",
        };
        let message = format!(
            "The model's answer broke off ({why}); calling the model again (retry {} of {MAX_BROKEN}).",
            self.broken
        );
        let mut events: Vec<Recorded> = record::partial_message(answer).into_iter().collect();
        events.extend(usage);
        events.push(record::notice(NoticeKind::ProviderRetried, message));
        self.record(events).await?;
        Ok(Next::AskAgain)
    }

    /// Handles an answer without text and calls. If the provider refused to answer, the run fails. If the answer
    /// reached its length limit, the model is called again with a higher limit, if the context window permits.
    /// Otherwise the model is called again with a note. Each of these two retries happens once; then the run fails.
    pub(super) async fn take_empty(&mut self, answer: &Answer, usage: Option<Recorded>) -> Result<Next, Outcome> {
        let is_full = matches!(answer.ended, Ended::Done(EndReason::Length));
        let larger = self.larger().filter(|_| is_full && self.larger_answer.is_none());
        let notice = larger.map(|larger| record::notice(NoticeKind::Other, self.explain_larger(answer, larger)));
        self.record(usage.into_iter().chain(notice).collect()).await?;
        if matches!(answer.ended, Ended::Done(EndReason::Refused)) {
            return Err(failed(
                MODEL_REFUSED,
                "the model provider refused to answer; rephrase the task or use another model",
            ));
        }
        if larger.is_some() {
            self.larger_answer = larger;
            return Ok(Next::AskAgain);
        }
        if self.was_empty || (is_full && self.larger_answer.is_some()) {
            let message = if is_full && answer.reasoning_bytes > 0 {
                "the model used all tokens of its answers for reasoning; choose a lower reasoning effort or another model"
            } else {
                "the model returned an empty answer twice in a row; rephrase the task or use another model"
            };
            return Err(failed(MODEL_EMPTY_ANSWER, message));
        }
        self.was_empty = true;
        let before = self.note.take().unwrap_or_default();
        self.note = Some(
            format!("{before} Your last answer was empty. Answer in text or call a tool.")
                .trim()
                .to_owned(),
        );
        Ok(Next::AskAgain)
    }

    /// Returns a higher output token limit, if one fits into the context window.
    fn larger(&self) -> Option<u32> {
        let used = self.fixed_tokens().saturating_add(estimate_all(&self.messages));
        let room = self.model.context_window.saturating_sub(used);
        let larger = self.model.max_output_tokens.saturating_mul(GROWTH);
        let larger = larger.min(u32::try_from(room).unwrap_or(u32::MAX));
        (larger > self.model.max_output_tokens).then_some(larger)
    }

    fn explain_larger(&self, answer: &Answer, larger: u32) -> String {
        let cause = if answer.reasoning_bytes > 0 {
            "The model used all tokens of its answer for reasoning"
        } else {
            "The model's answer reached its length limit before any text"
        };
        format!(
            "{cause}; calling the model again with a limit of {larger} instead of {} tokens.",
            self.model.max_output_tokens
        )
    }
}
