//! To come.

use crate::{config::Config, error::Result};

/// Migrates.
#[expect(clippy::unused_async, reason = "to come")]
pub async fn migrate(_config: &Config) -> Result<()> {
    Ok(())
}
