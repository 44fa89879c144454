//! What a run has used of its budget.
//!
//! `turn` asks before every model call and spends after it. Counters only grow, and never overflow.

use tokio::time::Instant;

use super::{Budget, ModelLimits};
use crate::llm::TokenUsage;

/// How many times the model's window a reported usage may be before it is taken for garbage.
const PLAUSIBLE_WINDOWS: u64 = 4;

/// What a run has used.
#[derive(Debug)]
pub(super) struct Meter {
    max_steps: u32,
    max_tokens: u64,
    deadline: Instant,
    steps: u32,
    tokens: u64,
}

impl Meter {
    /// A meter that goes on where an earlier worker stopped; the time starts now.
    pub(super) fn new(budget: &Budget, steps_done: u32, tokens_used: u64) -> Self {
        let now = Instant::now();
        // A duration that no clock can hold means that there is no deadline worth the name.
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

    /// When the run's time is up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether one more call may use tools.
    pub(super) fn has_steps(&self) -> bool {
        self.steps < self.max_steps
    }

    /// Tokens that are left.
    pub(super) fn tokens_left(&self) -> u64 {
        self.max_tokens.saturating_sub(self.tokens)
    }

    /// Counts one model call.
    pub(super) fn spend(&mut self, usage: TokenUsage) {
        self.steps = self.steps.saturating_add(1);
        self.tokens = self.tokens.saturating_add(usage.input).saturating_add(usage.output);
    }
}

/// The provider's numbers when they can be believed: none at all, or more than the model could have seen, cannot.
pub(super) fn plausible(usage: Option<TokenUsage>, model: &ModelLimits) -> Option<TokenUsage> {
    let most = model.context_window.saturating_mul(PLAUSIBLE_WINDOWS);
    usage
        .filter(|usage| (usage.input > 0 || usage.output > 0) && usage.input <= most && usage.output <= most)
        .map(|usage| TokenUsage {
            cached_input: usage.cached_input.min(usage.input),
            ..usage
        })
}
