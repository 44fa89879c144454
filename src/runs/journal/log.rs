//! Collects the pending output of one claimed run.
//!
//! [`RunLog::say`] never waits. Pending chunks of one message are merged into one event. [`RunLog::record`] and
//! [`RunLog::finish`] return after the commit.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Journal,
    end::{Finished, RunEnd},
};
use crate::{
    error::{Code, Error, Result},
    events::Ring,
    ledger::Charge,
    runs::{Run, inputs::Input},
    threads::{NewMessage, messages::Belongs},
    v1::run_event::Event,
};

/// Maximum size of a merged chunk.
const MERGED_BYTES: usize = 16 * 1024;

/// Usage of one or more model calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Number of model calls.
    pub steps: i32,
    pub input_tokens: i64,
    pub output_tokens: i64,
    pub microcredits: i64,
}

/// Output that is written in one transaction.
#[derive(Debug, Default)]
pub struct Entry {
    pub events: Vec<Event>,
    pub messages: Vec<NewMessage>,
    /// Usage to add to the run's row.
    pub spent: Spent,
    /// Charges for the usage; empty for the built-in model, which has no cost.
    pub charges: Vec<Charge>,
    /// True if the run continues with the answers to its inputs.
    pub consumes_inputs: bool,
    /// Added messages that the model receives.
    pub read: Vec<Uuid>,
}

impl Entry {
    fn add(&mut self, more: Self) {
        self.events.extend(more.events);
        self.messages.extend(more.messages);
        self.spent.add(more.spent);
        self.charges.extend(more.charges);
        self.consumes_inputs |= more.consumes_inputs;
        self.read.extend(more.read);
    }
}

/// Output since the previous batch.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) entry: Entry,
    pub(super) ending: Option<RunEnd>,
    /// Inputs that the run waits for from now on.
    pub(super) waits: Vec<Input>,
    pub(super) waiting: Vec<oneshot::Sender<Result<()>>>,
}

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
    /// True if the pending output must be written without a pause.
    is_urgent: bool,
    /// Id of the message or tool call that the newest chunk belongs to.
    streaming: String,
    used: Spent,
    /// Number of messages that were added to the run, as of the last commit.
    added: i64,
    /// Number of added messages that the model has received or is about to receive.
    read: i64,
    /// True if the last batch did not end the run, because the run has new messages.
    goes_on: bool,
}

impl RunLog {
    /// Opens the log of a run that this process has claimed. The log cancels `stop` if a request has ended the run,
    /// and `lost` if this worker no longer owns the run.
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
                is_urgent: false,
                streaming: String::new(),
                used: Spent::of(run),
                added: 0,
                read: 0,
                goes_on: false,
            }),
        })
    }

    /// Adds an event without waiting for its commit.
    pub fn say(self: &Arc<Self>, event: Event) {
        let is_urgent = {
            let mut state = self.lock();
            let is_urgent = !state.continues(&event);
            state.is_urgent |= is_urgent;
            let events = &mut state.gathered.entry.events;
            let merged = events.last_mut().is_some_and(|last| merge(last, &event));
            if !merged {
                events.push(event);
            }
            is_urgent
        };
        self.queue();
        if is_urgent {
            self.journal.hurry();
        }
    }

    /// Adds an entry after all earlier output, and waits for the commit.
    ///
    /// # Errors
    /// CONTENDED if the worker has lost or released the lease; database errors.
    pub async fn record(self: &Arc<Self>, entry: Entry) -> Result<()> {
        self.lock().used.add(entry.spent);
        self.write(|gathered| gathered.entry.add(entry)).await
    }

    /// Adds an entry that is written together with the end of the run. Call [`RunLog::finish`] directly afterwards.
    pub fn leave(&self, entry: Entry) {
        let mut state = self.lock();
        state.used.add(entry.spent);
        state.gathered.entry.add(entry);
    }

    /// Waits until all earlier output is committed.
    pub async fn flush(self: &Arc<Self>) -> Result<()> {
        self.write(|_| {}).await
    }

    /// The usage of the run, including that of earlier workers.
    pub fn used(&self) -> Spent {
        self.lock().used
    }

    /// Ends the run with its terminal event, and waits for the commit.
    pub async fn finish(self: &Arc<Self>, ending: RunEnd) -> Result<Finished> {
        self.write(|gathered| gathered.ending = Some(ending)).await?;
        Ok(if mem::take(&mut self.lock().goes_on) {
            Finished::HasMessages
        } else {
            Finished::Ended
        })
    }

    /// True if the last commit found added messages that the model has not received.
    pub fn has_added(&self) -> bool {
        let state = self.lock();
        state.added > state.read
    }

    /// Stores the number of added messages that the model has received or is about to receive.
    pub fn note_read(&self, read: usize) {
        self.lock().read = i64::try_from(read).unwrap_or(i64::MAX);
    }

    pub(super) fn note_added(&self, added: i64) {
        self.lock().added = added;
    }

    /// Takes back the terminal event, which was not written.
    pub(super) fn go_on(&self, next_sequence: i64) {
        let mut state = self.lock();
        state.goes_on = true;
        state.next_sequence = next_sequence;
    }

    pub(super) fn read(&self) -> i64 {
        self.lock().read
    }

    /// Makes the run wait for inputs, releases its lease, and waits for the commit.
    pub async fn wait(self: &Arc<Self>, inputs: Vec<Input>) -> Result<()> {
        self.write(|gathered| gathered.waits = inputs).await
    }

    async fn write(self: &Arc<Self>, add: impl FnOnce(&mut Gathered)) -> Result<()> {
        // This worker has lost or released the lease, so the output of its engine must not be written.
        if self.lost.is_cancelled() {
            let message = "this worker may no longer write the run's events, because it has lost or released the lease";
            return Err(Error::new(Code::Contended, message));
        }
        let (done, written) = oneshot::channel();
        {
            let mut state = self.lock();
            add(&mut state.gathered);
            state.gathered.waiting.push(done);
            state.is_urgent = true;
        }
        self.queue();
        self.journal.hurry();
        written
            .await
            .unwrap_or_else(|_| Err(Error::new(Code::Unavailable, "the journal has stopped")))
    }

    fn queue(self: &Arc<Self>) {
        if mem::replace(&mut self.lock().queued, true) {
            return;
        }
        if let Err(full) = self.journal.dirty().try_send(Arc::clone(self)) {
            // The queue is full or the journal has stopped. A new task waits for the queue, because this method must
            // not wait.
            let log = full.into_inner();
            let dirty = self.journal.dirty().clone();
            tokio::spawn(async move { drop(dirty.send(log).await) });
        }
    }

    /// Returns the pending output, with the sequence number of its first event.
    pub(super) fn take(&self) -> (Gathered, i64) {
        let mut state = self.lock();
        state.queued = false;
        state.is_urgent = false;
        (mem::take(&mut state.gathered), state.next_sequence)
    }

    pub(super) fn is_urgent(&self) -> bool {
        self.lock().is_urgent
    }

    pub(super) fn numbered(&self, next_sequence: i64) {
        self.lock().next_sequence = next_sequence;
    }

    /// Notifies the worker that a request has ended the run.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }

    /// Notifies the worker that another worker owns the run.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// True if the event is a further chunk of the message or tool call of the previous chunk.
    fn continues(&mut self, event: &Event) -> bool {
        let id = match event {
            Event::MessageDelta(chunk) => &chunk.message_id,
            Event::ReasoningDelta(chunk) => &chunk.message_id,
            Event::ToolOutput(chunk) => &chunk.tool_call_id,
            _ => return false,
        };
        let continues = self.streaming == *id;
        if !continues {
            self.streaming.clone_from(id);
        }
        continues
    }
}

impl Spent {
    pub fn of(run: &Run) -> Self {
        Self {
            steps: run.steps,
            input_tokens: run.input_tokens,
            output_tokens: run.output_tokens,
            microcredits: run.microcredits,
        }
    }

    pub fn add(&mut self, more: Self) {
        self.steps += more.steps;
        self.input_tokens += more.input_tokens;
        self.output_tokens += more.output_tokens;
        self.microcredits = self.microcredits.saturating_add(more.microcredits);
    }
}

// Appends a chunk to the previous chunk of the same message or tool call.
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
