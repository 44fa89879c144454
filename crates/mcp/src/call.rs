//! One call of a tool, from its request to its outcome.
//!
//! In the protocol of 2026-07-28, a server may answer a call with questions. No person is there to answer, so
//! the client declines each question and sends the request again. The server then continues the call.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rmcp::{
    RoleClient,
    model::{
        CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, InputRequest, InputRequiredResult,
        ProgressNotificationParam, ServerResult,
    },
    service::{Peer, PeerRequestOptions, RequestHandle, ServiceError},
};
use serde_json::{Map, Value, json};
use tokio::{
    task::yield_now,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits, Outcome,
    error::quoted,
    listener::{Listener, Progress},
    rendering::Rendered,
};

/// Maximum number of times that a server may ask questions during a call.
const MAX_ROUNDS: usize = 10;
/// Maximum time to notify the server of a cancellation.
const NOTICE_TIMEOUT: Duration = Duration::from_secs(1);
const NO_LONGER_NEEDED: &str = "the answer is no longer needed";

pub(crate) struct Call<'a> {
    pub(crate) tool: &'a str,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) output: &'a (dyn Fn(String) + Send + Sync),
    pub(crate) cancel: &'a CancellationToken,
}

pub(crate) struct Line<'a> {
    pub(crate) peer: &'a Peer<RoleClient>,
    pub(crate) listener: &'a Listener,
    pub(crate) limits: &'a Limits,
    /// Set after a failed request, because the connection may have lost its session.
    pub(crate) is_broken: &'a AtomicBool,
}

pub(crate) async fn perform(line: &Line<'_>, call: Call<'_>) -> Outcome {
    let limits = line.limits;
    let deadline = Instant::now() + limits.call;
    let mut params = CallToolRequestParams::new(call.tool.to_owned()).with_arguments(call.arguments.clone());
    for _ in 0..MAX_ROUNDS {
        let result = match round(line, &call, params, deadline).await {
            Ok(result) => result,
            Err(outcome) => return outcome,
        };
        let questions = match result {
            ServerResult::CallToolResult(result) => {
                let rendered = Rendered::of(&result, limits.result_bytes);
                return if result.is_error == Some(true) {
                    Outcome::Reported(rendered)
                } else {
                    Outcome::Answered(rendered)
                };
            }
            ServerResult::InputRequiredResult(questions) => questions,
            ServerResult::EmptyResult(_) => {
                return Outcome::Answered(Rendered::of(&CallToolResult::default(), usize::MAX));
            }
            ServerResult::CreateTaskResult(_) => {
                return Outcome::Unknown("the server continues in the background, which is not supported".to_owned());
            }
            _ => return Outcome::Unknown("the server sent a response of an unexpected type".to_owned()),
        };
        params = CallToolRequestParams::new(call.tool.to_owned()).with_arguments(call.arguments.clone());
        match answered(questions) {
            Some((answers, state)) => (params.input_responses, params.request_state) = (answers, state),
            None => {
                return Outcome::NotStarted(
                    "the server requested a kind of input that Runyard does not support".to_owned(),
                );
            }
        }
    }
    Outcome::NotStarted("the server requested input repeatedly, and Runyard declined each request".to_owned())
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
    let handle = line
        .peer
        .send_request_with_option(request, PeerRequestOptions::no_options())
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

/// Answers to questions, and the state that the server wants back.
type Answers = (Option<BTreeMap<String, Value>>, Option<String>);

/// Declines every question. Returns `None` if the server sent neither questions nor a state, or if one of its
/// requests is not a question.
fn answered(asked: InputRequiredResult) -> Option<Answers> {
    let questions = asked.input_requests.unwrap_or_default();
    if questions.is_empty() && asked.request_state.is_none() {
        return None;
    }
    let mut answers = BTreeMap::new();
    for (key, question) in questions {
        match question {
            InputRequest::Elicitation(_) => answers.insert(key, json!({"action": "decline"})),
            _ => return None,
        };
    }
    Some(((!answers.is_empty()).then_some(answers), asked.request_state))
}
