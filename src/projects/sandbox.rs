//! The sandbox of a project. On first use, its row is inserted, and then its folder is created.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait,
    sea_query::OnConflict,
};
use uuid::Uuid;

use super::table::sandbox::{ActiveModel, Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    app::App,
    blocking, data_folder,
    db::{Rows, Sql, Tx},
    error::{Code, Error, Result},
    id,
    sandbox::{Place, ProjectSandbox},
};

const FIND: Sql = Sql::new(
    "SELECT number, id, project_id, account_id, created_at FROM sandboxes WHERE project_id = $1 AND \
     account_id = COALESCE($2, account_id)",
);

pub async fn find(db: &impl Rows, scope: Scope, project_id: Uuid) -> Result<Option<Model>> {
    let query = FIND.with([project_id.into(), scope.account_id().into()]);
    let found = db.row(query, |row| {
        Ok(Model {
            number: row.take()?,
            id: row.take()?,
            project_id: row.take()?,
            account_id: row.take()?,
            created_at: row.take()?,
        })
    });
    Ok(found.await?)
}

/// Maps project ids to sandbox ids.
pub async fn of_projects(
    db: &impl ConnectionTrait,
    scope: Scope,
    projects: BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, Uuid>> {
    // For an empty list, SeaORM builds a condition that is always false. A database may still scan the table for it.
    if projects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = of::<Entity>(scope)
        .filter(Column::ProjectId.is_in(projects))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.project_id, row.id)).collect())
}

/// Loads the row of a sandbox. The folder may not exist yet.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, sandbox_id: Uuid) -> Result<Model> {
    let found = of::<Entity>(scope).filter(Column::Id.eq(sandbox_id)).one(db).await?;
    found.ok_or_else(|| Error::new(Code::SandboxNotFound, "Sandbox not found"))
}

/// If the project already has a sandbox, returns the existing row.
pub async fn insert(tx: &Tx, account_id: Uuid, project_id: Uuid, now: DateTime<Utc>) -> Result<Model> {
    let row = ActiveModel {
        number: NotSet,
        id: Set(id::new()),
        project_id: Set(project_id),
        account_id: Set(account_id),
        created_at: Set(now),
    };
    let once = OnConflict::column(Column::ProjectId).do_nothing().to_owned();
    tx.execute(Entity::insert(row).on_conflict(once).query()).await?;
    let found = find(tx, Scope::account(account_id), project_id).await?;
    found.ok_or_else(|| {
        Error::internal(
            "the sandbox could not be loaded",
            "the sandbox row is missing after its insert",
        )
    })
}

/// Opens the sandbox of a project, and creates it if necessary.
pub async fn ensure(app: &App, account_id: Uuid, project_id: Uuid) -> Result<ProjectSandbox> {
    let scope = Scope::account(account_id);
    let row = match find(app.db.read(), scope, project_id).await? {
        Some(row) => row,
        None => create(app, account_id, project_id).await?,
    };
    open(app, &row).await
}

async fn create(app: &App, account_id: Uuid, project_id: Uuid) -> Result<Model> {
    let tx = app.db.begin("projects.sandbox").await?;
    let row = insert(&tx, account_id, project_id, app.clock.now()).await?;
    tx.commit().await?;
    Ok(row)
}

/// Returns the folder of all workspaces. Each workspace is a subfolder, named after its project's id.
pub fn folder(app: &App) -> PathBuf {
    app.config.data_dir.join(data_folder::WORKSPACES)
}

/// Removes the workspace of a project whose row was deleted.
pub async fn discard(app: &App, project_id: Uuid) -> Result<()> {
    let place = Place {
        folder: folder(app).join(project_id.to_string()),
        // The row with the number was deleted. Removing the folder does not need the number.
        number: 0,
    };
    let sandboxes = app.sandboxes.clone();
    blocking::run("the workspace could not be removed", move || sandboxes.discard(&place)).await
}

/// Creates the folder of the sandbox if it is missing.
pub async fn open(app: &App, row: &Model) -> Result<ProjectSandbox> {
    let number = u32::try_from(row.number).map_err(|error| Error::internal("the sandbox number is invalid", error))?;
    let place = Place {
        folder: folder(app).join(row.project_id.to_string()),
        number,
    };
    let sandboxes = app.sandboxes.clone();
    let sandbox = tokio::task::spawn_blocking(move || {
        sandboxes.make(&place)?;
        Ok::<_, Error>(sandboxes.open(place))
    });
    sandbox
        .await
        .map_err(|error| Error::internal("the sandbox could not be opened", error))?
}
