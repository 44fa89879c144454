//! `runyard serve`: starts the server.

use std::{net::SocketAddr, time::Duration};

use clap::Args;

use super::{Outcome, server_runtime, settings::Settings};
use crate::{
    config::environment::variable,
    error::Result,
    server::{self, End},
    telemetry::{self, traces::Traces},
};

/// Maximum wait at exit for blocking work, such as a walk over a workspace.
const EXIT_GRACE: Duration = Duration::from_millis(200);

/// Start the server.
///
/// Plans limit what each account may use. `runyard tier` changes an account's plan; RUNYARD_LIMITS=off turns plans off.
#[derive(Args, Debug)]
pub(super) struct Serve {
    /// Address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn execute(self, settings: &Settings) -> Result<Outcome> {
        telemetry::prepare_metrics();
        telemetry::start_logging(&settings.log_filter("info"))?;
        Settings::warn_of_variables();
        let config = settings.config_listening(self.listen)?;
        let runtime = server_runtime()?;
        let traces = Traces::start(&variable, runtime.handle())?;
        let outcome = runtime.block_on(server::serve(config));
        if let (Some(traces), Ok(End::InOrder)) = (traces, &outcome) {
            traces.stop();
        }
        runtime.shutdown_timeout(EXIT_GRACE);
        match outcome.map_err(|error| settings.name_variable(error))? {
            End::InOrder => Ok(Outcome::Success),
            End::AtOnce => Ok(Outcome::Interrupted),
        }
    }
}

fn address(text: &str) -> std::result::Result<SocketAddr, String> {
    let wrong = "it needs an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    text.parse().map_err(|_| wrong.to_owned())
}
