//! `runyard migrate`: applies database migrations.

use clap::Args;

use super::{
    Outcome,
    output::Output,
    server_runtime,
    settings::{Settings, absolute},
};
use crate::{
    config::Config,
    data_folder,
    db::{self, Db},
    error::{Error, Result},
    installation, telemetry,
};

/// Apply the database migrations and exit.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// Make the folder of --data-dir the data folder of the PostgreSQL database. Stop all servers first. This moves no
    /// files: copy them from the old data folder beforehand.
    #[arg(long)]
    adopt_data_dir: bool,
}

impl Migrate {
    /// On SQLite, fails if the folder contains no server data. In the wrong folder, the command would otherwise
    /// create an empty database and report success.
    pub(super) fn execute(self, settings: &Settings) -> Result<Outcome> {
        telemetry::start_logging(&settings.log_filter("info"))?;
        Settings::warn_of_variables();
        let config = settings.config()?;
        let folder = absolute(&config.data_dir);
        if config.database_url.is_none() && !db::is_data_folder(&folder) {
            return Err(Error::invalid(format!(
                "there is no server data in {}; name the server's data folder with --data-dir or RUNYARD_DATA_DIR (a new \
                 server needs no migration)",
                folder.display()
            )));
        }
        server_runtime()?.block_on(self.migrate(&config))?;
        let database = match config.database_url {
            Some(_) => "The PostgreSQL database".to_owned(),
            None => format!("The database in {}", folder.display()),
        };
        let mut output = Output::new();
        output.line(&format!("{database} is up to date."))?;
        if self.adopt_data_dir && config.database_url.is_some() {
            output.line(&format!("It now uses the files in {}.", folder.display()))?;
        }
        Ok(Outcome::Success)
    }

    async fn migrate(&self, config: &Config) -> Result<()> {
        let db = Db::open(config).await?;
        if self.adopt_data_dir {
            data_folder::prepare_for(config)?;
            installation::adopt(config, &db).await?;
        }
        Ok(())
    }
}
