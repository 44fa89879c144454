//! The tools that an agent can call: one file per tool, each with its JSON schema and limits.
//!
//! The caller of the engine builds a [`Toolbox`] for each run: the core tools ([`core`]) or none ([`none`]), and the
//! run's own tools. The engine validates the arguments against the tool's schema before each call. No argument passes
//! through a shell, except the command of the `bash` tool.

pub mod bash;
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

use crate::{error::Error, images::Image, llm::ToolSpec};

pub use toolbox::{Toolbox, core, none};

/// Effect of a tool on the workspace. After an interruption, only read-only calls are repeated automatically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The tool only reads. Its calls may run in parallel with other read-only calls, and may be repeated.
    ReadOnly,
    /// The tool may change the workspace. Its calls run one at a time, and are not repeated after an interruption.
    Changes,
}

/// Callback for the output of a running tool, called once per chunk. The callback must not block.
pub type OutputSink = Arc<dyn Fn(String) + Send + Sync>;

/// Resources that the engine passes to a tool call.
pub struct ToolContext {
    /// Sandbox of the run.
    pub sandbox: Arc<dyn Sandbox>,
    /// Receives the output while the tool runs.
    pub output: OutputSink,
    /// Token that cancels the call and everything that the call started.
    pub cancel: CancellationToken,
}

/// Result of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolAnswer {
    /// Text for the model.
    pub text: String,
    /// True if the call failed, for example if a command exited with a non-zero status.
    pub is_error: bool,
    /// True if `text` is incomplete because output was left out.
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
    /// The call failed. The model receives this text and may try something else.
    Reported(String),
    /// The error ends the run.
    Fatal(Error),
}

/// A tool that the model can call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Returns the name, the description and the JSON schema for the model.
    fn spec(&self) -> ToolSpec;

    /// Returns the effect on the workspace. It does not depend on the arguments of a call.
    fn effect(&self) -> Effect;

    /// Runs the tool. The caller has validated the arguments against the schema.
    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure>;
}
