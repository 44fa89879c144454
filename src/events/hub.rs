//! The hub holds a ring buffer of the newest committed events for each run that this process executes or follows.
//!
//! A ring is freed when the worker and all followers of the run (`events/follow.rs`) have dropped it. Pushing never
//! waits for a follower.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
};

use dashmap::DashMap;
use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::{
    Stored,
    page::{Page, Pages, fitting},
};

const RING_EVENTS: usize = 1024;
/// Maximum size of the events in a ring buffer.
const RING_BYTES: usize = 512 * 1024;

#[derive(Clone, Default)]
pub struct Hub {
    rings: Arc<DashMap<Uuid, Weak<Ring>>>,
    pages: Pages,
    follower: Arc<Notify>,
}

/// The newest committed events of one run.
pub struct Ring {
    run_id: Uuid,
    hub: Hub,
    events: Mutex<Kept>,
    newest: watch::Sender<i64>,
    /// Highest cursor of the followers that wait for events of another process; -1 if no follower has waited yet.
    reached: AtomicI64,
    /// Tells followers to read the table, because an event is too large for the relay (`events/relay.rs`).
    hints: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Stored>,
    bytes: usize,
}

/// The result of reading a ring's events after a cursor.
pub enum RingRead {
    Events(Vec<Stored>),
    /// The ring has no event after the cursor.
    UpToDate,
    /// The ring may lack events after the cursor; read the table.
    InTable,
}

impl Hub {
    pub fn ring(&self, run_id: Uuid) -> Arc<Ring> {
        let mut entry = self.rings.entry(run_id).or_default();
        if let Some(ring) = entry.upgrade() {
            return ring;
        }
        let ring = Arc::new(Ring {
            run_id,
            hub: self.clone(),
            events: Mutex::default(),
            newest: watch::Sender::new(0),
            reached: AtomicI64::new(-1),
            hints: watch::Sender::new(()),
        });
        *entry = Arc::downgrade(&ring);
        ring
    }

    pub fn page(&self) -> Page {
        self.pages.page()
    }

    /// Pushes committed events to the run's ring, if one exists.
    pub fn publish(&self, run_id: Uuid, events: &[Stored]) {
        let ring = self.rings.get(&run_id).and_then(|ring| ring.upgrade());
        if let Some(ring) = ring {
            ring.push(events);
        }
    }

    /// The rings whose followers wait for events that another process writes.
    pub(super) fn waiting(&self) -> Vec<(Uuid, Arc<Ring>)> {
        let rings = self.rings.iter();
        // Dropping the last reference to a ring takes a lock of the map. Collect first, because the iteration holds
        // that lock.
        let mut rings: Vec<_> = rings
            .filter_map(|entry| Some((*entry.key(), entry.value().upgrade()?)))
            .collect();
        rings.retain(|(_, ring)| ring.reached() >= 0);
        rings
    }

    /// Waits until a follower needs an event of another process, or has needed one since the last call.
    pub(super) async fn followed(&self) {
        self.follower.notified().await;
    }

    pub fn len(&self) -> usize {
        self.rings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }
}

impl Ring {
    /// Adds committed events and wakes the followers. Events that are not newer than the ring's newest event are
    /// ignored, and followers find them in the table. A run can have two writers: its worker, and a request that
    /// interrupts the run. These writers may push events in a different order than they commit them.
    pub fn push(&self, events: &[Stored]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        {
            let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if first.sequence <= *self.newest.borrow() {
                return;
            }
            // A ring must have no gap. If events are missing before the new events, drop the older events. Followers
            // find the dropped events in the table.
            if kept
                .events
                .back()
                .is_some_and(|newest| newest.sequence + 1 != first.sequence)
            {
                kept.events.clear();
                kept.bytes = 0;
            }
            for event in events {
                kept.bytes += event.bytes.len();
                kept.events.push_back(event.clone());
            }
            while kept.events.len() > RING_EVENTS || kept.bytes > RING_BYTES {
                let Some(oldest) = kept.events.pop_front() else { break };
                kept.bytes -= oldest.bytes.len();
            }
            self.newest.send_replace(last.sequence);
        }
    }

    /// Records that a follower has read up to `cursor` and waits for events that another process writes.
    pub(super) fn await_behind(&self, cursor: i64) {
        self.reached.fetch_max(cursor, Ordering::Relaxed);
        self.hub.follower.notify_one();
    }

    /// Sequence number of the newest event that this process has read; -1 before any follower waits for events of
    /// another process.
    pub(super) fn reached(&self) -> i64 {
        match self.reached.load(Ordering::Relaxed) {
            reached if reached < 0 => reached,
            reached => reached.max(*self.newest.borrow()),
        }
    }

    pub(super) fn hint(&self) {
        self.hints.send_replace(());
    }

    pub(super) fn hints(&self) -> watch::Receiver<()> {
        self.hints.subscribe()
    }

    /// Receives the sequence number of the newest pushed event.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// Returns as many events after the cursor as fit into `max_bytes`, but at least one if an event exists.
    pub fn after(&self, cursor: i64, max_bytes: usize) -> RingRead {
        let kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(oldest), Some(newest)) = (kept.events.front(), kept.events.back()) else {
            return RingRead::InTable;
        };
        if cursor >= newest.sequence {
            return RingRead::UpToDate;
        }
        let Ok(skip) = usize::try_from(cursor + 1 - oldest.sequence) else {
            return RingRead::InTable;
        };
        let count = fitting(kept.events.iter().skip(skip).map(|event| event.bytes.len()), max_bytes);
        RingRead::Events(kept.events.iter().skip(skip).take(count).cloned().collect())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        self.hub
            .rings
            .remove_if(&self.run_id, |_, ring| ring.strong_count() == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Notice, NoticeKind, run_event::Event};

    fn event(sequence: i64) -> Stored {
        let notice = Notice {
            kind: NoticeKind::Other.into(),
            message: String::new(),
        };
        Stored::new(
            Uuid::nil(),
            sequence,
            chrono::DateTime::UNIX_EPOCH,
            Event::Notice(notice),
        )
    }

    fn sequences(rest: RingRead) -> Option<Vec<i64>> {
        match rest {
            RingRead::Events(events) => Some(events.iter().map(|event| event.sequence).collect()),
            RingRead::UpToDate => Some(Vec::new()),
            RingRead::InTable => None,
        }
    }

    #[test]
    fn events_pushed_late_are_ignored() {
        let ring = Hub::default().ring(Uuid::nil());
        let newest = ring.newest();
        for sequence in [4, 6, 5] {
            ring.push(&[event(sequence)]);
        }
        assert_eq!(*newest.borrow(), 6);
        assert_eq!(sequences(ring.after(4, 1 << 20)), None);
        assert_eq!(sequences(ring.after(5, 1 << 20)), Some(vec![6]));
        assert_eq!(sequences(ring.after(6, 1 << 20)), Some(Vec::new()));
        ring.push(&[event(7), event(8)]);
        assert_eq!(sequences(ring.after(5, 1 << 20)), Some(vec![6, 7, 8]));
        assert_eq!(
            sequences(ring.after(5, 0)),
            Some(vec![6]),
            "one event is always returned"
        );
    }
}
