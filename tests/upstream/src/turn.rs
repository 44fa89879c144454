//! One response of the scripted model: its content, its chunking and its failures.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// A gate that blocks responses until the test opens the gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// Creates a closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Opens the gate permanently. All waiting responses continue.
    pub fn open(&self) {
        self.0.close();
    }

    pub(crate) async fn pass(&self) {
        // `open` closes the semaphore, so `acquire` returns an error to every waiting caller.
        let _closed = self.0.acquire().await;
    }
}

/// One step of a raw response: it sends bytes, waits, or ends the response.
#[derive(Clone, Debug)]
pub enum Step {
    /// Sends a JSON value as one SSE event.
    Event(Value),
    /// Sends these bytes without SSE framing.
    Bytes(Bytes),
    Pause(Duration),
    Wait(Gate),
    /// Sends nothing more and keeps the connection open.
    Hang,
    /// Breaks the connection without ending the body.
    Cut,
}

#[derive(Clone, Debug)]
pub struct Turn {
    pub(crate) before: Vec<Step>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Answer(Box<Answer>),
    Plain(String),
    Raw(Vec<Step>),
}

#[derive(Clone, Debug)]
pub struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Call {
    /// Creates a call with JSON arguments. The call's id is `call_` followed by the name.
    pub fn new(name: &str, arguments: &Value) -> Self {
        Self::raw(name, &arguments.to_string())
    }

    /// Like [`Call::new`], but the arguments are arbitrary text.
    pub fn raw(name: &str, arguments: &str) -> Self {
        Self {
            id: format!("call_{name}"),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
        }
    }

    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }
}

#[derive(Clone, Debug)]
pub struct Answer {
    reasoning: Vec<String>,
    text: Vec<String>,
    calls: Vec<Call>,
    argument_pieces: usize,
    finish: Option<String>,
    usage: Option<Value>,
    delay: Option<Duration>,
    gates: Vec<(usize, Gate)>,
    cut_after: Option<usize>,
    hang_after: Option<usize>,
    done: bool,
}

impl Turn {
    /// Returns a response with this text in a single delta.
    pub fn text(text: &str) -> Self {
        Self::deltas([text])
    }

    pub fn deltas<'a>(deltas: impl IntoIterator<Item = &'a str>) -> Self {
        Self::answer(Answer {
            text: deltas.into_iter().map(str::to_owned).collect(),
            ..Answer::empty()
        })
    }

    /// Returns a response with `count` words, one delta each.
    pub fn words(count: usize) -> Self {
        Self::answer(Answer {
            text: (0..count).map(|n| format!("w{n} ")).collect(),
            ..Answer::empty()
        })
    }

    pub fn calls(calls: impl IntoIterator<Item = Call>) -> Self {
        Self::answer(Answer {
            calls: calls.into_iter().collect(),
            ..Answer::empty()
        })
    }

    /// Returns a response with this status and an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            before: Vec::new(),
            status,
            headers: Vec::new(),
            body: Body::Plain(String::new()),
        }
    }

    pub fn raw(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            before: Vec::new(),
            status: 200,
            headers: Vec::new(),
            body: Body::Raw(steps.into_iter().collect()),
        }
    }

    /// Returns an event stream with these bytes in one chunk.
    pub fn stream(bytes: impl Into<Bytes>) -> Self {
        Self::raw([Step::Bytes(bytes.into())])
    }

    fn answer(answer: Answer) -> Self {
        Self {
            before: Vec::new(),
            status: 200,
            headers: Vec::new(),
            body: Body::Answer(Box::new(answer)),
        }
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the body with this text. The server sends it as `application/json`, not as an event stream.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Body::Plain(body.to_owned());
        self
    }

    /// Sends the headers only after the gate has been opened.
    #[must_use]
    pub fn held_by(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Wait(gate.clone()));
        self
    }

    /// Sends nothing, not even the headers, and keeps the connection open.
    #[must_use]
    pub fn silent(mut self) -> Self {
        self.before.push(Step::Hang);
        self
    }

    #[must_use]
    pub fn late(mut self, delay: Duration) -> Self {
        self.before.push(Step::Pause(delay));
        self
    }

    #[must_use]
    pub fn reasoning(self, text: &str) -> Self {
        self.with(|answer| answer.reasoning.push(text.to_owned()))
    }

    #[must_use]
    pub fn and_calls(self, calls: impl IntoIterator<Item = Call>) -> Self {
        self.with(|answer| answer.calls.extend(calls))
    }

    /// Splits the arguments of each call into up to `pieces` deltas. The deltas of several calls are interleaved.
    #[must_use]
    pub fn argument_pieces(self, pieces: usize) -> Self {
        self.with(|answer| answer.argument_pieces = pieces.max(1))
    }

    /// Pauses for this duration before each text delta.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|answer| answer.delay = Some(delay))
    }

    /// Waits at the gate after this number of text deltas.
    #[must_use]
    pub fn gate_after(self, deltas: usize, gate: &Gate) -> Self {
        self.with(|answer| answer.gates.push((deltas, gate.clone())))
    }

    /// Breaks the connection after this number of text deltas.
    #[must_use]
    pub fn cut_after(self, deltas: usize) -> Self {
        self.with(|answer| answer.cut_after = Some(deltas))
    }

    /// Sends nothing more after this number of text deltas and keeps the connection open.
    #[must_use]
    pub fn hang_after(self, deltas: usize) -> Self {
        self.with(|answer| answer.hang_after = Some(deltas))
    }

    /// Sets the finish reason. The default is `tool_calls` for a response with tool calls, and `stop` otherwise.
    #[must_use]
    pub fn finish(self, reason: &str) -> Self {
        self.with(|answer| answer.finish = Some(reason.to_owned()))
    }

    /// Omits the final event `[DONE]`.
    #[must_use]
    pub fn without_done(self) -> Self {
        self.with(|answer| answer.done = false)
    }

    #[must_use]
    pub fn usage(self, input: u64, output: u64) -> Self {
        let usage =
            json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input.saturating_add(output)});
        self.raw_usage(usage)
    }

    #[must_use]
    pub fn raw_usage(self, usage: Value) -> Self {
        self.with(|answer| answer.usage = Some(usage))
    }

    #[must_use]
    pub fn without_usage(self) -> Self {
        self.with(|answer| answer.usage = None)
    }

    fn with(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Body::Answer(answer) = &mut self.body {
            change(answer);
        }
        self
    }
}

impl Answer {
    fn empty() -> Self {
        Self {
            reasoning: Vec::new(),
            text: Vec::new(),
            calls: Vec::new(),
            argument_pieces: 1,
            finish: None,
            usage: Some(json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})),
            delay: None,
            gates: Vec::new(),
            cut_after: None,
            hang_after: None,
            done: true,
        }
    }

    fn finish_reason(&self) -> &str {
        let default = if self.calls.is_empty() { "stop" } else { "tool_calls" };
        self.finish.as_deref().unwrap_or(default)
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Event(chunk(
            &json!({"role": "assistant", "content": ""}),
            &Value::Null,
        ))];
        for text in &self.reasoning {
            steps.push(Step::Event(chunk(&json!({"reasoning_content": text}), &Value::Null)));
        }
        for said in 0..=self.text.len() {
            steps.extend(
                self.gates
                    .iter()
                    .filter(|(at, _)| *at == said)
                    .map(|(_, gate)| Step::Wait(gate.clone())),
            );
            if self.cut_after == Some(said) {
                steps.push(Step::Cut);
                return steps;
            }
            if self.hang_after == Some(said) {
                steps.push(Step::Hang);
                return steps;
            }
            let Some(text) = self.text.get(said) else { break };
            steps.extend(self.delay.map(Step::Pause));
            steps.push(Step::Event(chunk(&json!({"content": text}), &Value::Null)));
        }
        self.push_calls(&mut steps);
        steps.push(Step::Event(chunk(&json!({}), &json!(self.finish_reason()))));
        if let Some(usage) = &self.usage {
            let mut last = chunk(&json!({}), &Value::Null);
            last["choices"] = json!([]);
            last["usage"] = usage.clone();
            steps.push(Step::Event(last));
        }
        if self.done {
            steps.push(Step::Bytes(Bytes::from_static(b"data: [DONE]\n\n")));
        }
        steps
    }

    fn push_calls(&self, steps: &mut Vec<Step>) {
        let delta = |call: Value| Step::Event(chunk(&json!({"tool_calls": [call]}), &Value::Null));
        for (index, call) in self.calls.iter().enumerate() {
            steps.push(delta(json!({
                "index": index, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""},
            })));
        }
        let pieces: Vec<Vec<String>> = self
            .calls
            .iter()
            .map(|call| cut(&call.arguments, self.argument_pieces))
            .collect();
        for round in 0..self.argument_pieces {
            for (index, call) in pieces.iter().enumerate() {
                if let Some(piece) = call.get(round) {
                    steps.push(delta(json!({"index": index, "function": {"arguments": piece}})));
                }
            }
        }
    }

    /// Returns the response as one JSON object, for a request that does not stream.
    pub(crate) fn whole(&self) -> Value {
        let calls: Vec<Value> = self
            .calls
            .iter()
            .map(|call| {
                json!({"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}})
            })
            .collect();
        let mut message = json!({"role": "assistant", "content": self.text.concat()});
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        json!({
            "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason()}],
            "usage": self.usage,
        })
    }
}

pub(crate) fn frame(event: &Value) -> Bytes {
    Bytes::from(format!("data: {event}\n\n"))
}

pub(crate) fn fixed_frames(tokens: usize) -> Arc<[Bytes]> {
    let Body::Answer(answer) = Turn::words(tokens).usage(100, tokens as u64).body else {
        return Arc::new([]);
    };
    answer
        .steps()
        .into_iter()
        .filter_map(|step| match step {
            Step::Event(event) => Some(frame(&event)),
            Step::Bytes(bytes) => Some(bytes),
            Step::Pause(_) | Step::Wait(_) | Step::Hang | Step::Cut => None,
        })
        .collect()
}

fn chunk(delta: &Value, finish: &Value) -> Value {
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    })
}

fn cut(text: &str, pieces: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let size = characters.len().div_ceil(pieces).max(1);
    characters.chunks(size).map(|piece| piece.iter().collect()).collect()
}
