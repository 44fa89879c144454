//! Tracks how much of its budget a run has used. Counters never decrease, and saturate instead of overflowing.

use tokio::time::Instant;

use super::{Budget, ModelLimits};
use crate::llm::TokenUsage;

/// Maximum plausible input or output of a model call, as a multiple of the context window. Higher reports of
/// providers are ignored.
const PLAUSIBLE_WINDOWS: u64 = 4;

#[derive(Debug)]
pub(super) struct Meter {
    max_steps: u32,
    max_tokens: u64,
    deadline: Instant,
    own_steps: Option<u32>,
    is_own_time: bool,
    steps: u32,
    tokens: u64,
}

impl Meter {
    /// `steps_done` and `tokens_used` come from earlier workers of the same run. The time limit starts now.
    pub(super) fn new(budget: &Budget, steps_done: u32, tokens_used: u64) -> Self {
        let now = Instant::now();
        // If the deadline would overflow the clock, one year replaces the limit. No run takes that long.
        let deadline = now
            .checked_add(budget.max_duration)
            .unwrap_or_else(|| now + std::time::Duration::from_hours(24 * 365));
        Self {
            max_steps: budget.max_steps,
            max_tokens: budget.max_tokens,
            deadline,
            own_steps: budget.own_steps,
            is_own_time: budget.is_own_time,
            steps: steps_done,
            tokens: tokens_used,
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// True if the request set the time limit.
    pub(super) fn is_own_time(&self) -> bool {
        self.is_own_time
    }

    /// True if the run has made all model calls that its request allows.
    pub(super) fn has_spent_own_steps(&self) -> bool {
        self.own_steps.is_some_and(|own| self.steps >= own)
    }

    pub(super) fn has_steps(&self) -> bool {
        self.steps < self.max_steps
    }

    /// Returns 0 if the last model call exceeded the budget.
    pub(super) fn tokens_left(&self) -> u64 {
        self.max_tokens.saturating_sub(self.tokens)
    }

    pub(super) fn spend(&mut self, usage: TokenUsage) {
        self.steps = self.steps.saturating_add(1);
        self.tokens = self.tokens.saturating_add(usage.input).saturating_add(usage.output);
    }
}

/// Checks the usage that a provider reported, and caps `cached_input` at `input`. Returns `None` if the usage is
/// missing, zero or implausibly high.
pub(super) fn plausible(usage: Option<TokenUsage>, model: &ModelLimits) -> Option<TokenUsage> {
    let most = model.context_window.saturating_mul(PLAUSIBLE_WINDOWS);
    usage
        .filter(|usage| (usage.input > 0 || usage.output > 0) && usage.input <= most && usage.output <= most)
        .map(|usage| TokenUsage {
            cached_input: usage.cached_input.min(usage.input),
            ..usage
        })
}
