//! The relay fetches events of runs that other processes execute, for the followers in this process
//! (`events/follow.rs`).
//!
//! One task per process polls for the events of all these runs together. The task polls often while events arrive,
//! less often otherwise, and not at all if there are no such runs. PostgreSQL's `NOTIFY` is not used, because every
//! commit with a notification acquires a lock of the whole database server.

use std::{
    collections::{HashMap, HashSet},
    iter,
    sync::Arc,
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use tokio::time::sleep;
use tracing::warn;
use uuid::Uuid;

use super::{Ring, Stored};
use crate::{app::App, error::Result};

/// Pause between two polls while events arrive. The pause grows with each poll that finds no events.
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_millis(400);
const AFTER_FAILURE: Duration = Duration::from_secs(1);
/// Numbers of runs in one statement. Only these numbers are used, so that the database prepares few different
/// statements.
const SIZES: [usize; 3] = [1, 8, 64];
/// Maximum number of events per run and poll. The next poll fetches further events.
const EVENTS: u64 = 32;
/// Maximum size in bytes of a fetched event. Followers read larger events from the table.
const LARGEST: u64 = 32 * 1024;

/// Polls for events of runs that other processes execute, until this process stops.
pub async fn relay(app: App) {
    let mut pause = SHORTEST;
    loop {
        let rings = followed(&app);
        if rings.is_empty() {
            tokio::select! {
                () = app.stopping.cancelled() => return,
                () = app.hub.followed() => {}
            }
            pause = SHORTEST;
            continue;
        }
        pause = match look(&app, &rings).await {
            Ok(true) => SHORTEST,
            Ok(false) => LONGEST.min(pause + pause / 2),
            Err(fault) => {
                warn!(error = %fault, "could not poll for events of runs that other processes work on");
                AFTER_FAILURE
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = sleep(pause) => {}
        }
    }
}

// The rings whose followers wait for events of runs that other processes execute.
fn followed(app: &App) -> Vec<(Uuid, Arc<Ring>)> {
    let mut rings = app.hub.waiting();
    rings.retain(|(run_id, _)| !app.wake.is_working(*run_id));
    rings
}

/// Polls once and pushes new events to the rings. Returns whether new events were found.
async fn look(app: &App, rings: &[(Uuid, Arc<Ring>)]) -> Result<bool> {
    let mut found = false;
    for chunk in rings.chunks(SIZES[SIZES.len() - 1]) {
        let mut events: HashMap<Uuid, Vec<Stored>> = HashMap::new();
        let mut left = HashSet::new();
        for (run_id, event) in read(app, chunk).await? {
            match event {
                Some(event) if !left.contains(&run_id) => events.entry(run_id).or_default().push(event),
                // This event, or an earlier event of the run, is too large for the relay. The followers read it from
                // the table.
                _ => drop(left.insert(run_id)),
            }
            found = true;
        }
        for (run_id, events) in events {
            app.hub.publish(run_id, &events);
        }
        for (_, ring) in chunk.iter().filter(|(run_id, _)| left.contains(run_id)) {
            ring.hint();
        }
    }
    Ok(found)
}

async fn read(app: &App, rings: &[(Uuid, Arc<Ring>)]) -> Result<Vec<(Uuid, Option<Stored>)>> {
    let size = SIZES
        .into_iter()
        .find(|size| rings.len() <= *size)
        .unwrap_or(rings.len());
    let cursors = rings.iter().map(|(run_id, ring)| (*run_id, ring.reached()));
    // Fill the unused parameters with values that match no event: no sequence number exceeds `i64::MAX`.
    let filled = cursors.chain(iter::repeat((Uuid::nil(), i64::MAX))).take(size);
    let values = filled.flat_map(|(run_id, reached)| [Value::from(run_id), Value::from(reached)]);
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, text(size), values);
    let mut events = Vec::new();
    for row in app.db.read().query_all_raw(statement).await? {
        let run_id: Uuid = row.try_get("", "run_id")?;
        let payload: Option<Vec<u8>> = row.try_get("", "payload")?;
        let (sequence, terminal): (i64, bool) = (row.try_get("", "sequence")?, row.try_get("", "terminal")?);
        let event = payload.map(|payload| Stored {
            sequence,
            terminal,
            bytes: payload.into(),
        });
        events.push((run_id, sequence, event));
    }
    events.sort_unstable_by_key(|(run_id, sequence, _)| (*run_id, *sequence));
    Ok(events.into_iter().map(|(run_id, _, event)| (run_id, event)).collect())
}

fn text(size: usize) -> String {
    let followed: Vec<String> = (0..size)
        .map(|run| format!("(${}::uuid, ${}::bigint)", run * 2 + 1, run * 2 + 2))
        .collect();
    format!(
        "SELECT f.run_id, e.sequence, e.terminal, CASE WHEN octet_length(e.payload) <= {LARGEST} THEN e.payload END AS payload \
         FROM (VALUES {}) AS f(run_id, reached) \
         CROSS JOIN LATERAL (SELECT n.sequence, n.terminal, n.payload FROM run_events n \
         WHERE n.run_id = f.run_id AND n.sequence > f.reached ORDER BY n.sequence LIMIT {EVENTS}) AS e",
        followed.join(", ")
    )
}
