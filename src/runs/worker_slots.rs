//! Gives new runs the free slots of this process's worker.
//!
//! A `StartRun` request that gets a slot writes its run as already claimed and hands the run to the worker after the
//! commit. This saves the query and the commit of a separate claim. No request gets a slot while a run waits to be
//! claimed. If a slot is dropped after the commit of its run, a worker claims the run when the lease has expired.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use uuid::Uuid;

use super::claim::Claimed;

/// The slots that the worker offers. No slots are offered before [`WorkerSlots::open`] is called.
#[derive(Clone, Default)]
pub struct WorkerSlots {
    open: Arc<Mutex<Option<Open>>>,
}

#[derive(Clone)]
struct Open {
    worker_id: Uuid,
    lease: Duration,
    free: Arc<Semaphore>,
    most: usize,
    seated: mpsc::Sender<ClaimedInSlot>,
}

pub type ClaimedInSlot = (Claimed, OwnedSemaphorePermit);

pub struct WorkerSlot {
    pub worker_id: Uuid,
    /// Duration of the first lease.
    pub lease: Duration,
    permit: OwnedSemaphorePermit,
    seated: mpsc::Sender<ClaimedInSlot>,
}

impl WorkerSlots {
    /// Offers the free slots of a worker. `free` counts the free slots, and `most` is the number of all slots. The
    /// worker receives the runs through the returned channel.
    pub fn open(
        &self,
        worker_id: Uuid,
        lease: Duration,
        free: &Arc<Semaphore>,
        most: usize,
    ) -> mpsc::Receiver<ClaimedInSlot> {
        let (seated, arrivals) = mpsc::channel(most.max(1));
        *self.lock() = Some(Open {
            worker_id,
            lease,
            free: Arc::clone(free),
            most,
            seated,
        });
        arrivals
    }

    /// Stops offering slots. Slots that requests already hold stay valid.
    pub fn close(&self) {
        *self.lock() = None;
    }

    /// Returns the number of used slots and of all slots.
    pub fn usage(&self) -> (usize, usize) {
        let open = self.lock();
        open.as_ref().map_or((0, 0), |open| {
            (open.most.saturating_sub(open.free.available_permits()), open.most)
        })
    }

    /// Returns `None` if no slot is free or no worker offers slots.
    pub fn take(&self) -> Option<WorkerSlot> {
        let open = self.lock().clone()?;
        Some(WorkerSlot {
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

impl WorkerSlot {
    /// Hands the committed run to the worker. If the worker has stopped, returns the run, and the calling function
    /// must release the run.
    pub fn hand_over(self, claimed: Claimed) -> Result<(), Box<Claimed>> {
        // The channel has one place for each slot, so the channel is never full.
        self.seated
            .try_send((claimed, self.permit))
            .map_err(|refused| Box::new(refused.into_inner().0))
    }
}
