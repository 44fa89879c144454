//! Prices of model calls.

use crate::{app::App, config::Limits, config::Model, llm::TokenUsage};

/// Converts US dollars per million tokens to millionths of a credit per token: one dollar is 100 credits.
const MICRO_PER_TOKEN: f64 = 100.0;

/// In millionths of a credit per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    input: f64,
    cached_input: f64,
    output: f64,
}

impl Price {
    /// The price that an account is charged. `None` if limits are off, or if the call is free.
    pub fn find(app: &App, model: &Model) -> Option<Self> {
        if app.config.limits == Limits::Off || app.llm.is_demo(&model.name) {
            return None;
        }
        Self::of(model)
    }

    /// The price at which usage is recorded, even if the account is not charged. `None` for the built-in model.
    pub fn recorded(app: &App, model: &Model) -> Option<Self> {
        (!app.llm.is_demo(&model.name)).then(|| Self::listed(model))
    }

    /// `None` if the model is free.
    pub fn of(model: &Model) -> Option<Self> {
        (model.input_price > 0.0 || model.output_price > 0.0).then(|| Self::listed(model))
    }

    fn listed(model: &Model) -> Self {
        Self {
            input: model.input_price * MICRO_PER_TOKEN,
            cached_input: model.cached_input_price.unwrap_or(model.input_price) * MICRO_PER_TOKEN,
            output: model.output_price * MICRO_PER_TOKEN,
        }
    }

    /// Cost of a call in millionths of a credit, rounded up. Prompt tokens from the provider's cache have a separate
    /// price.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "a cast of a float saturates, and counts above 2^52 do not occur"
    )]
    pub fn cost_of(self, usage: TokenUsage) -> i64 {
        let cached = usage.cached_input.min(usage.input);
        let input = (usage.input - cached) as f64 * self.input + cached as f64 * self.cached_input;
        let cost = (input + usage.output as f64 * self.output).ceil();
        (cost as i64).max(0)
    }

    /// Cost of a call in millionths of a credit, if the provider reads no prompt token from its cache.
    pub fn cost(self, input_tokens: u64, output_tokens: u64) -> i64 {
        self.cost_of(TokenUsage {
            input: input_tokens,
            output: output_tokens,
            cached_input: 0,
        })
    }

    /// Maximum number of output tokens that `microcredits` covers after the prompt is paid.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    pub fn affordable_output(self, microcredits: i64, input_tokens: u64) -> u64 {
        let left = microcredits.saturating_sub(self.cost(input_tokens, 0));
        if left <= 0 {
            return 0;
        }
        // Division by a price of zero gives infinity, which becomes the largest `u64`.
        (left as f64 / self.output) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input: 30.0,
        cached_input: 3.0,
        output: 120.0,
    };

    #[test]
    fn a_cost_is_rounded_up_and_never_overflows() {
        assert_eq!(PRICE.cost(10, 5), 900);
        assert_eq!(
            Price {
                input: 0.1,
                cached_input: 0.1,
                output: 0.0
            }
            .cost(1, 0),
            1
        );
        assert_eq!(PRICE.cost(u64::MAX, u64::MAX), i64::MAX);
        assert_eq!(PRICE.cost(0, 0), 0);
    }

    #[test]
    fn cached_tokens_have_their_own_price() {
        let usage = |input, cached_input| TokenUsage {
            input,
            output: 5,
            cached_input,
        };
        assert_eq!(PRICE.cost_of(usage(10, 0)), 900);
        assert_eq!(PRICE.cost_of(usage(10, 8)), 684);
        assert_eq!(PRICE.cost_of(usage(10, 99)), 630);
    }

    #[test]
    fn the_amount_left_after_the_prompt_pays_for_output() {
        assert_eq!(PRICE.affordable_output(900, 10), 5);
        assert_eq!(PRICE.affordable_output(899, 10), 4);
        assert_eq!(PRICE.affordable_output(300, 10), 0);
        assert_eq!(PRICE.affordable_output(0, 10), 0);
        let free_answers = Price {
            input: 1.0,
            cached_input: 1.0,
            output: 0.0,
        };
        assert_eq!(free_answers.affordable_output(20, 10), u64::MAX);
    }
}
