//! The tools that an agent can call.
//!
//! The caller of the engine builds a [`Toolbox`] for each run. The engine checks arguments against the tool's schema
//! before each call. Only the command of the `bash` tool passes through a shell.

pub mod background;
pub mod bash;
pub mod bash_kill;
pub mod bash_output;
mod diff;
pub mod edit;
pub mod excerpt;
mod files;
pub mod glob;
pub mod grep;
mod lines;
pub mod read;
mod toolbox;
pub mod write;

use std::sync::Arc;

use async_trait::async_trait;
use runyard_sandbox::Sandbox;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    SandboxSource,
    documents::RecentDocuments,
    error::Error,
    images::Image,
    inputs::{Ask, Continuation, Questions},
    llm::ToolSpec,
};

use background::Background;
pub use toolbox::{Guard, Toolbox, built_in, core, leader, none};

/// Effect of a tool on the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The tool only reads. Calls may run in parallel, and are repeated after an interruption.
    ReadOnly,
    /// The tool may change the workspace. Calls run one at a time, and are not repeated after an interruption.
    Changes,
}

/// Callback for chunks of output while a tool runs. Must not block.
pub type OutputSink = Arc<dyn Fn(String) + Send + Sync>;

/// Resources for a tool call.
pub struct ToolContext {
    /// Opens the sandbox of the run; see [`ToolContext::sandbox`].
    pub workplace: Arc<dyn SandboxSource>,
    /// Receives output while the tool runs.
    pub output: OutputSink,
    /// Background processes of the run.
    pub background: Arc<Background>,
    /// Documents that the run has read last.
    pub documents: Arc<RecentDocuments>,
    /// Shows a notice to the user. Must not block.
    pub notice: OutputSink,
    /// The replies to the questions that this call asked earlier ([`ToolFailure::Asks`]).
    pub continuation: Option<Continuation>,
    /// Cancels the call and everything that the call started.
    pub cancel: CancellationToken,
}

impl ToolContext {
    /// Returns the sandbox of the run, and creates it if necessary. A tool that needs no sandbox does not call this.
    ///
    /// # Errors
    /// [`ToolFailure::Fatal`] if the sandbox cannot be created.
    pub async fn sandbox(&self) -> Result<Arc<dyn Sandbox>, ToolFailure> {
        self.workplace.open().await.map_err(ToolFailure::Fatal)
    }
}

/// Result of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolAnswer {
    /// Text for the model.
    pub text: String,
    /// Whether the call failed, for example because a command exited with a non-zero status.
    pub is_error: bool,
    /// Whether output was left out of `text`.
    pub truncated: bool,
    /// Images of the result. A model that sees no images is told their names, formats and sizes.
    pub images: Vec<Image>,
}

impl ToolAnswer {
    /// Creates a successful, complete result.
    pub fn whole(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Creates the result of a failed call.
    pub fn failed(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_error: true,
            ..Self::default()
        }
    }
}

/// Reason why a tool returned no [`ToolAnswer`].
#[derive(Debug)]
pub enum ToolFailure {
    /// The call failed. The model receives this text.
    Reported(String),
    /// An error that ends the run.
    Fatal(Error),
    /// The call needs answers. The run waits, and the tool is called again with [`ToolContext::continuation`].
    Asks(Questions),
}

/// Whether a call may run at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// The call runs at once.
    Open,
    /// The run first waits for an input.
    Ask(Ask),
    /// The call is refused. The text tells the model why.
    Closed(String),
}

/// A tool that the model can call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Returns the name, the description and the JSON schema for the model.
    fn spec(&self) -> ToolSpec;

    /// Returns the tool's effect, which does not depend on the arguments.
    fn effect(&self) -> Effect;

    /// Decides whether a call may run. The arguments match the schema.
    fn gate(&self, _arguments: &Value) -> Gate {
        Gate::Open
    }

    /// Runs the tool. The arguments match the schema.
    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure>;
}
