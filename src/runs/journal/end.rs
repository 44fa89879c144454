//! The end of a run.

use serde_json::Value;

use crate::{
    contract::structs,
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
    /// The final answer as a JSON object, if the request has an output schema.
    pub output: Option<Value>,
    /// The caller who stopped the run (`Caller::name`).
    pub stopped_by: Option<String>,
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
    /// The arguments are as in [`RunEnd`].
    pub fn completed(output: Option<Value>, awaits_reading: bool) -> Self {
        Self {
            status: Status::Completed,
            error: None,
            stop_reason: None,
            output,
            stopped_by: None,
            awaits_reading,
        }
    }

    pub fn failed(code: String, message: String) -> Self {
        Self {
            status: Status::Failed,
            error: Some((code, message)),
            stop_reason: None,
            output: None,
            stopped_by: None,
            awaits_reading: false,
        }
    }

    pub fn stopped(reason: StopReason) -> Self {
        Self {
            status: Status::Stopped,
            error: None,
            stop_reason: Some(reason),
            output: None,
            stopped_by: None,
            awaits_reading: false,
        }
    }

    pub fn stopped_by(reason: StopReason, caller: Option<String>) -> Self {
        Self {
            stopped_by: caller,
            ..Self::stopped(reason)
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
            output: self.output.as_ref().and_then(structs::object),
            stopped_by: self.stopped_by.clone(),
        })
    }
}
