//! One MCP server of a run: its settings, its cached list of tools and its connection. The connection is opened on
//! first use, and reopened after it breaks. While one call opens it, other calls wait.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use runyard_mcp::{Address, Connection, Continuation, Outcome, Rendered, ToolList};
use secrecy::SecretString;
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::{lists::Key, process};
use crate::{
    account_secrets::fill,
    agents::mcp::{Server, Transport, headers},
    app::App,
    engine::SandboxSource,
    sandbox::Spawned,
    secrets::references::redact,
    tools::OutputSink,
};

/// The sandbox in which stdio servers run.
#[derive(Clone)]
pub enum Place {
    /// The sandbox of the run's project.
    Project(Arc<dyn SandboxSource>),
    /// A sandbox with an empty workspace.
    Empty,
}

pub(super) struct Remote {
    app: App,
    account_id: Uuid,
    /// `None` if the list of tools must not be cached.
    key: Option<Key>,
    server: Server,
    place: Place,
    /// True if no run has used the connection.
    is_ahead_of_runs: bool,
    line: Mutex<Option<Arc<Line>>>,
    /// True after the server has asked the user on an open connection.
    has_declined: AtomicBool,
}

pub(super) struct Called {
    pub(super) outcome: Outcome,
    /// True if this is the first call of the run in which a question of the server was declined.
    pub(super) declines: bool,
}

impl Called {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            declines: false,
        }
    }
}

/// An open connection and, for a stdio server, its process. Dropping the process kills it.
pub(super) struct Line {
    pub(super) connection: Connection,
    // The mutex is never locked. It makes the process `Sync`, so that tasks can share this value.
    process: Option<std::sync::Mutex<Spawned>>,
    /// The secrets of the account that were sent to the server. They are removed from its answers.
    secrets: Vec<SecretString>,
}

impl Line {
    fn redacted(&self, outcome: Outcome) -> Outcome {
        if self.secrets.is_empty() {
            return outcome;
        }
        let hidden = |mut rendered: Rendered| {
            rendered.text = redact(&rendered.text, &self.secrets);
            rendered
        };
        match outcome {
            Outcome::Answered(rendered) => Outcome::Answered(hidden(rendered)),
            Outcome::Reported(rendered) => Outcome::Reported(hidden(rendered)),
            Outcome::Unknown(why) => Outcome::Unknown(redact(&why, &self.secrets)),
            Outcome::NotStarted(why) => Outcome::NotStarted(redact(&why, &self.secrets)),
            Outcome::Unanswerable(why) => Outcome::Unanswerable(redact(&why, &self.secrets)),
            // The state goes back to the server unchanged.
            Outcome::Asked(mut asked) => {
                for question in &mut asked.questions {
                    question.message = redact(&question.message, &self.secrets);
                    let schema = redact(&question.schema.to_string(), &self.secrets);
                    question.schema = serde_json::from_str(&schema).unwrap_or_default();
                }
                Outcome::Asked(asked)
            }
        }
    }
}

impl Remote {
    /// Without `version_id`, the list of tools is not cached.
    pub(super) fn new(app: &App, account_id: Uuid, version_id: Option<Uuid>, server: Server, place: Place) -> Self {
        Self {
            app: app.clone(),
            account_id,
            key: version_id.map(|version_id| (version_id, server.name.clone())),
            server,
            place,
            is_ahead_of_runs: false,
            line: Mutex::default(),
            has_declined: AtomicBool::new(false),
        }
    }

    /// Uses this server for a run that may start later. The run gets the connection.
    pub(super) fn ahead_of_runs(mut self) -> Self {
        self.is_ahead_of_runs = true;
        self
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Returns the list of tools, from the cache if possible. The error is a text for the owner of the agent.
    pub(super) async fn tools(&self) -> Result<Arc<ToolList>, String> {
        let lists = &self.app.mcp.lists;
        if let Some(key) = &self.key
            && let Some(list) = lists.find(key, self.app.clock.now()).await
        {
            return Ok(list);
        }
        if let Some(key) = &self.key
            && let Some(list) = self.app.mcp.ahead.join(key).await
        {
            return Ok(list);
        }
        self.list().await
    }

    /// Lists the tools and caches the list.
    pub(super) async fn list(&self) -> Result<Arc<ToolList>, String> {
        let mut line = self.line().await?;
        let mut list = line.connection.list_tools().await;
        // The server may have changed its revision since it was negotiated. Listing has no effect, so it is repeated.
        if list.is_err() && self.forget_revision().await {
            line = self.line().await?;
            list = line.connection.list_tools().await;
        }
        let failed = |error| redact(&format!("its tools cannot be listed: {error}"), &line.secrets);
        let list = Arc::new(list.map_err(failed)?);
        if let Some(key) = &self.key {
            self.app.mcp.lists.keep(key, &list, self.app.clock.now()).await;
        }
        Ok(list)
    }

    pub(super) async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        output: &OutputSink,
        cancel: &CancellationToken,
        continuation: Continuation,
    ) -> Called {
        let line = tokio::select! {
            line = self.line() => line,
            () = cancel.cancelled() => Err("the call was cancelled".to_owned()),
        };
        let line = match line {
            Ok(line) => line,
            // The server has started the tool before its questions.
            Err(why) if continuation.round > 0 => return Called::of(Outcome::Unknown(why)),
            Err(why) => return Called::of(Outcome::NotStarted(why)),
        };
        let outcome = line
            .connection
            .call(
                tool,
                arguments,
                &|text| output(redact(&text, &line.secrets)),
                cancel,
                continuation,
            )
            .await;
        let outcome = line.redacted(outcome);
        let declines = line.connection.take_declined() && !self.has_declined.swap(true, Ordering::Relaxed);
        if let Some(key) = &self.key
            && line.connection.tools_changed()
        {
            self.app.mcp.lists.forget(key).await;
        }
        if matches!(outcome, Outcome::NotStarted(_) | Outcome::Unknown(_)) {
            line.connection.forget_revision();
        }
        Called { outcome, declines }
    }

    /// Closes the connection and forgets the revision of its server, if the connection relied on an earlier negotiation.
    async fn forget_revision(&self) -> bool {
        let mut slot = self.line.lock().await;
        let has_relied = slot.as_ref().is_some_and(|line| line.connection.forget_revision());
        if has_relied {
            *slot = None;
        }
        has_relied
    }

    async fn line(&self) -> Result<Arc<Line>, String> {
        let mut slot = self.line.lock().await;
        if let Some(line) = &*slot
            && line.connection.is_usable()
        {
            return Ok(Arc::clone(line));
        }
        // End the previous process before another one starts.
        *slot = None;
        let idle = |key| self.app.mcp.idle.take(key, self.app.clock.now());
        let line = match self.key.as_ref().and_then(idle) {
            Some(line) => line,
            None => Arc::new(match self.server.transport {
                Transport::Http | Transport::Sse => self.over_http().await?,
                Transport::Stdio => self.over_stdio().await?,
            }),
        };
        *slot = Some(Arc::clone(&line));
        Ok(line)
    }

    async fn over_http(&self) -> Result<Line, String> {
        let headers = headers::opened(&self.app.secrets, self.account_id, &self.server);
        let lost = |name| format!("the value of the header {name} cannot be decrypted; save it again");
        let url = Url::parse(&self.server.url).map_err(|error| error.to_string())?;
        let (mut filled, mut secrets) = (Vec::new(), Vec::new());
        for (name, value) in headers.map_err(lost)? {
            let value = fill(&self.app, self.account_id, url.host_str().unwrap_or_default(), &value).await?;
            filled.push((name, value.text));
            secrets.extend(value.values);
        }
        let address = Address {
            url: self.server.url.clone(),
            headers: filled,
            may_be_sse: self.server.transport == Transport::Sse,
        };
        let mcp = &self.app.mcp;
        let connection = Connection::http(&mcp.http, &address, &mcp.limits).await;
        Ok(Line {
            connection: connection.map_err(|error| redact(&error.to_string(), &secrets))?,
            process: None,
            secrets,
        })
    }

    async fn over_stdio(&self) -> Result<Line, String> {
        let command = process::command(&self.server);
        let started = match &self.place {
            Place::Project(source) => {
                let sandbox = source.open().await.map_err(|error| error.message().to_owned())?;
                sandbox.spawn(command).await
            }
            Place::Empty => self.app.sandboxes.spawn_without_project(command).await,
        };
        let mut process = started.map_err(|error| error.message().to_owned())?;
        let stdin = mem::replace(&mut process.stdin, Box::new(tokio::io::sink()));
        let stdout = mem::replace(&mut process.stdout, Box::new(tokio::io::empty()));
        match Connection::stdio(stdin, stdout, &self.app.mcp.limits).await {
            Ok(connection) => Ok(Line {
                connection,
                process: Some(process.into()),
                secrets: Vec::new(),
            }),
            Err(error) => Err(process::explained(&error, process.stop().await.ok().as_ref())),
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // A connection with secrets does not wait for the next run, because their values can change.
        let line = self.line.get_mut().take();
        let line = line.filter(|line| line.process.is_none() && line.secrets.is_empty());
        if let (Some(key), Some(line)) = (&self.key, line) {
            let may_have_session = self.is_ahead_of_runs;
            self.app
                .mcp
                .idle
                .keep(key, line, may_have_session, self.app.clock.now());
        }
    }
}
