//! Reading threads.

use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::table::thread::{Column, Entity, Model};
use crate::{
    accounts::{Scope, of},
    error::{Code, Error, Result},
};

/// The thread of an id, if the scope sees it.
///
/// # Errors
/// Those of the database.
pub async fn find(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid) -> Result<Option<Model>> {
    Ok(of::<Entity>(scope).filter(Column::Id.eq(thread_id)).one(db).await?)
}

/// Loads one thread.
///
/// # Errors
/// `THREAD_NOT_FOUND`, in the seed's words.
pub async fn load(db: &impl ConnectionTrait, scope: Scope, thread_id: Uuid) -> Result<Model> {
    find(db, scope, thread_id).await?.ok_or_else(not_found)
}

/// What is answered for a thread that is not there, or is another account's.
pub fn not_found() -> Error {
    Error::new(Code::ThreadNotFound, "Thread not found")
}

/// Lists threads before a cursor, newest first; of one project, or of all.
///
/// # Errors
/// Those of the database.
pub async fn list(
    db: &impl ConnectionTrait,
    scope: Scope,
    project_id: Option<Uuid>,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>> {
    let mut query = of::<Entity>(scope);
    if let Some(project_id) = project_id {
        query = query.filter(Column::ProjectId.eq(project_id));
    }
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before));
    }
    Ok(query.order_by_desc(Column::Id).limit(limit).all(db).await?)
}
