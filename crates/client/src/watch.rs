//! Receives the events of a run, and reconnects after failures.
//!
//! The cursor is the sequence number of the last returned event. A new stream starts after the cursor, so every event
//! is returned exactly once and in order.

use tonic::{Status, Streaming};

use super::{ATTEMPTS, Signed, backoff, status};
use crate::{
    error::{Code, Error, Result},
    v1::{RunEvent, RunStatus, StreamRunRequest, run_event::Event, run_service_client::RunServiceClient},
};

/// The events of one run, in order.
#[derive(Debug)]
pub struct Watch {
    runs: RunServiceClient<Signed>,
    request: StreamRunRequest,
    stream: Option<Streaming<RunEvent>>,
    failures: u32,
    ended: bool,
}

impl Watch {
    pub(super) fn new(runs: RunServiceClient<Signed>, agent_run_id: &str, after_sequence: i64) -> Self {
        let request = StreamRunRequest {
            agent_run_id: agent_run_id.to_owned(),
            after_sequence,
            ..StreamRunRequest::default()
        };
        Self {
            runs,
            request,
            stream: None,
            failures: 0,
            ended: false,
        }
    }

    /// Returns the sequence number of the last event that [`Watch::next`] returned.
    pub fn cursor(&self) -> i64 {
        self.request.after_sequence
    }

    /// Returns the next event; `None` after the run's last event. A dropped future loses no event.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if all attempts to reconnect fail.
    pub async fn next(&mut self) -> Result<Option<RunEvent>> {
        while !self.ended {
            match self.advance().await {
                Ok(Some(event)) if event.sequence <= self.cursor() => {}
                Ok(Some(event)) if event.sequence == self.cursor() + 1 => {
                    self.request.after_sequence = event.sequence;
                    self.failures = 0;
                    self.ended = is_terminal(&event);
                    return Ok(Some(event));
                }
                // The stream skipped events, or ended before the run's last event, for example because the server
                // shut down.
                Ok(_) => self.retry(None).await?,
                Err(status) if status::is_passing(&status) => self.retry(Some(status)).await?,
                Err(status) => return Err(status::from_status(status)),
            }
        }
        Ok(None)
    }

    async fn advance(&mut self) -> Result<Option<RunEvent>, Status> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => self
                .stream
                .insert(self.runs.stream_run(self.request.clone()).await?.into_inner()),
        };
        stream.message().await
    }

    async fn retry(&mut self, status: Option<Status>) -> Result<()> {
        self.stream = None;
        self.failures += 1;
        if self.failures > ATTEMPTS * 2 {
            let message = format!(
                "the connection broke {} times in a row; the run continues, and you can watch it again from event {}",
                self.failures,
                self.cursor()
            );
            let error = Error::new(Code::Unavailable, message);
            return Err(match status {
                Some(status) => error.caused_by(status),
                None => error,
            });
        }
        tokio::time::sleep(backoff(self.failures)).await;
        Ok(())
    }
}

/// Returns true for the last event of a run.
pub fn is_terminal(event: &RunEvent) -> bool {
    match &event.event {
        Some(Event::Status(changed)) => match changed.status() {
            RunStatus::Completed | RunStatus::Failed | RunStatus::Stopped => true,
            RunStatus::Running | RunStatus::Waiting | RunStatus::Unspecified => false,
        },
        _ => false,
    }
}
