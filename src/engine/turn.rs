//! To come.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Job, Outcome, Sink};
use crate::llm::Llm;

/// Runs an agent to its end.
pub async fn run(llm: &dyn Llm, job: Job, sink: Arc<dyn Sink>, cancel: &CancellationToken) -> Outcome {
    let _ = (llm, job, sink, cancel);
    Outcome::Stopped
}
