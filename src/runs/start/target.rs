//! The thread and project that the run of a `StartRun` request continues or creates.

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, DbErr, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::NewRun;
use crate::{
    accounts::{Scope, of},
    db::{Bound, Tx, is_duplicate},
    error::{Code, Error, Result},
    id,
    projects::{self, ProjectRow, SandboxRow},
    runs::{
        Run,
        table::{Column, Entity, is_unfinished},
    },
    threads::{self, Thread, moved::Naming},
    uploads::Upload,
};

/// Maximum length in characters of a name taken from the prompt.
const NAME_CHARS: usize = 80;
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) thread_id: Uuid,
    pub(super) project_id: Uuid,
    pub(super) makes_thread: bool,
    pub(super) makes_project: bool,
    /// The existing thread, if the run continues one.
    continued: Option<Thread>,
}

impl Target {
    pub(super) async fn find(tx: &Tx, scope: Scope, new: &NewRun) -> Result<Self> {
        let thread = match new.thread_id {
            Some(thread_id) => threads::find(tx, scope, thread_id).await?,
            None => None,
        };
        match (thread, new.thread_id) {
            (Some(thread), _) => {
                // A thread cannot move to another project.
                if new.project_id.is_some_and(|project_id| project_id != thread.project_id) {
                    return Err(project_not_found());
                }
                Ok(Self {
                    thread_id: thread.id,
                    project_id: thread.project_id,
                    makes_thread: false,
                    makes_project: false,
                    continued: Some(thread),
                })
            }
            (None, Some(_)) if !new.optimistic => Err(threads::list::not_found()),
            (None, asked) => {
                let project = match new.project_id {
                    Some(project_id) => projects::find(tx, scope, project_id).await?,
                    None => None,
                };
                if project.is_none() && new.project_id.is_some() && !new.optimistic {
                    return Err(project_not_found());
                }
                let fresh = id::new();
                Ok(Self {
                    thread_id: asked.unwrap_or_else(id::new),
                    project_id: new.project_id.unwrap_or(fresh),
                    makes_thread: true,
                    makes_project: project.is_none(),
                    continued: None,
                })
            }
        }
    }

    /// Oldest first. On PostgreSQL, the rows are locked.
    pub(super) async fn busy(&self, tx: &Tx, scope: Scope) -> Result<Vec<Run>> {
        if self.makes_thread {
            return Ok(Vec::new());
        }
        let mut query = of::<Entity>(scope)
            .filter(Column::ThreadId.eq(self.thread_id))
            .filter(is_unfinished())
            .order_by_asc(Column::Id);
        if tx.get_database_backend() == DbBackend::Postgres {
            query = query.lock_exclusive();
        }
        Ok(query.all(tx).await?)
    }

    /// Finds the sandbox of the project. Creates its row if the run has files.
    pub(super) async fn sandbox_for(&self, tx: &Tx, run: &Run, files: &[Upload]) -> Result<Option<SandboxRow>> {
        let scope = Scope::account(run.account_id);
        if !files.is_empty() {
            let made = projects::sandbox::insert(tx, run.account_id, self.project_id, run.created_at).await?;
            return Ok(Some(made));
        }
        if self.makes_project {
            return Ok(None);
        }
        projects::sandbox::find(tx, scope, self.project_id).await
    }

    /// The changes that insert a new thread or project, and that move an existing thread or project to the top of the
    /// list.
    pub(super) fn inserts(&self, run: &Run, new: &NewRun) -> Vec<Bound> {
        let name: String = new
            .prompt
            .as_deref()
            .unwrap_or_default()
            .trim()
            .chars()
            .take(NAME_CHARS)
            .collect();
        let mut changes = Vec::new();
        if let Some(thread) = &self.continued {
            // A thread without a name gets its name from the first prompt.
            let naming = (thread.name.is_empty() && !name.is_empty()).then(|| Naming {
                name: name.clone(),
                is_automatic: true,
            });
            changes.extend(threads::moved::moved(thread, naming, run.created_at));
        } else if !self.makes_project {
            changes.push(projects::moved(run.account_id, self.project_id, run.created_at));
        }
        if self.makes_project {
            let row = ProjectRow {
                id: self.project_id,
                account_id: run.account_id,
                name: name.clone(),
                created_at: run.created_at,
                updated_at: run.created_at,
            };
            changes.push(projects::insertion(row));
        }
        if self.makes_thread {
            let row = Thread {
                id: self.thread_id,
                account_id: run.account_id,
                project_id: self.project_id,
                name,
                created_at: run.created_at,
                updated_at: run.created_at,
                parent_run_id: run.parent_run_id,
                name_is_automatic: true,
            };
            changes.push(threads::insertion(row));
        }
        changes
    }
}

/// If an id from the client already exists, returns `THREAD_NOT_FOUND`: the row belongs to another account, because
/// [`Target::find`] did not find it in the caller's account.
pub(super) fn lost_race(error: DbErr) -> Error {
    if is_duplicate(&error) {
        threads::list::not_found().caused_by(error)
    } else {
        error.into()
    }
}

fn project_not_found() -> Error {
    Error::new(Code::ProjectNotFound, "Project not found")
}
