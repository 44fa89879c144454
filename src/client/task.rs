//! A task for an agent: what it says, what it brings along, and then its run.

use std::path::{Path, PathBuf};

use super::{Client, Watch};
use crate::{
    error::{Code, Result},
    v1::{File, Run, RunEvent, StartRunRequest, StartRunResponse},
};

/// A task that is not started yet; [`Client::task`] makes one.
#[derive(Clone, Debug)]
#[must_use = "a task does nothing until it is started"]
pub struct Task {
    client: Client,
    request: StartRunRequest,
    files: Vec<PathBuf>,
}

impl Task {
    pub(super) fn new(client: Client, prompt: String) -> Self {
        let request = StartRunRequest {
            prompt: Some(prompt),
            ..StartRunRequest::default()
        };
        Self {
            client,
            request,
            files: Vec::new(),
        }
    }

    /// Gives the agent a file; may be called again.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Goes on in this thread, instead of a new one.
    pub fn thread(mut self, thread_id: impl Into<String>) -> Self {
        self.request.thread_id = thread_id.into();
        self
    }

    /// Works for this agent, instead of the default one.
    pub fn agent(mut self, agent_id: impl Into<String>) -> Self {
        self.request.agent_id = agent_id.into();
        self
    }

    /// Uses this model, instead of the agent's.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.request.model_name = name.into();
        self
    }

    /// Only talks: the agent gets no tools.
    pub fn chat(mut self) -> Self {
        "chat".clone_into(&mut self.request.mode);
        self
    }

    /// Changes anything else about the request.
    pub fn with(mut self, change: impl FnOnce(&mut StartRunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Sends the files and starts the run.
    ///
    /// # Errors
    /// INVALID_REQUEST for a file that cannot be read, what the server answers, and UNAVAILABLE.
    pub async fn start(mut self) -> Result<Running> {
        for path in &self.files {
            self.request.files.push(self.client.upload(path).await?.upload_id);
        }
        let started = self.client.start_run(self.request).await?;
        Ok(Running::new(self.client, started, 0))
    }
}

/// A run that was started, and its events from a cursor on.
///
/// Dropping it leaves the run alone: it goes on, and [`Client::attach`] finds it again.
#[derive(Debug)]
pub struct Running {
    client: Client,
    started: StartRunResponse,
    watch: Watch,
}

impl Running {
    pub(super) fn new(client: Client, started: StartRunResponse, after_sequence: i64) -> Self {
        let watch = client.watch_run(&started.agent_run_id, after_sequence);
        Self { client, started, watch }
    }

    /// The run's UUID.
    pub fn agent_run_id(&self) -> &str {
        &self.started.agent_run_id
    }

    /// The thread's UUID, for [`Task::thread`].
    pub fn thread_id(&self) -> &str {
        &self.started.thread_id
    }

    /// The project's UUID.
    pub fn project_id(&self) -> &str {
        &self.started.project_id
    }

    /// The sequence of the last event that was handed out.
    pub fn cursor(&self) -> i64 {
        self.watch.cursor()
    }

    /// The next event, across broken connections and restarts of the server; `None` after the last one. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE when it stays away.
    pub async fn next(&mut self) -> Result<Option<RunEvent>> {
        self.watch.next().await
    }

    /// Waits for the end and returns the run as it is then. A run that failed is no error here: `status` and `error` say so.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE when it stays away.
    pub async fn wait(&mut self) -> Result<Run> {
        while self.watch.next().await?.is_some() {}
        self.client.load_run(&self.started.agent_run_id).await
    }

    /// Asks the run to stop; its last event says when it has.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn stop(&self) -> Result<Run> {
        self.client.stop_run(&self.started.agent_run_id).await
    }

    /// The files and folders below a folder of the workspace, ordered by path; `output` is where agents put what they make.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn files(&self, folder: &str) -> Result<Vec<File>> {
        let Some(sandbox_id) = self.sandbox_id().await? else {
            return Ok(Vec::new());
        };
        match self.client.list_files(&sandbox_id, folder).await {
            // It was never made.
            Err(error) if error.code() == Code::FileNotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Saves a file of the workspace here, whole or not at all, and returns its size in bytes.
    ///
    /// # Errors
    /// INVALID_REQUEST when the path cannot be written, and what the server answers.
    pub async fn download(&self, path: &str, to: impl AsRef<Path>) -> Result<u64> {
        let sandbox_id = self.sandbox_id().await?.unwrap_or_default();
        self.client.download(&sandbox_id, path, to.as_ref()).await
    }

    /// The sandbox's UUID; none as long as nothing has needed one. It may be made after the run was started.
    ///
    /// # Errors
    /// What the server answers, and UNAVAILABLE.
    pub async fn sandbox_id(&self) -> Result<Option<String>> {
        if self.started.sandbox_id.is_some() {
            return Ok(self.started.sandbox_id.clone());
        }
        Ok(self.client.load_project(&self.started.project_id).await?.sandbox_id)
    }
}
