//! Tasks for agents, and the runs that execute the tasks.

use std::path::{Path, PathBuf};

use super::{Client, Watch};
use crate::{
    error::{Code, Result},
    v1::{File, Run, RunEvent, StartRunRequest, StartRunResponse},
};

/// A prompt and files for an agent, not yet sent. Created by [`Client::task`].
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

    /// Adds a local file, which [`Task::start`] uploads.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Continues this thread instead of starting a new one.
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

    /// Selects the chat mode, in which the agent has no tools.
    pub fn chat(mut self) -> Self {
        "chat".clone_into(&mut self.request.mode);
        self
    }

    /// Calls `change` with the request, to set other fields.
    pub fn with(mut self, change: impl FnOnce(&mut StartRunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Uploads the files and starts the run.
    ///
    /// # Errors
    /// INVALID_REQUEST if a file cannot be read; otherwise the server's error, or UNAVAILABLE if the server cannot be
    /// reached.
    pub async fn start(mut self) -> Result<Running> {
        for path in &self.files {
            self.request.files.push(self.client.upload(path).await?.upload_id);
        }
        let started = self.client.start_run(self.request).await?;
        Ok(Running::new(self.client, started, 0))
    }
}

/// A started run. Dropping this value does not stop the run. [`Client::attach`] creates a new handle on the run.
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

    /// Returns the UUID of the run's thread, which [`Task::thread`] can continue.
    pub fn thread_id(&self) -> &str {
        &self.started.thread_id
    }

    /// Returns the UUID of the run's project.
    pub fn project_id(&self) -> &str {
        &self.started.project_id
    }

    /// Returns the sequence number of the last received event. [`Client::attach`] can continue after this event.
    pub fn cursor(&self) -> i64 {
        self.watch.cursor()
    }

    /// Returns the next event; `None` after the run's last event. Reconnects after failures. A dropped future loses
    /// no event.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if all attempts to reconnect fail.
    pub async fn next(&mut self) -> Result<Option<RunEvent>> {
        self.watch.next().await
    }

    /// Waits for the end of the run and returns the run. A failed run is also `Ok`; its `status` and `error` describe
    /// the failure.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if all attempts to reconnect fail.
    pub async fn wait(&mut self) -> Result<Run> {
        while self.watch.next().await?.is_some() {}
        self.client.load_run(&self.started.agent_run_id).await
    }

    /// Asks the run to stop. The run has stopped when its last event arrives.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn stop(&self) -> Result<Run> {
        self.client.stop_run(&self.started.agent_run_id).await
    }

    /// Lists all files and folders in a workspace folder and its subfolders, ordered by path. The list is empty if
    /// the folder does not exist. Agents write results to the folder `output`.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn files(&self, folder: &str) -> Result<Vec<File>> {
        let Some(sandbox_id) = self.sandbox_id().await? else {
            return Ok(Vec::new());
        };
        match self.client.list_files(&sandbox_id, folder).await {
            Err(error) if error.code() == Code::FileNotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Downloads a workspace file and returns its size in bytes. A failed download leaves an existing local file
    /// unchanged.
    ///
    /// # Errors
    /// INVALID_REQUEST if the local path cannot be written; otherwise the server's error, or UNAVAILABLE if the server
    /// cannot be reached.
    pub async fn download(&self, path: &str, to: impl AsRef<Path>) -> Result<u64> {
        let sandbox_id = self.sandbox_id().await?.unwrap_or_default();
        self.client.download(&sandbox_id, path, to.as_ref()).await
    }

    /// Returns the UUID of the run's sandbox; `None` until the server has created the sandbox.
    ///
    /// # Errors
    /// The server's error, or UNAVAILABLE if the server cannot be reached.
    pub async fn sandbox_id(&self) -> Result<Option<String>> {
        if self.started.sandbox_id.is_some() {
            return Ok(self.started.sandbox_id.clone());
        }
        Ok(self.client.load_project(&self.started.project_id).await?.sandbox_id)
    }
}
