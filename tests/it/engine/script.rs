//! The script of an engine test: the model's answers, the tools' behaviour, and a log of all actions.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, future::BoxFuture, stream};
use runyard::{
    config::{Config, VisionSettings},
    engine::{
        self, AddedMessage, Budget, Error, Job, ModelLimits, Outcome, Recorded, Result, Sink, StoredMessage,
        config::{StructuredOutput, Vision},
    },
    llm::{
        Carried, ChatMessage, EndReason, Llm, LlmError, ModelEvent, ModelRequest, ModelStream, TokenUsage, ToolRequest,
        ToolSpec,
    },
    sandbox::{Place, Sandboxes},
    tools::{self, Effect, Tool, ToolAnswer, ToolContext, ToolFailure, Toolbox},
    v1::{NoticeKind, run_event::Event},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub enum Say {
    Text(&'static str),
    LongText(String),
    Reason(&'static str),
    Call(&'static str, &'static str, String),
    Usage(u64, u64),
    Carry(Value),
    Retried(&'static str),
    Fail(LlmError),
    End(EndReason),
    Hang,
}

pub fn call(id: &'static str, name: &'static str, arguments: &Value) -> Say {
    Say::Call(id, name, arguments.to_string())
}

/// Returns a complete answer: the given events, then the usage and the end.
pub fn answer(pieces: Vec<Say>) -> Vec<Say> {
    pieces
        .into_iter()
        .chain([Say::Usage(10, 5), Say::End(EndReason::Done)])
        .collect()
}

pub fn text(text: &'static str) -> Vec<Say> {
    answer(vec![Say::Text(text)])
}

pub fn user(text: &str) -> ChatMessage {
    ChatMessage::user(text)
}

pub fn assistant(text: &str, calls: &[(&str, &str, &str)]) -> ChatMessage {
    let tool_calls = calls
        .iter()
        .map(|(id, name, arguments)| request(id, name, arguments))
        .collect();
    ChatMessage::Assistant {
        text: text.to_owned(),
        tool_calls,
        carried: None,
    }
}

/// Attaches provider data to an assistant message.
pub fn carrying(message: ChatMessage, value: Value) -> ChatMessage {
    let ChatMessage::Assistant { text, tool_calls, .. } = message else {
        panic!("only an answer carries a value: {message:?}")
    };
    ChatMessage::Assistant {
        text,
        tool_calls,
        carried: Some(carried(value)),
    }
}

fn carried(value: Value) -> Carried {
    Carried {
        provider: "default".to_owned(),
        family: "test".to_owned(),
        value,
    }
}

pub fn request(id: &str, name: &str, arguments: &str) -> ToolRequest {
    ToolRequest {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    }
}

pub fn result(id: &str, name: &str, text: &str) -> ChatMessage {
    ChatMessage::Tool {
        tool_call_id: id.to_owned(),
        name: name.to_owned(),
        text: text.to_owned(),
        images: Vec::new(),
        is_error: false,
    }
}

pub struct Script {
    turns: Mutex<VecDeque<Vec<Say>>>,
    pub sent: Mutex<Vec<ModelRequest>>,
}

#[async_trait]
impl Llm for Script {
    async fn stream(&self, request: ModelRequest) -> ModelStream {
        self.sent.lock().unwrap().push(request);
        let turn = self
            .turns
            .lock()
            .unwrap()
            .pop_front()
            .expect("the model received more requests than it has turns");
        let hangs = turn.iter().any(|piece| matches!(piece, Say::Hang));
        let pieces = turn.into_iter().filter_map(|piece| {
            Some(Ok(match piece {
                Say::Text(text) => ModelEvent::Text(text.to_owned()),
                Say::LongText(text) => ModelEvent::Text(text),
                Say::Reason(text) => ModelEvent::Reasoning(text.to_owned()),
                Say::Call(id, name, arguments) => ModelEvent::ToolCall(request_of(id, name, arguments)),
                Say::Usage(input, output) => ModelEvent::Usage(TokenUsage {
                    input,
                    output,
                    cached_input: 0,
                }),
                Say::Carry(value) => ModelEvent::Carried(carried(value)),
                Say::Retried(message) => ModelEvent::Retried {
                    message: message.to_owned(),
                },
                Say::Fail(error) => return Some(Err(error)),
                Say::End(reason) => ModelEvent::End(reason),
                Say::Hang => return None,
            }))
        });
        let pieces = stream::iter(pieces.collect::<Vec<_>>());
        if hangs {
            pieces.chain(stream::pending()).boxed()
        } else {
            pieces.boxed()
        }
    }

    /// The model `test/seeing` sees images; all other models do not.
    fn vision(&self, model: &str, mut over: VisionSettings) -> Vision {
        over.images = Some(model == "test/seeing");
        over.into()
    }

    fn structured_output(&self, model: &str) -> StructuredOutput {
        match model {
            "test/native" => StructuredOutput::Native,
            "test/native-without-tools" => StructuredOutput::NativeWithoutTools,
            _ => StructuredOutput::Prompt,
        }
    }
}

fn request_of(id: &str, name: &str, arguments: String) -> ToolRequest {
    ToolRequest {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
    }
}

/// A log of the run. It has one line for each call of the sink, and for each start and end of a tool call.
#[derive(Clone, Default)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    pub stored: Arc<Mutex<Vec<StoredMessage>>>,
    pub events: Arc<Mutex<Vec<Event>>>,
    /// Number, counted from 1, of the first `record` call that the sink refuses. The sink also refuses all later
    /// calls. `None` if the sink refuses no call.
    pub refuse_from: Arc<Mutex<Option<usize>>>,
    /// The results of the next reservations: a number of output tokens, or an error. If the queue is empty,
    /// reservations are unlimited.
    pub affordable: Arc<Mutex<VecDeque<Result<u32>>>>,
    /// Messages that the next call of `added` returns.
    pub added: Arc<Mutex<Vec<AddedMessage>>>,
    /// Messages that arrive directly after the next final answer.
    pub late: Arc<Mutex<Vec<AddedMessage>>>,
    records: Arc<Mutex<usize>>,
    changed: Arc<tokio::sync::Notify>,
}

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    pub fn add(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
        self.changed.notify_waiters();
    }

    pub fn has(&self, part: &str) -> bool {
        self.lines().iter().any(|line| line.contains(part))
    }

    pub async fn wait_for(&self, part: &str) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if self.has(part) {
                    return;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        assert!(waited.is_ok(), "no line contains {part}; the log: {:#?}", self.lines());
    }
}

#[async_trait]
impl Sink for Log {
    fn say(&self, event: Event) {
        self.add(format!("say {}", show(&event)));
        self.events.lock().unwrap().push(event);
    }

    fn leave(&self, events: Vec<Recorded>) {
        let shown: Vec<String> = events.iter().map(|recorded| show(&recorded.event)).collect();
        for recorded in events {
            self.events.lock().unwrap().push(recorded.event);
            self.stored.lock().unwrap().extend(recorded.message);
        }
        self.add(format!("leave {}", shown.join(" + ")));
        self.added.lock().unwrap().append(&mut self.late.lock().unwrap());
    }

    async fn reserve(&self, _input_tokens: u64, max_output_tokens: u32) -> Result<Option<u32>> {
        let affordable = self.affordable.lock().unwrap().pop_front().unwrap_or(Ok(u32::MAX));
        affordable.map(|affordable| Some(affordable.min(max_output_tokens)))
    }

    async fn added(&self) -> Result<Vec<AddedMessage>> {
        Ok(std::mem::take(&mut *self.added.lock().unwrap()))
    }

    async fn consume_answers(&self) -> Result<()> {
        self.add("consume answers");
        Ok(())
    }

    async fn record(&self, events: Vec<Recorded>) -> Result<()> {
        let number = {
            let mut records = self.records.lock().unwrap();
            *records += 1;
            *records
        };
        // A commit takes time. If the engine did not wait for the commit, the log would have a different order.
        tokio::task::yield_now().await;
        if self.refuse_from.lock().unwrap().is_some_and(|from| number >= from) {
            self.add("refused");
            return Err(Error::internal("the lease is lost", "test"));
        }
        let shown: Vec<String> = events.iter().map(|recorded| show(&recorded.event)).collect();
        for recorded in events {
            self.events.lock().unwrap().push(recorded.event);
            self.stored.lock().unwrap().extend(recorded.message);
        }
        self.add(format!("record {}", shown.join(" + ")));
        Ok(())
    }
}

/// Prints an event without the ids that differ between runs.
fn show(event: &Event) -> String {
    match event {
        Event::Status(_) => "status".to_owned(),
        Event::MessageDelta(delta) => format!("delta {:?}", short(&delta.text)),
        Event::ReasoningDelta(delta) => format!("reasoning {:?}", short(&delta.text)),
        Event::Message(message) => {
            format!(
                "message {:?}{}",
                short(&message.text),
                if message.partial { " partial" } else { "" }
            )
        }
        Event::ToolCall(call) => match &call.invalid_arguments {
            Some(text) => format!("call {} {} invalid {:?}", call.tool_call_id, call.name, short(text)),
            None => format!("call {} {}", call.tool_call_id, call.name),
        },
        Event::ToolOutput(output) => format!("output {} {:?}", output.tool_call_id, short(&output.text)),
        Event::ToolResult(result) => {
            let mark = if result.is_error { " error" } else { "" };
            format!("result {}{mark} {:?}", result.tool_call_id, short(&result.text))
        }
        Event::Usage(usage) => {
            let mark = if usage.estimated { " estimated" } else { "" };
            format!("usage {}/{}{mark}", usage.input_tokens, usage.output_tokens)
        }
        Event::SubagentStarted(started) => format!("subagent {}", started.tool_call_id),
        Event::UserMessage(message) => format!("user {:?}", short(&message.text)),
        Event::InputRequested(asked) => format!("asks {} {}", asked.tool_call_id, asked.name),
        Event::InputAnswered(answered) => format!("answered {}", answered.tool_call_id),
        Event::Notice(notice) => format!("notice {}", NoticeKind::try_from(notice.kind).unwrap().as_str_name()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

type Act = Arc<dyn Fn(Value, &ToolContext) -> BoxFuture<'static, Result<ToolAnswer, ToolFailure>> + Send + Sync>;

/// A tool whose behaviour the test defines. Its only argument is the number `n`.
pub struct Probe {
    name: &'static str,
    effect: Effect,
    log: Log,
    act: Act,
}

#[async_trait]
impl Tool for Probe {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: self.name.to_owned(),
            description: "A test tool.".to_owned(),
            parameters: json!({
                "type": "object",
                "properties": {"n": {"type": "integer"}},
                "additionalProperties": false
            }),
        }
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    async fn call(&self, arguments: Value, context: &ToolContext) -> Result<ToolAnswer, ToolFailure> {
        self.log.add(format!("tool {} {} starts", self.name, arguments["n"]));
        let answer = (self.act)(arguments.clone(), context).await;
        self.log.add(format!("tool {} {} ends", self.name, arguments["n"]));
        answer
    }
}

pub fn fine(text: &str) -> ToolAnswer {
    ToolAnswer::whole(text)
}

pub fn failing(text: &str) -> ToolAnswer {
    ToolAnswer::failed(text)
}

pub struct Stage {
    pub log: Log,
    pub script: Arc<Script>,
    pub cancel: CancellationToken,
    pub job: Job,
    tools: Vec<Arc<dyn Tool>>,
}

impl Stage {
    pub fn new(turns: Vec<Vec<Say>>) -> Self {
        let folder = std::env::temp_dir().join("runyard-engine-tests");
        let config = Config::parse("test", "").unwrap().sandbox;
        let sandboxes = Sandboxes::detect(&config, std::path::Path::new("/tmp")).unwrap();
        Self {
            log: Log::default(),
            script: Arc::new(Script {
                turns: Mutex::new(turns.into()),
                sent: Mutex::default(),
            }),
            cancel: CancellationToken::new(),
            tools: Vec::new(),
            job: Job {
                run_id: Uuid::now_v7(),
                model: ModelLimits {
                    name: "test/model".to_owned(),
                    context_window: 100_000,
                    max_output_tokens: 4_000,
                },
                reasoning_effort: None,
                system_prompt: "Be brief.".to_owned(),
                history: vec![user("Do it.")],
                own_history: 0,
                tools: tools::none(),
                workplace: Arc::new(sandboxes.open(Place { folder, number: 0 })),
                budget: Budget {
                    max_steps: 20,
                    max_duration: Duration::from_mins(1),
                    max_tokens: 1_000_000,
                    max_parallel_calls: 4,
                    own_steps: None,
                    is_own_time: false,
                },
                interrupted: Vec::new(),
                answers: Vec::new(),
                steps_done: 0,
                tokens_used: 0,
                output: None,
            },
        }
    }

    pub fn tool<F>(mut self, name: &'static str, effect: Effect, act: F) -> Self
    where
        F: Fn(Value, &ToolContext) -> BoxFuture<'static, Result<ToolAnswer, ToolFailure>> + Send + Sync + 'static,
    {
        self.tools.push(Arc::new(Probe {
            name,
            effect,
            log: self.log.clone(),
            act: Arc::new(act),
        }));
        self
    }

    /// Adds the read-only tool `look`, and the tool `change`, which has side effects. Both answer "ok" and their
    /// argument.
    pub fn usual_tools(self) -> Self {
        let ok = |arguments: Value, _: &ToolContext| -> BoxFuture<'static, Result<ToolAnswer, ToolFailure>> {
            Box::pin(async move { Ok(fine(&format!("ok {}", arguments["n"]))) })
        };
        self.tool("look", Effect::ReadOnly, ok)
            .tool("change", Effect::Changes, ok)
    }

    pub fn failing_tool(self) -> Self {
        self.tool("fail", Effect::Changes, |_, _| Box::pin(async { Ok(failing("no")) }))
    }

    pub async fn run(mut self) -> Played {
        if !self.tools.is_empty() {
            self.job.tools = Toolbox::for_run(tools::none(), self.tools).unwrap();
        }
        let sink: Arc<dyn Sink> = Arc::new(self.log.clone());
        let running = engine::run(&*self.script, self.job, sink, &self.cancel);
        let outcome = tokio::time::timeout(Duration::from_secs(20), running)
            .await
            .expect("the run did not end");
        let left = self.script.turns.lock().unwrap().len();
        Played {
            outcome,
            log: self.log,
            sent: std::mem::take(&mut self.script.sent.lock().unwrap()),
            left,
        }
    }
}

pub struct Played {
    pub outcome: Outcome,
    pub log: Log,
    pub sent: Vec<ModelRequest>,
    pub left: usize,
}

impl Played {
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    #[track_caller]
    pub fn assert_completed(&self) {
        assert!(
            matches!(self.outcome, Outcome::Completed { .. }),
            "{:?} {:#?}",
            self.outcome,
            self.lines()
        );
        assert_eq!(self.left, 0, "the model has unused turns: {:#?}", self.lines());
    }

    #[track_caller]
    pub fn assert_failed(&self, wanted: &str) {
        let Outcome::Failed { code, message } = &self.outcome else {
            panic!("{:?}", self.outcome)
        };
        assert_eq!(code, wanted, "{message}");
        assert!(!message.is_empty());
        assert_eq!(self.left, 0, "the model has unused turns: {:#?}", self.lines());
    }

    pub fn last_sent(&self) -> &[ChatMessage] {
        &self.sent.last().expect("the model received no request").messages
    }

    /// Returns the last tool result that the model received, and true if it is an error.
    pub fn last_result(&self) -> (&str, bool) {
        let results = self.last_sent().iter().rev();
        let mut results = results.filter_map(|message| match message {
            ChatMessage::Tool { text, is_error, .. } => Some((text.as_str(), *is_error)),
            ChatMessage::User { .. } | ChatMessage::Assistant { .. } => None,
        });
        results.next().expect("no result was sent")
    }
}
