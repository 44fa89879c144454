//! The database of the minimal comparison server (`floor.rs`). One thread writes. Jobs that arrive during a commit
//! share the next transaction.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
};

use prost::Message;
use runyard::v1::{RunEvent, RunStatus};
use rusqlite::{Connection, params};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Run, Runs, lock};
use crate::{Result, report};

const BATCH: usize = 1_000;
const TABLES: &str = "
    PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
    CREATE TABLE IF NOT EXISTS projects (id BLOB PRIMARY KEY, account_id INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS threads (id BLOB PRIMARY KEY, project_id BLOB) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS runs (id BLOB PRIMARY KEY, thread_id BLOB, status INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS messages (run_id BLOB, role INTEGER, text TEXT, PRIMARY KEY (run_id, role)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS events (run_id BLOB, sequence INTEGER, event BLOB, PRIMARY KEY (run_id, sequence))
        WITHOUT ROWID;
";

pub(super) struct Row {
    pub(super) event: RunEvent,
    pub(super) bytes: Vec<u8>,
}

pub(super) enum Work {
    Start {
        run: Arc<Run>,
        of: (Uuid, Uuid),
        prompt: String,
        rows: Vec<Row>,
        committed: oneshot::Sender<()>,
    },
    /// Appends events to an unfinished run.
    Append { run: Arc<Run>, rows: Vec<Row> },
    End {
        run: Arc<Run>,
        rows: Vec<Row>,
        status: RunStatus,
        text: String,
    },
}

#[derive(Clone)]
pub(super) struct Store {
    jobs: Sender<Work>,
    reading: Arc<Mutex<Connection>>,
}

impl Store {
    pub(super) fn open(folder: &Path, runs: Runs) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join("floor.db");
        let writing = Connection::open(&file)?;
        writing.execute_batch(TABLES)?;
        let (jobs, queue) = channel();
        std::thread::spawn(move || {
            if let Err(fault) = write(&writing, &queue, &runs) {
                report::complain(&fault.into());
            }
        });
        Ok(Self {
            jobs,
            reading: Arc::new(Mutex::new(Connection::open(file)?)),
        })
    }

    pub(super) fn send(&self, work: Work) -> Result<()> {
        self.jobs.send(work).map_err(|_| "the floor's writer has ended".into())
    }

    pub(super) async fn start(&self, run: &Arc<Run>, of: (Uuid, Uuid), prompt: String, first: Row) -> Result<()> {
        let (committed, done) = oneshot::channel();
        self.send(Work::Start {
            run: Arc::clone(run),
            of,
            prompt,
            rows: vec![first],
            committed,
        })?;
        Ok(done.await?)
    }

    pub(super) fn events(&self, run: Uuid, after: i64) -> Result<Vec<RunEvent>> {
        let db = lock(&self.reading);
        let text = "SELECT event FROM events WHERE run_id = ?1 AND sequence > ?2 ORDER BY sequence";
        let mut statement = db.prepare_cached(text)?;
        let rows = statement.query_map(params![run.as_bytes(), after], |row| row.get::<_, Vec<u8>>(0))?;
        rows.map(|bytes| Ok(RunEvent::decode(&*bytes?)?)).collect()
    }
}

fn write(db: &Connection, queue: &Receiver<Work>, runs: &Runs) -> rusqlite::Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while let Ok(first) = queue.recv() {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut next = Some(first);
        while let Some(work) = next {
            work.write(db)?;
            batch.push(work);
            next = if batch.len() < BATCH {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        db.prepare_cached("COMMIT")?.execute([])?;
        for work in batch.drain(..) {
            work.committed(runs);
        }
    }
    Ok(())
}

impl Work {
    fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        let (run, rows) = match self {
            Self::Start {
                run,
                of: (thread, project),
                prompt,
                rows,
                ..
            } => {
                let account = run.account.cast_signed();
                let (id, thread, project) = (run.id.as_bytes(), thread.as_bytes(), project.as_bytes());
                db.prepare_cached("INSERT INTO projects VALUES (?1, ?2)")?
                    .execute(params![project, account])?;
                db.prepare_cached("INSERT INTO threads VALUES (?1, ?2)")?
                    .execute(params![thread, project])?;
                db.prepare_cached("INSERT INTO runs VALUES (?1, ?2, 1)")?
                    .execute(params![id, thread])?;
                db.prepare_cached("INSERT INTO messages VALUES (?1, 1, ?2)")?
                    .execute(params![id, prompt])?;
                (run, rows)
            }
            Self::Append { run, rows } => (run, rows),
            Self::End {
                run,
                rows,
                status,
                text,
            } => {
                let id = run.id.as_bytes();
                db.prepare_cached("UPDATE runs SET status = ?2 WHERE id = ?1")?
                    .execute(params![id, *status as i32])?;
                db.prepare_cached("INSERT INTO messages VALUES (?1, 2, ?2)")?
                    .execute(params![id, text])?;
                (run, rows)
            }
        };
        let mut insert = db.prepare_cached("INSERT INTO events VALUES (?1, ?2, ?3)")?;
        for row in rows {
            insert.execute(params![run.id.as_bytes(), row.event.sequence, row.bytes])?;
        }
        Ok(())
    }

    /// Publishes the committed events to the run's readers. For a new run, wakes the caller of [`Store::start`].
    fn committed(self, runs: &Runs) {
        let (run, rows, has_ended, starting) = match self {
            Self::Start {
                run, rows, committed, ..
            } => (run, rows, false, Some(committed)),
            Self::Append { run, rows } => (run, rows, false, None),
            Self::End { run, rows, .. } => (run, rows, true, None),
        };
        run.log.send_modify(|log| {
            log.events.extend(rows.into_iter().map(|row| row.event));
            log.has_ended = has_ended;
        });
        if let Some(starting) = starting {
            // Sending fails if the caller of `Store::start` was cancelled, which is harmless.
            let _ = starting.send(());
        }
        if has_ended {
            lock(runs).remove(&run.id);
        }
    }
}
