//! The sink for the engine's output: it writes the output to the journal, and reserves and charges credits for model
//! calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;
use uuid::Uuid;

use crate::{
    accounts::Scope,
    agents::tools,
    app::App,
    config::Model,
    engine::{self, AddedMessage, Recorded, Sink, StoredMessage, ToolOutcome},
    error::{Code, Error},
    ledger::{self, Billing, Charge},
    llm::{ChatMessage, TokenUsage},
    runs::{
        Run, RunLog,
        journal::{Entry, Spent},
        options::RunBudget,
        reserve::{CallEstimate, affordable, reserve},
    },
    telemetry::{ModelSeries, names},
    threads::{Attachment, Delivery, NewMessage, messages::StoredCall, steering},
    v1::{MessageRole, ModelUsage, NoticeKind, run_event::Event},
};

/// The label of the tools of MCP servers in metrics, which have any name.
const MCP_TOOL: &str = "mcp";

/// The sink of one claimed run. `steps` and `held` start with the values that an earlier worker stored in the run's
/// row.
pub(super) struct JournalSink {
    app: App,
    run: Run,
    log: Arc<RunLog>,
    billing: Billing,
    series: Arc<ModelSeries>,
    /// Number of the run's model calls, including those of earlier workers.
    steps: AtomicI32,
    /// Budget of the request, in millionths of a credit.
    max_microcredits: Option<i64>,
    /// Millionths of a credit reserved for the next model call.
    held: AtomicI64,
    /// True if the run may have messages that its model has not received.
    has_message: Arc<AtomicBool>,
    /// Number of tool calls that this sink has recorded and whose results it has not recorded yet.
    open_calls: watch::Sender<usize>,
}

impl JournalSink {
    pub(super) fn new(
        app: &App,
        run: &Run,
        (log, has_message): (Arc<RunLog>, Arc<AtomicBool>),
        model: &Model,
        budget: RunBudget,
    ) -> Self {
        Self {
            app: app.clone(),
            log,
            billing: Billing::of(app, model),
            series: Arc::clone(app.model_measures.of(&model.name)),
            steps: AtomicI32::new(run.steps),
            held: AtomicI64::new(run.held_microcredits),
            open_calls: watch::Sender::new(0),
            max_microcredits: budget.max_microcredits,
            has_message,
            run: run.clone(),
        }
    }

    /// Waits until this sink has recorded a result for each tool call that it recorded.
    pub(super) async fn tools_ended(&self) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.open_calls.subscribe().wait_for(|open| *open == 0).await;
    }

    fn entry(&self, recorded: Vec<Recorded>) -> Entry {
        let mut entry = Entry::default();
        for Recorded { mut event, message } in recorded {
            if let Event::Usage(usage) = &mut event {
                let charge = self.price(usage, &mut entry.spent);
                entry.charges.extend(charge);
            }
            if let Event::UserMessage(message) = &event {
                entry.read.extend(message.message_id.parse::<Uuid>().ok());
            }
            self.count(&event);
            entry.events.push(event);
            entry.messages.extend(message.map(stored));
        }
        entry
    }

    /// Returns the output tokens that the budget of the request allows, up to `max_output_tokens`; `None` if it does not
    /// cover a short answer.
    fn within_budget(&self, input_tokens: u64, max_output_tokens: u32) -> Option<u32> {
        let (Some(budget), Some(price)) = (self.max_microcredits, self.billing.recorded()) else {
            return Some(max_output_tokens);
        };
        let left = budget.saturating_sub(self.log.used().microcredits);
        affordable(left, price, input_tokens, max_output_tokens)
    }

    fn count(&self, event: &Event) {
        if let Event::Notice(notice) = event
            && notice.kind() == NoticeKind::ProviderRetried
        {
            self.series.retried();
        }
    }

    fn price(&self, usage: &mut ModelUsage, spent: &mut Spent) -> Option<Charge> {
        let count = |tokens: i64| u64::try_from(tokens).unwrap_or_default();
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let mut more = Spent {
            steps: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            ..Spent::default()
        };
        let tokens = TokenUsage {
            input: count(usage.input_tokens),
            output: count(usage.output_tokens),
            cached_input: count(usage.cached_input_tokens),
        };
        let charge = self.billing.recorded().map(|price| {
            more.microcredits = price.cost_of(tokens);
            usage.credits = ledger::in_credits(more.microcredits);
            self.held.store(0, Ordering::Relaxed);
            Charge {
                account_id: self.run.account_id,
                book: self.billing.book(),
                run_id: self.run.id,
                thread_id: self.run.thread_id,
                step,
                model: usage.model_name.clone(),
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                estimated: usage.estimated,
                microcredits: more.microcredits,
            }
        });
        self.series.used(tokens, more.microcredits);
        spent.add(more);
        charge
    }
}

#[async_trait]
impl Sink for JournalSink {
    fn say(&self, event: Event) {
        self.count(&event);
        self.log.say(event);
    }

    async fn record(&self, recorded: Vec<Recorded>) -> engine::Result<()> {
        let count = |matches: fn(&Event) -> bool| recorded.iter().filter(|entry| matches(&entry.event)).count();
        let calls = count(|event| matches!(event, Event::ToolCall(_)));
        let results = count(|event| matches!(event, Event::ToolResult(_)));
        self.open_calls.send_modify(|open| *open += calls);
        let outcome = self.log.record(self.entry(recorded)).await;
        // `results` can include calls that an earlier worker recorded. `open_calls` does not count those calls, so
        // the subtraction saturates at zero.
        self.open_calls.send_modify(|open| *open = open.saturating_sub(results));
        Ok(outcome?)
    }

    fn leave(&self, recorded: Vec<Recorded>) {
        self.log.leave(self.entry(recorded));
    }

    fn tool_ended(&self, name: &str, outcome: ToolOutcome, took: Duration) {
        let label = if tools::is_built_in(name) { name } else { MCP_TOOL };
        metrics::histogram!(names::TOOL_SECONDS, "tool" => label.to_owned()).record(took);
        metrics::counter!(names::TOOL_CALLS, "tool" => label.to_owned(), "outcome" => outcome.as_str()).increment(1);
    }

    async fn consume_answers(&self) -> engine::Result<()> {
        let entry = Entry {
            consumes_inputs: true,
            ..Entry::default()
        };
        Ok(self.log.record(entry).await?)
    }

    async fn added(&self) -> engine::Result<Vec<AddedMessage>> {
        if !self.has_message.swap(false, Ordering::SeqCst) && !self.log.has_added() {
            return Ok(Vec::new());
        }
        let (db, scope) = (self.app.db.read(), Scope::account(self.run.account_id));
        let added = steering::added(db, scope, self.run.thread_id, self.run.id).await;
        let added = added.map_err(engine::Error::from)?;
        self.log.note_read(added.len());
        let unread = added.into_iter().filter(|row| row.delivery == Some(Delivery::Pending));
        Ok(unread
            .map(|row| AddedMessage {
                message_id: row.id,
                text: row.content,
            })
            .collect())
    }

    async fn reserve(&self, input_tokens: u64, max_output_tokens: u32) -> engine::Result<Option<u32>> {
        if self.app.stopping.is_cancelled() {
            return Err(Error::new(Code::Contended, "this worker is handing over the run").into());
        }
        let Some(max_output_tokens) = self.within_budget(input_tokens, max_output_tokens) else {
            return Ok(None);
        };
        let Some(price) = self.billing.charged() else {
            return Ok(Some(max_output_tokens));
        };
        // The credits reserved at the start of the run usually cover the first call.
        if price.cost(input_tokens, max_output_tokens.into()) <= self.held.load(Ordering::Relaxed) {
            return Ok(Some(max_output_tokens));
        }
        let ask = CallEstimate {
            input_tokens,
            max_output_tokens,
        };
        let hold = reserve(&self.app, &self.run, price, ask).await?;
        self.held.store(hold.microcredits, Ordering::Relaxed);
        Ok(Some(hold.max_output_tokens))
    }
}

fn stored(message: StoredMessage) -> NewMessage {
    let StoredMessage {
        message_id,
        message,
        partial,
    } = message;
    match message {
        ChatMessage::User { text, images: _ } => NewMessage::text(message_id, MessageRole::User, text),
        ChatMessage::Assistant {
            text,
            tool_calls,
            carried,
        } => {
            let mut new = NewMessage::text(message_id, MessageRole::Assistant, text);
            new.partial = partial;
            new.carried = carried;
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
            images,
            is_error,
        } => {
            let mut new = NewMessage::text(message_id, MessageRole::Tool, text);
            new.tool_call_id = Some(tool_call_id);
            new.attachments = images.iter().filter_map(Attachment::of_image).collect();
            new.is_error = is_error;
            new
        }
    }
}
