//! The sources of tools beyond the core tools, one file per source.

pub(super) mod approvals;
pub(super) mod ask;
pub(super) mod client;
pub(super) mod mcp;
pub(super) mod memory;
pub(super) mod secrets;
pub(super) mod skills;
pub(super) mod task;
pub(super) mod web;

use std::sync::Arc;

use crate::{
    contract::structs::without_nul,
    runs::RunLog,
    sandbox::ReadOnlyFolder,
    tools::Tool,
    v1::{Notice, NoticeKind, run_event::Event},
};

/// Additions of all sources to a run.
#[derive(Default)]
pub(super) struct Extra {
    pub(super) tools: Vec<Arc<dyn Tool>>,
    pub(super) sections: Vec<String>,
    /// Folders that the sandbox mounts.
    pub(super) folders: Vec<ReadOnlyFolder>,
}

/// Shows a message about the tools to the user.
pub(super) fn notify(log: &Arc<RunLog>, kind: NoticeKind, message: &str) {
    log.say(Event::Notice(notice(kind, message)));
}

/// A message may quote a server, and the database cannot store NUL.
fn notice(kind: NoticeKind, message: &str) -> Notice {
    Notice {
        kind: kind.into(),
        message: without_nul(message),
    }
}
