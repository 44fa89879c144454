//! Moves the uploads of a run into the workspace of its project, with one rename per file. `StartRun` places the
//! files before it responds. The worker places files that a crash left behind. `StartRun` and the worker may place
//! files of one run at the same time.
//!
//! If another file has the chosen name, the upload gets the next free name. The new name is stored before the file is
//! moved, so the file can be found after a crash. When all files are placed, their records are added to the message
//! (`threads::attachments`).

use std::collections::BTreeSet;

use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, sea_query::Expr};
use uuid::Uuid;

use super::{
    contents, name, staged,
    table::{Column, Entity, Model},
};
use crate::{
    accounts::{Scope, ensure, of, queue},
    app::App,
    error::{Code, Error, Result},
    sandbox::{Depth, ErrorKind, ProjectSandbox, Workspace},
    threads::{attachments, messages},
};

/// Maximum number of names read from the workspace to find a free name.
const MAX_NAMES: usize = 10_000;
/// Maximum number of names to try for one file.
const MAX_TRIES: usize = 32;

/// Lists up to `MAX_NAMES` names in the top folder of a workspace, in NFC.
pub async fn names(sandbox: &ProjectSandbox) -> Result<BTreeSet<String>> {
    let workspace = sandbox.workspace().clone();
    let list = move || workspace.list("", Depth::One, MAX_NAMES, None);
    let listed = super::blocking(list).await?;
    Ok(listed
        .entries
        .iter()
        .map(|entry| name::canonical(&entry.path))
        .collect())
}

#[derive(Clone, Copy, Debug)]
pub struct Destination {
    pub account_id: Uuid,
    /// Thread whose message names the files.
    pub thread_id: Uuid,
    pub run_id: Uuid,
}

/// Moves a run's unplaced uploads into the workspace, and marks them as placed. The call is idempotent.
pub async fn place(app: &App, sandbox: &ProjectSandbox, run: Destination) -> Result<()> {
    let scope = Scope::account(run.account_id);
    let query = of::<Entity>(scope)
        .filter(Column::RunId.eq(run.run_id))
        .filter(Column::Placed.eq(false));
    let uploads = query.clone().all(app.db.read()).await?;
    if uploads.is_empty() {
        return Ok(());
    }
    let mut left = move_in(app, sandbox.workspace(), uploads).await?;
    for _ in 0..MAX_TRIES {
        if left.is_empty() {
            break;
        }
        let mut renamed = Vec::with_capacity(left.len());
        for (upload, fault) in left {
            renamed.extend(rename(app, sandbox, run, (upload, fault)).await?);
        }
        left = move_in(app, sandbox.workspace(), renamed).await?;
    }
    if let Some((_, fault)) = left.into_iter().next() {
        return Err(fault);
    }
    // The rows contain the final names, also of the files that a concurrent call has renamed.
    let mut placed = query.all(app.db.read()).await?;
    placed.sort_unstable_by_key(|upload| upload.id);
    if placed.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = placed.iter().map(|upload| upload.id).collect();
    let records = contents::records(sandbox.workspace(), placed).await?;
    let tx = app.db.begin("uploads.placed").await?;
    Entity::update_many()
        .col_expr(Column::Placed, Expr::value(true))
        .filter(Column::Id.is_in(ids))
        .exec(&tx)
        .await?;
    attachments::attach(&tx, run.account_id, (run.thread_id, run.run_id), &records).await?;
    tx.commit().await
}

// Moves the files of uploads into the workspace. Returns the uploads whose file was not moved, each with the reason.
async fn move_in(app: &App, workspace: &Workspace, uploads: Vec<Model>) -> Result<Vec<(Model, Error)>> {
    let workspace = workspace.clone();
    let uploads: Vec<_> = uploads
        .into_iter()
        .map(|upload| (staged(app, upload.id), upload))
        .collect();
    super::blocking(move || {
        let mut left = Vec::new();
        for (file, upload) in uploads {
            let Some(name) = upload.placed_as.as_deref() else {
                continue;
            };
            match workspace.place_as(&file, name) {
                Ok(()) => {}
                // Another file has the name, or a concurrent call has moved this file.
                Err(fault) if matches!(fault.kind(), ErrorKind::Conflict | ErrorKind::FileNotFound) => {
                    left.push((upload, fault.into()));
                }
                Err(fault) => return Err(fault),
            }
        }
        // Sync before the uploads are marked as placed. Otherwise a power failure could lose a file from both the
        // staging folder and the workspace.
        workspace.sync()?;
        Ok(left)
    })
    .await
}

// Gives an upload the name that a concurrent call has stored, or the next free name. Returns `None` if the file is
// already placed.
async fn rename(
    app: &App,
    sandbox: &ProjectSandbox,
    run: Destination,
    (upload, fault): (Model, Error),
) -> Result<Option<Model>> {
    let names = names(sandbox).await?;
    let workspace = sandbox.workspace().clone();
    let wanted = name::sanitise(&upload.name);
    let free = super::blocking(move || {
        // `names` contains only the first `MAX_NAMES` names, so also check the folder itself.
        let is_there =
            |name: &str| !matches!(workspace.metadata(name), Err(fault) if fault.kind() == ErrorKind::FileNotFound);
        Ok::<_, Error>(name::free(&wanted, |name| names.contains(name) || is_there(name)))
    });
    let free = free.await?;
    let tx = queue::begin(app, upload.account_id, "uploads.rename").await?;
    // While the account is locked, no other file of the same message can be renamed.
    ensure::lock(&tx, upload.account_id).await?;
    let scope = Scope::account(upload.account_id);
    let row = of::<Entity>(scope).filter(Column::Id.eq(upload.id)).one(&tx).await?;
    let Some(row) = row.filter(|row| !row.placed) else {
        return Ok(None);
    };
    if row.placed_as != upload.placed_as {
        return Ok(Some(row));
    }
    let (Some(old), Code::Conflict) = (&row.placed_as, fault.code()) else {
        return Err(fault);
    };
    messages::rename_file(&tx, scope, (run.thread_id, run.run_id), (old, &free)).await?;
    let mut active = row.into_active_model();
    active.placed_as = Set(Some(free));
    let row = Entity::update(active).exec(&tx).await?;
    tx.commit().await?;
    tracing::info!(upload_id = %row.id, run_id = %run.run_id, "an uploaded file was renamed because its name was taken");
    Ok(Some(row))
}
