//! Shows a run: live on a terminal, as plain lines elsewhere, or as JSON lines.

mod text;

use prost::Message;
use prost_reflect::DescriptorPool;
use runyard_transcode::json::{Codec, Dialect, MessageId};

use crate::{
    commands::output::Output,
    contract::BARE_DESCRIPTORS,
    error::{Error, Result},
    v1::{RunEvent, StartRunResponse},
    wire::codec,
};
use text::TextView;

/// Output format of a run.
pub(super) enum View {
    TextView(TextView),
    Json(Box<Json>),
}

impl View {
    pub(super) fn people() -> Self {
        Self::TextView(TextView::new())
    }

    pub(super) fn json() -> Result<Self> {
        Json::new().map(Box::new).map(Self::Json)
    }

    pub(super) fn started(&mut self, server: &str, run: &StartRunResponse) -> Result<()> {
        match self {
            Self::TextView(view) => view.started(server, run),
            Self::Json(_) => Ok(()),
        }
    }

    pub(super) fn show(&mut self, event: &RunEvent) -> Result<()> {
        match self {
            Self::TextView(view) => view.show(event),
            Self::Json(view) => view.show(event),
        }
    }

    /// JSON output contains only events, so it omits the message.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        match self {
            Self::TextView(view) => view.say(text),
            Self::Json(_) => Ok(()),
        }
    }

    /// JSON output contains only events, so it omits the line.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        match self {
            Self::TextView(view) => view.line(text),
            Self::Json(_) => Ok(()),
        }
    }

    pub(super) fn waiting(&mut self, what: &str) {
        match self {
            Self::TextView(view) => view.waiting(what),
            Self::Json(_) => {}
        }
    }

    pub(super) fn quiet(&mut self) {
        match self {
            Self::TextView(view) => view.quiet(),
            Self::Json(_) => {}
        }
    }
}

/// Prints events in the JSON encoding of the HTTP API.
pub(super) struct Json {
    codec: Codec,
    message: MessageId,
    out: Output,
}

impl Json {
    fn new() -> Result<Self> {
        let broken = |error: String| Error::internal("the compiled-in API description is invalid", error);
        let pool = DescriptorPool::decode(BARE_DESCRIPTORS).map_err(|error| broken(error.to_string()))?;
        let codec = codec::json(&pool);
        let message = codec
            .message("runyard.v1.RunEvent")
            .ok_or_else(|| broken("no RunEvent".into()))?;
        Ok(Self {
            codec,
            message,
            out: Output::new(),
        })
    }

    fn show(&mut self, event: &RunEvent) -> Result<()> {
        let mut line = Vec::new();
        self.codec
            .encode(self.message, Dialect::Plain, &event.encode_to_vec(), &mut line)
            .map_err(|error| Error::internal("cannot encode an event as JSON", error.to_string()))?;
        self.out.line(&String::from_utf8_lossy(&line))
    }
}
