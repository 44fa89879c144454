//! Receives one answer from the model and forwards its text and reasoning to the sink.
//!
//! Invariants: the size of an answer is bounded, and cancellation or the deadline ends an answer immediately.

use futures::StreamExt;
use runyard_contract::{
    structs::without_nul,
    v1::{MessageDelta, NoticeKind, ReasoningDelta, run_event::Event},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Sink, record::notice_event};
use crate::{
    id,
    llm::{Carried, EndReason, Llm, LlmError, ModelEvent, ModelRequest, TokenUsage, ToolRequest},
};

/// Maximum bytes of text. A longer text is cut, and the answer ends.
pub const MAX_TEXT_BYTES: usize = 1 << 20;
/// Maximum bytes of reasoning. Longer reasoning is cut, and the answer ends.
pub const MAX_REASONING_BYTES: usize = 1 << 20;
/// Maximum bytes of a tool call's arguments. A call with longer arguments is not run.
pub const MAX_ARGUMENT_BYTES: usize = 1 << 20;
/// Maximum bytes of all tool arguments in an answer. Calls beyond this limit are not run.
pub const MAX_ALL_ARGUMENT_BYTES: usize = 4 << 20;
/// Maximum number of calls that are run per answer. Further calls get an error result.
pub const MAX_CALLS: usize = 32;
/// Maximum number of calls that are kept per answer, including calls that are not run. A notice reports the number of
/// dropped calls.
pub const MAX_RECEIVED_CALLS: usize = 64;
/// Maximum bytes of a tool name or a call id. Longer values are cut.
const MAX_NAME_BYTES: usize = 128;
/// Oversized arguments are cut to this number of bytes.
const KEPT_ARGUMENT_BYTES: usize = 1024;

#[derive(Debug)]
pub(super) enum Ended {
    Done(EndReason),
    /// The text or the reasoning was cut at its size limit.
    Cut,
    Broken(LlmError),
    TimedOut,
    Stopped,
}

#[derive(Debug)]
pub(super) struct ReceivedCall {
    /// Oversized arguments are cut.
    pub(super) request: ToolRequest,
    /// Tells the model why the call is not run; `None` if the call may run.
    pub(super) refusal: Option<String>,
}

#[derive(Debug)]
pub(super) struct Answer {
    /// Id of the thread message that stores the answer.
    pub(super) message_id: Uuid,
    pub(super) text: String,
    pub(super) calls: Vec<ReceivedCall>,
    /// Number of dropped calls beyond [`MAX_RECEIVED_CALLS`].
    pub(super) left_out: usize,
    pub(super) reasoning_bytes: usize,
    /// Provider data to send back with the answer in later requests.
    pub(super) carried: Option<Carried>,
    /// `None` if the provider reported no usage.
    pub(super) usage: Option<TokenUsage>,
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
            carried: None,
            usage: None,
            ended: Ended::Stopped,
            argument_bytes: 0,
        }
    }

    pub(super) fn has_begun(&self) -> bool {
        !self.text.is_empty() || !self.calls.is_empty() || self.reasoning_bytes > 0
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.reasoning_bytes + self.argument_bytes
    }

    fn hear_call(&mut self, call: ToolRequest) {
        if self.calls.len() >= MAX_RECEIVED_CALLS {
            self.left_out += 1;
            return;
        }
        let bytes = call.arguments.len();
        let mut refusal = None;
        let mut arguments = call.arguments;
        if self.calls.len() >= MAX_CALLS {
            refusal = Some(format!(
                "not run: one answer may call up to {MAX_CALLS} tools; make the remaining calls in your next answer"
            ));
        }
        if bytes > MAX_ARGUMENT_BYTES || self.argument_bytes + bytes > MAX_ALL_ARGUMENT_BYTES {
            refusal = Some(format!(
                "not run: the arguments are {bytes} bytes long; the maximum is {MAX_ARGUMENT_BYTES} for a call and \
                 {MAX_ALL_ARGUMENT_BYTES} for an answer. Split the work; for example, write a large file in parts"
            ));
            arguments = prefix(&arguments, KEPT_ARGUMENT_BYTES).to_owned();
        }
        self.argument_bytes += arguments.len();
        let request = ToolRequest {
            id: without_nul(prefix(&call.id, MAX_NAME_BYTES)),
            name: without_nul(prefix(&call.name, MAX_NAME_BYTES)),
            arguments: without_nul(&arguments),
        };
        self.calls.push(ReceivedCall { request, refusal });
    }
}

pub(super) struct Listener<'a> {
    pub(super) sink: &'a dyn Sink,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
}

impl Listener<'_> {
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
            // A stream that is always ready would otherwise block the checks of the cancel token and the deadline.
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

    /// Fails if the text or the reasoning exceeds its size limit.
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
            ModelEvent::Carried(carried) => {
                answer.carried = Some(carried);
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

/// The text or the reasoning exceeds its size limit.
struct Full;

/// Returns the longest prefix that does not end inside a character.
fn prefix(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}
