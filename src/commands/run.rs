//! `runyard run`: starts a run, shows its events live and downloads its files.

mod files;
mod view;

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use prost_types::Struct;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    Outcome,
    agents::find_agent_id,
    connection::Connection,
    output::{complain, size},
    settings::Settings,
};
use runyard_client::Client;

use crate::{
    contract::structs,
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
    /// Id or name of the agent [default: your default agent].
    #[arg(long, value_name = "AGENT")]
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
    /// File with a JSON schema for the final answer. The command then prints the answer as JSON.
    #[arg(long, value_name = "FILE")]
    output_schema: Option<PathBuf>,
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
        let schema = self.output_schema.as_deref().map(read_schema).transpose()?;
        for file in &self.files {
            if !file.is_file() {
                return Err(Error::invalid(format!("there is no file {}", file.display())));
            }
        }
        let connected = self.connection.open(settings).await?;
        connected.explain(self.start(&connected.client, schema).await)
    }

    async fn start(&self, client: &Client, schema: Option<Struct>) -> Result<Outcome> {
        let mut view = match (self.json, &schema) {
            (true, _) => View::json()?,
            (false, Some(_)) => View::output(),
            (false, None) => View::people(),
        };
        let agent_id = match &self.agent {
            Some(agent) => find_agent_id(client, agent).await?,
            None => String::new(),
        };
        let files = self.upload(client, &mut view).await?;
        // Install the signal handler before the run exists, so that Ctrl-C always stops the run.
        let mut interrupts = signal(SignalKind::interrupt())
            .map_err(|error| Error::internal("cannot install a signal handler", error))?;
        let mut request = self.request(files, schema);
        request.agent_id = agent_id;
        let run = client.start_run(request).await?;
        view.started(client.server(), &run)?;
        let status = watch(client, &run, &mut view, &mut interrupts).await?;
        if self.mode.as_deref() != Some("chat") {
            files::take_away(client, &run, self.download.as_deref(), &mut view).await?;
        }
        Ok(outcome(status))
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

    fn request(&self, files: Vec<String>, output_schema: Option<Struct>) -> StartRunRequest {
        StartRunRequest {
            prompt: Some(self.prompt.clone()),
            thread_id: self.thread.clone().unwrap_or_default(),
            model_name: self.model.clone().unwrap_or_default(),
            mode: self.mode.clone().unwrap_or_default(),
            memory_enabled: self.memory,
            reasoning_effort: self.reasoning_effort.clone().unwrap_or_default(),
            files,
            output_schema,
            ..StartRunRequest::default()
        }
    }
}

/// Shows the events of an existing run until it ends. Ctrl-C ends the program and leaves the run as it is.
pub(super) async fn follow(client: &Client, run_id: &str, after: i64, json: bool) -> Result<Outcome> {
    let mut view = if json { View::json()? } else { View::people() };
    let mut watch = client.watch_run(run_id, after);
    let mut status = RunStatus::Unspecified;
    while let Some(event) = watch.next().await? {
        if let Some(Event::Status(changed)) = &event.event {
            status = changed.status();
        }
        view.show(&event)?;
    }
    // After the last event, the stream is empty. The run then knows its status.
    if status == RunStatus::Unspecified {
        status = client.load_run(run_id).await?.status();
    }
    Ok(outcome(status))
}

fn outcome(status: RunStatus) -> Outcome {
    match status {
        RunStatus::Completed => Outcome::Success,
        RunStatus::Stopped => Outcome::Interrupted,
        RunStatus::Failed | RunStatus::Running | RunStatus::Waiting | RunStatus::Unspecified => Outcome::Failure,
    }
}

/// Reads a JSON schema. The server checks whether it is valid.
fn read_schema(file: &Path) -> Result<Struct> {
    let text =
        fs::read_to_string(file).map_err(|error| Error::invalid(format!("cannot read {}: {error}", file.display())))?;
    structs::parse_object(&text)
        .ok_or_else(|| Error::invalid(format!("{} does not contain a JSON object", file.display())))
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
