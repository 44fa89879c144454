//! `runyard runs` lists, shows and watches runs, and `runyard stop` stops one.

use clap::{Args, Subcommand, ValueEnum};

use super::{
    Outcome,
    connection::Connection,
    listing::{Printer, table, time},
    output::{cut, one_line},
    run,
    settings::Settings,
    signer::caller_name,
};
use runyard_client::Client;

use crate::{
    error::Result,
    v1::{ListRunsRequest, Run, RunStatus},
};

/// List, show and watch runs.
#[derive(Args, Debug)]
pub(super) struct Runs {
    #[command(flatten)]
    connection: Connection,
    /// Print a JSON object per line.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List your runs, newest first.
    List {
        /// Only runs of this thread.
        #[arg(long, value_name = "ID", default_value = "")]
        thread: String,
        /// Only runs with this status.
        #[arg(long)]
        status: Option<Status>,
        /// Maximum number of lines.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show a run.
    Show {
        /// Id of the run.
        run_id: String,
    },
    /// Show the events of a run until it ends. Ctrl-C ends the command, not the run.
    ///
    /// Exits with status 0 if the run completed, 1 if it failed, and 130 if it was stopped.
    Watch {
        /// Id of the run.
        run_id: String,
        /// Show only events after this sequence number.
        #[arg(long, value_name = "SEQUENCE", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
        after: i64,
    },
}

/// Stop a run.
///
/// Prints the run. A run that has already ended does not change.
#[derive(Args, Debug)]
pub(super) struct Stop {
    #[command(flatten)]
    connection: Connection,
    /// Id of the run.
    run_id: String,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Status {
    Running,
    Waiting,
    Completed,
    Failed,
    Stopped,
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Waiting => Self::Waiting,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Stopped => Self::Stopped,
        }
    }
}

impl Runs {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        let connected = self.connection.open(settings).await?;
        connected.explain(act(&connected.client, self.action, self.json).await)
    }
}

impl Stop {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        let connected = self.connection.open(settings).await?;
        let stopped = connected.client.stop_run(&self.run_id).await.map_err(Into::into);
        Printer::new(self.json)?.print(&connected.explain(stopped)?, details)?;
        Ok(Outcome::Success)
    }
}

async fn act(client: &Client, action: Action, json: bool) -> Result<Outcome> {
    match action {
        Action::List { thread, status, limit } => {
            let mut request = ListRunsRequest {
                thread_id: thread,
                ..ListRunsRequest::default()
            };
            if let Some(status) = status {
                request.set_status(status.into());
            }
            let load = async |page_size, page_token| {
                (request.page_size, request.page_token) = (page_size, page_token);
                let page = client.list_runs(request.clone()).await?;
                Ok((page.agent_runs, page.next_page_token))
            };
            Printer::new(json)?
                .pages(limit, "there are no such runs", summary, load)
                .await?;
        }
        Action::Show { run_id } => Printer::new(json)?.print(&client.load_run(&run_id).await?, details)?,
        Action::Watch { run_id, after } => return run::follow(client, &run_id, after, json).await,
    }
    Ok(Outcome::Success)
}

fn word(run: &Run) -> &'static str {
    match run.status() {
        RunStatus::Running if run.stop_requested => "stopping",
        RunStatus::Running => "running",
        RunStatus::Waiting => "waiting",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
        RunStatus::Stopped => "stopped",
        RunStatus::Unspecified => "unknown",
    }
}

fn summary(run: &Run) -> String {
    format!(
        "{}  {:<9}  {}  {}",
        run.agent_run_id,
        word(run),
        time(run.created_at),
        cut(&one_line(&run.model_name), 30)
    )
    .trim_end()
    .to_owned()
}

fn details(run: &Run) -> String {
    let error = run.error.clone().unwrap_or_default();
    let usage = run.usage.unwrap_or_default();
    let usage = format!(
        "{} steps, {} tokens in, {} out, {:.2} credits",
        usage.steps, usage.input_tokens, usage.output_tokens, usage.credits
    );
    table(&[
        ("id", &run.agent_run_id),
        ("status", word(run)),
        (
            "stopped by",
            &run.stopped_by.as_deref().map_or_else(String::new, caller_name),
        ),
        ("error", &error.error_code),
        ("message", &error.message),
        ("thread", &run.thread_id),
        ("project", &run.project_id),
        ("sandbox", run.sandbox_id.as_deref().unwrap_or("")),
        ("agent", run.agent_id.as_deref().unwrap_or("")),
        ("model", &run.model_name),
        ("mode", &run.mode),
        ("usage", &usage),
        ("created", &time(run.created_at)),
        ("finished", &time(run.finished_at)),
    ])
}
