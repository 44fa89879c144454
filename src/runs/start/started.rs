//! The last stage of a start: the run that the call started, or that an earlier call with the same key started.

use std::time::Duration;

use uuid::Uuid;

use crate::{accounts::Caller, app::App, error::Result, projects, runs::Run};

/// A run that was started by this call or by an earlier call with the same key.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub run: Run,
    /// The sandbox, if its row exists.
    pub sandbox_id: Option<Uuid>,
    /// Timing of the start.
    pub timing: Timing,
}

/// Duration of the phases of a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Time to wait for the writer lane or the account's lock, to read and to decide.
    pub load: Duration,
    /// Time to write the rows.
    pub write: Duration,
    /// Time until the commit is durable.
    pub commit: Duration,
    /// Time to place the files.
    pub files: Duration,
}

impl Started {
    /// The answer to a retry, with the run of the earlier call.
    pub(super) async fn earlier(app: &App, caller: &Caller, run: Run) -> Result<Self> {
        let sandbox = projects::sandbox::find(app.db.read(), caller.scope(), run.project_id).await?;
        // The first response did not contain a sandbox that was created later.
        let sandbox = sandbox.filter(|sandbox| sandbox.created_at <= run.created_at);
        Ok(Self {
            sandbox_id: sandbox.map(|sandbox| sandbox.id),
            run,
            timing: Timing::default(),
        })
    }
}
