//! The last stage of a `StartRun` request: the run was started, by this request or by an earlier request with the same
//! key.

use std::time::Duration;

use uuid::Uuid;

use crate::{accounts::Caller, app::App, error::Result, projects, runs::Run};

#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    pub run: Run,
    /// The sandbox, if its row exists.
    pub sandbox_id: Option<Uuid>,
    /// Duration of the request's phases; zero if an earlier request started the run.
    pub timing: Timing,
}

/// Duration of the phases of a `StartRun` request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// Time until the plan admits the run: loading the uploads, measuring the workspace, waiting for SQLite's writer
    /// thread or the account's lock, and checking the limits.
    pub load: Duration,
    pub write: Duration,
    /// Duration of the commit.
    pub commit: Duration,
    pub files: Duration,
}

impl Started {
    /// Builds the response to a retry from the run of the earlier request.
    pub(super) async fn earlier(app: &App, caller: &Caller, run: Run) -> Result<Self> {
        let sandbox = projects::sandbox::find(app.db.read(), caller.scope(), run.project_id).await?;
        // Leave out a sandbox that was created after the run, because the response to the earlier request did not
        // contain it.
        let sandbox = sandbox.filter(|sandbox| sandbox.created_at <= run.created_at);
        Ok(Self {
            sandbox_id: sandbox.map(|sandbox| sandbox.id),
            run,
            timing: Timing::default(),
        })
    }
}
