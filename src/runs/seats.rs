//! Seats: the free places of this process's worker, offered to starts.
//!
//! A start that finds one writes its run as claimed already and hands it to the worker after the commit: one search and
//! one commit less than a claim, before the model is asked. Nobody goes ahead of a run that waits to be claimed. A seat
//! that is dropped is free again; what its start may have written all the same is claimed when its lease has expired.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use super::claim::Claimed;

/// The seats; cheap to clone. Closed until a worker opens them.
#[derive(Clone, Default)]
pub struct Seats {
    open: Arc<Mutex<Option<Open>>>,
}

/// What a worker offers.
#[derive(Clone)]
struct Open {
    worker_id: Uuid,
    lease: Duration,
    free: Arc<Semaphore>,
    seated: mpsc::Sender<Seated>,
}

/// A run that took a seat, and the seat.
pub type Seated = (Claimed, OwnedSemaphorePermit);

/// A place for one run.
pub struct Seat {
    /// Who will work on the run.
    pub worker_id: Uuid,
    /// How long its first lease is.
    pub lease: Duration,
    permit: OwnedSemaphorePermit,
    seated: mpsc::Sender<Seated>,
}

impl Seats {
    /// Offers a worker's free places, at most `most`; the worker receives whom they were given to.
    pub fn open(&self, worker_id: Uuid, lease: Duration, free: &Arc<Semaphore>, most: usize) -> mpsc::Receiver<Seated> {
        let (seated, arrivals) = mpsc::channel(most.max(1));
        *self.lock() = Some(Open {
            worker_id,
            lease,
            free: Arc::clone(free),
            seated,
        });
        arrivals
    }

    /// Offers nothing any more.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// Takes a seat, if one is free.
    pub fn take(&self) -> Option<Seat> {
        let open = self.lock().clone()?;
        Some(Seat {
            permit: open.free.try_acquire_owned().ok()?,
            worker_id: open.worker_id,
            lease: open.lease,
            seated: open.seated,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Hands the committed run to the worker; gives it back when the worker has gone.
    ///
    /// # Errors
    /// The run, which is then to be released.
    pub fn hand_over(self, claimed: Claimed) -> Result<(), Box<Claimed>> {
        // There are as many places in the channel as seats, so it is never full.
        self.seated
            .try_send((claimed, self.permit))
            .map_err(|refused| Box::new(refused.into_inner().0))
    }
}
