//! One call of a tool, from its request to its outcome.
//!
//! In the protocol of 2026-07-28, a server may answer a call with questions. The call then ends with
//! [`Outcome::Asked`]. If the server only wants its state back, the client sends the request again at once.

use std::{
    fmt::Write as _,
    mem,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ProgressNotificationParam, ServerResult,
    },
    service::{Peer, PeerRequestOptions, RequestHandle, ServiceError},
};
use serde_json::{Map, Value};
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, Outcome,
    error::quoted,
    listener::{Listener, Progress},
    questions::{self, Continuation},
    rendering::Rendered,
    trace,
};

/// Maximum time to notify the server of a cancellation.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);
const NO_LONGER_NEEDED: &str = "the answer is no longer needed";

pub(crate) struct Call<'a> {
    pub(crate) tool: &'a str,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) output: &'a (dyn Fn(String) + Send + Sync),
    pub(crate) cancel: &'a CancellationToken,
    /// Replies to questions that the server asked in earlier rounds of the call.
    pub(crate) continuation: Continuation,
}

pub(crate) struct Line<'a> {
    pub(crate) peer: &'a Peer<RoleClient>,
    pub(crate) listener: &'a Listener,
    pub(crate) limits: &'a Limits,
    /// Set after a failed request, because the connection may have lost its session.
    pub(crate) is_broken: &'a AtomicBool,
    /// True if the server may answer a call with questions.
    pub(crate) may_ask: bool,
}

pub(crate) async fn perform(line: &Line<'_>, mut call: Call<'_>) -> Outcome {
    let limits = line.limits;
    let deadline = Instant::now() + limits.call;
    let mut continuation = mem::take(&mut call.continuation);
    // Each turn is a round of the server, and `read` bounds their number.
    loop {
        let round_number = continuation.round + 1;
        let mut params = CallToolRequestParams::new(call.tool.to_owned()).with_arguments(call.arguments.clone());
        continuation.write(&mut params);
        let result = match round(line, &call, params, deadline).await {
            Ok(result) => result,
            // The server has started the tool in an earlier round.
            Err(Outcome::NotStarted(why)) if round_number > 1 => return Outcome::Unknown(why),
            Err(outcome) => return outcome,
        };
        let required = match result {
            ServerResult::CallToolResult(result) => {
                let rendered = Rendered::of(&result, limits.result_bytes);
                return if result.is_error == Some(true) {
                    Outcome::Reported(rendered)
                } else {
                    Outcome::Answered(rendered)
                };
            }
            ServerResult::InputRequiredResult(required) => required,
            ServerResult::EmptyResult(_) => {
                return Outcome::Answered(Rendered::of(&CallToolResult::default(), usize::MAX));
            }
            ServerResult::CreateTaskResult(_) => {
                return Outcome::Unknown("the server continues in the background, which is not supported".to_owned());
            }
            _ => return Outcome::Unknown("the server sent a response of an unexpected type".to_owned()),
        };
        let asked = match questions::read(required, round_number) {
            Ok(asked) => asked,
            Err(why) => return Outcome::Unanswerable(why),
        };
        if !asked.questions.is_empty() {
            return Outcome::Asked(asked);
        }
        continuation = Continuation {
            state: asked.state,
            round: asked.round,
            ..Continuation::default()
        };
    }
}

async fn round(
    line: &Line<'_>,
    call: &Call<'_>,
    params: CallToolRequestParams,
    deadline: Instant,
) -> Result<ServerResult, Outcome> {
    let limits = line.limits;
    let failed = |error: ServiceError| {
        if !matches!(error, ServiceError::McpError(_)) {
            line.is_broken.store(true, Ordering::Relaxed);
        }
        Outcome::of_error(&error)
    };
    if call.cancel.is_cancelled() {
        return Err(Outcome::NotStarted("the call was cancelled".to_owned()));
    }
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let mut options = PeerRequestOptions::no_options();
    options.meta = line.may_ask.then(questions::announced);
    trace::pass_on(&mut options.meta, call.tool);
    let handle = line
        .peer
        .send_request_with_option(request, options)
        .await
        .map_err(failed)?;
    let mut progress = line.listener.progress_of(&handle.progress_token);
    let mut pending = Pending(Some(handle));
    let mut idle_at = Instant::now() + limits.idle;
    loop {
        let ended = tokio::select! {
            biased;
            () = call.cancel.cancelled() => "the call was cancelled while it ran".to_owned(),
            answer = pending.answer() => {
                // The task that forwards progress may still have messages.
                yield_now().await;
                while let Ok(message) = progress.messages.try_recv() {
                    (call.output)(line_of(message));
                }
                return answer.map_err(failed);
            }
            () = sleep_until(deadline) => format!("the call did not end within {} seconds", limits.call.as_secs()),
            () = sleep_until(idle_at) => {
                format!("the server sent nothing about the call for {} seconds", limits.idle.as_secs())
            }
            () = shown(&mut progress, call.output) => {
                idle_at = Instant::now() + limits.idle;
                continue;
            }
        };
        pending.cancel().await;
        return Err(Outcome::Unknown(ended));
    }
}

async fn shown(progress: &mut Progress, output: &(dyn Fn(String) + Send + Sync)) {
    let Some(message) = progress.messages.recv().await else {
        return std::future::pending().await;
    };
    output(line_of(message));
}

fn line_of(message: ProgressNotificationParam) -> String {
    let mut line = match message.total {
        Some(total) => format!("{}/{total}", message.progress),
        None => message.progress.to_string(),
    };
    if let Some(text) = message.message {
        let _ = write!(line, " {}", quoted(&text));
    }
    line.push('\n');
    line
}

/// A request without an answer yet. Dropping it notifies the server of the cancellation.
struct Pending(Option<RequestHandle<RoleClient>>);

impl Pending {
    async fn answer(&mut self) -> Result<ServerResult, ServiceError> {
        let Some(handle) = &mut self.0 else {
            return std::future::pending().await;
        };
        let answer = (&mut handle.rx).await;
        self.0 = None;
        answer.map_err(|_| ServiceError::TransportClosed)?
    }
}

impl Pending {
    /// Notifies the server of the cancellation. Waits until the notice is sent, because the caller may close the
    /// connection next.
    async fn cancel(&mut self) {
        if let Some(handle) = self.0.take() {
            // The notice is optional, so failures are ignored.
            let _ = timeout(NOTICE_TIMEOUT, handle.cancel(Some(NO_LONGER_NEEDED.to_owned()))).await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            tokio::spawn(handle.cancel(Some(NO_LONGER_NEEDED.to_owned())));
        }
    }
}
