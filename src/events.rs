//! The events of runs: how they are stored and streamed.
//!
//! An event is committed before any client sees it. `events/table.rs` reads and writes the rows. `events/hub.rs`
//! caches the newest committed events of each live run in a ring buffer. `events/follow.rs` streams the events after
//! a cursor.

pub mod encoded;
pub mod follow;
pub mod hub;
pub mod page;
pub mod relay;
mod table;

pub use encoded::EncodedEvent;
pub use follow::follow;
pub use hub::{Hub, Ring};
pub use table::{insert, insertion, last_sequence, newest_of};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use crate::{
    db::Rows,
    error::Result,
    v1::{Notice, RunEvent, RunStatus, StatusChanged, run_event::Event},
};

/// Maximum size in bytes of the first events of a run that [`starts_with`] reads.
const START_BYTES: usize = 256 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Sequence number in the run, from 1.
    pub sequence: i64,
    pub terminal: bool,
    /// The encoded `RunEvent`.
    pub bytes: Bytes,
}

impl Stored {
    /// An event is terminal if it changes the run's status to `Completed`, `Failed` or `Stopped`.
    pub fn new(run_id: Uuid, sequence: i64, at: DateTime<Utc>, event: Event) -> Self {
        let terminal = matches!(&event, Event::Status(status) if !matches!(status.status(), RunStatus::Running | RunStatus::Waiting));
        let event = RunEvent {
            agent_run_id: run_id.to_string(),
            sequence,
            created_at: Some(timestamp(at)),
            event: Some(event),
        };
        Self {
            sequence,
            terminal,
            bytes: event.encode_to_vec().into(),
        }
    }

    /// The content of the event; `None` for a kind that this server does not know.
    pub fn event(&self) -> Option<Event> {
        RunEvent::decode(self.bytes.clone()).ok()?.event
    }
}

/// Returns whether a notice is among the first events of a run. The calling code must have checked access to the run.
pub async fn starts_with(db: &impl Rows, run_id: Uuid, notice: &Notice) -> Result<bool> {
    let events = table::page(db, run_id, 0, START_BYTES).await?;
    let is_notice = |event: &Stored| matches!(event.event(), Some(Event::Notice(found)) if found == *notice);
    Ok(events.iter().any(is_notice))
}

/// The change to a status that needs no explanation.
pub fn status(status: RunStatus) -> Event {
    Event::Status(StatusChanged {
        status: status.into(),
        error_code: None,
        message: None,
        stop_reason: None,
        output: None,
        stopped_by: None,
    })
}

pub fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}
