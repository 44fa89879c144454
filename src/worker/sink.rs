//! The engine's sink over the journal: it prices what the model used.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    config::Model,
    engine::{Recorded, Sink, StoredMessage},
    error::Result,
    llm::ChatMessage,
    runs::{RunLog, journal::Spent},
    threads::{NewMessage, messages::StoredCall},
    v1::{MessageRole, ModelUsage, run_event::Event},
};

/// Millionths of a credit in a credit.
const MICRO: f64 = 1_000_000.0;

/// Takes what happens in one run.
pub(super) struct JournalSink {
    log: Arc<RunLog>,
    input_price: f64,
    output_price: f64,
}

impl JournalSink {
    /// A sink that charges a model's prices; none for the built-in model, whatever name it answers to.
    pub(super) fn new(log: Arc<RunLog>, charged: Option<&Model>) -> Self {
        let (input_price, output_price) = charged.map_or((0.0, 0.0), |model| (model.input_price, model.output_price));
        Self {
            log,
            input_price,
            output_price,
        }
    }

    // US dollars for a million tokens are 100 millionths of a credit for one token.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "token counts are far below 2^52"
    )]
    fn price(&self, usage: &mut ModelUsage, spent: &mut Spent) {
        let micro =
            (usage.input_tokens as f64 * self.input_price + usage.output_tokens as f64 * self.output_price) * 100.0;
        usage.credits = micro.ceil() / MICRO;
        spent.add(Spent {
            steps: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            microcredits: micro.ceil() as i64,
        });
    }
}

#[async_trait]
impl Sink for JournalSink {
    fn say(&self, event: Event) {
        self.log.say(event);
    }

    async fn record(&self, recorded: Vec<Recorded>) -> Result<()> {
        let (mut events, mut messages, mut spent) = (Vec::with_capacity(recorded.len()), Vec::new(), Spent::default());
        for Recorded { mut event, message } in recorded {
            if let Event::Usage(usage) = &mut event {
                self.price(usage, &mut spent);
            }
            events.push(event);
            messages.extend(message.map(stored));
        }
        self.log.record(events, messages, spent).await
    }
}

fn stored(message: StoredMessage) -> NewMessage {
    let StoredMessage {
        message_id,
        message,
        partial,
    } = message;
    match message {
        ChatMessage::User { text } => NewMessage::text(message_id, MessageRole::User, text),
        ChatMessage::Assistant { text, tool_calls } => {
            let mut new = NewMessage::text(message_id, MessageRole::Assistant, text);
            new.partial = partial;
            new.tool_calls = tool_calls
                .into_iter()
                .map(|call| StoredCall {
                    id: call.id,
                    name: call.name,
                    arguments: call.arguments,
                })
                .collect();
            new
        }
        ChatMessage::Tool {
            tool_call_id,
            name: _,
            text,
            is_error,
        } => {
            let mut new = NewMessage::text(message_id, MessageRole::Tool, text);
            new.tool_call_id = Some(tool_call_id);
            new.is_error = is_error;
            new
        }
    }
}
