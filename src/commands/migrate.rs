//! `runyard migrate`.

use super::{Ending, output::Output, server_runtime, settings::Settings};
use crate::{db, error::Result, telemetry};

/// Applies the migrations that `serve` would apply, and leaves.
pub(super) fn execute(settings: &Settings) -> Result<Ending> {
    telemetry::start_logging(&settings.log_filter("info"))?;
    let config = settings.config()?;
    server_runtime()?.block_on(db::migrate(&config))?;
    Output::new().line("The database is up to date.")?;
    Ok(Ending::Well)
}
