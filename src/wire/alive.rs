//! Sends heartbeats on idle event streams, so that proxies do not close these streams.
//!
//! A proxy closes a stream on which no data arrives. HTTP/2 pings do not help, because proxies do not forward them. A
//! heartbeat is a `RunEvent` that has no `event` and repeats the sequence number of the most recent event.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::time::{Instant, Sleep, sleep};
use tonic::Status;
use uuid::Uuid;

use crate::{
    app::App,
    clock::Clock,
    error::Result,
    events::{EncodedEvent, Stored, timestamp},
    v1::RunEvent,
};

pub(super) struct Alive<S> {
    events: S,
    clock: Clock,
    every: Duration,
    /// Run and sequence number of the most recent event.
    last: (Uuid, i64),
    sent: Instant,
    timer: Pin<Box<Sleep>>,
}

impl<S> Alive<S> {
    /// `last` is the run and sequence number of the last event that the client has received.
    pub(super) fn new(app: &App, last: (Uuid, i64), events: S) -> Self {
        let every = Duration::from_secs(app.config.http.heartbeat_seconds);
        Self {
            events,
            clock: app.clock.clone(),
            every,
            last,
            sent: Instant::now(),
            timer: Box::pin(sleep(every)),
        }
    }

    fn poll_heartbeat(&mut self, context: &mut Context<'_>) -> Poll<EncodedEvent> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            // An event does not reset the timer, so the timer may fire before a heartbeat is due.
            let due = self.sent + self.every;
            if due <= Instant::now() {
                break;
            }
            self.timer.as_mut().reset(due);
        }
        self.sent = Instant::now();
        self.timer.as_mut().reset(self.sent + self.every);
        let (run_id, sequence) = self.last;
        Poll::Ready(EncodedEvent::encode(&RunEvent {
            agent_run_id: run_id.to_string(),
            sequence,
            created_at: Some(timestamp(self.clock.now())),
            event: None,
        }))
    }
}

impl<S> Stream for Alive<S>
where
    S: Stream<Item = Result<(Uuid, Stored)>> + Unpin,
{
    type Item = Result<EncodedEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(next) = self.events.poll_next_unpin(context) else {
            return self.poll_heartbeat(context).map(|heartbeat| Some(Ok(heartbeat)));
        };
        self.sent = Instant::now();
        Poll::Ready(next.map(|event| {
            let (run_id, event) = event?;
            self.last = (run_id, event.sequence);
            Ok(EncodedEvent::from_stored(event.bytes))
        }))
    }
}
