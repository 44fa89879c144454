//! Following a run: its events after any cursor, live, until the terminal one.
//!
//! Called by `wire/runs.rs`. A follower holds a cursor into the run's ring and reads the table when it has fallen behind, so
//! a slow reader costs a page of memory and slows nobody. Wake-ups are hints: a slow poll of the table backs them up. Runs that
//! another process works on come by the relay (`events/relay.rs`).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{
    Stored,
    hub::{Rest, Ring},
    table,
};
use crate::{
    app::App,
    error::{Code, Error, Result},
};

/// Events that are read from the table at once: in the beginning, at most, and at least.
const FIRST_PAGE: u64 = 32;
const LARGEST_PAGE: u64 = 256;
const SMALLEST_PAGE: u64 = 4;
/// Bytes of a page after which the next one is larger, or smaller.
const SMALL_PAGE: usize = 64 * 1024;
const LARGE_PAGE: usize = 256 * 1024;
/// How often the table is asked although nothing was heard, when another process may be writing.
const POLL_SHARED: Duration = Duration::from_secs(2);
/// The same, when only this process writes.
const POLL_PRIVATE: Duration = Duration::from_secs(30);

struct Follower {
    app: App,
    run_id: Uuid,
    cursor: i64,
    ring: Arc<Ring>,
    newest: watch::Receiver<i64>,
    hints: watch::Receiver<()>,
    ready: VecDeque<Stored>,
    page: u64,
    look_in_table: bool,
    ended: bool,
}

/// The events of a run after a cursor; ends after the terminal event. The caller has shown that the run may be read.
pub fn follow(app: &App, run_id: Uuid, after: i64) -> impl Stream<Item = Result<Stored>> + Send + use<> {
    let ring = app.hub.ring(run_id);
    let follower = Follower {
        app: app.clone(),
        run_id,
        cursor: after,
        newest: ring.newest(),
        hints: ring.hints(),
        ring,
        ready: VecDeque::new(),
        page: FIRST_PAGE,
        look_in_table: true,
        ended: false,
    };
    stream::try_unfold(follower, |mut follower| async move {
        let next = follower.next().await?;
        Ok(next.map(|event| (event, follower)))
    })
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Stored>> {
        while !self.ended {
            if let Some(event) = self.ready.pop_front() {
                self.cursor = event.sequence;
                self.ended = event.terminal;
                return Ok(Some(event));
            }
            self.fill().await?;
        }
        Ok(None)
    }

    async fn fill(&mut self) -> Result<()> {
        // A long replay must not hold up the shutdown.
        if self.app.stopping.is_cancelled() {
            return Err(going_down());
        }
        // Marked as seen before looking, so that what is pushed in between wakes us.
        self.newest.borrow_and_update();
        self.hints.borrow_and_update();
        match self.ring.after(self.cursor) {
            Rest::Here(events) => {
                self.ready = events.into();
                return Ok(());
            }
            Rest::Nothing if !self.look_in_table => {}
            Rest::Nothing | Rest::Elsewhere => {
                let page = table::list(self.app.db.read(), self.run_id, self.cursor, self.page).await?;
                self.look_in_table = false;
                if !page.is_empty() {
                    self.look_in_table = true;
                    self.page = next_page(self.page, &page);
                    self.ready = page.into();
                    return Ok(());
                }
                match table::newest(self.app.db.read(), self.run_id).await? {
                    // Every run has a first event: one without any was deleted with its thread.
                    None => return Err(Error::new(Code::RunNotFound, "Agent run not found")),
                    Some((sequence, true)) if sequence <= self.cursor => {
                        self.ended = true;
                        return Ok(());
                    }
                    Some(_) => {}
                }
            }
        }
        let poll = if self.app.db.is_private() {
            POLL_PRIVATE
        } else {
            if !self.app.wake.is_working(self.run_id) {
                self.ring.await_behind(self.cursor);
            }
            POLL_SHARED
        };
        tokio::select! {
            () = self.app.stopping.cancelled() => return Err(going_down()),
            heard = timeout(poll, self.newest.changed()) => self.look_in_table = heard.is_err(),
            _ = self.hints.changed() => self.look_in_table = true,
        }
        Ok(())
    }
}

// A stream ends with this failure when the process shuts down. Its reader reconnects with its cursor and misses nothing.
fn going_down() -> Error {
    Error::new(
        Code::Unavailable,
        "the server is shutting down; reconnect with your last cursor",
    )
}

// Most events are small and some have a megabyte; a slow reader costs one page of them.
fn next_page(page: u64, events: &[Stored]) -> u64 {
    match events.iter().map(|event| event.bytes.len()).sum() {
        ..SMALL_PAGE => LARGEST_PAGE.min(page * 2),
        LARGE_PAGE.. => SMALLEST_PAGE.max(page / 2),
        _ => page,
    }
}
