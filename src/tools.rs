//! What an agent can do: one file per tool, each with its JSON schema and limits.
//!
//! `worker` takes a [`Toolbox`] from [`core`] or [`none`] and gives it to the engine, which checks arguments against the
//! schema before it calls a tool. Arguments never pass through a shell, except the one that bash is asked to run.

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
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{error::Error, llm::ToolSpec, sandbox::Sandbox};

pub use toolbox::{Toolbox, core, named, none};

/// Whether a call changes anything; an interrupted call that may have is never silently repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only looks; may run beside other such calls and may be repeated.
    ReadOnly,
    /// It may change the workspace.
    Changes,
}

/// Takes the output of a running tool, piece by piece; never blocks the tool.
pub type OutputSink = Arc<dyn Fn(String) + Send + Sync>;

/// What a call of a tool works with.
pub struct ToolContext {
    /// The run's sandbox.
    pub sandbox: Arc<Sandbox>,
    /// Where output goes while the tool runs.
    pub output: OutputSink,
    /// Ends the call, with everything that it started.
    pub cancel: CancellationToken,
}

/// What a tool answers to the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolAnswer {
    /// What the model is told.
    pub text: String,
    /// Whether the call failed, such as a command with a non-zero exit status.
    pub is_error: bool,
    /// Whether output was left out.
    pub truncated: bool,
}

/// Why a call has no answer.
#[derive(Debug)]
pub enum ToolFailure {
    /// The model is told and may try something else.
    Told(String),
    /// The run cannot go on.
    Fatal(Error),
}

/// A tool.
#[async_trait]
pub trait Tool: Send + Sync {
    /// Name, description and JSON schema, as the model is told.
    fn spec(&self) -> ToolSpec;

    /// Whether a call changes anything.
    fn effect(&self) -> Effect;

    /// Runs the tool with arguments that fit its schema.
    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure>;
}
