//! The end of a run.

use crate::{
    runs::{Status, StopReason},
    v1::{self, RunStatus, StatusChanged, run_event::Event},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Never `Running`.
    pub status: Status,
    /// Error code and text.
    pub error: Option<(String, String)>,
    /// `None` unless the run was stopped.
    pub stop_reason: Option<StopReason>,
    /// True if the run must not end while it has added messages that its model has not received.
    pub awaits_reading: bool,
}

/// Result of [`RunLog::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    Ended,
    /// The run has not ended, because its model has not received all added messages.
    HasMessages,
}

impl RunEnd {
    /// `awaits_reading` is as in [`RunEnd`].
    pub fn completed(awaits_reading: bool) -> Self {
        Self {
            status: Status::Completed,
            error: None,
            stop_reason: None,
            awaits_reading,
        }
    }

    pub fn failed(code: String, message: String) -> Self {
        Self {
            status: Status::Failed,
            error: Some((code, message)),
            stop_reason: None,
            awaits_reading: false,
        }
    }

    pub fn stopped(reason: StopReason) -> Self {
        Self {
            status: Status::Stopped,
            error: None,
            stop_reason: Some(reason),
            awaits_reading: false,
        }
    }

    /// The terminal event.
    pub fn event(&self) -> Event {
        let (error_code, message) = self.error.clone().unzip();
        Event::Status(StatusChanged {
            status: RunStatus::from(self.status).into(),
            error_code,
            message,
            stop_reason: self.stop_reason.map(|reason| v1::StopReason::from(reason).into()),
        })
    }
}
