//! Ends the run with its final answer. If the answer must have an output and does not match its schema, the model is
//! called again with the errors, without tools.

use std::sync::Arc;

use runyard_contract::v1::NoticeKind;
use serde_json::Value;

use super::{Next, RunLoop, failed};
use crate::{
    INVALID_OUTPUT, Job, Outcome, Recorded,
    answer::Answer,
    config::StructuredOutput,
    history::note,
    llm::{ChatMessage, Llm},
    output::{MAX_REPAIRS, OutputForm},
    record,
};

/// The required form of the final answer, and the attempts so far.
pub(super) struct Output {
    form: OutputForm,
    /// How the schema is sent to the provider.
    sending: StructuredOutput,
    repairs: u32,
    schema_bytes: usize,
}

impl Output {
    /// Takes the form from the job, and adds the schema to the system prompt.
    pub(super) fn of(llm: &dyn Llm, job: &mut Job) -> Option<Self> {
        let form = job.output.take()?;
        job.system_prompt.push_str("\n\n");
        job.system_prompt.push_str(&form.instructions(job.model.context_window));
        Some(Self {
            sending: llm.structured_output(&job.model.name),
            repairs: form.answers().saturating_sub(1),
            schema_bytes: form.schema().to_string().len(),
            form,
        })
    }

    /// Returns the schema if the next request contains it.
    pub(super) fn schema(&self, has_tools: bool) -> Option<Arc<Value>> {
        let sends = match self.sending {
            StructuredOutput::Native => true,
            StructuredOutput::NativeWithoutTools => !has_tools,
            StructuredOutput::Prompt => false,
        };
        sends.then(|| Arc::clone(self.form.schema()))
    }

    /// Returns the maximum size of the schema in a request.
    pub(super) fn schema_bytes(&self) -> usize {
        match self.sending {
            StructuredOutput::Native | StructuredOutput::NativeWithoutTools => self.schema_bytes,
            StructuredOutput::Prompt => 0,
        }
    }
}

impl RunLoop<'_> {
    /// Handles an answer without calls. `events` are its events, which are not recorded yet.
    pub(super) async fn conclude(&mut self, answer: Answer, mut events: Vec<Recorded>) -> Result<Next, Outcome> {
        let read = self.read_output(&answer.text);
        let message = ChatMessage::Assistant {
            text: answer.text,
            tool_calls: Vec::new(),
            carried: answer.carried,
        };
        let refused = match read {
            Ok(output) => {
                // The caller commits these events together with the end of the run.
                self.sink.leave(events);
                self.messages.push(message);
                // An added message makes the run continue, so its event follows the answer.
                let continues = self.may_continue() && self.receive().await?;
                return Ok(if continues {
                    Next::AskAgain
                } else {
                    Next::Finish(output)
                });
            }
            Err(refused) => refused,
        };
        match self.repair(&refused) {
            Ok(notice) => {
                events.push(record::notice(NoticeKind::Other, notice));
                self.record(events).await?;
                self.messages.push(message);
                Ok(Next::AskAgain)
            }
            Err(outcome) => {
                self.sink.leave(events);
                Err(outcome)
            }
        }
    }

    /// Handles a history that ends with an answer. An earlier worker may have recorded it as the final answer, together with
    /// the notice about its repair, but not the end of the run. Returns the end; otherwise the model is called.
    pub(super) fn recover(&mut self) -> Result<Option<Outcome>, Outcome> {
        let is_own = self.output.as_ref().is_none_or(|output| output.form.answers() > 0);
        let recorded = self.messages.last().filter(|_| self.is_taken_up && is_own);
        let Some(ChatMessage::Assistant { text, .. }) = recorded else {
            self.messages.push(note("Continue."));
            return Ok(None);
        };
        match self.read_output(text) {
            Ok(output) => Ok(Some(self.completed(output))),
            Err(refused) => self.repair(&refused).map(|_| None),
        }
    }

    pub(super) fn completed(&self, output: Option<Value>) -> Outcome {
        Outcome::Completed {
            output,
            may_continue: self.may_continue(),
        }
    }

    /// Whether the budget allows a further model call with tools.
    fn may_continue(&self) -> bool {
        !self.is_last && self.meter.has_steps() && !self.meter.has_spent_own_steps() && self.meter.tokens_left() > 0
    }

    /// Returns `None` if the run has no output.
    fn read_output(&self, text: &str) -> Result<Option<Value>, String> {
        let output = self.output.as_ref();
        output.map(|output| output.form.read(text)).transpose()
    }

    /// Prepares the model call that repairs the answer. Returns the notice about the repair, or the end of the run if no
    /// repair is left.
    fn repair(&mut self, refused: &str) -> Result<String, Outcome> {
        let Some(output) = self.output.as_mut().filter(|output| output.repairs < MAX_REPAIRS) else {
            return Err(failed(
                INVALID_OUTPUT,
                &format!(
                    "the final answer does not match the output schema, even after {MAX_REPAIRS} repairs: {refused}"
                ),
            ));
        };
        output.repairs += 1;
        let number = output.repairs;
        self.is_last = true;
        self.note = Some(format!(
            "Your answer does not match the JSON schema of the final answer: {refused}. Answer again with the complete \
             corrected JSON object and nothing else. You can no longer call tools."
        ));
        Ok(format!(
            "The answer does not match the output schema ({refused}); calling the model again (repair {number} of \
             {MAX_REPAIRS})."
        ))
    }

    /// Sends further requests without the schema, after the provider refused a request with it. The prompt still contains
    /// the schema.
    pub(super) async fn stop_sending_schema(&mut self, why: &str) -> Result<(), Outcome> {
        if let Some(output) = &mut self.output {
            output.sending = StructuredOutput::Prompt;
        }
        let message = format!(
            "The model provider refused a request with the output schema ({why}); calling the model again with the schema \
             only in the prompt."
        );
        self.record(vec![record::notice(NoticeKind::Other, message)]).await
    }
}
