//! Shared code of the file tools: blocking access, paths and error texts.
//!
//! Invariant: a cancelled call returns immediately. Its blocking work stops at the next check of [`Files::is_over`].

use std::{
    borrow::Cow,
    path::{Component, Path},
    sync::Arc,
    time::{Duration, Instant},
};

use runyard_sandbox::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{ToolAnswer, ToolContext, ToolFailure};

/// Maximum duration of a call.
pub(super) const MAX_TIME: Duration = Duration::from_secs(20);

pub(super) struct Files {
    pub(super) workspace: Arc<dyn runyard_sandbox::Files>,
    cancel: CancellationToken,
    deadline: Instant,
}

impl Files {
    pub(super) fn is_over(&self) -> bool {
        self.cancel.is_cancelled() || Instant::now() >= self.deadline
    }
}

/// Runs file work on a blocking thread. A cancelled call returns immediately, and the work stops at its next check of
/// [`Files::is_over`]. If the future is dropped without cancellation, the work continues up to [`MAX_TIME`].
pub(super) async fn blocking<F>(context: &ToolContext, work: F) -> Result<ToolAnswer, ToolFailure>
where
    F: FnOnce(&Files) -> Result<ToolAnswer, ToolFailure> + Send + 'static,
{
    let files = Files {
        workspace: context.sandbox().await?.files(),
        cancel: context.cancel.clone(),
        deadline: Instant::now() + MAX_TIME,
    };
    let work = tokio::task::spawn_blocking(move || work(&files));
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => Err(stopped()),
        done = work => done.unwrap_or_else(|_| Err(ToolFailure::Reported("the tool failed because of an internal error".to_owned()))),
    }
}

pub(super) fn arguments<T: DeserializeOwned>(value: Value) -> Result<T, ToolFailure> {
    serde_json::from_value(value).map_err(|error| ToolFailure::Reported(format!("the arguments are invalid: {error}")))
}

pub(super) fn whole(text: impl Into<String>) -> ToolAnswer {
    ToolAnswer::whole(text)
}

/// Converts an error to a text for the model. The cause of an internal error is only logged.
pub(super) fn told(path: &str, error: &Error) -> ToolFailure {
    ToolFailure::Reported(match error.kind() {
        ErrorKind::FileNotFound => format!("there is no file {path}"),
        ErrorKind::Internal => {
            tracing::warn!(%error, "a tool could not access the sandbox");
            format!("{path}: {}", error.message())
        }
        _ => format!("{path}: {}", error.message()),
    })
}

/// Creates the failure of a call that was cancelled.
pub(super) fn stopped() -> ToolFailure {
    ToolFailure::Reported("stopped: the run was stopped".to_owned())
}

pub(super) fn unreadable(path: &str, error: &std::io::Error) -> ToolFailure {
    ToolFailure::Reported(format!("{path} cannot be read: {error}"))
}

/// Escapes control characters, so that a path stays on one line.
pub(super) fn on_one_line(path: &str) -> Cow<'_, str> {
    if path.chars().any(char::is_control) {
        Cow::Owned(path.escape_debug().to_string())
    } else {
        Cow::Borrowed(path)
    }
}

/// Returns the path relative to the workspace; empty for the workspace itself.
pub(super) fn beneath(path: &str) -> String {
    let inside = path
        .strip_prefix("/workspace")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path);
    let parts = Path::new(inside).components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        Component::ParentDir => Some(".."),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    parts.collect::<Vec<_>>().join("/")
}
