//! Taking turns at an account's row, before a connection is taken.
//!
//! On PostgreSQL whoever changes an account waits for its row with a connection in hand, and the pool is everybody's. So the
//! writers of one account queue here first: a few hold connections, the others wait without one, in the order in which they
//! came. On SQLite there is nothing to wait for: its writers queue for one lane, and what many write together is committed
//! together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    app::App,
    db::Tx,
    error::{Code, Error, Result},
};

/// Connections that the writers of one account hold at most: one works, the next is ready.
const AT_ONCE: usize = 2;
/// Writers of one account that wait at most.
const MAX_WAITING: usize = 1_000;
/// How long a turn may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The accounts that somebody is changing.
#[derive(Clone)]
pub struct Turns {
    at_once: usize,
    waiting: usize,
    lines: Arc<Mutex<HashMap<Uuid, Line>>>,
}

struct Line {
    turns: Arc<Semaphore>,
    /// Who waits and whose turn it is; with the last one the line goes.
    length: usize,
}

/// A place in an account's line; it is given up when it is dropped.
pub struct Turn {
    account_id: Uuid,
    turns: Turns,
    permit: Option<OwnedSemaphorePermit>,
}

/// Begins a unit of work that changes an account, when it is its turn.
///
/// # Errors
/// UNAVAILABLE, when too many wait or the turn does not come in time; those of the database.
pub async fn begin(app: &App, account_id: Uuid, name: &'static str) -> Result<Tx> {
    if app.db.is_private() {
        return app.db.begin(name).await;
    }
    let turn = app.turns.take(account_id).await?;
    Ok(app.db.begin(name).await?.keeping(turn))
}

/// Those of writers, on PostgreSQL.
impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_ONCE, MAX_WAITING)
    }
}

impl Turns {
    /// Lines in which so many of an account have their turn at once, and so many wait at most.
    pub fn new(at_once: usize, waiting: usize) -> Self {
        Self {
            at_once,
            waiting,
            lines: Arc::default(),
        }
    }

    /// How many stand in an account's line, those whose turn it is included.
    pub fn length(&self, account_id: Uuid) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(&account_id).map_or(0, |line| line.length)
    }

    /// Takes a turn, when it comes within ten seconds.
    ///
    /// # Errors
    /// UNAVAILABLE, when too many wait or it does not.
    pub async fn take(&self, account_id: Uuid) -> Result<Turn> {
        self.take_within(account_id, PATIENCE).await
    }

    /// Takes a turn at an account, when it comes in time.
    ///
    /// # Errors
    /// UNAVAILABLE, when too many wait or it does not.
    pub async fn take_within(&self, account_id: Uuid, patience: Duration) -> Result<Turn> {
        let (mut turn, line) = self.enter(account_id)?;
        let permit = timeout(patience, line.acquire_owned()).await;
        turn.permit = permit.ok().and_then(std::result::Result::ok);
        if turn.permit.is_none() {
            return Err(busy());
        }
        Ok(turn)
    }

    fn enter(&self, account_id: Uuid) -> Result<(Turn, Arc<Semaphore>)> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.entry(account_id).or_insert_with(|| Line {
            turns: Arc::new(Semaphore::new(self.at_once)),
            length: 0,
        });
        if line.length >= self.at_once + self.waiting {
            return Err(busy());
        }
        line.length += 1;
        let turn = Turn {
            account_id,
            turns: self.clone(),
            permit: None,
        };
        Ok((turn, Arc::clone(&line.turns)))
    }
}

impl Drop for Turn {
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
    Error::new(
        Code::Unavailable,
        "too much is being done in this account at once; try again",
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_few_have_their_turn_and_an_idle_account_leaves_nothing() {
        let (turns, account_id) = (Turns::default(), crate::id::new());
        let first = turns.take(account_id).await.unwrap();
        let second = turns.take(account_id).await.unwrap();
        let waiting = turns.clone();
        let third = tokio::spawn(async move { waiting.take(account_id).await.is_ok() });
        while turns.lines.lock().unwrap()[&account_id].length < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!third.is_finished(), "two at once are two at once");
        assert!(
            turns.take(crate::id::new()).await.is_ok(),
            "another account has a line of its own"
        );
        drop(first);
        assert!(third.await.unwrap());
        drop(second);
        assert!(turns.lines.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_waits_too_long_or_in_too_long_a_line_is_told_so() {
        let (turns, account_id) = (Turns::default(), crate::id::new());
        let held = [
            turns.take(account_id).await.unwrap(),
            turns.take(account_id).await.unwrap(),
        ];
        let late = turns.take_within(account_id, Duration::ZERO).await.err().unwrap();
        assert_eq!(late.code(), Code::Unavailable);
        let places: Vec<_> = (0..MAX_WAITING).map(|_| turns.enter(account_id).unwrap()).collect();
        assert!(turns.enter(account_id).is_err(), "the line is full");
        assert!(turns.enter(crate::id::new()).is_ok(), "another account's is not");
        drop(places);
        drop(held);
        assert!(turns.lines.lock().unwrap().is_empty(), "who gave up stands in no line");
    }
}
