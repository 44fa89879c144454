//! Limits an account's share of the staging folder: files that no run uses yet, and files that are still arriving.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

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

/// Maximum number of unused files per account. It exceeds the 256 parts of the largest form, so that one form always
/// fits.
const MAX_FILES: i64 = 300;
/// Maximum total size of an account's unused files, in units of the plan's maximum file size.
const LARGEST_FILES: u64 = 10;

/// Number and size of the files that are arriving as streams, per account. These files have no rows yet.
#[derive(Clone, Default)]
pub struct Arriving {
    accounts: Arc<Mutex<HashMap<Uuid, Sum>>>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    files: i64,
    bytes: u64,
}

/// A file that is being received. The file is counted until this value is dropped.
pub(super) struct Arrival {
    arriving: Arriving,
    account_id: Uuid,
    bytes: u64,
    room: Sum,
    retry_after: Duration,
}

impl Arriving {
    fn with<T>(&self, account_id: Uuid, change: impl FnOnce(&mut Sum) -> T) -> T {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = accounts.entry(account_id).or_default();
        let answer = change(sum);
        if sum.files == 0 {
            accounts.remove(&account_id);
        }
        answer
    }
}

impl Arrival {
    /// Starts to count a file before its first byte arrives.
    ///
    /// # Errors
    /// THROTTLED if the account has too many unused or arriving files.
    pub(super) async fn begin(app: &App, account_id: Uuid, largest: u64) -> Result<Self> {
        let waiting = Waiting::read(app, app.db.read(), account_id).await?;
        let room = Sum {
            files: MAX_FILES - waiting.files,
            bytes: most(largest).saturating_sub(waiting.bytes),
        };
        let arrival = Self {
            arriving: app.arriving.clone(),
            account_id,
            bytes: 0,
            room,
            retry_after: waiting.retry_after,
        };
        let files = arrival.arriving.with(account_id, |sum| {
            sum.files += 1;
            sum.files
        });
        if files > room.files {
            return Err(throttled(largest, waiting.retry_after));
        }
        Ok(arrival)
    }

    /// # Errors
    /// THROTTLED if the account's unused and arriving files are too large in total.
    pub(super) fn grow(&mut self, bytes: u64, largest: u64) -> Result<()> {
        self.bytes += bytes;
        let total = self.arriving.with(self.account_id, |sum| {
            sum.bytes += bytes;
            sum.bytes
        });
        if total > self.room.bytes {
            return Err(throttled(largest, self.retry_after));
        }
        Ok(())
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.arriving.with(self.account_id, |sum| {
            sum.files -= 1;
            sum.bytes = sum.bytes.saturating_sub(self.bytes);
        });
    }
}

/// Checks that the account may add one more file of this size.
///
/// # Errors
/// THROTTLED, with the time until the oldest unused file expires.
pub(super) async fn check(
    app: &App,
    db: &impl ConnectionTrait,
    account_id: Uuid,
    (size, largest): (i64, u64),
) -> Result<()> {
    let waiting = Waiting::read(app, db, account_id).await?;
    if waiting.files < MAX_FILES && waiting.bytes.saturating_add(size.unsigned_abs()) <= most(largest) {
        return Ok(());
    }
    Err(throttled(largest, waiting.retry_after))
}

/// Number and size of an account's uploads that no run uses, and the time until the oldest upload expires.
struct Waiting {
    files: i64,
    bytes: u64,
    retry_after: Duration,
}

impl Waiting {
    async fn read(app: &App, db: &impl ConnectionTrait, account_id: Uuid) -> Result<Self> {
        let sum = Expr::col(Column::Size).sum().cast_as("bigint");
        let (files, bytes, oldest): (i64, Option<i64>, Option<DateTime<Utc>>) =
            of::<Entity>(Scope::account(account_id))
                .filter(Column::RunId.is_null())
                .select_only()
                .expr(Expr::col(Column::Id).count())
                .expr(sum)
                .expr(Expr::col(Column::CreatedAt).min())
                .into_tuple()
                .one(db)
                .await?
                .unwrap_or_default();
        let age = oldest.and_then(|oldest| (app.clock.now() - oldest).to_std().ok());
        Ok(Self {
            files,
            bytes: bytes.unwrap_or_default().unsigned_abs(),
            retry_after: KEPT.saturating_sub(age.unwrap_or(Duration::ZERO)),
        })
    }
}

fn most(largest: u64) -> u64 {
    largest.saturating_mul(LARGEST_FILES)
}

fn throttled(largest: u64, retry_after: Duration) -> Error {
    let most = most(largest);
    let message = format!(
        "too many unused uploads: an account may have up to {MAX_FILES} files and {most} bytes; use some in a run, \
         or retry later"
    );
    Error::new(Code::Throttled, message).retry_after(retry_after)
}
