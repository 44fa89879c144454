//! The benchmark of Runyard, started by `make bench`.
//!
//! It starts the real server, a minimal server for comparison (the floor), the scripted models and a bare gRPC echo as
//! child processes. Most measurements are interleaved in rounds, so that other load on the machine affects all servers
//! equally. A run counts only if its terminal event is durable. Afterwards, the events of every run are read back and
//! checked: each sequence number must occur exactly once, and the last event must be the only terminal event.

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

// Waits for Ctrl-C or SIGTERM. A child process is killed when its handle is dropped, so this process must end by
// returning from `main`.
async fn stop_signal() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
    }
    Err("stopped".into())
}
