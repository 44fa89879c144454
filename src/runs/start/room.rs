//! Where the files of a start go: looked at before the transaction, decided in it.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{NewRun, target::Target};
use crate::{
    accounts::{Caller, Scope, turns::Turn},
    app::App,
    db::Tx,
    error::Result,
    projects, threads,
    uploads::{self, room::Measured},
};

/// The workspace of a start's project, as it was before the transaction. While it is held, no other file is placed there by
/// this process.
#[derive(Default)]
pub(super) struct Room {
    measured: Measured,
    names: BTreeSet<String>,
    _turn: Option<Turn>,
}

impl Room {
    /// Measures the workspace of an existing project; a start without files needs none, and a new project has an empty one.
    pub(super) async fn look(app: &App, caller: &Caller, new: &NewRun) -> Result<Self> {
        let scope = caller.scope();
        if new.files.is_empty() {
            return Ok(Self::default());
        }
        let Some(project_id) = project(app, scope, new).await? else {
            return Ok(Self::default());
        };
        let turn = app.placing.take(project_id).await?;
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

    /// Refuses files that do not fit; returns the names that they cannot have.
    pub(super) async fn admit(
        &mut self,
        app: &App,
        tx: &Tx,
        target: &Target,
        files: &[uploads::table::Model],
    ) -> Result<BTreeSet<String>> {
        let coming = match files.first() {
            Some(file) if !target.makes_project => {
                uploads::room::coming(tx, file.account_id, target.project_id).await?
            }
            _ => Vec::new(),
        };
        self.measured.check(app, &coming, files.iter().map(|file| file.size))?;
        let mut taken = std::mem::take(&mut self.names);
        // One that is missed here is found taken when it is placed, and gets another name then.
        taken.extend(self.measured.missing(&coming).filter_map(|upload| upload.name.clone()));
        Ok(taken)
    }
}

// The project that a start names, or that its thread belongs to.
async fn project(app: &App, scope: Scope, new: &NewRun) -> Result<Option<Uuid>> {
    let thread = match new.thread_id {
        Some(thread_id) => threads::find(app.db.read(), scope, thread_id).await?,
        None => None,
    };
    Ok(thread.map(|thread| thread.project_id).or(new.project_id))
}
