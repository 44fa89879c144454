//! A task for an agent, with its prompt and its files, and the run that executes the task.

use std::path::{Path, PathBuf};

use super::{Client, Watch};
use crate::{
    error::{Code, Result},
    v1::{File, Run, RunEvent, StartRunRequest, StartRunResponse},
};

/// A task that has not been started. [`Client::task`] creates it.
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

    /// Adds a file for the agent. Call this function once for each file.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Continues this thread instead of starting a new thread.
    pub fn thread(mut self, thread_id: impl Into<String>) -> Self {
        self.request.thread_id = thread_id.into();
        self
    }

    /// Uses this agent instead of the default agent.
    pub fn agent(mut self, agent_id: impl Into<String>) -> Self {
        self.request.agent_id = agent_id.into();
        self
    }

    /// Uses this model instead of the agent's model.
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.request.model_name = name.into();
        self
    }

    /// Disables tools: the agent can only chat.
    pub fn chat(mut self) -> Self {
        "chat".clone_into(&mut self.request.mode);
        self
    }

    /// Changes any other field of the request.
    pub fn with(mut self, change: impl FnOnce(&mut StartRunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Uploads the files and starts the run.
    ///
    /// # Errors
    /// INVALID_REQUEST for a file that cannot be read, the server's error, or UNAVAILABLE.
    pub async fn start(mut self) -> Result<Running> {
        for path in &self.files {
            self.request.files.push(self.client.upload(path).await?.upload_id);
        }
        let started = self.client.start_run(self.request).await?;
        Ok(Running::new(self.client, started, 0))
    }
}

/// A started run, and its events after a cursor.
///
/// Dropping this value does not stop the run. [`Client::attach`] creates a new value for the same run.
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

    /// Returns the UUID of the run.
    pub fn agent_run_id(&self) -> &str {
        &self.started.agent_run_id
    }

    /// Returns the UUID of the thread, which you can pass to [`Task::thread`].
    pub fn thread_id(&self) -> &str {
        &self.started.thread_id
    }

    /// Returns the UUID of the project.
    pub fn project_id(&self) -> &str {
        &self.started.project_id
    }

    /// Returns the sequence number of the last event that [`Running::next`] returned.
    pub fn cursor(&self) -> i64 {
        self.watch.cursor()
    }

    /// Returns the next event, or `None` after the last event. This function reconnects after a broken connection or a
    /// server restart. Dropping the future loses no event.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if reconnecting keeps failing.
    pub async fn next(&mut self) -> Result<Option<RunEvent>> {
        self.watch.next().await
    }

    /// Waits for the end of the run and returns the run. A failed run is not an error of this function: the run's
    /// `status` and `error` report the failure.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if reconnecting keeps failing.
    pub async fn wait(&mut self) -> Result<Run> {
        while self.watch.next().await?.is_some() {}
        self.client.load_run(&self.started.agent_run_id).await
    }

    /// Asks the server to stop the run. The last event of the run confirms the stop.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE.
    pub async fn stop(&self) -> Result<Run> {
        self.client.stop_run(&self.started.agent_run_id).await
    }

    /// Lists the files and folders below a folder of the workspace, ordered by path. Agents put their results in
    /// `output`.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE.
    pub async fn files(&self, folder: &str) -> Result<Vec<File>> {
        let Some(sandbox_id) = self.sandbox_id().await? else {
            return Ok(Vec::new());
        };
        match self.client.list_files(&sandbox_id, folder).await {
            // The folder does not exist.
            Err(error) if error.code() == Code::FileNotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Downloads a file of the workspace to a local path, and returns its size in bytes. If the download fails, the
    /// local path stays unchanged.
    ///
    /// # Errors
    /// INVALID_REQUEST if the local path cannot be written; otherwise the server's error, or UNAVAILABLE.
    pub async fn download(&self, path: &str, to: impl AsRef<Path>) -> Result<u64> {
        let sandbox_id = self.sandbox_id().await?.unwrap_or_default();
        self.client.download(&sandbox_id, path, to.as_ref()).await
    }

    /// Returns the UUID of the sandbox, or `None` if the server has not created the sandbox yet. The server may create
    /// the sandbox after the run has started.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE.
    pub async fn sandbox_id(&self) -> Result<Option<String>> {
        if self.started.sandbox_id.is_some() {
            return Ok(self.started.sandbox_id.clone());
        }
        Ok(self.client.load_project(&self.started.project_id).await?.sandbox_id)
    }
}
