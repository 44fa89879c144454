//! Writing what the logs gathered: one unit of work for all of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, QueryFilter, QueryOrder, QuerySelect};
use tokio::time::sleep;
use tracing::{error, warn};
use uuid::Uuid;

use super::{
    log::{Ending, Entry, Gathered, RunLog, Spent},
    rows::{self, Last, Spending},
};
use crate::{
    accounts::{Scope, of},
    clock::Clock,
    db::Db,
    error::{Code, Error, Result},
    events::{self, Stored, table as event_table},
    ledger::{self, Charge},
    runs::{
        Status,
        table::{Column, Entity},
    },
    telemetry,
    threads::{messages, table::message},
};

/// Tries to write one batch, before its runs are given up (their leases expire, and they are taken up again).
const ATTEMPTS: u32 = 6;
/// The first pause between two tries; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);

struct Taken {
    log: Arc<RunLog>,
    events: Vec<Stored>,
    messages: Vec<message::Model>,
    spent: Spent,
    charges: Vec<Charge>,
    ending: Option<Ending>,
    waiting: Vec<tokio::sync::oneshot::Sender<Result<()>>>,
}

pub(super) async fn write(db: &Db, clock: &Clock, logs: &[Arc<RunLog>]) {
    let mut taken: Vec<Taken> = logs.iter().filter_map(|log| take(log, clock)).collect();
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        match write_once(db, clock, &taken).await {
            Ok(stale) => return publish(taken, &stale),
            Err(fault) if attempt < ATTEMPTS => {
                warn!(error = %fault, attempt, "the journal could not write; trying again");
                sleep(pause).await;
                pause *= 2;
            }
            Err(fault) => {
                error!(error = %fault, runs = taken.len(), "the journal could not write; its runs are given up");
                for run in &mut taken {
                    run.log.lose();
                    for waiting in run.waiting.drain(..) {
                        drop(waiting.send(Err(Error::new(Code::Unavailable, "the database is not available"))));
                    }
                }
            }
        }
    }
}

fn take(log: &Arc<RunLog>, clock: &Clock) -> Option<Taken> {
    let (gathered, mut sequence) = log.take();
    let Gathered { entry, ending, waiting } = gathered;
    let Entry {
        events,
        messages,
        spent,
        charges,
    } = entry;
    let now = clock.now();
    let terminal = ending.as_ref().map(|ending| {
        let error = ending
            .error
            .as_ref()
            .map(|(code, message)| (code.as_str(), message.as_str()));
        events::status(ending.status.into(), error)
    });
    let mut stored = Vec::with_capacity(events.len() + 1);
    for event in events.into_iter().chain(terminal) {
        stored.push(Stored::new(log.run_id, sequence, now, event));
        sequence += 1;
    }
    log.numbered(sequence);
    let mut rows = Vec::with_capacity(messages.len());
    for new in messages {
        match messages::row(log.belongs, new, now) {
            Ok(row) => rows.push(row),
            Err(fault) => error!(error = %fault, run = %log.run_id, "a message could not be written"),
        }
    }
    let empty = stored.is_empty() && rows.is_empty() && waiting.is_empty();
    (!empty).then(|| Taken {
        log: Arc::clone(log),
        events: stored,
        messages: rows,
        spent,
        charges,
        ending,
        waiting,
    })
}

/// Writes everything whose lease is current; returns the runs whose lease is not.
async fn write_once(db: &Db, clock: &Clock, taken: &[Taken]) -> Result<Vec<Uuid>> {
    if taken.is_empty() {
        return Ok(Vec::new());
    }
    let tx = db.begin("runs.journal").await?;
    let stale = find_stale(&tx, taken).await?;
    let current: Vec<&Taken> = taken.iter().filter(|run| !stale.contains(&run.log.run_id)).collect();
    let (mut events, mut messages, mut spendings, mut lasts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut charges = Vec::new();
    let now = clock.now();
    for run in current {
        events.extend(run.events.iter().map(|event| (run.log.run_id, event.clone())));
        messages.extend(&run.messages);
        charges.extend(&run.charges);
        let spending = Spending {
            run_id: run.log.run_id,
            spent: run.spent,
        };
        match &run.ending {
            Some(ending) => lasts.push(Last {
                spending,
                ending,
                sequence: run.events.last().map(|event| event.sequence),
                at: now,
            }),
            None if run.spent != Spent::default() => spendings.push(spending),
            None => {}
        }
    }
    event_table::insert(&tx, &events).await?;
    rows::insert_messages(&tx, &messages).await?;
    rows::add(&tx, &spendings).await?;
    rows::end(&tx, &lasts).await?;
    ledger::charge::write(&tx, &charges, now).await?;
    tx.commit().await?;
    Ok(stale)
}

async fn find_stale(tx: &crate::db::Tx, taken: &[Taken]) -> Result<Vec<Uuid>> {
    let mut query = of::<Entity>(Scope::system("the journal writes for the runs of this worker"))
        .select_only()
        .columns([Column::Id, Column::LeaseEpoch, Column::Status])
        .filter(Column::Id.is_in(rows::filled_up(taken.iter().map(|run| run.log.run_id))))
        .order_by_asc(Column::Id);
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    let rows: Vec<(Uuid, i64, Status)> = query.into_tuple().all(tx).await?;
    let current: BTreeMap<Uuid, i64> = rows
        .into_iter()
        .filter(|(_, _, status)| *status == Status::Running)
        .map(|(id, epoch, _)| (id, epoch))
        .collect();
    let stale = taken
        .iter()
        .filter(|run| current.get(&run.log.run_id) != Some(&run.log.epoch));
    Ok(stale.map(|run| run.log.run_id).collect())
}

fn count(run: &Taken) {
    metrics::counter!(telemetry::EVENTS).increment(run.events.len() as u64);
    if let Some(ending) = &run.ending {
        metrics::counter!(telemetry::RUNS_ENDED, "status" => ending.status.as_str()).increment(1);
    }
}

fn publish(taken: Vec<Taken>, stale: &[Uuid]) {
    for run in taken {
        let outcome = if stale.contains(&run.log.run_id) {
            run.log.lose();
            Err("the run's lease is another worker's")
        } else {
            run.log.ring.push(&run.events);
            count(&run);
            Ok(())
        };
        for waiting in run.waiting {
            drop(waiting.send(outcome.map_err(|message| Error::new(Code::Contended, message))));
        }
    }
}
