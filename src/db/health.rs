//! Checks that the database can be written. A recent commit is proof. Without a recent commit, the check performs a
//! write (the probe).
//!
//! `/readyz` needs no credential and may be called at any rate, so concurrent callers share one probe.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{Db, fault};
use crate::error::Result;

/// Time after a commit during which no probe is needed.
const GOOD_FOR: Duration = Duration::from_secs(10);
/// Time for which the result of a probe is reused.
const ANSWER_FOR: Duration = Duration::from_millis(500);
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The probe on PostgreSQL. The written value is never read.
const PROBE: &str = "UPDATE installation SET probes = probes + 1 WHERE id = 1";
/// The probe on SQLite. It writes more data than `StartRun`. On a nearly full disk, a smaller write could succeed,
/// because the write-ahead log may still have room for a small change.
const SQLITE_PROBE: &str = "UPDATE installation SET probe = randomblob(131072) WHERE id = 1";

#[derive(Clone, Default)]
pub(super) struct Health {
    known: Arc<Known>,
}

#[derive(Default)]
struct Known {
    /// True if the database or its disk was unavailable at the last write.
    failed: AtomicBool,
    written: std::sync::Mutex<Option<Instant>>,
    probed: Mutex<Option<(Instant, bool)>>,
}

impl Health {
    /// Records a durable commit that changed data.
    pub(super) fn written(&self) {
        self.known.failed.store(false, Ordering::Relaxed);
        let mut written = self
            .known
            .written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *written = Some(Instant::now());
    }

    /// Records that the database or its disk was unavailable.
    pub(super) fn failed(&self) {
        self.known.failed.store(true, Ordering::Relaxed);
    }

    fn is_good(&self) -> bool {
        let written = self
            .known
            .written
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_recent = written.is_some_and(|written| written.elapsed() < GOOD_FOR);
        is_recent && !self.known.failed.load(Ordering::Relaxed)
    }

    /// Checks that the database can be read and written.
    ///
    /// # Errors
    /// UNAVAILABLE if the database cannot be read or written.
    pub(super) async fn check(&self, db: &Db) -> Result<()> {
        if self.is_good() {
            return db.ping().await;
        }
        let mut probed = self.known.probed.lock().await;
        let remembered = probed.filter(|(at, _)| at.elapsed() < ANSWER_FOR);
        let is_good = if let Some((_, is_good)) = remembered {
            is_good
        } else {
            let written = matches!(timeout(PROBE_TIMEOUT, probe(db)).await, Ok(Ok(())));
            *probed = Some((Instant::now(), written));
            written
        };
        drop(probed);
        if is_good {
            Ok(())
        } else {
            Err(fault::unavailable("the probe write failed"))
        }
    }
}

async fn probe(db: &Db) -> Result<()> {
    let tx = db.begin("db.probe").await?;
    let backend = tx.get_database_backend();
    let text = if backend == DbBackend::Sqlite {
        SQLITE_PROBE
    } else {
        PROBE
    };
    let statement = Statement::from_string(backend, text);
    tx.execute_raw(statement).await?;
    tx.commit().await
}
