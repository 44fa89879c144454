//! The last stage of a `StartRun` request: this request, or an earlier request with the same key, started the run.

use std::time::Duration;

use uuid::Uuid;

use crate::{accounts::Caller, app::App, error::Result, projects, runs::Run};

#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub run: Run,
    /// `None` if the sandbox has no row yet.
    pub sandbox_id: Option<Uuid>,
    /// Zero if an earlier request started the run.
    pub timing: Timing,
}

/// Durations of the phases of a `StartRun` request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Time until the plan admits the run. This includes loading the uploads, measuring the workspace, and waiting
    /// for the account's lock or for SQLite's writer thread.
    pub load: Duration,
    pub write: Duration,
    pub commit: Duration,
    pub files: Duration,
}

impl Started {
    /// Builds the response to a retry from the run of the earlier request.
    pub(super) async fn earlier(app: &App, caller: &Caller, run: Run) -> Result<Self> {
        let sandbox = projects::sandbox::find(app.db.read(), caller.scope(), run.project_id).await?;
        // If the sandbox was created after the run, the response to the earlier request did not contain it. This
        // response omits it too.
        let sandbox = sandbox.filter(|sandbox| sandbox.created_at <= run.created_at);
        Ok(Self {
            sandbox_id: sandbox.map(|sandbox| sandbox.id),
            run,
            timing: Timing::default(),
        })
    }
}
