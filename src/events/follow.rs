//! Follows runs. A follower streams the events of a run after a cursor (a sequence number), and then new events as
//! they are committed, up to the terminal event.
//!
//! A follower reads the ring buffer of the run (`events/hub.rs`), or the table if the ring no longer contains the
//! next event. A slow client therefore needs memory only for a small page, and delays no writer. Wake-ups may be
//! lost, so a follower also polls the table. Events of runs on other servers arrive through the relay
//! (`events/relay.rs`).

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use tokio::{sync::watch, time::timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::{
    Stored,
    hub::{Ring, RingRead},
    page::Page,
    table,
};
use crate::{
    app::App,
    error::{Code, Error, Result},
    telemetry::names,
};

/// Poll interval if other processes may write events.
const POLL_SHARED: Duration = Duration::from_secs(2);
/// Poll interval if only this process writes events.
const POLL_PRIVATE: Duration = Duration::from_secs(30);

struct Follower {
    app: App,
    run_id: Uuid,
    cursor: i64,
    ring: Arc<Ring>,
    newest: watch::Receiver<i64>,
    hints: watch::Receiver<()>,
    page: Page,
    look_in_table: bool,
    ended: bool,
}

/// Streams the events of a run after a cursor, up to the terminal event. The calling code must have checked that the
/// client may read the run.
pub fn follow(app: &App, run_id: Uuid, after: i64) -> impl Stream<Item = Result<Stored>> + Send + use<> {
    let ring = app.hub.ring(run_id);
    let follower = Follower {
        app: app.clone(),
        run_id,
        cursor: after,
        newest: ring.newest(),
        hints: ring.hints(),
        ring,
        page: app.hub.page(),
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
            if let Some(event) = self.page.pop() {
                self.cursor = event.sequence;
                self.ended = event.terminal;
                return Ok(Some(event));
            }
            self.fill().await?;
        }
        Ok(None)
    }

    async fn fill(&mut self) -> Result<()> {
        // A long replay must not delay the shutdown.
        if self.app.stopping.is_cancelled() {
            return Err(going_down());
        }
        // Mark `newest` and `hints` as seen before reading the ring and the table. An event that arrives during the
        // read then wakes this follower.
        self.newest.borrow_and_update();
        self.hints.borrow_and_update();
        match self.ring.after(self.cursor, self.page.budget()) {
            RingRead::Events(events) => {
                self.take(events);
                // The ring also receives all later events, so the follower no longer reads the table.
                self.look_in_table = false;
                return Ok(());
            }
            RingRead::UpToDate if !self.look_in_table => {}
            RingRead::UpToDate | RingRead::InTable => {
                let (events, newest) = self.read_table().await?;
                self.look_in_table = !events.is_empty();
                if self.look_in_table {
                    self.take(events);
                    return Ok(());
                }
                match newest {
                    // A run and its first event are inserted together. A run without events was therefore deleted
                    // with its thread.
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
            changed = timeout(poll, self.newest.changed()) => self.look_in_table = changed.is_err(),
            _ = self.hints.changed() => self.look_in_table = true,
        }
        Ok(())
    }

    fn take(&mut self, events: Vec<Stored>) {
        metrics::counter!(names::STREAM_EVENTS).increment(events.len() as u64);
        self.page.extend(events);
    }

    /// Reads the next page of events. If the page is empty, also reads the sequence number of the run's newest event,
    /// and whether that event is terminal.
    async fn read_table(&self) -> Result<(Vec<Stored>, Option<(i64, bool)>)> {
        let (app, run_id, cursor, budget) = (self.app.clone(), self.run_id, self.cursor, self.page.budget());
        let reading = async move {
            let events = table::page(app.db.read(), run_id, cursor, budget).await?;
            let newest = if events.is_empty() {
                table::newest(app.db.read(), run_id).await?
            } else {
                None
            };
            Ok((events, newest))
        };
        if self.app.db.read().is_inline() {
            return reading.await;
        }
        // The stream is polled only while its client reads. A separate task completes the query and returns the
        // database connection even if the client stops reading. A disconnect aborts the task.
        AbortOnDropHandle::new(tokio::spawn(reading))
            .await
            .unwrap_or_else(|fault| Err(Error::internal("the events could not be read", fault)))
    }
}

// The client reconnects with its cursor and misses no event.
fn going_down() -> Error {
    Error::new(
        Code::Unavailable,
        "the server is shutting down; reconnect with your last cursor",
    )
}
