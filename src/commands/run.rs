//! `runyard run`: starts a run, shows its events live and downloads its files.

mod files;
mod view;

use std::path::PathBuf;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Outcome,
    connection::Connection,
    output::{complain, size},
    settings::Settings,
};
use runyard_client::Client;

use crate::{
    error::{Error, Result},
    llm::ReasoningEffort,
    v1::{RunStatus, StartRunRequest, StartRunResponse, run_event::Event},
};
use view::View;

/// Start a run, watch it live and list the files it creates.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// The task for the agent.
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    prompt: String,
    /// File to give to the agent; may be repeated.
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Agent to use [default: your default agent].
    #[arg(long, value_name = "ID")]
    agent: Option<String>,
    /// Thread to continue [default: a new thread].
    #[arg(long, value_name = "ID")]
    thread: Option<String>,
    /// Model to use [default: the agent's model].
    #[arg(long)]
    model: Option<String>,
    /// Mode of the run, such as code, chat or plan [default: code]. With an unknown name, the error lists the server's
    /// modes.
    #[arg(long, value_name = "NAME")]
    mode: Option<String>,
    /// Reasoning effort of the model [default: the effort that the model is configured with].
    #[arg(long, value_name = "EFFORT", value_parser = ReasoningEffort::ALL.map(ReasoningEffort::as_str))]
    reasoning_effort: Option<String>,
    /// Whether the run uses memory [default: the agent's setting].
    #[arg(long, value_name = "BOOL")]
    memory: Option<bool>,
    /// Save the files that the run creates to this folder.
    #[arg(long, value_name = "DIR")]
    download: Option<PathBuf>,
    /// Print each event as a JSON line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Run {
    pub(super) async fn execute(self, settings: &Settings) -> Result<Outcome> {
        for file in &self.files {
            if !file.is_file() {
                return Err(Error::invalid(format!("there is no file {}", file.display())));
            }
        }
        let connected = self.connection.open(settings).await?;
        connected.explain(self.start(&connected.client).await)
    }

    async fn start(&self, client: &Client) -> Result<Outcome> {
        let mut view = if self.json { View::json()? } else { View::people() };
        let files = self.upload(client, &mut view).await?;
        // Install the signal handler before the run exists, so that Ctrl-C always stops the run.
        let mut interrupts = signal(SignalKind::interrupt())
            .map_err(|error| Error::internal("cannot install a signal handler", error))?;
        let run = client.start_run(self.request(files)).await?;
        view.started(client.server(), &run)?;
        let status = watch(client, &run, &mut view, &mut interrupts).await?;
        if self.mode.as_deref() != Some("chat") {
            files::take_away(client, &run, self.download.as_deref(), &mut view).await?;
        }
        Ok(match status {
            RunStatus::Completed => Outcome::Success,
            RunStatus::Stopped => Outcome::Interrupted,
            RunStatus::Failed | RunStatus::Running | RunStatus::Waiting | RunStatus::Unspecified => Outcome::Failure,
        })
    }

    async fn upload(&self, client: &Client, view: &mut View) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for file in &self.files {
            view.waiting(&format!("sending {}", file.display()));
            let upload = client.upload(file).await?;
            view.say(&format!("sent {} ({})", file.display(), size(upload.size)))?;
            ids.push(upload.upload_id);
        }
        Ok(ids)
    }

    fn request(&self, files: Vec<String>) -> StartRunRequest {
        StartRunRequest {
            prompt: Some(self.prompt.clone()),
            thread_id: self.thread.clone().unwrap_or_default(),
            agent_id: self.agent.clone().unwrap_or_default(),
            model_name: self.model.clone().unwrap_or_default(),
            mode: self.mode.clone().unwrap_or_default(),
            memory_enabled: self.memory,
            reasoning_effort: self.reasoning_effort.clone().unwrap_or_default(),
            files,
            ..StartRunRequest::default()
        }
    }
}

/// Shows events as they arrive. The first Ctrl-C stops the run, the second exits.
async fn watch(client: &Client, run: &StartRunResponse, view: &mut View, interrupts: &mut Signal) -> Result<RunStatus> {
    let mut watch = client.watch_run(&run.agent_run_id, 0);
    let mut ended = RunStatus::Unspecified;
    let mut stopping = false;
    loop {
        tokio::select! {
            event = watch.next() => match event? {
                None => return Ok(ended),
                Some(event) => {
                    if let Some(Event::Status(changed)) = &event.event {
                        ended = changed.status();
                    }
                    view.show(&event)?;
                }
            },
            _ = interrupts.recv() => {
                if stopping {
                    view.quiet();
                    complain("exited before the server confirmed the stop; the run may still be active");
                    return Ok(RunStatus::Stopped);
                }
                stopping = true;
                view.say("stopping the run; press Ctrl-C again to exit immediately")?;
                client.stop_run(&run.agent_run_id).await?;
            }
        }
    }
}
