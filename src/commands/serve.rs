//! `runyard serve`.

use std::net::SocketAddr;

use clap::Args;

use super::{Ending, server_runtime, settings::Settings};
use crate::{error::Result, server, telemetry};

/// Start the server.
///
/// Plans limit what each account may use. `runyard tier` changes the plan of an account; RUNYARD_LIMITS=off turns plans off.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// The address to listen on [default: 127.0.0.1:8080].
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
