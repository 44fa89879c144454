//! The benchmark of Runyard, started by `make bench`.
//!
//! It starts the Runyard server, a minimal server for comparison (the floor), scripted models and a gRPC echo server
//! as child processes. Measurements alternate between the servers, so that other load on the machine affects all
//! servers equally. At the end, the events of every run are checked. Each sequence number must occur once, and only
//! the last event may be terminal.

#![expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]

mod callers;
mod calls;
mod check;
mod children;
mod database;
mod echo;
mod fill;
mod floor;
mod growth;
mod live;
mod machine;
mod many;
mod mcp;
mod neighbours;
mod options;
mod paced;
mod parts;
mod report;
mod rounds;
mod sandbox;
mod soak;
mod starts;
mod subjects;
mod targets;
mod tokens;
mod waiting;
mod webhooks;

use std::{error::Error, process::ExitCode};

use options::{Command, Options};
use tokio::signal::unix::{SignalKind, signal};

type Fault = Box<dyn Error + Send + Sync>;
type Result<T, E = Fault> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Options::read(std::env::args().skip(1)) {
        Ok(Command::Measure(options)) => {
            tokio::select! {
                outcome = rounds::measure(&options) => outcome,
                stopped = stop_signal() => stopped,
            }
        }
        Ok(Command::Model) => children::play_model().await,
        Ok(Command::Echo) => echo::serve().await,
        Ok(Command::Floor(setup)) => floor::serve(&setup).await,
        Err(fault) => Err(fault),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            report::complain(&fault);
            ExitCode::FAILURE
        }
    }
}

// Waits for Ctrl-C or SIGTERM. `main` must return afterwards, because child processes are killed when their handles
// are dropped.
async fn stop_signal() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
    }
    Err("stopped".into())
}
