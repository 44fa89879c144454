//! How much an account may have lying in the staging folder: files that no run has taken yet.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    KEPT,
    table::{Column, Entity},
};
use crate::{
    accounts::{Scope, of},
    app::App,
    error::{Code, Error, Result},
};

/// Files that wait at most; more than one form has parts.
const MAX_FILES: i64 = 300;
/// Bytes that wait at most, in files of the largest size that the plan allows.
const LARGEST_FILES: u64 = 10;

/// Refuses one more file of this size when too much waits.
///
/// # Errors
/// THROTTLED, saying when the oldest one goes; those of the database.
pub(super) async fn check(
    app: &App,
    db: &impl ConnectionTrait,
    account_id: Uuid,
    (size, largest): (i64, u64),
) -> Result<()> {
    let sum = Expr::col(Column::Size).sum().cast_as("bigint");
    let (files, bytes, oldest): (i64, Option<i64>, Option<DateTime<Utc>>) = of::<Entity>(Scope::account(account_id))
        .filter(Column::RunId.is_null())
        .select_only()
        .expr(Expr::col(Column::Id).count())
        .expr(sum)
        .expr(Expr::col(Column::CreatedAt).min())
        .into_tuple()
        .one(db)
        .await?
        .unwrap_or_default();
    let bytes = bytes.unwrap_or_default().saturating_add(size).unsigned_abs();
    let most = largest.saturating_mul(LARGEST_FILES);
    if files < MAX_FILES && bytes <= most {
        return Ok(());
    }
    let age = oldest.and_then(|oldest| (app.clock.now() - oldest).to_std().ok());
    let message = format!("Too many uploads wait to be used: at most {MAX_FILES} files and {most} bytes may");
    Err(Error::new(Code::Throttled, message).retry_after(KEPT.saturating_sub(age.unwrap_or(Duration::ZERO))))
}
