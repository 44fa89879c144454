//! Hearing one answer of the model.
//!
//! `turn` calls [`Listener::hear`]; text and reasoning are said as they come. The invariant: whatever the model sends, an
//! answer has a bounded size, and the cancel token and the deadline end it at once.

use futures::StreamExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Sink, record::notice_event};
use crate::{
    contract::structs::without_nul,
    id,
    llm::{EndReason, Llm, LlmError, ModelEvent, ModelRequest, TokenUsage, ToolRequest},
    v1::{MessageDelta, NoticeKind, ReasoningDelta, run_event::Event},
};

/// Text of one answer that is kept; the stream is ended there.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// Reasoning of one answer that is shown; the stream is ended there.
pub const MAX_REASONING_BYTES: usize = 1 << 20;
/// Arguments of one call.
pub const MAX_ARGUMENT_BYTES: usize = 1 << 20;
/// Arguments of all calls of one answer.
pub const MAX_ALL_ARGUMENT_BYTES: usize = 4 << 20;
/// Calls of one answer that are run; the rest is answered with an error.
pub const MAX_CALLS: usize = 32;
/// Calls of one answer that are answered at all; the rest is left out with a notice.
pub const MAX_HEARD_CALLS: usize = 64;
/// What is kept of a tool's name and of a call's id.
const MAX_NAME_BYTES: usize = 128;
/// What is kept of arguments that are too long.
const KEPT_ARGUMENT_BYTES: usize = 1024;

/// How an answer ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// By itself.
    Done(EndReason),
    /// At one of our size limits.
    Cut,
    /// By an error.
    Broken(LlmError),
    /// The run's time is up.
    TimedOut,
    /// The cancel token.
    Stopped,
}

/// A call as it was heard.
#[derive(Debug)]
pub(super) struct HeardCall {
    /// The call; its arguments are cut when they are too long.
    pub(super) request: ToolRequest,
    /// Why it cannot be run, as the model is told.
    pub(super) refusal: Option<String>,
}

/// One answer of the model.
#[derive(Debug)]
pub(super) struct Answer {
    /// The id of the message that it becomes.
    pub(super) message_id: Uuid,
    /// The text.
    pub(super) text: String,
    /// The calls.
    pub(super) calls: Vec<HeardCall>,
    /// Calls that were left out.
    pub(super) left_out: usize,
    /// Bytes of reasoning.
    pub(super) reasoning_bytes: usize,
    /// What the provider says that it used.
    pub(super) usage: Option<TokenUsage>,
    /// How it ended.
    pub(super) ended: Ended,
    argument_bytes: usize,
}

impl Answer {
    fn new() -> Self {
        Self {
            message_id: id::new(),
            text: String::new(),
            calls: Vec::new(),
            left_out: 0,
            reasoning_bytes: 0,
            usage: None,
            ended: Ended::Stopped,
            argument_bytes: 0,
        }
    }

    /// Whether anything of it has arrived.
    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty() || self.reasoning_bytes > 0
    }

    /// Its size in bytes, for an estimate of its tokens.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.reasoning_bytes + self.argument_bytes
    }

    fn hear_call(&mut self, call: ToolRequest) {
        if self.calls.len() >= MAX_HEARD_CALLS {
            self.left_out += 1;
            return;
        }
        let bytes = call.arguments.len();
        let mut refusal = None;
        let mut arguments = call.arguments;
        if self.calls.len() >= MAX_CALLS {
            refusal = Some(format!(
                "not run: one answer may call up to {MAX_CALLS} tools; make the remaining calls in the next one"
            ));
        }
        if bytes > MAX_ARGUMENT_BYTES || self.argument_bytes + bytes > MAX_ALL_ARGUMENT_BYTES {
            refusal = Some(format!(
                "not run: the arguments are {bytes} bytes long; the maximum is {MAX_ARGUMENT_BYTES} for a call and \
                 {MAX_ALL_ARGUMENT_BYTES} for an answer. Split the work, such as by writing a large file in parts"
            ));
            arguments = prefix(&arguments, KEPT_ARGUMENT_BYTES).to_owned();
        }
        self.argument_bytes += arguments.len();
        let request = ToolRequest {
            id: without_nul(prefix(&call.id, MAX_NAME_BYTES)),
            name: without_nul(prefix(&call.name, MAX_NAME_BYTES)),
            arguments: without_nul(&arguments),
        };
        self.calls.push(HeardCall { request, refusal });
    }
}

/// Whom an answer is told to while it comes, and what ends it early.
pub(super) struct Listener<'a> {
    /// Takes the pieces.
    pub(super) sink: &'a dyn Sink,
    /// Ends it.
    pub(super) cancel: &'a CancellationToken,
    /// Ends it, too.
    pub(super) deadline: Instant,
}

impl Listener<'_> {
    /// Asks the model and hears its answer to the end.
    pub(super) async fn hear(&self, llm: &dyn Llm, request: ModelRequest) -> Answer {
        let mut answer = Answer::new();
        let ended = tokio::select! {
            biased;
            () = self.cancel.cancelled() => Ended::Stopped,
            () = tokio::time::sleep_until(self.deadline) => Ended::TimedOut,
            ended = self.follow(llm, request, &mut answer) => ended,
        };
        answer.ended = ended;
        answer
    }

    async fn follow(&self, llm: &dyn Llm, request: ModelRequest, answer: &mut Answer) -> Ended {
        let mut stream = llm.stream(request).await;
        while let Some(item) = stream.next().await {
            // A stream that is always ready must not keep the cancel token and the deadline from being looked at.
            tokio::task::coop::consume_budget().await;
            match item {
                Ok(ModelEvent::End(reason)) => return Ended::Done(reason),
                Ok(event) => {
                    if self.take(event, answer).is_err() {
                        return Ended::Cut;
                    }
                }
                Err(error) => return Ended::Broken(error),
            }
        }
        Ended::Broken(LlmError::Broken(
            "the stream ended before the answer was complete".to_owned(),
        ))
    }

    /// Takes one piece; fails when the answer is full.
    fn take(&self, event: ModelEvent, answer: &mut Answer) -> Result<(), Full> {
        let message_id = answer.message_id.to_string();
        match event {
            ModelEvent::Text(piece) => {
                let kept = prefix(&piece, MAX_TEXT_BYTES.saturating_sub(answer.text.len()));
                let full = kept.len() < piece.len();
                let kept = without_nul(kept);
                if !kept.is_empty() {
                    answer.text.push_str(&kept);
                    self.sink
                        .say(Event::MessageDelta(MessageDelta { message_id, text: kept }));
                }
                if full { Err(Full) } else { Ok(()) }
            }
            ModelEvent::Reasoning(piece) => {
                let kept = prefix(&piece, MAX_REASONING_BYTES.saturating_sub(answer.reasoning_bytes));
                let full = kept.len() < piece.len();
                let kept = without_nul(kept);
                if !kept.is_empty() {
                    answer.reasoning_bytes += kept.len();
                    self.sink
                        .say(Event::ReasoningDelta(ReasoningDelta { message_id, text: kept }));
                }
                if full { Err(Full) } else { Ok(()) }
            }
            ModelEvent::ToolCall(call) => {
                answer.hear_call(call);
                Ok(())
            }
            ModelEvent::Usage(usage) => {
                answer.usage = Some(usage);
                Ok(())
            }
            ModelEvent::Retried { message } => {
                self.sink.say(notice_event(NoticeKind::ProviderRetried, message));
                Ok(())
            }
            ModelEvent::End(_) => Ok(()),
        }
    }
}

/// The answer is as long as it may be.
struct Full;

/// The longest beginning of a text that has at most so many bytes.
fn prefix(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}
