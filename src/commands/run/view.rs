//! Shows a run: live on a terminal, as plain lines elsewhere, as JSON lines, or only its output.

mod text;

use prost::Message;
use prost_reflect::DescriptorPool;
use runyard_transcode::json::{Codec, Dialect, MessageId};

use crate::{
    commands::output::{Output, one_line, remark},
    contract::{BARE_DESCRIPTORS, structs},
    error::{Error, Result},
    v1::{RunEvent, StartRunResponse, run_event::Event},
    wire::codec,
};
use text::TextView;

/// Output format of a run.
pub(super) enum View {
    TextView(TextView),
    Json(Box<Json>),
    /// Only the output of the run, as JSON. Everything else goes to standard error.
    Final(Output),
}

impl View {
    pub(super) fn people() -> Self {
        Self::TextView(TextView::new())
    }

    pub(super) fn json() -> Result<Self> {
        Json::new().map(Box::new).map(Self::Json)
    }

    pub(super) fn output() -> Self {
        Self::Final(Output::new())
    }

    pub(super) fn started(&mut self, server: &str, run: &StartRunResponse) -> Result<()> {
        match self {
            Self::TextView(view) => view.started(server, run),
            Self::Json(_) | Self::Final(_) => Ok(()),
        }
    }

    pub(super) fn show(&mut self, event: &RunEvent) -> Result<()> {
        match self {
            Self::TextView(view) => view.show(event),
            Self::Json(view) => view.show(event),
            Self::Final(out) => show_output(out, event),
        }
    }

    /// Output as JSON omits the message.
    pub(super) fn say(&mut self, text: &str) -> Result<()> {
        match self {
            Self::TextView(view) => view.say(text),
            Self::Json(_) | Self::Final(_) => Ok(()),
        }
    }

    /// Output as JSON omits the line.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        match self {
            Self::TextView(view) => view.line(text),
            Self::Json(_) | Self::Final(_) => Ok(()),
        }
    }

    pub(super) fn waiting(&mut self, what: &str) {
        match self {
            Self::TextView(view) => view.waiting(what),
            Self::Json(_) | Self::Final(_) => {}
        }
    }

    pub(super) fn quiet(&mut self) {
        match self {
            Self::TextView(view) => view.quiet(),
            Self::Json(_) | Self::Final(_) => {}
        }
    }
}

fn show_output(out: &mut Output, event: &RunEvent) -> Result<()> {
    match &event.event {
        Some(Event::Notice(notice)) => remark(&format!("note: {}", one_line(&notice.message))),
        Some(Event::Status(changed)) => {
            if let Some(output) = &changed.output {
                return out.line(&format!("{:#}", structs::to_json(output)));
            }
            if let Some(message) = &changed.message {
                remark(&one_line(message));
            }
        }
        _ => {}
    }
    Ok(())
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
