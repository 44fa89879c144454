//! `runyard migrate`.

use super::{
    Ending,
    output::Output,
    server_runtime,
    settings::{Settings, absolute},
};
use crate::{
    db,
    error::{Error, Result},
    telemetry,
};

/// Applies the migrations that `serve` would apply, and exits.
///
/// On SQLite there has to be a database: in the wrong folder an empty new one would be reported as up to date.
pub(super) fn execute(settings: &Settings) -> Result<Ending> {
    telemetry::start_logging(&settings.log_filter("info"))?;
    let config = settings.config()?;
    let folder = absolute(&config.data_dir);
    if config.database_url.is_none() && !db::is_data_folder(&folder) {
        return Err(Error::invalid(format!(
            "no server keeps its data in {}: name the server's data folder with --data-dir or RUNYARD_DATA_DIR; a new server \
             needs no migration",
            folder.display()
        )));
    }
    server_runtime()?.block_on(db::migrate(&config))?;
    let database = match config.database_url {
        Some(_) => "The PostgreSQL database".to_owned(),
        None => format!("The database in {}", folder.display()),
    };
    Output::new().line(&format!("{database} is up to date."))?;
    Ok(Ending::Well)
}
