//! Parses the command line and executes the command.
//!
//! Exit codes: 0 success, 1 failure, 2 wrong usage (set by clap), 130 interrupted.

mod admin;
mod agents;
mod backup;
mod checks;
mod completions;
mod connection;
mod doctor;
mod files;
mod json_lines;
mod keys;
mod listing;
mod man;
mod migrate;
mod models;
mod output;
mod read_document;
mod run;
mod runs;
mod serve;
mod settings;
mod signer;
mod threads;
mod tier;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::runtime::{Builder, Runtime};

use crate::{
    error::{Code, Error, Kind, Result},
    telemetry,
};
use settings::Settings;

/// Advice to the server's operator in errors about plan limits.
const PLAN_ADVICE: &str =
    "on your own server, `runyard tier pro` changes the plan of your account, and RUNYARD_LIMITS=off turns plans off";

/// Runyard runs AI agents for other programs.
#[derive(Debug, Parser)]
#[command(name = "runyard", version, max_term_width = 100, after_help = settings::VARIABLES)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Run(run::Run),
    Runs(runs::Runs),
    Stop(runs::Stop),
    Threads(threads::Threads),
    Files(files::Files),
    Agents(agents::Agents),
    Keys(keys::Keys),
    Token(token::Token),
    Tier(tier::Tier),
    Admin(admin::Admin),
    Models(models::Models),
    Doctor(doctor::Doctor),
    Migrate(migrate::Migrate),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Completions(completions::Completions),
    Man(man::Manual),
    #[command(hide = true)]
    ReadDocument(read_document::ReadDocument),
}

/// Outcome of a command that returned no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Success,
    Failure,
    Interrupted,
}

pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli) {
        Ok(Outcome::Success) => ExitCode::SUCCESS,
        Ok(Outcome::Failure) => ExitCode::FAILURE,
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(_) if output::reader_left() => ExitCode::SUCCESS,
        Err(error) => {
            tracing::debug!(%error, "the command failed");
            output::complain(&explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: Cli) -> Result<Outcome> {
    let settings = cli.settings;
    match cli.command {
        Command::Serve(serve) => serve.execute(&settings),
        Command::Migrate(migrate) => migrate.execute(&settings),
        Command::Backup(backup) => backup.execute(&settings),
        Command::Restore(restore) => restore.execute(&settings),
        Command::Token(token) => with_log(&settings, token.execute(&settings)),
        Command::Tier(tier) => with_log(&settings, tier.execute(&settings)),
        Command::Admin(admin) => with_log(&settings, admin.execute(&settings)),
        Command::Run(run) => with_log(&settings, run.execute(&settings)),
        Command::Runs(runs) => with_log(&settings, runs.execute(&settings)),
        Command::Stop(stop) => with_log(&settings, stop.execute(&settings)),
        Command::Threads(threads) => with_log(&settings, threads.execute(&settings)),
        Command::Files(files) => with_log(&settings, files.execute(&settings)),
        Command::Agents(agents) => with_log(&settings, agents.execute(&settings)),
        Command::Keys(keys) => with_log(&settings, keys.execute(&settings)),
        Command::Models(models) => client_runtime()?.block_on(models.execute(&settings)),
        Command::Doctor(doctor) => client_runtime()?.block_on(doctor.execute(&settings)),
        Command::Completions(completions) => completions.execute(),
        Command::Man(manual) => manual.execute(),
        Command::ReadDocument(document) => document.execute(),
    }
}

/// Executes a command that calls a server.
fn with_log(settings: &Settings, command: impl Future<Output = Result<Outcome>>) -> Result<Outcome> {
    telemetry::start_logging(&settings.log_filter("warn"))?;
    client_runtime()?.block_on(command)
}

/// For commands other than `serve` and `migrate`.
fn client_runtime() -> Result<Runtime> {
    started(Builder::new_current_thread().enable_all().build())
}

fn server_runtime() -> Result<Runtime> {
    started(Builder::new_multi_thread().enable_all().build())
}

fn started(runtime: std::io::Result<Runtime>) -> Result<Runtime> {
    runtime.map_err(|error| Error::internal("the async runtime failed to start", error))
}

/// Formats an error as one line with advice.
fn explain(error: &Error) -> String {
    let message = output::one_line(error.message());
    let advice = match (error.code(), error.kind()) {
        (Code::AgentRunLimitExceeded, _) => format!("wait for a run to end, or stop one; {PLAN_ADVICE}"),
        (Code::InsufficientCredits, _) => {
            "credits are granted each month; on your own server, RUNYARD_LIMITS=off turns plans off".to_owned()
        }
        (_, Kind::OverPlan | Kind::NotInPlan) => PLAN_ADVICE.to_owned(),
        (Code::Internal, _) => {
            return error.cause().map_or(message.clone(), |cause| {
                format!("{message}: {}", output::one_line(&cause.to_string()))
            });
        }
        _ => return message,
    };
    format!("{message} ({advice})")
}
