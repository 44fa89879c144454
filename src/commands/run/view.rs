//! Shows a run: live on a terminal, as plain lines elsewhere, as JSON lines, or only its output.

mod text;

use crate::{
    commands::{
        json_lines::JsonLines,
        output::{Output, one_line, remark},
    },
    contract::structs,
    error::Result,
    v1::{RunEvent, StartRunResponse, run_event::Event},
};
use text::TextView;

/// Output format of a run.
pub(super) enum View {
    TextView(TextView),
    Json(Box<JsonLines>),
    /// Only the output of the run, as JSON. Everything else goes to standard error.
    Final(Output),
}

impl View {
    pub(super) fn people() -> Self {
        Self::TextView(TextView::new())
    }

    pub(super) fn json() -> Result<Self> {
        JsonLines::new().map(Box::new).map(Self::Json)
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
            Self::Json(json) => json.print(event),
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
