//! To come.

use crate::{config::Config, error::Result};

/// Serves.
#[expect(clippy::unused_async, reason = "to come")]
pub async fn serve(_config: Config) -> Result<()> {
    Ok(())
}
