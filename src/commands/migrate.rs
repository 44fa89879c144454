//! `runyard migrate`.

use clap::Args;

use super::{Ending, output::Output, server_runtime, settings::Settings};
use crate::{data_folder, db::Db, error::Result, installation, telemetry};

/// Apply the database migrations and leave.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// Make this data folder the one that the files of the PostgreSQL database lie in. Stop all servers first. Files in
    /// another folder are not moved: copy them before.
    #[arg(long)]
    adopt_data_dir: bool,
}

impl Migrate {
    /// Applies the migrations that `serve` would apply, and leaves.
    pub(super) fn execute(self, settings: &Settings) -> Result<Ending> {
        telemetry::start_logging(&settings.log_filter("info"))?;
        let config = settings.config()?;
        data_folder::prepare_for(&config)?;
        server_runtime()?.block_on(async {
            let db = Db::open(&config).await?;
            if self.adopt_data_dir {
                installation::adopt(&config, &db).await?;
            }
            Ok::<_, crate::Error>(())
        })?;
        Output::new().line("The database is up to date.")?;
        Ok(Ending::Well)
    }
}
