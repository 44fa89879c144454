//! The tools that an agent can call: one file per tool, each with its JSON schema and limits.
//!
//! The caller of the engine builds the [`Toolbox`] of each run from [`core`] or [`none`] and the run's own tools. The
//! engine validates arguments against the schema before it calls a tool. Arguments never pass through a shell. The only
//! exception is the script of the bash tool.

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

use crate::{error::Error, llm::ToolSpec};

pub use toolbox::{Toolbox, core, none};

/// Effect of a call on the workspace. An interrupted call that may have changed something is never silently repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Read-only: may run in parallel with other read-only calls and may be repeated.
    ReadOnly,
    /// May change the workspace.
    Changes,
}

/// Receives the output of a running tool in chunks; never blocks the tool.
pub type OutputSink = Arc<dyn Fn(String) + Send + Sync>;

/// Context of a tool call.
pub struct ToolContext {
    /// Sandbox of the run.
    pub sandbox: Arc<dyn Sandbox>,
    /// Receives output while the tool runs.
    pub output: OutputSink,
    /// Cancels the call and stops everything that it started.
    pub cancel: CancellationToken,
}

/// Result of a tool call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolAnswer {
    /// Text for the model.
    pub text: String,
    /// True if the call failed, for example if a command exited with a non-zero status.
    pub is_error: bool,
    /// True if output was left out.
    pub truncated: bool,
}

/// Reason why a tool returned no [`ToolAnswer`].
#[derive(Debug)]
pub enum ToolFailure {
    /// The model gets this text and may try something else.
    Reported(String),
    /// The run cannot continue.
    Fatal(Error),
}

/// A tool that the model can call.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name, description and JSON schema for the model.
    fn spec(&self) -> ToolSpec;

    /// Returns whether a call only reads or may also change files.
    fn effect(&self) -> Effect;

    /// Runs the tool. The arguments match its schema.
    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure>;
}
