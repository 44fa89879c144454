//! What one claimed run has said and not yet had written.
//!
//! [`RunLog::say`] never waits: under pressure neighbouring pieces of one message become one event. [`RunLog::record`]
//! and [`RunLog::finish`] return after the commit.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Journal;
use crate::{
    error::{Code, Error, Result},
    events::Ring,
    ledger::Charge,
    runs::{Run, Status},
    threads::{NewMessage, messages::Belongs},
    v1::run_event::Event,
};

/// Waiting events after which neighbouring pieces are merged.
const MERGE_FROM: usize = 64;
/// Bytes of one merged piece at most.
const MERGED_BYTES: usize = 16 * 1024;

/// What calls of the model used, to be added to the run's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls of the model.
    pub steps: i32,
    /// Tokens of the prompts.
    pub input_tokens: i64,
    /// Tokens of the answers.
    pub output_tokens: i64,
    /// Millionths of a credit.
    pub microcredits: i64,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The new state; not `Running`.
    pub status: Status,
    /// The code and sentence of the error.
    pub error: Option<(String, String)>,
}

/// What belongs together and is written in one transaction.
#[derive(Debug, Default)]
pub struct Entry {
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The messages of the thread that came of it.
    pub messages: Vec<NewMessage>,
    /// What it used.
    pub spent: Spent,
    /// What is charged for it; nothing while nothing costs anything.
    pub charges: Vec<Charge>,
}

impl Entry {
    fn add(&mut self, more: Self) {
        self.events.extend(more.events);
        self.messages.extend(more.messages);
        self.spent.add(more.spent);
        self.charges.extend(more.charges);
    }
}

/// What a log gathered since it was last written.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) entry: Entry,
    pub(super) ending: Option<Ending>,
    pub(super) waiting: Vec<oneshot::Sender<Result<()>>>,
}

/// The log of one claimed run.
pub struct RunLog {
    pub(super) run_id: Uuid,
    pub(super) epoch: i64,
    pub(super) belongs: Belongs,
    pub(super) ring: Arc<Ring>,
    stop: CancellationToken,
    lost: CancellationToken,
    journal: Journal,
    state: Mutex<State>,
}

struct State {
    gathered: Gathered,
    next_sequence: i64,
    queued: bool,
    used: Spent,
}

impl RunLog {
    /// Opens the log of a run that this process has claimed. `stop` is cancelled when the run turns out to have been ended from
    /// outside, `lost` when its lease is another's.
    pub fn open(
        journal: &Journal,
        run: &Run,
        ring: Arc<Ring>,
        last_sequence: i64,
        (stop, lost): (CancellationToken, CancellationToken),
    ) -> Arc<Self> {
        Arc::new(Self {
            run_id: run.id,
            epoch: run.lease_epoch,
            belongs: Belongs {
                account_id: run.account_id,
                thread_id: run.thread_id,
                run_id: Some(run.id),
            },
            ring,
            stop,
            lost,
            journal: journal.clone(),
            state: Mutex::new(State {
                gathered: Gathered::default(),
                next_sequence: last_sequence + 1,
                queued: false,
                used: Spent::of(run),
            }),
        })
    }

    /// Takes an event that need not be durable before something else happens.
    pub fn say(self: &Arc<Self>, event: Event) {
        {
            let mut state = self.lock();
            let events = &mut state.gathered.entry.events;
            let merged = events.len() >= MERGE_FROM && events.last_mut().is_some_and(|last| merge(last, &event));
            if !merged {
                events.push(event);
            }
        }
        self.queue();
    }

    /// Writes an entry, after everything that was said before; returns after the commit.
    ///
    /// # Errors
    /// CONTENDED, when the lease is lost; those of the database.
    pub async fn record(self: &Arc<Self>, entry: Entry) -> Result<()> {
        self.lock().used.add(entry.spent);
        self.write(|gathered| gathered.entry.add(entry)).await
    }

    /// Takes an entry that the run's end follows at once; it is written with the end.
    pub fn leave(&self, entry: Entry) {
        let mut state = self.lock();
        state.used.add(entry.spent);
        state.gathered.entry.add(entry);
    }

    /// Returns once everything said so far is committed.
    ///
    /// # Errors
    /// As [`RunLog::record`].
    pub async fn flush(self: &Arc<Self>) -> Result<()> {
        self.write(|_| {}).await
    }

    /// What the run has used in all, earlier workers included.
    pub fn used(&self) -> Spent {
        self.lock().used
    }

    /// Ends the run with its terminal event; returns after the commit.
    ///
    /// # Errors
    /// As [`RunLog::record`].
    pub async fn finish(self: &Arc<Self>, ending: Ending) -> Result<()> {
        self.write(|gathered| gathered.ending = Some(ending)).await
    }

    async fn write(self: &Arc<Self>, add: impl FnOnce(&mut Gathered)) -> Result<()> {
        // Handing over begins with this refusal: what the engine does when it is cancelled is not written any more.
        if self.lost.is_cancelled() {
            return Err(Error::new(Code::Contended, "the run is handed over"));
        }
        let (done, written) = oneshot::channel();
        {
            let mut state = self.lock();
            add(&mut state.gathered);
            state.gathered.waiting.push(done);
        }
        self.queue();
        written
            .await
            .unwrap_or_else(|_| Err(Error::new(Code::Unavailable, "the journal has ended")))
    }

    fn queue(self: &Arc<Self>) {
        if mem::replace(&mut self.lock().queued, true) {
            return;
        }
        if let Err(full) = self.journal.dirty().try_send(Arc::clone(self)) {
            // More runs than the queue has places, or the journal has gone: wait outside of the caller.
            let log = full.into_inner();
            let dirty = self.journal.dirty().clone();
            tokio::spawn(async move { drop(dirty.send(log).await) });
        }
    }

    /// Takes what gathered, and the sequence of its first event.
    pub(super) fn take(&self) -> (Gathered, i64) {
        let mut state = self.lock();
        state.queued = false;
        (mem::take(&mut state.gathered), state.next_sequence)
    }

    /// Notes that events were numbered.
    pub(super) fn numbered(&self, next_sequence: i64) {
        self.lock().next_sequence = next_sequence;
    }

    /// Tells the worker that the run was ended: what it used until now still counts.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Tells the worker that the run is another's now.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    /// What a run's row says that it has used.
    pub fn of(run: &Run) -> Self {
        Self {
            steps: run.steps,
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
            microcredits: run.microcredits,
        }
    }

    /// Adds another spending.
    pub fn add(&mut self, more: Self) {
        self.steps += more.steps;
        self.input_tokens += more.input_tokens;
        self.output_tokens += more.output_tokens;
        self.microcredits = self.microcredits.saturating_add(more.microcredits);
    }
}

// Appends a piece to the piece before, when both belong together.
fn merge(last: &mut Event, event: &Event) -> bool {
    let (text, more) = match (last, event) {
        (Event::MessageDelta(last), Event::MessageDelta(new)) if last.message_id == new.message_id => {
            (&mut last.text, &new.text)
        }
        (Event::ReasoningDelta(last), Event::ReasoningDelta(new)) if last.message_id == new.message_id => {
            (&mut last.text, &new.text)
        }
        (Event::ToolOutput(last), Event::ToolOutput(new)) if last.tool_call_id == new.tool_call_id => {
            (&mut last.text, &new.text)
        }
        _ => return false,
    };
    if text.len() + more.len() > MERGED_BYTES {
        return false;
    }
    text.push_str(more);
    true
}
