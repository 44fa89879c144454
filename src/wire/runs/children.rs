//! Follows a run together with the runs of its subagents.

use futures::{Stream, StreamExt, stream::SelectAll};
use uuid::Uuid;

use crate::{
    app::App,
    error::Result,
    events::{self, Stored},
    v1::run_event::Event,
};

type Followed = futures::stream::BoxStream<'static, Result<(Uuid, Stored)>>;

struct Family {
    app: App,
    streams: SelectAll<Followed>,
}

/// Streams the events of a run after a cursor, and all events of the subagents that these events name. The limits
/// of the run bound their number.
pub(super) fn follow(app: &App, run_id: Uuid, after: i64) -> impl Stream<Item = Result<(Uuid, Stored)>> + Send + use<> {
    let mut family = Family {
        app: app.clone(),
        streams: SelectAll::new(),
    };
    family.add(run_id, after);
    futures::stream::unfold(family, |mut family| async move {
        let next = family.streams.next().await?;
        if let Ok((_, event)) = &next
            && let Some(child) = started(event)
        {
            family.add(child, 0);
        }
        Some((next, family))
    })
}

impl Family {
    fn add(&mut self, run_id: Uuid, after: i64) {
        let events = events::follow(&self.app, run_id, after);
        self.streams
            .push(events.map(move |event| event.map(|event| (run_id, event))).boxed());
    }
}

/// The run of the subagent that an event names.
fn started(event: &Stored) -> Option<Uuid> {
    match event.event()? {
        Event::SubagentStarted(started) => started.subagent_run_id.parse().ok(),
        _ => None,
    }
}
