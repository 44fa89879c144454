//! Request fields that control how much a model thinks. The fields depend on the version of Claude.

use serde_json::{Map, Value, json};

use super::super::{profile::Profile, turns::version};
use crate::{
    config::EffortStyle,
    llm::{ChatMessage, ModelRequest, ReasoningEffort},
};

/// Minimum thinking budget in tokens that the API accepts.
const MIN_BUDGET: u32 = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Never,
    /// A thinking budget in tokens.
    Budget,
    /// The type `adaptive`. Claude 4.6 deprecates budgets, and later versions refuse them.
    Adaptive,
    /// Like `Adaptive`, but the model thinks even without the field `thinking`.
    Always,
}

/// First version of Claude for each control, in ascending order.
const CONTROLS: &[((u32, u32), Control)] = &[
    ((0, 0), Control::Never),
    ((3, 7), Control::Budget),
    ((4, 6), Control::Adaptive),
    ((5, 0), Control::Always),
];

fn control(model: &str) -> Control {
    if !model.to_ascii_lowercase().contains("claude") {
        // Compatible servers of other vendors support only budgets.
        return Control::Budget;
    }
    match version(model, "claude") {
        Some(version) => CONTROLS
            .iter()
            .rfind(|(first, _)| *first <= version)
            .map_or(Control::Never, |(_, control)| *control),
        None => Control::Adaptive,
    }
}

pub(super) fn add(request: &ModelRequest, profile: &Profile, body: &mut Map<String, Value>) {
    if profile.reasoning_effort == EffortStyle::None {
        return;
    }
    let shown = json!({"type": "adaptive", "display": "summarized"});
    match (control(&request.model), request.reasoning_effort) {
        (Control::Never, _)
        | (Control::Budget | Control::Adaptive, None)
        | (Control::Adaptive, Some(ReasoningEffort::None)) => {}
        (Control::Budget, Some(effort)) => {
            if let Some(thinking) = by_budget(request, effort) {
                body.insert("thinking".to_owned(), thinking);
            }
        }
        // Some models of version 5 or later cannot turn thinking off, so the request sets a low effort.
        (Control::Always, Some(ReasoningEffort::None)) => {
            body.insert("output_config".to_owned(), json!({"effort": "low"}));
        }
        (Control::Always, None) => {
            // Without the field `thinking`, the answer omits the thinking text.
            body.insert("thinking".to_owned(), shown);
        }
        (Control::Adaptive | Control::Always, Some(effort)) => {
            body.insert("thinking".to_owned(), shown);
            body.insert("output_config".to_owned(), json!({"effort": word(effort)}));
        }
    }
}

fn word(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal | ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    }
}

fn by_budget(request: &ModelRequest, effort: ReasoningEffort) -> Option<Value> {
    let budget = match effort {
        ReasoningEffort::None => return Some(json!({"type": "disabled"})),
        ReasoningEffort::Minimal => MIN_BUDGET,
        ReasoningEffort::Low => 2048,
        ReasoningEffort::Medium => 8192,
        ReasoningEffort::High => 24_576,
    };
    // The budget counts towards the answer's token limit, so half of the limit stays free for the text.
    let budget = budget.min(request.max_output_tokens / 2);
    (budget >= MIN_BUDGET && !is_in_foreign_loop(&request.messages))
        .then(|| json!({"type": "enabled", "budget_tokens": budget}))
}

/// Returns whether an assistant message after the user's last message has tool calls but no thinking. Another model
/// may have written such a message. The API then refuses a budget: "a final assistant message must start with a
/// thinking block".
fn is_in_foreign_loop(messages: &[ChatMessage]) -> bool {
    messages
        .iter()
        .rev()
        .take_while(|message| !matches!(message, ChatMessage::User { .. }))
        .any(|message| {
            matches!(message, ChatMessage::Assistant { tool_calls, carried, .. }
                if !tool_calls.is_empty() && carried.is_none())
        })
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::reading::{profile, request},
        *,
    };

    fn added(model: &str, effort: Option<ReasoningEffort>) -> Value {
        let mut request = request(model, Vec::new());
        request.max_output_tokens = 10_000;
        request.reasoning_effort = effort;
        let mut body = Map::new();
        add(&request, &profile(model), &mut body);
        Value::Object(body)
    }

    #[test]
    fn each_version_is_told_in_its_own_form() {
        let shown = json!({"type": "adaptive", "display": "summarized"});
        let high = Some(ReasoningEffort::High);
        let none = Some(ReasoningEffort::None);
        let table = [
            ("claude-3-5-haiku-20241022", high, json!({})),
            ("claude-sonnet-4-5", None, json!({})),
            (
                "claude-sonnet-4-5",
                high,
                json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
            ),
            ("claude-sonnet-4-5", none, json!({"thinking": {"type": "disabled"}})),
            (
                "glm-4.6",
                high,
                json!({"thinking": {"type": "enabled", "budget_tokens": 5000}}),
            ),
            ("claude-opus-4-7", None, json!({})),
            ("claude-opus-4-7", none, json!({})),
            (
                "claude-opus-4-7",
                high,
                json!({"thinking": shown, "output_config": {"effort": "high"}}),
            ),
            ("claude-opus-5-5", None, json!({"thinking": shown})),
            ("claude-opus-5-5", none, json!({"output_config": {"effort": "low"}})),
        ];
        for (model, effort, expected) in table {
            assert_eq!(added(model, effort), expected, "{model} {effort:?}");
        }
    }
}
