//! Per-account queue: writers of one account wait here before they get a database connection.
//!
//! On PostgreSQL, a writer holds a connection of the shared pool while it waits for the lock of the account's row.
//! Without the queue, the writers of one account could occupy the whole pool. SQLite needs no queue, because one
//! thread runs all writes (`db/lane.rs`).
//!
//! Model calls of an account wait in a separate [`AccountQueues`].

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

use super::ensure;
use crate::{
    app::App,
    db::Tx,
    error::{Code, Error, Result},
};

/// Maximum number of connections per account. The second connection lets the next writer start without delay.
const AT_ONCE: usize = 2;
const MAX_WAITING: usize = 1_000;
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The queues, one per account. Empty queues are removed.
#[derive(Clone)]
pub struct AccountQueues {
    at_once: usize,
    waiting: usize,
    lines: Arc<Mutex<HashMap<Uuid, Line>>>,
}

struct Line {
    turns: Arc<Semaphore>,
    /// Number of running and waiting operations. At zero, the queue is removed.
    length: usize,
}

/// A waiting or running operation in an account's queue. Dropping the value removes the operation from the queue.
pub struct QueueTurn {
    account_id: Uuid,
    turns: AccountQueues,
    permit: Option<OwnedSemaphorePermit>,
}

/// Waits until the account's queue admits this writer, then begins a transaction.
///
/// # Errors
/// UNAVAILABLE if the queue is full or the wait times out; database errors.
pub async fn begin(app: &App, account_id: Uuid, name: &'static str) -> Result<Tx> {
    if app.db.is_private() {
        return app.db.begin(name).await;
    }
    let turn = app.account_queues.take(account_id).await?;
    Ok(app.db.begin(name).await?.keeping(turn))
}

/// Like [`begin`], and locks the account.
///
/// # Errors
/// As for [`begin`].
pub async fn begin_locked(app: &App, account_id: Uuid, name: &'static str) -> Result<Tx> {
    let tx = begin(app, account_id, name).await?;
    ensure::lock(&tx, account_id).await?;
    Ok(tx)
}

/// Waits until the account's queue admits this writer, then runs `unit` in a transaction and commits it.
///
/// # Errors
/// UNAVAILABLE if the queue is full or the wait times out; the errors of [`crate::db::Db::write`].
pub async fn write<T, F>(app: &App, account_id: Uuid, name: &'static str, unit: F) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    let _turn = if app.db.is_private() {
        None
    } else {
        Some(app.account_queues.take(account_id).await?)
    };
    app.db.write(name, unit).await
}

/// The default limits are those for database writers on PostgreSQL.
impl Default for AccountQueues {
    fn default() -> Self {
        Self::new(AT_ONCE, MAX_WAITING)
    }
}

impl AccountQueues {
    /// `at_once` and `waiting` are the maximum numbers of running and of waiting operations per account.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            at_once,
            waiting,
            lines: Arc::default(),
        }
    }

    pub fn length(&self, account_id: Uuid) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(&account_id).map_or(0, |line| line.length)
    }

    /// Waits up to ten seconds until the operation may run.
    ///
    /// # Errors
    /// UNAVAILABLE if the queue is full or the wait times out.
    pub async fn take(&self, account_id: Uuid) -> Result<QueueTurn> {
        self.take_within(account_id, MAX_WAIT).await
    }

    /// Waits up to `max_wait` until the operation may run.
    ///
    /// # Errors
    /// UNAVAILABLE if the queue is full or the wait times out.
    pub async fn take_within(&self, account_id: Uuid, max_wait: Duration) -> Result<QueueTurn> {
        let (mut turn, line) = self.enter(account_id)?;
        let permit = timeout(max_wait, line.acquire_owned()).await;
        turn.permit = permit.ok().and_then(std::result::Result::ok);
        if turn.permit.is_none() {
            return Err(busy());
        }
        Ok(turn)
    }

    fn enter(&self, account_id: Uuid) -> Result<(QueueTurn, Arc<Semaphore>)> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(account_id).or_insert_with(|| Line {
            turns: Arc::new(Semaphore::new(self.at_once)),
            length: 0,
        });
        if line.length >= self.at_once + self.waiting {
            return Err(busy());
        }
        line.length += 1;
        let turn = QueueTurn {
            account_id,
            turns: self.clone(),
            permit: None,
        };
        Ok((turn, Arc::clone(&line.turns)))
    }
}

impl Drop for QueueTurn {
    fn drop(&mut self) {
        self.permit = None;
        let mut lines = self.turns.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = lines.get_mut(&self.account_id) {
            line.length -= 1;
            if line.length == 0 {
                lines.remove(&self.account_id);
            }
        }
    }
}

fn busy() -> Error {
    Error::new(Code::Unavailable, "too many concurrent changes to this account; retry")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_turns_run_at_once_and_an_idle_account_keeps_no_queue() {
        let (turns, account_id) = (AccountQueues::default(), crate::id::new());
        let first = turns.take(account_id).await.unwrap();
        let second = turns.take(account_id).await.unwrap();
        let waiting = turns.clone();
        let third = tokio::spawn(async move { waiting.take(account_id).await.is_ok() });
        while turns.lines.lock().unwrap()[&account_id].length < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!third.is_finished(), "only two turns run at once");
        assert!(
            turns.take(crate::id::new()).await.is_ok(),
            "another account has its own queue"
        );
        drop(first);
        assert!(third.await.unwrap());
        drop(second);
        assert!(turns.lines.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_turn_is_refused_after_the_timeout_and_when_the_queue_is_full() {
        let (turns, account_id) = (AccountQueues::default(), crate::id::new());
        let held = [
            turns.take(account_id).await.unwrap(),
            turns.take(account_id).await.unwrap(),
        ];
        let late = turns.take_within(account_id, Duration::ZERO).await.err().unwrap();
        assert_eq!(late.code(), Code::Unavailable);
        let places: Vec<_> = (0..MAX_WAITING).map(|_| turns.enter(account_id).unwrap()).collect();
        assert!(turns.enter(account_id).is_err(), "the queue is full");
        assert!(
            turns.enter(crate::id::new()).is_ok(),
            "the queue of another account is not full"
        );
        drop(places);
        drop(held);
        assert!(turns.lines.lock().unwrap().is_empty(), "dropped turns leave the queue");
    }
}
