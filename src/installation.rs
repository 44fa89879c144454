//! Assigns a PostgreSQL database to one data folder.
//!
//! Processes that share a PostgreSQL database must also share one data folder. A process with another folder would
//! run agents in empty workspaces. Each data folder therefore has a random id in a file, and the database stores the
//! id of its folder. The first process on a new database writes that id.
//!
//! If a workspace exists, a process with another folder refuses to start. If no workspace exists, no files can be
//! missing, so such a process goes on standby: it answers no requests and claims no runs. Once the database's folder
//! has been unused for 30 seconds, the process assigns the database to its own folder and starts to work. None of
//! this applies to SQLite, because its database is in the data folder itself.

mod marker;
mod table;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

use crate::{
    app::App,
    config::Config,
    db::{Db, Inspected},
    error::{Code, Error, Result},
};
use table::Claim;

/// Interval at which a process reports that its folder is in use. On standby, the interval between attempts to claim
/// the database.
const EVERY: Duration = Duration::from_secs(5);

/// Whether this process may work on the database.
#[derive(Clone)]
pub struct Installation {
    /// `None` on SQLite.
    folder: Option<Arc<Folder>>,
    membership: Arc<watch::Sender<Membership>>,
}

struct Folder {
    id: Uuid,
    /// Path and host, for log and error texts.
    described_as: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// The database belongs to this process's folder.
    Member,
    /// The database belongs to another folder.
    Standby,
}

impl Installation {
    /// Compares this process's data folder with the database's folder. A database without a folder is assigned to
    /// this process's folder.
    ///
    /// # Errors
    /// CONFLICT if the database belongs to another data folder and a workspace exists; database and file system errors.
    pub async fn open(config: &Config, db: &Db) -> Result<Self> {
        if db.is_private() {
            return Ok(Self::of(None, Membership::Member));
        }
        let folder = Folder::open(config)?;
        let membership = match table::claim(db, &folder).await? {
            Claim::Ours { .. } => Membership::Member,
            Claim::Unused(other) => {
                warn!("{}", folder.differs_from(&other));
                warn!(
                    "no workspace exists yet, so this server is on standby until the other data folder is no longer in use"
                );
                Membership::Standby
            }
            Claim::Used(other) => return Err(Error::new(Code::Conflict, folder.differs_from(&other))),
        };
        Ok(Self::of(Some(folder), membership))
    }

    fn of(folder: Option<Folder>, membership: Membership) -> Self {
        Self {
            folder: folder.map(Arc::new),
            membership: Arc::new(watch::Sender::new(membership)),
        }
    }

    /// Fails with UNAVAILABLE on standby.
    pub fn check(&self) -> Result<()> {
        match *self.membership.borrow() {
            Membership::Member => Ok(()),
            Membership::Standby => {
                let message = "this server is on standby, because its database belongs to the data folder of another server; retry later or use that server";
                Err(Error::new(Code::Unavailable, message))
            }
        }
    }

    /// Waits until this process may work on the database.
    pub async fn member(&self) {
        let mut membership = self.membership.subscribe();
        // `self` owns the sender, so waiting cannot fail.
        drop(
            membership
                .wait_for(|membership| *membership == Membership::Member)
                .await,
        );
    }
}

/// Periodically reports that the data folder is in use. On standby, tries to claim the database instead. Returns when
/// this process owns the database and a workspace exists. On SQLite, returns immediately.
pub async fn keep(app: App, stopping: CancellationToken) {
    let Some(folder) = app.installation.folder.clone() else {
        return;
    };
    let mut has_said = false;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = sleep(EVERY) => {}
        }
        let was_member = app.installation.check().is_ok();
        let membership = match table::claim(&app.db, &folder).await {
            // A workspace exists, so no process with another folder can claim the database. Reports are no longer
            // needed.
            Ok(Claim::Ours { is_used: true }) if was_member => return,
            Ok(Claim::Ours { .. }) => Membership::Member,
            Ok(Claim::Unused(_)) => Membership::Standby,
            Ok(Claim::Used(other)) => {
                if !has_said {
                    error!("{}", folder.differs_from(&other));
                    has_said = true;
                }
                Membership::Standby
            }
            Err(fault) => {
                warn!(error = %fault, "could not check which data folder the database belongs to");
                continue;
            }
        };
        let before = app.installation.membership.send_replace(membership);
        if before == Membership::Standby && membership == Membership::Member {
            info!("the database now belongs to this data folder; leaving standby");
        }
    }
}

/// Whether a database belongs to the configured data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    ToNone,
    ToThis,
    /// Description of the other folder; empty if it could not be read.
    ToOther(String),
}

/// Finds out which data folder the database belongs to, without changing the database.
pub async fn compare(config: &Config, database: &Inspected) -> Belongs {
    let named = database.read::<Uuid>(table::FOLDER).await;
    match named.ok().flatten() {
        None => Belongs::ToNone,
        Some(named) if marker::load(&config.data_dir) == Some(named) => Belongs::ToThis,
        Some(_) => {
            let described_as = database.read(table::DESCRIBED_AS).await;
            Belongs::ToOther(described_as.ok().flatten().unwrap_or_default())
        }
    }
}

/// Assigns the database to the configured data folder, even if it belongs to another folder.
pub async fn adopt(config: &Config, db: &Db) -> Result<()> {
    if db.is_private() {
        return Ok(());
    }
    table::adopt(db, &Folder::open(config)?).await
}

impl Folder {
    fn open(config: &Config) -> Result<Self> {
        let id = marker::load_or_create(&config.data_dir).map_err(|error| {
            let message = format!("cannot use the data folder {}: {error}", config.data_dir.display());
            Error::new(Code::Unavailable, message)
        })?;
        let path = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let described_as = match marker::host() {
            Some(host) => format!("{} on {host}", path.display()),
            None => path.display().to_string(),
        };
        Ok(Self { id, described_as })
    }

    fn differs_from(&self, other: &str) -> String {
        format!(
            "the database belongs to the data folder {other}, but this server uses {}: servers that share a database must share \
             one data folder, on a file system that all of them can reach. To continue without the other folder and its files, \
             stop all servers and run `runyard migrate --adopt-data-dir` here",
            self.described_as
        )
    }
}
