//! The hub: for each run that somebody works on or watches, a bounded ring of its newest committed events.
//!
//! A ring lives as long as its worker or a reader holds it, then its memory goes. Pushing never waits for a reader.

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

/// Events that a ring keeps.
const RING_EVENTS: usize = 1024;
/// Bytes of events that a ring keeps.
const RING_BYTES: usize = 512 * 1024;

/// The rings of the runs that are worked on or watched in this process.
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
    /// What a follower has read of a run that is worked on elsewhere, and waits behind; -1 while none does.
    reached: AtomicI64,
    /// Tells the followers to read the table.
    hints: watch::Sender<()>,
}

#[derive(Default)]
struct Kept {
    events: VecDeque<Stored>,
    bytes: usize,
}

/// What a ring knows about the events after a cursor.
pub enum Rest {
    /// They are here.
    Here(Vec<Stored>),
    /// There is nothing newer than the cursor.
    Nothing,
    /// The ring does not reach back so far; the table does.
    Elsewhere,
}

impl Hub {
    /// The ring of a run, made when nobody holds one.
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

    /// An empty page for a follower.
    pub fn page(&self) -> Page {
        self.pages.page()
    }

    /// Hands committed events to whoever holds the run's ring; nobody may.
    pub fn publish(&self, run_id: Uuid, events: &[Stored]) {
        let ring = self.rings.get(&run_id).and_then(|ring| ring.upgrade());
        if let Some(ring) = ring {
            ring.push(events);
        }
    }

    /// The rings whose followers wait for what another process writes.
    pub(super) fn waiting(&self) -> Vec<(Uuid, Arc<Ring>)> {
        let rings = self.rings.iter();
        // All of them first: one that is dropped while the map is read would wait for the map.
        let mut rings: Vec<_> = rings
            .filter_map(|entry| Some((*entry.key(), entry.value().upgrade()?)))
            .collect();
        rings.retain(|(_, ring)| ring.reached() >= 0);
        rings
    }

    /// Waits until a follower waits for what another process writes; one that began before counts.
    pub(super) async fn followed(&self) {
        self.follower.notified().await;
    }

    /// Runs that are held right now.
    pub fn len(&self) -> usize {
        self.rings.len()
    }

    /// Whether no run is held.
    pub fn is_empty(&self) -> bool {
        self.rings.is_empty()
    }
}

impl Ring {
    /// Adds committed events and wakes the readers. What comes behind something newer is left to the table: two writers of
    /// one run, such as its worker and an interrupt, may be heard in another order than they committed in.
    pub fn push(&self, events: &[Stored]) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return;
        };
        {
            let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            if first.sequence <= *self.newest.borrow() {
                return;
            }
            // A gap would make the ring lie about what came before; the table knows.
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

    /// Notes that a follower has read so far and waits for what another process writes.
    pub(super) fn await_behind(&self, cursor: i64) {
        self.reached.fetch_max(cursor, Ordering::Relaxed);
        self.hub.follower.notify_one();
    }

    /// The newest event that is known here of a run that another process works on.
    pub(super) fn reached(&self) -> i64 {
        match self.reached.load(Ordering::Relaxed) {
            reached if reached < 0 => reached,
            reached => reached.max(*self.newest.borrow()),
        }
    }

    /// Tells the followers to read the table.
    pub(super) fn hint(&self) {
        self.hints.send_replace(());
    }

    /// Tells when the table has something that the ring cannot hold.
    pub(super) fn hints(&self) -> watch::Receiver<()> {
        self.hints.subscribe()
    }

    /// Tells when something newer was pushed.
    pub fn newest(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// What the ring knows about the events after a cursor: as many of them as fit into `max_bytes`, and one if there is one.
    pub fn after(&self, cursor: i64, max_bytes: usize) -> Rest {
        let kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some(oldest), Some(newest)) = (kept.events.front(), kept.events.back()) else {
            return Rest::Elsewhere;
        };
        if cursor >= newest.sequence {
            return Rest::Nothing;
        }
        let Ok(skip) = usize::try_from(cursor + 1 - oldest.sequence) else {
            return Rest::Elsewhere;
        };
        let count = fitting(kept.events.iter().skip(skip).map(|event| event.bytes.len()), max_bytes);
        Rest::Here(kept.events.iter().skip(skip).take(count).cloned().collect())
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

    fn sequences(rest: Rest) -> Option<Vec<i64>> {
        match rest {
            Rest::Here(events) => Some(events.iter().map(|event| event.sequence).collect()),
            Rest::Nothing => Some(Vec::new()),
            Rest::Elsewhere => None,
        }
    }

    #[test]
    fn what_is_heard_late_takes_nothing_back() {
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
        assert_eq!(sequences(ring.after(5, 0)), Some(vec![6]), "one always fits");
    }
}
