//! Tracks how much of its budget a run has used.
//!
//! The main loop (`turn`) checks the budget before every model call and updates it afterwards. Counters only grow and
//! never overflow.

use tokio::time::Instant;

use super::{Budget, ModelLimits};
use crate::llm::TokenUsage;

/// Maximum plausible usage of one call, as a multiple of the model's context window. A higher reported usage is
/// considered invalid.
const PLAUSIBLE_WINDOWS: u64 = 4;

/// Usage and limits of a run.
#[derive(Debug)]
pub(super) struct Meter {
    max_steps: u32,
    max_tokens: u64,
    deadline: Instant,
    steps: u32,
    tokens: u64,
}

impl Meter {
    /// Creates a meter. Its counters start with the usage by the workers that executed this run before. Its time limit
    /// starts now.
    pub(super) fn new(budget: &Budget, steps_done: u32, tokens_used: u64) -> Self {
        let now = Instant::now();
        // If the duration is too long for the clock, the deadline is one year from now, so it has no effect.
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

    /// Time at which the run reaches its time limit.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns whether the next model call may use tools.
    pub(super) fn has_steps(&self) -> bool {
        self.steps < self.max_steps
    }

    /// Number of tokens left.
    pub(super) fn tokens_left(&self) -> u64 {
        self.max_tokens.saturating_sub(self.tokens)
    }

    /// Counts one model call and its tokens.
    pub(super) fn spend(&mut self, usage: TokenUsage) {
        self.steps = self.steps.saturating_add(1);
        self.tokens = self.tokens.saturating_add(usage.input).saturating_add(usage.output);
    }
}

/// Returns the token usage that the provider reported, with `cached_input` capped at `input`. Returns `None` if no
/// usage was reported, if input and output are both zero, or if one of them exceeds [`PLAUSIBLE_WINDOWS`] context
/// windows of the model.
pub(super) fn plausible(usage: Option<TokenUsage>, model: &ModelLimits) -> Option<TokenUsage> {
    let most = model.context_window.saturating_mul(PLAUSIBLE_WINDOWS);
    usage
        .filter(|usage| (usage.input > 0 || usage.output > 0) && usage.input <= most && usage.output <= most)
        .map(|usage| TokenUsage {
            cached_input: usage.cached_input.min(usage.input),
            ..usage
        })
}
