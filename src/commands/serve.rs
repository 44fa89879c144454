//! `runyard serve`.

use std::net::SocketAddr;

use clap::Args;

use super::{Ending, server_runtime, settings::Settings};
use crate::{error::Result, server, telemetry};

/// Start the server.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The address to listen on, 127.0.0.1:8080 by default.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn execute(self, settings: &Settings) -> Result<Ending> {
        telemetry::start_logging(&settings.log_filter("info"))?;
        let config = settings.config_listening(self.listen)?;
        telemetry::start_metrics();
        server_runtime()?.block_on(server::serve(config))?;
        Ok(Ending::Well)
    }
}
