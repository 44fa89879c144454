//! The part of a start request that is stored for later, such as by a schedule or a trigger.

use uuid::Uuid;

use super::{NewRun, start::MAX_PROMPT_BYTES};
use crate::{
    accounts::Caller,
    agents,
    app::App,
    error::{Error, Result},
    threads,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedStart {
    pub prompt: String,
    /// `None` for the account's default agent.
    pub agent_id: Option<Uuid>,
    /// `None` if each run creates a thread.
    pub thread_id: Option<Uuid>,
    /// Empty for the agent's model.
    pub model: String,
    /// Empty for the default mode.
    pub mode: String,
}

/// Changes of a [`SavedStart`]. `None` keeps a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StartChanges {
    pub prompt: Option<String>,
    pub agent_id: Option<Option<Uuid>>,
    pub thread_id: Option<Option<Uuid>>,
    pub model: Option<String>,
    pub mode: Option<String>,
}

impl StartChanges {
    pub fn apply(self, to: SavedStart) -> SavedStart {
        SavedStart {
            prompt: self.prompt.unwrap_or(to.prompt),
            agent_id: self.agent_id.unwrap_or(to.agent_id),
            thread_id: self.thread_id.unwrap_or(to.thread_id),
            model: self.model.unwrap_or(to.model),
            mode: self.mode.unwrap_or(to.mode),
        }
    }
}

impl SavedStart {
    /// Checks all fields. The agent and the thread must exist in the caller's account.
    ///
    /// # Errors
    /// INVALID_REQUEST; `UNKNOWN_MODEL`; `AGENT_NOT_FOUND`; `THREAD_NOT_FOUND`.
    pub async fn check(&self, app: &App, caller: &Caller) -> Result<()> {
        if self.prompt.trim().is_empty() || self.prompt.len() > MAX_PROMPT_BYTES || self.prompt.contains('\0') {
            let message = format!("prompt must have 1 to {MAX_PROMPT_BYTES} bytes, without the character NUL");
            return Err(Error::invalid_field("prompt", message));
        }
        app.modes.load(&self.mode)?;
        if !self.model.is_empty() {
            app.models.load(&self.model)?;
        }
        if let Some(agent_id) = self.agent_id {
            agents::load(app.db.read(), caller.scope(), agent_id).await?;
        }
        if let Some(thread_id) = self.thread_id {
            threads::load(app.db.read(), caller.scope(), thread_id).await?;
        }
        Ok(())
    }

    pub fn new_run(self) -> NewRun {
        NewRun {
            prompt: Some(self.prompt),
            thread_id: self.thread_id,
            agent_id: self.agent_id,
            model: Some(self.model).filter(|model| !model.is_empty()),
            mode: self.mode,
            ..NewRun::default()
        }
    }
}
