//! Runs blocking work, such as file access, outside the worker threads of the async runtime.

use crate::error::{Error, Result};

/// Runs `work` on Tokio's blocking threads. If `work` panics, fails with INTERNAL and the message `failure`.
pub async fn run<T, E>(failure: &'static str, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T>
where
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(panicked) => Err(Error::internal(failure, panicked)),
    }
}
