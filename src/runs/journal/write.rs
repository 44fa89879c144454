//! Writes the pending output of many logs in one transaction.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{FutureExt, StreamExt, stream};
use tokio::{sync::oneshot, time::sleep};
use tracing::{error, warn};
use uuid::Uuid;

use super::{
    end::RunEnd,
    log::{Entry, Gathered, RunLog, Spent},
    rows::{self, Last, Lease, Spending},
};
use crate::{
    clock::Clock,
    db::{Db, Tx},
    error::{Code, Error, Result},
    events::{self, Stored},
    ledger::{self, Charge},
    runs::{
        Status,
        inputs::{self, Input, Kind},
    },
    telemetry::names,
    threads::{Message, messages, steering},
    v1::{RunStatus, run_event::Event},
};

/// Number of attempts to write a batch before its runs are released for another worker.
const ATTEMPTS: u32 = 6;
/// Number of refusals by the database before a batch is split into single runs.
const REFUSALS: u32 = 4;
/// Number of refusals of a single run before that run is released.
const REFUSALS_ALONE: u32 = 2;
/// Number of runs written concurrently after a batch was split.
const AT_ONCE: usize = 8;
/// Pause after the first attempt. The pause doubles after each further attempt.
const PAUSE: Duration = Duration::from_millis(100);

struct Taken {
    log: Arc<RunLog>,
    events: Vec<Stored>,
    messages: Vec<Message>,
    spent: Spent,
    charges: Vec<Charge>,
    consumes_inputs: bool,
    read: Vec<Uuid>,
    ending: Option<RunEnd>,
    /// Inputs that the run waits for from now on.
    waits: Vec<Input>,
    waiting: Waiting,
}

/// Response channels of the calls that wait for the commit.
type Waiting = Mutex<Vec<oneshot::Sender<Result<()>>>>;

impl Taken {
    /// The events to write: all, or all but the terminal event.
    fn events_of(&self, state: LeaseState) -> &[Stored] {
        match self.events.split_last() {
            Some((_, written)) if state == LeaseState::HasMessages => written,
            _ => &self.events,
        }
    }

    /// Sequence of the terminal event, which the next event of a continuing run gets.
    fn first_unwritten(&self) -> i64 {
        self.events.last().map_or(1, |event| event.sequence)
    }

    fn answer(&self, outcome: impl Fn() -> Result<()>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for waiting in waiting.drain(..) {
            drop(waiting.send(outcome()));
        }
    }
}

/// State of a log's lease, as read from the run's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    /// The log's worker holds the lease: all output is written.
    Current,
    /// The log's worker holds the lease, but the run must not end yet, because its model has not received all added
    /// messages. All output except the end is written.
    HasMessages,
    /// A request ended the run while its worker held the lease. No event may follow the terminal event. Messages are
    /// still added to the thread, and usage is charged.
    Ended,
    /// Another worker holds the run, or the run was deleted: nothing is written.
    Lost,
}

pub(super) async fn write(db: &Db, clock: &Clock, logs: &[Arc<RunLog>]) {
    let taken = logs.iter().filter_map(|log| take(log, clock)).collect();
    let Err(refused) = write_together(db, clock, taken, REFUSALS).await else {
        return;
    };
    // The database refuses the data of one of these runs. Write each run alone, so that the others are not affected.
    stream::iter(refused)
        .for_each_concurrent(AT_ONCE, |run| async {
            if let Err(refused) = write_together(db, clock, vec![run], REFUSALS_ALONE).await {
                give_up(&refused, "the database refused the data of the run");
            }
        })
        .await;
}

/// Retries while the database is unavailable. Returns the batch if the database refuses it repeatedly.
async fn write_together(db: &Db, clock: &Clock, taken: Vec<Arc<Taken>>, refusals: u32) -> Result<(), Vec<Arc<Taken>>> {
    let (mut pause, mut refused) = (PAUSE, 0);
    for attempt in 1..=ATTEMPTS {
        let fault = match write_once(db, clock, &taken).await {
            Ok(lease_states) => {
                publish(&taken, &lease_states);
                return Ok(());
            }
            Err(fault) => fault,
        };
        warn!(error = %fault, attempt, runs = taken.len(), "the journal could not write a batch");
        refused += u32::from(fault.code() == Code::Internal);
        if refused >= refusals {
            return Err(taken);
        }
        if attempt < ATTEMPTS {
            sleep(pause).await;
            pause *= 2;
        }
    }
    give_up(&taken, "the database is unavailable");
    Ok(())
}

/// Releases runs whose output cannot be written. The next worker continues from the last committed state.
fn give_up(taken: &[Arc<Taken>], why: &'static str) {
    error!(
        runs = taken.len(),
        "could not store the events of some runs, so a worker will resume them: {why}"
    );
    for run in taken {
        run.log.lose();
        run.answer(|| Err(Error::new(Code::Unavailable, why)));
    }
}

fn take(log: &Arc<RunLog>, clock: &Clock) -> Option<Arc<Taken>> {
    let (gathered, mut sequence) = log.take();
    let Gathered {
        entry,
        ending,
        waits,
        waiting,
    } = gathered;
    let Entry {
        events,
        messages,
        spent,
        charges,
        consumes_inputs,
        read,
    } = entry;
    let now = clock.now();
    let terminal = ending.as_ref().map(RunEnd::event);
    let for_callers = waits.iter().filter(|input| input.kind != Kind::Task);
    let mut asked: Vec<Event> = for_callers.map(Input::requested_event).collect();
    if !asked.is_empty() {
        asked.push(events::status(RunStatus::Waiting));
    }
    let mut stored = Vec::with_capacity(events.len() + asked.len() + 1);
    for event in events.into_iter().chain(asked).chain(terminal) {
        stored.push(Stored::new(log.run_id, sequence, now, event));
        sequence += 1;
    }
    log.numbered(sequence);
    let mut rows = Vec::with_capacity(messages.len());
    for new in messages {
        match messages::row(log.belongs, new, now) {
            Ok(row) => rows.push(row),
            Err(fault) => error!(error = %fault, run_id = %log.run_id, "could not encode a message"),
        }
    }
    let empty = stored.is_empty() && rows.is_empty() && waiting.is_empty();
    (!empty).then(|| {
        Arc::new(Taken {
            log: Arc::clone(log),
            events: stored,
            messages: rows,
            spent,
            charges,
            consumes_inputs,
            read,
            ending,
            waits,
            waiting: Mutex::new(waiting),
        })
    })
}

/// Writes the output that the lease state of each run allows. Returns the lease states in the order of `taken`.
async fn write_once(db: &Db, clock: &Clock, taken: &[Arc<Taken>]) -> Result<Vec<LeaseState>> {
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let shared: Arc<[Arc<Taken>]> = taken.into();
    let clock = clock.clone();
    let written = db.write("runs.journal", move |tx| {
        let (taken, clock) = (Arc::clone(&shared), clock.clone());
        async move { write_all(tx, &clock, &taken).await }.boxed()
    });
    written.await
}

async fn write_all(tx: &Tx, clock: &Clock, taken: &[Arc<Taken>]) -> Result<Vec<LeaseState>> {
    let lease_states = lease_states(tx, taken).await?;
    let (mut events, mut messages, mut charges) = (Vec::new(), Vec::new(), Vec::new());
    let (mut updates, mut spendings, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let now = clock.now();
    for (run, state) in taken.iter().zip(&lease_states) {
        if *state == LeaseState::Lost {
            continue;
        }
        let is_current = matches!(state, LeaseState::Current | LeaseState::HasMessages);
        if is_current {
            events.extend(run.events_of(*state).iter().map(|event| (run.log.run_id, event)));
        }
        messages.extend(&run.messages);
        charges.extend(&run.charges);
        let spending = Spending {
            run_id: run.log.run_id,
            spent: run.spent,
        };
        if is_current && run.consumes_inputs {
            updates.push(inputs::answers::consumption(run.log.run_id));
        }
        if is_current {
            let read = run.read.iter();
            updates.extend(read.map(|id| steering::reading(run.log.belongs.thread_id, run.log.run_id, *id)));
        }
        if is_current && !run.waits.is_empty() {
            updates.push(if run.waits.iter().all(|input| input.kind == Kind::Task) {
                rows::park(spending)
            } else {
                rows::wait(spending, now)
            });
            updates.extend(run.waits.iter().map(inputs::insertion));
            continue;
        }
        match run.ending.as_ref().filter(|_| *state == LeaseState::Current) {
            Some(ending) => {
                // The stop may have been requested while the run began to wait.
                if ending.status == Status::Stopped {
                    updates.push(inputs::cancellation(run.log.run_id, now));
                }
                ends.push(Last {
                    spending,
                    ending,
                    sequence: run.events.last().map(|event| event.sequence),
                    at: now,
                });
            }
            None if run.spent != Spent::default() => spendings.push(spending),
            None => {}
        }
    }
    events::insert(tx, &events).await?;
    messages::insert(tx, &messages).await?;
    tx.change_all(updates).await?;
    rows::spend(tx, &spendings).await?;
    rows::end(tx, &ends).await?;
    ledger::charge::write(tx, &charges, clock).await?;
    Ok(lease_states)
}

async fn lease_states(tx: &Tx, taken: &[Arc<Taken>]) -> Result<Vec<LeaseState>> {
    let run_ids: Vec<Uuid> = taken.iter().map(|run| run.log.run_id).collect();
    let leases = tx.rows_by_id(rows::LEASE, &run_ids, rows::lease).await?;
    let leases: BTreeMap<Uuid, Lease> = leases.into_iter().map(|lease| (lease.run_id, lease)).collect();
    let state = |run: &Taken| match leases.get(&run.log.run_id) {
        Some(lease) if lease.status == Some(Status::Running) => {
            let log = &run.log;
            if lease.epoch != log.epoch {
                return LeaseState::Lost;
            }
            log.note_added(lease.added_messages);
            let awaits_reading = run.ending.as_ref().is_some_and(|ending| ending.awaits_reading);
            if awaits_reading && lease.added_messages > log.read() {
                LeaseState::HasMessages
            } else {
                LeaseState::Current
            }
        }
        // A request that ends a run increments the epoch, and does not release the worker's lease. A worker that ends
        // its run releases the lease.
        Some(lease) if lease.is_held && lease.epoch == run.log.epoch + 1 => LeaseState::Ended,
        _ => LeaseState::Lost,
    };
    Ok(taken.iter().map(|run| state(run)).collect())
}

fn count(run: &Taken, state: LeaseState) {
    if let Some(ending) = run.ending.as_ref().filter(|_| state == LeaseState::Current) {
        metrics::counter!(names::RUNS_ENDED, "status" => ending.status.as_str()).increment(1);
    }
}

fn publish(taken: &[Arc<Taken>], lease_states: &[LeaseState]) {
    let mut events = 0_u32;
    for (run, state) in taken.iter().zip(lease_states) {
        let outcome = match state {
            LeaseState::Current | LeaseState::HasMessages => {
                run.log.ring.push(run.events_of(*state));
                events = events.saturating_add(run.events_of(*state).len().try_into().unwrap_or(u32::MAX));
                if *state == LeaseState::HasMessages {
                    run.log.go_on(run.first_unwritten());
                }
                count(run, *state);
                Ok(())
            }
            LeaseState::Ended => {
                run.log.stop();
                Err("the run has already ended")
            }
            LeaseState::Lost => {
                run.log.lose();
                Err("another worker owns the run")
            }
        };
        run.answer(|| outcome.map_err(|message| Error::new(Code::Contended, message)));
    }
    if events > 0 {
        metrics::counter!(names::EVENTS).increment(events.into());
        metrics::histogram!(names::JOURNAL_BATCH).record(events);
    }
}
