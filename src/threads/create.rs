//! Creates and renames threads.

use sea_orm::{EntityTrait, IntoActiveModel};
use uuid::Uuid;

use super::{
    list::load,
    moved::{Naming, moved},
    table::thread,
    title,
};
use crate::{
    accounts::{Caller, ensure, queue},
    app::App,
    db::{Bound, Sql},
    error::{Code, Error, Result},
    id,
    limits::{self, Load, Plan},
    projects,
};

/// Maximum length of a name in characters.
const MAX_NAME: usize = 200;

/// Creates a thread in an existing or a new project.
///
/// # Errors
/// INVALID_REQUEST, `PROJECT_NOT_FOUND`, `THREAD_LIMIT_EXCEEDED`, `PROJECT_LIMIT_EXCEEDED`.
pub async fn create(app: &App, caller: &Caller, project_id: Option<Uuid>, name: String) -> Result<thread::Model> {
    check(&name)?;
    let now = app.clock.now();
    let tx = queue::begin(app, caller.account_id, "threads.create").await?;
    // The lock prevents concurrent calls from exceeding the plan's limit.
    let account = ensure::lock(&tx, caller.account_id).await?;
    if let Some(project_id) = project_id {
        let found = projects::find(&tx, caller.scope(), project_id).await?;
        found.ok_or_else(|| Error::new(Code::ProjectNotFound, "Project not found"))?;
    }
    let plan = Plan {
        tier: app.tiers.load(&account.tier),
        limits: app.config.limits,
    };
    let load = Load {
        threads: account.threads,
        projects: account.projects,
        ..Load::default()
    };
    limits::admit_thread(&plan, &load, project_id.is_none())?;
    let project_id = if let Some(project_id) = project_id {
        tx.change(projects::moved(caller.account_id, project_id, now)).await?;
        project_id
    } else {
        let made = projects::create::insert(&tx, caller.account_id, name.clone(), now).await?;
        made.id
    };
    let row = thread::Model {
        id: id::new(),
        account_id: caller.account_id,
        project_id,
        name_is_automatic: name.is_empty(),
        name,
        created_at: now,
        updated_at: now,
        parent_run_id: None,
    };
    thread::Entity::insert(row.clone().into_active_model())
        .exec_without_returning(&tx)
        .await?;
    tx.commit().await?;
    Ok(row)
}

const INSERT: Sql = Sql::new(
    "INSERT INTO threads (id, account_id, project_id, name, created_at, updated_at, parent_run_id, name_is_automatic) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
);

pub fn insertion(row: thread::Model) -> Bound {
    INSERT.with([
        row.id.into(),
        row.account_id.into(),
        row.project_id.into(),
        row.name.into(),
        row.created_at.into(),
        row.updated_at.into(),
        row.parent_run_id.into(),
        row.name_is_automatic.into(),
    ])
}

/// Renames a thread. No suggestion replaces the new name, unless it is empty. Setting the current name again does not
/// count as activity.
///
/// # Errors
/// INVALID_REQUEST, `THREAD_NOT_FOUND`.
pub async fn rename(app: &App, caller: &Caller, thread_id: Uuid, name: String) -> Result<thread::Model> {
    check(&name)?;
    load(app.db.read(), caller.scope(), thread_id).await?;
    let now = app.clock.now();
    let tx = queue::begin_locked(app, caller.account_id, "threads.rename").await?;
    let mut row = load(&tx, caller.scope(), thread_id).await?;
    let is_automatic = name.is_empty();
    if row.name == name {
        if row.name_is_automatic != is_automatic {
            tx.change(title::kept(&row)).await?;
            tx.commit().await?;
        }
        return Ok(row);
    }
    row.name.clone_from(&name);
    row.updated_at = now;
    row.name_is_automatic = is_automatic;
    tx.change_together(moved(&row, Some(Naming { name, is_automatic }), now))
        .await?;
    tx.commit().await?;
    Ok(row)
}

fn check(name: &str) -> Result<()> {
    if name.chars().count() > MAX_NAME || name.contains('\0') {
        return Err(Error::invalid_field(
            "name",
            format!("name must have at most {MAX_NAME} characters"),
        ));
    }
    Ok(())
}
