//! The background processes of a run: commands that keep running between the calls of the model.
//!
//! `bash` starts them, `bash_output` reads their output, and `bash_kill` ends them. Each process runs in the run's
//! sandbox with the limits of a command. The main loop (`turn`) calls [`Background::close`] before the run ends.
//! Invariants: no process outlives its run, and each process keeps up to [`MAX_UNREAD_BYTES`] of unread output.

use std::{
    collections::HashMap,
    io, mem,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use runyard_sandbox::{Command, CommandEnd, RecentOutput, Sandbox, Spawned};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{ToolFailure, files};
use crate::{
    history::INTERRUPTED,
    llm::{ChatMessage, ToolRequest},
};

/// Maximum size in bytes of the output of a background process that the model has not read. Older output is dropped.
pub const MAX_UNREAD_BYTES: usize = 64 << 10;
/// Maximum number of processes whose output is kept. The sandbox limits the number of running processes to less.
const MAX_KEPT: usize = 16;
/// Time that [`Background::close`] waits for all processes to end.
const CLOSE: Duration = Duration::from_secs(12);
/// Time to read the rest of the output after the process has ended.
const DRAIN: Duration = Duration::from_secs(2);
/// Start of each script. It sends the standard error to the standard output, so that their order is kept.
const MERGE: &str = "exec 2>&1; ";
/// Maximum size of the command of a background process in bytes.
pub(super) const MAX_COMMAND_BYTES: usize = runyard_sandbox::MAX_SCRIPT_BYTES - MERGE.len();
/// Text before the id of a process in the result of the call that started it.
pub(super) const STARTED: &str = "[started ";
/// Text before the end of a process in a result.
pub(super) const ENDED: &str = "[ended: ";
/// Note for the model after another worker has resumed the run.
pub(crate) const RESUMED: &str = "This run was resumed after an interruption. The background processes that you started have \
                                  ended. Start them again if you still need them.";

/// Receives a sentence for the user. The callback must not block.
pub type Reporter = Arc<dyn Fn(String) + Send + Sync>;

/// The background processes of one run. Dropping this value ends them.
pub struct Background {
    started: Mutex<Started>,
    /// Time when the run ends.
    deadline: Instant,
    report: Reporter,
    is_closing: Arc<AtomicBool>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The processes that are running or whose output is kept, oldest first.
#[derive(Default)]
struct Started {
    /// Number of processes that the thread has started, including those of earlier runs.
    count: usize,
    processes: Vec<Arc<Process>>,
}

/// One background process.
pub(super) struct Process {
    pub(super) id: String,
    pub(super) started_at: Instant,
    pub(super) state: watch::Sender<State>,
    pub(super) stop: CancellationToken,
}

pub(super) struct State {
    pub(super) output: RecentOutput,
    /// Describes how the process ended; `None` while it runs.
    pub(super) end: Option<String>,
}

impl Background {
    /// Creates the processes of a run that ends at `deadline`. `started_before` is the number of background processes
    /// that the thread has started earlier, so that ids are unique in the thread. `report` is told when a process ends.
    pub fn new(deadline: Instant, started_before: usize, report: Reporter) -> Self {
        Self {
            started: Mutex::new(Started {
                count: started_before,
                processes: Vec::new(),
            }),
            deadline,
            report,
            is_closing: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Started) -> T) -> T {
        use_it(&mut self.started.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a process and returns its id. Without a time limit, the process can run until the run ends.
    pub(super) async fn start(
        &self,
        sandbox: &dyn Sandbox,
        command: &str,
        time_limit: Option<Duration>,
    ) -> Result<String, ToolFailure> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let command = Command {
            script: format!("{MERGE}{command}"),
            timeout: time_limit.unwrap_or(left).min(left),
        };
        let spawned = sandbox
            .spawn(command)
            .await
            .map_err(|error| files::told("bash", &error))?;
        let process = self.with(|started| {
            started.count += 1;
            let process = Arc::new(Process {
                id: format!("bash_{}", started.count),
                started_at: Instant::now(),
                state: watch::Sender::new(State {
                    output: RecentOutput::new(MAX_UNREAD_BYTES),
                    end: None,
                }),
                stop: self.stop.child_token(),
            });
            if started.processes.len() >= MAX_KEPT
                && let Some(oldest) = started.processes.iter().position(|process| process.has_ended())
            {
                started.processes.remove(oldest);
            }
            started.processes.push(Arc::clone(&process));
            process
        });
        let id = process.id.clone();
        let (report, is_closing) = (Arc::clone(&self.report), Arc::clone(&self.is_closing));
        self.tasks.spawn(async move {
            let end = attend(&process, spawned).await;
            if !is_closing.load(Ordering::Relaxed) {
                report(format!("The background process {} has ended: {end}.", process.id));
            }
            process.state.send_modify(|state| state.end = Some(end));
        });
        Ok(id)
    }

    /// Returns the process with this id.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Process>, ToolFailure> {
        let ids = self.with(
            |started| match started.processes.iter().find(|process| process.id == id) {
                Some(process) => Ok(Arc::clone(process)),
                None => Err(started
                    .processes
                    .iter()
                    .map(|process| process.id.clone())
                    .collect::<Vec<_>>()),
            },
        );
        ids.map_err(|ids| {
            let those = if ids.is_empty() {
                "none".to_owned()
            } else {
                ids.join(", ")
            };
            ToolFailure::Reported(format!(
                "there is no background process {id:?}; the background processes of this run are: {those}. Background \
                 processes end when their run ends or is interrupted"
            ))
        })
    }

    /// Ends all processes, waits until they have ended, and reports which ones were still running.
    pub(crate) async fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        let running: Vec<String> = self.with(|started| {
            let running = started.processes.iter().filter(|process| !process.has_ended());
            running.map(|process| process.id.clone()).collect()
        });
        self.stop.cancel();
        self.tasks.close();
        if timeout(CLOSE, self.tasks.wait()).await.is_err() {
            tracing::error!("the background processes of a run have not ended in time");
        }
        if !running.is_empty() {
            (self.report)(format!(
                "The run ended, so these background processes were ended too: {}.",
                running.join(", ")
            ));
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.stop.cancel();
    }
}

impl Process {
    pub(super) fn has_ended(&self) -> bool {
        self.state.borrow().end.is_some()
    }

    /// Returns the unread output, how much of it was dropped, and how the process ended.
    pub(super) fn read(&self) -> (String, u64, Option<String>) {
        let mut read = (String::new(), 0, None);
        self.state.send_if_modified(|state| {
            let (text, dropped) = state.output.take();
            read = (text, dropped, state.end.clone());
            false
        });
        read
    }
}

/// Reads the output of a process until the process ends. Returns a description of the end.
async fn attend(process: &Arc<Process>, mut spawned: Spawned) -> String {
    let stdout = mem::replace(&mut spawned.stdout, Box::new(tokio::io::empty()));
    let mut reading = tokio::spawn(read(stdout, Arc::clone(process)));
    let ended = spawned.close_or_stop(&process.stop).await;
    if timeout(DRAIN, &mut reading).await.is_err() {
        reading.abort();
    }
    match ended {
        Ok(execution) => {
            // The script's own errors come with the output. Other remarks come from the sandbox or the shell.
            process
                .state
                .send_modify(|state| state.output.push(execution.text.as_bytes()));
            match execution.ending {
                CommandEnd::Exited(0) => "exit status 0".to_owned(),
                CommandEnd::Cancelled => "killed".to_owned(),
                ending => ending.describe().unwrap_or_default(),
            }
        }
        Err(error) => {
            tracing::warn!(%error, "a background process was lost");
            error.message().to_owned()
        }
    }
}

async fn read(mut stdout: Box<dyn AsyncRead + Send + Unpin>, process: Arc<Process>) -> io::Result<()> {
    let mut chunk = vec![0; 16 << 10];
    loop {
        let count = stdout.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        process.state.send_modify(|state| state.output.push(&chunk[..count]));
    }
}

/// Counts the background processes that the calls in `messages` have started.
pub(crate) fn started_in(messages: &[ChatMessage]) -> usize {
    let calls = messages.iter().filter_map(|message| match message {
        ChatMessage::Assistant { tool_calls, .. } => Some(tool_calls),
        ChatMessage::User { .. } | ChatMessage::Tool { .. } => None,
    });
    calls.flatten().filter(|call| starts(call)).count()
}

fn starts(call: &ToolRequest) -> bool {
    let is_background = |arguments: &str| {
        let arguments = serde_json::from_str::<Value>(arguments).unwrap_or_default();
        arguments.get("background").and_then(Value::as_bool).unwrap_or_default()
    };
    call.name == super::bash::NAME && is_background(&call.arguments)
}

/// Returns whether the calls in `messages` have started a background process whose end no result shows.
pub(crate) fn has_running(messages: &[ChatMessage]) -> bool {
    // Each call that may have started a process, with the id of the process from its result.
    let mut started: HashMap<&str, Option<&str>> = HashMap::new();
    let mut asked: HashMap<&str, String> = HashMap::new();
    for message in messages {
        match message {
            ChatMessage::User { .. } => {}
            ChatMessage::Assistant { tool_calls, .. } => {
                for call in tool_calls {
                    if starts(call) {
                        started.insert(&call.id, None);
                    } else if matches!(call.name.as_str(), "bash_output" | "bash_kill") {
                        let arguments = serde_json::from_str::<Value>(&call.arguments).unwrap_or_default();
                        let id = arguments.get("id").and_then(Value::as_str).unwrap_or_default();
                        asked.insert(&call.id, id.to_owned());
                    }
                }
            }
            ChatMessage::Tool { tool_call_id, text, .. } => {
                let call_id = tool_call_id.as_str();
                if let Some(process) = started.get_mut(call_id) {
                    *process = started_id(text);
                    if process.is_none() && text != INTERRUPTED {
                        started.remove(call_id);
                    }
                }
                if let Some(id) = asked
                    .get(call_id)
                    .filter(|_| text.trim_end().ends_with(']') && text.contains(ENDED))
                {
                    started.retain(|_, process| *process != Some(id.as_str()));
                }
            }
        }
    }
    !started.is_empty()
}

fn started_id(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(STARTED)?;
    rest.split_whitespace().next()
}
