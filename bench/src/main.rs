//! The benchmark of Runyard, started by `make bench`.
//!
//! It starts the real server as a child process, a scripted model and a bare gRPC echo as two more, and measures in rounds
//! that interleave everything, so that a busy moment of the machine meets all figures alike. A run counts when its terminal
//! event is there, and the events of every run are read back: each sequence exactly once, one terminal event, the last.

#![expect(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^52")]

mod callers;
mod check;
mod children;
mod echo;
mod fill;
mod growth;
mod live;
mod machine;
mod neighbours;
mod options;
mod report;
mod rounds;
mod soak;
mod starts;
mod tokens;

use std::{error::Error, process::ExitCode};

use options::{Command, Options};
use tokio::signal::unix::{SignalKind, signal};

/// Whatever stops a benchmark, in words.
type Fault = Box<dyn Error + Send + Sync>;
type Result<T, E = Fault> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Options::read(std::env::args().skip(1)) {
        Ok(Command::Measure(options)) => {
            tokio::select! {
                outcome = rounds::measure(&options) => outcome,
                stopped = told_to_stop() => stopped,
            }
        }
        Ok(Command::Model) => children::play_model().await,
        Ok(Command::Echo) => echo::serve().await,
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

// Told by Ctrl-C or by SIGTERM: what was started ends with its handles, so the process must not just vanish.
async fn told_to_stop() -> Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        outcome = tokio::signal::ctrl_c() => outcome?,
        _ = term.recv() => {}
    }
    Err("stopped".into())
}
