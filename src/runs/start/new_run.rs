//! The first stage of a `StartRun` request: the request was received.

use std::time::Instant;

use uuid::Uuid;

use super::{key::Key, prepared::Prepared, room::Room};
use crate::{
    accounts::Caller,
    app::App,
    error::{Error, Result},
    llm::ReasoningEffort,
    runs::options::RunOptions,
    telemetry::traces::TraceParent,
    uploads,
};

pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Maximum length of the idempotency key in characters.
pub const MAX_KEY: usize = 255;

/// Action if the thread already has an unfinished run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfBusy {
    /// Queue the new run behind the unfinished run.
    #[default]
    Enqueue,
    Reject,
    /// End the unfinished run first.
    Interrupt,
}

#[derive(Clone, Debug, Default)]
pub struct NewRun {
    /// May be `None` if the run continues an existing thread.
    pub prompt: Option<String>,
    /// The thread to continue, or the id of the new thread in optimistic mode.
    pub thread_id: Option<Uuid>,
    pub project_id: Option<Uuid>,
    /// Optimistic mode: the client has generated the ids of the thread and the project.
    pub optimistic: bool,
    /// `None` for the account's default agent.
    pub agent_id: Option<Uuid>,
    /// `None` for the agent's model.
    pub model: Option<String>,
    /// Empty for the default mode.
    pub mode: String,
    /// `None` for the agent's setting.
    pub memory_enabled: Option<bool>,
    /// `None` for the model's default.
    pub reasoning_effort: Option<ReasoningEffort>,
    /// Uploads to place in the workspace.
    pub files: Vec<Uuid>,
    /// Idempotency key: a retry with the same key returns the run of the first request.
    pub request_key: Option<String>,
    pub if_busy: IfBusy,
    pub options: RunOptions,
    /// `None` unless the run is one of a subagent.
    pub parent: Option<Parent>,
}

/// The call of the tool `task` that starts a subagent.
#[derive(Clone, Debug)]
pub struct Parent {
    pub run_id: Uuid,
    pub call_id: String,
}

impl NewRun {
    /// Validates the request, loads its uploads and measures the workspace. No transaction is open yet.
    pub(super) async fn prepare(mut self, app: &App, caller: &Caller) -> Result<Prepared> {
        self.check()?;
        self.mode.clone_from(&app.modes.load(&self.mode)?.name);
        let began = Instant::now();
        let files = uploads::take::load(app.db.read(), caller.scope(), &self.files).await?;
        let key = Key::of(&self, &files);
        // After the key: a repeated request has another span.
        if self.options.trace.is_none() {
            self.options.trace = TraceParent::current();
        }
        let room = Room::look(app, caller, &self).await?;
        Ok(Prepared {
            app: app.clone(),
            caller: caller.clone(),
            new: self,
            files,
            key,
            room,
            began,
        })
    }

    // The API documentation fixes the wording of some errors.
    fn check(&self) -> Result<()> {
        if self.optimistic && (self.thread_id.is_none() || self.project_id.is_none()) {
            return Err(Error::invalid("thread_id and project_id required for optimistic mode"));
        }
        let prompt = self.prompt.as_deref().unwrap_or_default();
        if prompt.trim().is_empty() && (self.thread_id.is_none() || self.optimistic) {
            return Err(Error::invalid_field(
                "prompt",
                "prompt required when creating new thread",
            ));
        }
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(Error::invalid_field(
                "prompt",
                format!("prompt must have at most {MAX_PROMPT_BYTES} bytes"),
            ));
        }
        if prompt.contains('\0') {
            return Err(Error::invalid_field(
                "prompt",
                "prompt must not contain the character NUL",
            ));
        }
        let key = self.request_key.as_deref().unwrap_or_default();
        if key.chars().count() > MAX_KEY || key.contains('\0') {
            return Err(Error::invalid_field(
                "request_id",
                format!("request_id must have at most {MAX_KEY} characters"),
            ));
        }
        self.options.check()
    }
}
