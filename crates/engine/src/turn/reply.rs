//! Records an answer, and then runs its tool calls or ends the run.

use runyard_contract::v1::NoticeKind;

use super::{Next, RunLoop, failed};
use crate::{
    MODEL_CONTEXT_EXCEEDED, MODEL_CREDENTIALS_REFUSED, MODEL_PROMPT_BLOCKED, MODEL_QUOTA_EXHAUSTED, MODEL_REFUSED,
    MODEL_STREAM_BROKEN, MODEL_UNAVAILABLE, MODEL_UNKNOWN, Outcome, Recorded,
    answer::{Answer, Ended, ReceivedCall},
    budget::plausible,
    calls::Planned,
    compact::{estimate_all, estimate_bytes},
    llm::{ChatMessage, EndReason, LlmError, TokenUsage, ToolRequest},
    record, salvage,
};

impl RunLoop<'_> {
    /// Handles an answer of the model. An answer without calls completes the run. After an incomplete or empty
    /// answer, the model may be called again.
    pub(super) async fn take(&mut self, mut answer: Answer) -> Result<Next, Outcome> {
        let usage = self.spend(&answer);
        if self.may_repeat(&answer) {
            return self.repeat(&answer, usage).await;
        }
        if !matches!(answer.ended, Ended::Done(_) | Ended::Cut) {
            return Err(self.give_up(answer, usage).await?);
        }
        let calls = self.plan(&mut answer);
        if calls.is_empty() && answer.text.trim().is_empty() {
            return self.take_empty(&answer, usage).await;
        }
        self.was_empty = false;
        self.broken = 0;
        self.larger_answer = None;
        self.note = None;
        let requests: Vec<ToolRequest> = calls.iter().map(|call| call.request.clone()).collect();
        let mut events = vec![record::message(&answer, requests.clone())];
        events.extend(usage);
        events.extend(
            calls
                .iter()
                .map(|call| record::tool_call(&call.request, &call.arguments)),
        );
        events.extend(remark(&answer, calls.is_empty()).map(|text| record::notice(NoticeKind::Other, text)));
        if calls.is_empty() {
            return self.conclude(answer, events).await;
        }
        self.record(events).await?;
        self.messages.push(ChatMessage::Assistant {
            text: answer.text,
            tool_calls: requests,
            carried: answer.carried,
        });
        self.work(calls).await?;
        Ok(Next::AskAgain)
    }

    /// Plans the tool calls of an answer, including calls in its text. Each call gets an id that is unique in the
    /// run. All calls are ignored on the last step, and if the run has no tools. The provider data (`carried`) is
    /// dropped if any call is ignored, because the data may refer to this call.
    fn plan(&mut self, answer: &mut Answer) -> Vec<Planned> {
        let ignores_all = self.is_last || self.specs.is_empty();
        if answer.left_out > 0 || (ignores_all && answer.has_calls()) {
            answer.carried = None;
        }
        if ignores_all {
            return Vec::new();
        }
        let mut heard = std::mem::take(&mut answer.calls);
        if heard.is_empty() {
            let salvaged = salvage::calls(&answer.text, |name| self.bench.tools.find(name).is_some());
            heard = salvaged
                .into_iter()
                .map(|request| ReceivedCall { request, refusal: None })
                .collect();
        }
        for call in &mut heard {
            self.make_unique(&mut call.request.id);
        }
        heard.into_iter().map(|call| self.bench.plan(call)).collect()
    }

    fn make_unique(&mut self, id: &mut String) {
        let is_plain = !id.is_empty()
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if !is_plain || self.ids.contains(id) {
            let mut number = self.ids.len() + 1;
            while self.ids.contains(&format!("call_{number}")) {
                number += 1;
            }
            *id = format!("call_{number}");
        }
        self.ids.insert(id.clone());
    }

    /// Returns the usage event of an answer. A missing or implausible report is replaced by an estimate. Returns
    /// `None` for a failed call without a report and without any part of an answer.
    fn spend(&mut self, answer: &Answer) -> Option<Recorded> {
        let is_whole = matches!(answer.ended, Ended::Done(_) | Ended::Cut);
        let told = plausible(answer.usage, &self.model);
        if told.is_none() && !is_whole && !answer.has_begun() {
            return None;
        }
        let usage = told.unwrap_or_else(|| TokenUsage {
            input: self.fixed_tokens().saturating_add(estimate_all(&self.messages)),
            output: estimate_bytes(answer.bytes()),
            cached_input: 0,
        });
        self.meter.spend(usage);
        Some(record::usage(&self.model.name, usage, told.is_none()))
    }

    /// Records the received part of an incomplete answer. Returns the outcome of the run.
    async fn give_up(&mut self, answer: Answer, usage: Option<Recorded>) -> Result<Outcome, Outcome> {
        let mut events: Vec<Recorded> = record::partial_message(&answer).into_iter().collect();
        events.extend(usage);
        match &answer.ended {
            Ended::TimedOut => return self.time_is_up(events).await,
            Ended::Stopped | Ended::Broken(_) | Ended::Done(_) | Ended::Cut => self.record(events).await?,
        }
        let Ended::Broken(error) = &answer.ended else {
            return Ok(Outcome::Stopped);
        };
        Ok(failed(code(error, answer.has_begun()), &error.to_string()))
    }
}

/// Returns the error code of the run. `has_begun` is true if part of the answer arrived.
fn code(error: &LlmError, has_begun: bool) -> &'static str {
    match error {
        LlmError::Credentials(_) => MODEL_CREDENTIALS_REFUSED,
        LlmError::Refused(_) => MODEL_REFUSED,
        LlmError::Blocked(_) => MODEL_PROMPT_BLOCKED,
        LlmError::Quota(_) => MODEL_QUOTA_EXHAUSTED,
        LlmError::UnknownModel(_) => MODEL_UNKNOWN,
        LlmError::TooLong { .. } => MODEL_CONTEXT_EXCEEDED,
        LlmError::Unavailable(_) if has_begun => MODEL_STREAM_BROKEN,
        LlmError::Unavailable(_) => MODEL_UNAVAILABLE,
        LlmError::Broken(_) => MODEL_STREAM_BROKEN,
    }
}

/// Returns a notice about an incomplete answer or ignored calls.
fn remark(answer: &Answer, is_final: bool) -> Option<String> {
    if answer.left_out > 0 {
        return Some(format!(
            "The model made {} more tool calls than one answer may contain; the extra calls were ignored.",
            answer.left_out
        ));
    }
    match answer.ended {
        Ended::Done(EndReason::Length) if is_final => Some("The answer reached the model's length limit.".to_owned()),
        Ended::Done(EndReason::Refused) if is_final => {
            Some("The model provider refused to continue the answer.".to_owned())
        }
        Ended::Cut => Some("The answer exceeded the size limit and was cut.".to_owned()),
        _ => None,
    }
}
