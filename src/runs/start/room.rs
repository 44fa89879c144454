//! Space in the workspace for the files of a `StartRun` request. The workspace is measured before the transaction;
//! the space is checked inside the transaction.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{NewRun, target::Target};
use crate::{
    accounts::{Caller, Scope, queue::QueueTurn},
    app::App,
    db::Tx,
    error::Result,
    projects, threads,
    uploads::{self, Upload, room::Measured},
};

/// Size and file names of the project's workspace; empty if the workspace was not measured. If the workspace was
/// measured, other requests of this process place no files in it while this value exists.
#[derive(Default)]
pub(super) struct Room {
    measured: Measured,
    names: BTreeSet<String>,
    _turn: Option<QueueTurn>,
}

impl Room {
    /// Measures the workspace of an existing project. A request without files needs no measurement, and a new
    /// project's workspace is empty.
    pub(super) async fn look(app: &App, caller: &Caller, new: &NewRun) -> Result<Self> {
        let scope = caller.scope();
        if new.files.is_empty() {
            return Ok(Self::default());
        }
        let Some(project_id) = project(app, scope, new).await? else {
            return Ok(Self::default());
        };
        let turn = app.placement_queues.take(project_id).await?;
        let mut room = Self {
            _turn: Some(turn),
            ..Self::default()
        };
        if let Some(row) = projects::sandbox::find(app.db.read(), scope, project_id).await? {
            let sandbox = projects::sandbox::open(app, &row).await?;
            room.measured = Measured::of(app, caller.account_id, project_id, &sandbox).await?;
            room.names = uploads::place::names(&sandbox).await?;
        }
        Ok(room)
    }

    /// Checks that the files fit into the workspace. Returns the file names that are known to be in use.
    pub(super) async fn admit(
        &self,
        app: &App,
        tx: &Tx,
        target: &Target,
        files: &[Upload],
    ) -> Result<BTreeSet<String>> {
        let coming = match files.first() {
            Some(file) if !target.makes_project => {
                uploads::room::coming(tx, file.account_id, target.project_id).await?
            }
            _ => Vec::new(),
        };
        self.measured.check(app, &coming, files.iter().map(|file| file.size))?;
        let mut taken = self.names.clone();
        // `taken` may lack a name that is in use. A new file with such a name gets another name when it is placed.
        taken.extend(self.measured.missing(&coming).filter_map(|upload| upload.name.clone()));
        Ok(taken)
    }
}

// Finds the project of the requested thread. If the thread does not exist, returns the requested project.
async fn project(app: &App, scope: Scope, new: &NewRun) -> Result<Option<Uuid>> {
    let thread = match new.thread_id {
        Some(thread_id) => threads::find(app.db.read(), scope, thread_id).await?,
        None => None,
    };
    Ok(thread.map(|thread| thread.project_id).or(new.project_id))
}
