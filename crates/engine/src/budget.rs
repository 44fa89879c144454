//! Tracks how much of its budget a run has used.
//!
//! The main loop (`turn`) checks the budget before each model call and updates the counters afterwards. Invariant:
//! counters never decrease, and they saturate instead of overflowing.

use tokio::time::Instant;

use super::{Budget, ModelLimits};
use crate::llm::TokenUsage;

/// Maximum plausible number of input tokens, and of output tokens, of one model call, as a multiple of the model's
/// context window. A report of higher usage is ignored.
const PLAUSIBLE_WINDOWS: u64 = 4;

#[derive(Debug)]
pub(super) struct Meter {
    max_steps: u32,
    max_tokens: u64,
    deadline: Instant,
    steps: u32,
    tokens: u64,
}

impl Meter {
    /// `steps_done` and `tokens_used` are the usage of earlier workers of the same run. The time limit is measured from
    /// now.
    pub(super) fn new(budget: &Budget, steps_done: u32, tokens_used: u64) -> Self {
        let now = Instant::now();
        // If the deadline would overflow the clock, use one year from now, which no run reaches.
        let deadline = now
            .checked_add(budget.max_duration)
            .unwrap_or_else(|| now + std::time::Duration::from_hours(24 * 365));
        Self {
            max_steps: budget.max_steps,
            max_tokens: budget.max_tokens,
            deadline,
            steps: steps_done,
            tokens: tokens_used,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns whether the next model call may use tools.
    pub(super) fn has_steps(&self) -> bool {
        self.steps < self.max_steps
    }

    /// Returns the number of tokens left in the budget; 0 if the last model call exceeded the budget.
    pub(super) fn tokens_left(&self) -> u64 {
        self.max_tokens.saturating_sub(self.tokens)
    }

    pub(super) fn spend(&mut self, usage: TokenUsage) {
        self.steps = self.steps.saturating_add(1);
        self.tokens = self.tokens.saturating_add(usage.input).saturating_add(usage.output);
    }
}

/// Validates the token usage that the provider reported, and caps `cached_input` at `input`. Returns `None` if the
/// usage is missing or implausible: no tokens at all, or more than [`PLAUSIBLE_WINDOWS`] context windows of input or
/// output.
pub(super) fn plausible(usage: Option<TokenUsage>, model: &ModelLimits) -> Option<TokenUsage> {
    let most = model.context_window.saturating_mul(PLAUSIBLE_WINDOWS);
    usage
        .filter(|usage| (usage.input > 0 || usage.output > 0) && usage.input <= most && usage.output <= most)
        .map(|usage| TokenUsage {
            cached_input: usage.cached_input.min(usage.input),
            ..usage
        })
}
