//! A unit of work in the queue of SQLite's writer (`db/lane.rs`).

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, future::BoxFuture};
use tokio::{runtime::Handle, sync::oneshot};
use tracing::{Span, error};

use super::{
    Tx,
    health::Health,
    lane::{self, Job, Lane, Outcome, Unit},
    tx::{Work, commit_failed},
};
use crate::error::{Error, Result};

/// Queues a unit of work, and returns after the commit of the unit's batch.
///
/// # Errors
/// The errors of the unit; UNAVAILABLE if the commit fails or the thread has stopped.
pub(super) async fn run<T, F>(lane: &Lane, name: &'static str, unit: F, health: Health) -> Result<T>
where
    T: Send + 'static,
    F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send + 'static,
{
    let (done, outcome) = oneshot::channel();
    let queued = QueuedUnit {
        span: Span::current(),
        name,
        unit,
        health,
        result: None,
        has_changed: false,
        done,
    };
    lane.run(Box::new(queued)).await?;
    outcome.await.unwrap_or_else(|_| Err(lane::stopped()))
}

/// Converts a panic of the unit to an error.
pub(super) async fn caught<T>(name: &str, unit: BoxFuture<'_, Result<T>>) -> Result<T> {
    AssertUnwindSafe(unit).catch_unwind().await.unwrap_or_else(|_| {
        error!(unit = name, "a unit of work panicked");
        Err(Error::panicked().caused_by("a unit of work panicked"))
    })
}

/// A unit of work that waits for the writer's thread. After a run, the value holds the unit's result.
struct QueuedUnit<T, F> {
    /// The caller's span, so that log lines contain the id of its request.
    span: Span,
    name: &'static str,
    unit: F,
    health: Health,
    result: Option<Result<T>>,
    has_changed: bool,
    done: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for QueuedUnit<T, F>
where
    T: Send,
    F: for<'a> Fn(&'a Tx) -> BoxFuture<'a, Result<T>> + Send,
{
    fn run(&mut self, unit: Unit, runtime: &Handle) -> (Option<Unit>, bool) {
        // An earlier attempt's result may hold resources that this attempt needs.
        self.result = None;
        let _entered = self.span.clone().entered();
        let tx = Tx::new(self.name, Work::Unit(unit), self.health.clone());
        let result = runtime.block_on(caught(self.name, (self.unit)(&tx)));
        let succeeded = result.is_ok();
        self.result = Some(result);
        let (unit, has_changed) = tx.into_unit();
        self.has_changed = has_changed;
        (unit, succeeded)
    }

    fn finish(self: Box<Self>, outcome: &Outcome) {
        let result = match (self.result, outcome) {
            (Some(Ok(result)), Ok(())) => {
                if self.has_changed {
                    self.health.written();
                }
                Ok(result)
            }
            (Some(Ok(_)), Err(fault)) => Err(commit_failed(self.name, &self.health, fault)),
            (Some(Err(error)), _) => Err(error),
            (None, _) => Err(lane::stopped()),
        };
        // Sending fails if the caller has been cancelled.
        drop(self.done.send(result));
    }
}
