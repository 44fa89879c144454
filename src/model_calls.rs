//! One-off model calls outside of runs, such as icon suggestions.
//!
//! One-off calls reserve no credits. Instead, an account runs one call at a time, and each call checks the balance
//! after the previous call has been charged. A failed call is not an error, because the calling code has a fallback.

use std::time::Duration;

use futures::StreamExt;
use serde_json::Map;
use tokio::time::timeout;
use uuid::Uuid;

use crate::{
    accounts::AccountQueues,
    app::App,
    config::VisionSettings,
    engine::compact::{estimate_all, estimate_bytes},
    error::{Code, Error, Result},
    ledger::{Billing, direct, wallet},
    limits::INSUFFICIENT_CREDITS,
    llm::{ChatMessage, EndReason, Llm, ModelEvent, ModelRequest, TokenUsage},
};

/// Maximum number of waiting calls per account.
const MAX_WAITING: usize = 100;

#[derive(Clone, Debug)]
pub struct OneOffCall<'a> {
    /// Purpose of the call, for log lines.
    pub purpose: &'static str,
    /// Public name.
    pub model: &'a str,
    pub system: String,
    pub message: String,
    pub max_output_tokens: u32,
    /// A longer answer is not used.
    pub max_answer_bytes: usize,
    /// Maximum wait for the account's earlier calls and, separately, maximum duration of the model call.
    pub time_limit: Duration,
}

/// In each process, an account runs one charged call at a time.
pub fn queues() -> AccountQueues {
    AccountQueues::new(1, MAX_WAITING)
}

/// Calls the model once and returns its complete answer. Returns `None` if the call fails, if the answer exceeds a
/// limit, or if only the built-in demo serves the model.
///
/// The account pays with credits that are not reserved for runs. `held` returns the reserved amount, in millionths of
/// a credit. `held` is awaited only after the account's earlier calls have finished.
///
/// # Errors
/// INSUFFICIENT_CREDITS if the balance does not cover the call; UNAVAILABLE if too many calls wait; database errors.
pub async fn call(
    app: &App,
    account_id: Uuid,
    call: OneOffCall<'_>,
    held: impl Future<Output = Result<i64>> + Send,
) -> Result<Option<String>> {
    let Some(model) = app.models.find(call.model).filter(|_| is_served(app, call.model)) else {
        return Ok(None);
    };
    let (name, purpose, time_limit, max_bytes) = (call.model, call.purpose, call.time_limit, call.max_answer_bytes);
    let request = request(call);
    let prompt = estimate_bytes(request.system.len()) + estimate_all(&request.messages);
    let billing = Billing::of(app, model);
    // Keep the turn in the account's queue until the charge is written, so that the next call reads the new balance.
    let mut turn = None;
    if let Some(price) = billing.charged() {
        turn = Some(app.model_call_queues.take_within(account_id, time_limit).await?);
        let left = wallet::load(app, account_id).await?.saturating_sub(held.await?);
        if left < price.cost(prompt, request.max_output_tokens.into()) {
            return Err(Error::new(Code::InsufficientCredits, INSUFFICIENT_CREDITS));
        }
    }
    let mut answer = PartialAnswer::new(max_bytes);
    let models = app.measured_models();
    let ended = timeout(time_limit, answer.receive(&models, request, purpose)).await;
    if answer.has_begun
        && let Some(price) = billing.recorded()
    {
        let used = answer.usage(prompt);
        app.model_measures.of(name).used(used.0, price.cost_of(used.0));
        direct::charge(app, account_id, billing.book(), (name, price), used).await?;
    }
    drop(turn);
    Ok(ended.unwrap_or(false).then_some(answer.text))
}

fn is_served(app: &App, model: &str) -> bool {
    app.llm.serves(model) && !app.llm.is_demo(model)
}

fn request(call: OneOffCall<'_>) -> ModelRequest {
    ModelRequest {
        model: call.model.to_owned(),
        system: call.system,
        messages: vec![ChatMessage::user(call.message)],
        tools: Vec::new(),
        output: None,
        max_output_tokens: call.max_output_tokens,
        reasoning_effort: None,
        extra_body: Map::new(),
        vision: VisionSettings::UNSET,
    }
}

struct PartialAnswer {
    has_begun: bool,
    text: String,
    reported: Option<TokenUsage>,
    max_bytes: usize,
}

impl PartialAnswer {
    fn new(max_bytes: usize) -> Self {
        Self {
            has_begun: false,
            text: String::new(),
            reported: None,
            max_bytes,
        }
    }

    /// Returns the token usage, and whether it is an estimate because the provider reported none.
    fn usage(&self, prompt_tokens: u64) -> (TokenUsage, bool) {
        let estimate = TokenUsage {
            input: prompt_tokens,
            output: estimate_bytes(self.text.len()),
            cached_input: 0,
        };
        (self.reported.unwrap_or(estimate), self.reported.is_none())
    }

    /// Returns true if the answer is complete.
    async fn receive(&mut self, llm: &impl Llm, request: ModelRequest, purpose: &'static str) -> bool {
        let mut stream = llm.stream(request).await;
        while let Some(event) = stream.next().await {
            match event {
                Ok(ModelEvent::Retried { .. }) => continue,
                Ok(ModelEvent::Text(text)) => self.text.push_str(&text),
                Ok(ModelEvent::Usage(usage)) => self.reported = Some(usage),
                Ok(ModelEvent::End(reason)) => {
                    self.has_begun = true;
                    return reason == EndReason::Done;
                }
                Ok(ModelEvent::Reasoning(_) | ModelEvent::ToolCall(_) | ModelEvent::Carried(_)) => {}
                Err(fault) => {
                    // The provider's error text may quote the request, so it is not logged.
                    tracing::warn!(purpose, kind = fault.kind(), "a one-off model call failed");
                    return false;
                }
            }
            self.has_begun = true;
            if self.text.len() > self.max_bytes {
                return false;
            }
        }
        false
    }
}
