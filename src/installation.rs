//! Which data folder the files of a PostgreSQL installation lie in.
//!
//! Several processes may share one PostgreSQL, but then they must share one data folder, too: a process with another folder
//! would not find the files that the first one has placed, and would run agents in empty workspaces. So each data folder has a
//! random id in a file, and the database names the one that its files lie in. The first process on a new database writes it.
//!
//! A process with another folder refuses to start. While no workspace has been made nothing can be lost: then it stands by
//! instead, answers no request and claims no run, and becomes a full member when the folder of the others has not been
//! in use for a while. SQLite lies in the data folder itself and needs none of this.

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

/// How often a process says that it uses its folder, and asks for the database of another one.
const EVERY: Duration = Duration::from_secs(5);

/// Whether this process may work on the database. Cheap to clone.
#[derive(Clone)]
pub struct Installation {
    folder: Option<Arc<Folder>>,
    standing: Arc<watch::Sender<Standing>>,
}

/// The data folder of this process.
struct Folder {
    id: Uuid,
    /// Where it is, for people.
    described_as: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The files of the database lie in this process's folder.
    Member,
    /// They lie in another one, or will.
    StandsBy,
}

impl Installation {
    /// Compares the data folder with the one that the database names, which is this one from now on when it names none.
    ///
    /// # Errors
    /// CONFLICT when the files of the database lie in another data folder; those of the database and of the file system.
    pub async fn open(config: &Config, db: &Db) -> Result<Self> {
        if db.is_private() {
            return Ok(Self::of(None, Standing::Member));
        }
        let folder = Folder::open(config)?;
        let standing = match table::claim(db, &folder).await? {
            Claim::Ours { .. } => Standing::Member,
            Claim::Unused(other) => {
                warn!("{}", folder.differs_from(&other));
                warn!(
                    "no workspace has been made yet, so this server stands by until the other data folder is given up"
                );
                Standing::StandsBy
            }
            Claim::Used(other) => return Err(Error::new(Code::Conflict, folder.differs_from(&other))),
        };
        Ok(Self::of(Some(folder), standing))
    }

    fn of(folder: Option<Folder>, standing: Standing) -> Self {
        Self {
            folder: folder.map(Arc::new),
            standing: Arc::new(watch::Sender::new(standing)),
        }
    }

    /// Refuses what a process that stands by must not do.
    ///
    /// # Errors
    /// UNAVAILABLE while it stands by.
    pub fn check(&self) -> Result<()> {
        match *self.standing.borrow() {
            Standing::Member => Ok(()),
            Standing::StandsBy => {
                let message =
                    "this server stands by: the files of its database lie in the data folder of another server";
                Err(Error::new(Code::Unavailable, message))
            }
        }
    }

    /// Waits until this process may work on the database.
    pub async fn member(&self) {
        let mut standing = self.standing.subscribe();
        // The sender is our own, so it lives as long as this wait.
        drop(standing.wait_for(|standing| *standing == Standing::Member).await);
    }
}

/// Says now and then that the data folder is in use, until workspaces show it; a process that stands by asks whether it may
/// work. Ends with `stopping`.
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
        let standing = match table::claim(&app.db, &folder).await {
            // The workspaces show whose the database is from now on.
            Ok(Claim::Ours { is_used: true }) if was_member => return,
            Ok(Claim::Ours { .. }) => Standing::Member,
            Ok(Claim::Unused(_)) => Standing::StandsBy,
            Ok(Claim::Used(other)) => {
                if !has_said {
                    error!("{}", folder.differs_from(&other));
                    has_said = true;
                }
                Standing::StandsBy
            }
            Err(fault) => {
                warn!(error = %fault, "could not ask which data folder the database belongs to");
                continue;
            }
        };
        let before = app.installation.standing.send_replace(standing);
        if before == Standing::StandsBy && standing == Standing::Member {
            info!("this data folder is the one of the database now: the server works");
        }
    }
}

/// The data folder that the files of a database are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Belongs {
    /// The database names none yet.
    ToNone,
    /// It is the folder of the configuration.
    ToThis,
    /// It is another one, which is described here.
    ToOther(String),
}

/// Compares the data folder of a configuration with the one that a PostgreSQL database names, and changes neither.
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

/// Makes this data folder the one that the files of the database lie in, whatever it was before.
///
/// # Errors
/// Those of the database and of the file system.
pub async fn adopt(config: &Config, db: &Db) -> Result<()> {
    if db.is_private() {
        return Ok(());
    }
    table::adopt(db, &Folder::open(config)?).await
}

impl Folder {
    fn open(config: &Config) -> Result<Self> {
        let id = marker::load_or_create(&config.data_dir).map_err(|error| {
            let message = format!("the data folder {} cannot be used: {error}", config.data_dir.display());
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
            "the files of this database lie in another data folder ({other}) than this server's ({}): servers that share a database \
             must share one data folder, on a file system that all of them reach. To go on without the other folder and its \
             files, stop all servers and run `runyard migrate --adopt-data-dir` here",
            self.described_as
        )
    }
}
