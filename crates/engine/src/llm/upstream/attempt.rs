//! Receives the answer of one attempt of a model call. The attempt fails if the provider is silent for too long. It
//! also fails if the answer is too large or incomplete.

use std::{
    borrow::Cow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Response;
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Timeouts,
    fault::Fault,
    mend::mend,
    protocol::{Pieces, Reader},
    sse::Events,
};
use crate::llm::{Carried, EndReason, ModelEvent};

/// Maximum time to wait for further events, such as token usage, after a complete answer.
const LINGER: Duration = Duration::from_secs(5);

/// Maximum bytes of an answer that is a JSON document instead of a stream.
const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

pub(super) enum Step {
    Event(ModelEvent),
    End,
    Fault(Fault),
}

pub(super) struct Terms {
    pub(super) timeouts: Timeouts,
    /// Maximum bytes of text and reasoning together.
    pub(super) max_bytes: usize,
    pub(super) provider: String,
    pub(super) family: String,
    pub(super) skipped: Arc<AtomicU64>,
}

pub(super) struct Attempt {
    response: Response,
    body: Body,
    reader: Box<dyn Reader>,
    pieces: Pieces,
    terms: Terms,
    asked_at: Instant,
    heard_at: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    bytes: usize,
    has_started: bool,
    is_complete: bool,
    is_over: bool,
    fault: Option<Fault>,
}

/// Format of an answer, detected from its first byte that is not white space.
enum Body {
    Unknown,
    /// The events, and the number of events read.
    Events(Events, u64),
    Document(Vec<u8>),
}

impl Attempt {
    pub(super) fn new(response: Response, reader: Box<dyn Reader>, asked_at: Instant, terms: Terms) -> Self {
        Self {
            response,
            body: Body::Unknown,
            reader,
            pieces: Pieces::default(),
            asked_at,
            heard_at: None,
            alarm: Box::pin(sleep_until(asked_at + terms.timeouts.first_byte)),
            terms,
            bytes: 0,
            has_started: false,
            is_complete: false,
            is_over: false,
            fault: None,
        }
    }

    /// Returns whether [`Attempt::next`] has returned part of the answer. A retry would then repeat that part.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(event) = self.pass_on() {
                return Step::Event(event);
            }
            if let Some(fault) = self.fault.take() {
                return Step::Fault(fault);
            }
            if self.is_over {
                return Step::End;
            }
            // The loop returns the queued events before this failure.
            self.fault = match self.advance().await {
                Err(Fault::Passing { message, .. }) if self.reader.has_calls() => Some(Fault::Broken(message)),
                result => result.err(),
            };
            let skipped = self.pieces.take_skipped();
            if skipped > 0 {
                self.terms.skipped.fetch_add(skipped, Ordering::Relaxed);
            }
        }
    }

    /// Returns the next queued event. At `max_bytes`, ends the answer with [`EndReason::Length`].
    fn pass_on(&mut self) -> Option<ModelEvent> {
        if self.pieces.next_is_end()
            && let Some(value) = self.pieces.take_carried()
        {
            return Some(ModelEvent::Carried(Carried {
                provider: self.terms.provider.clone(),
                family: self.terms.family.clone(),
                value,
            }));
        }
        let event = self.pieces.pop()?;
        match &event {
            ModelEvent::Text(text) | ModelEvent::Reasoning(text) => {
                self.start();
                self.bytes += text.len();
                if self.bytes > self.terms.max_bytes {
                    self.pieces = Pieces::default();
                    self.pieces.end(EndReason::Length);
                    self.is_over = true;
                }
            }
            ModelEvent::ToolCall(_) => self.start(),
            _ => {}
        }
        Some(event)
    }

    fn start(&mut self) {
        if !self.has_started {
            self.has_started = true;
            // The alarm is still set to the time limit of the first token, which can be longer than `gap`.
            self.alarm.as_mut().reset(Instant::now() + self.terms.timeouts.gap);
        }
    }

    /// Reads the next event, or waits for more bytes.
    async fn advance(&mut self) -> Result<(), Fault> {
        if let Body::Events(events, count) = &mut self.body
            && let Some(event) = events.next()
        {
            if event.is_mended {
                self.pieces.skip();
            }
            let data = mend(event.data);
            if matches!(data, Cow::Owned(_)) {
                self.pieces.skip();
            }
            *count += 1;
            self.reader.event(event.name, &data, &mut self.pieces)?;
            return self.check_end();
        }
        let chunk = tokio::select! {
            biased;
            chunk = self.response.chunk() => chunk,
            () = &mut self.alarm => return self.check_silence(),
        };
        match chunk {
            Ok(Some(bytes)) => self.hear(&bytes),
            Ok(None) => self.close(),
            Err(_) if self.reader.is_complete() => self.finish(),
            Err(error) => Err(Fault::of_transport(&error)),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.heard_at = Some(Instant::now());
        let mut bytes = bytes;
        if matches!(self.body, Body::Unknown) {
            // An event stream and a JSON document may both begin with a byte order mark and white space.
            let Some(first) = bytes.iter().position(|byte| !b" \t\r\n\xEF\xBB\xBF".contains(byte)) else {
                return Ok(());
            };
            bytes = &bytes[first..];
            self.body = match bytes[0] {
                b'{' | b'[' => Body::Document(Vec::new()),
                _ => Body::Events(Events::default(), 0),
            };
        }
        match &mut self.body {
            Body::Events(events, _) => events
                .add(bytes)
                .map_err(|_| Fault::passing("an event of the answer exceeds the size limit")),
            Body::Document(document) if document.len() + bytes.len() > MAX_DOCUMENT_BYTES => {
                Err(Fault::passing("the answer exceeds the size limit"))
            }
            Body::Document(document) => {
                document.extend_from_slice(bytes);
                Ok(())
            }
            Body::Unknown => Ok(()),
        }
    }

    /// Handles the alarm. Moving the alarm for every received chunk would be slow, so the alarm may ring although
    /// bytes have arrived. In this case, sets a later alarm. Otherwise the provider was silent, and the attempt ends:
    /// successfully after a complete answer, otherwise with a failure.
    fn check_silence(&mut self) -> Result<(), Fault> {
        let timeouts = self.terms.timeouts;
        let limit = match (self.is_complete, self.has_started) {
            (true, _) => timeouts.gap.min(LINGER),
            (false, true) => timeouts.gap,
            (false, false) => timeouts.first_byte,
        };
        let deadline = self.heard_at.unwrap_or(self.asked_at) + limit;
        if Instant::now() < deadline {
            self.alarm.as_mut().reset(deadline);
            return Ok(());
        }
        if self.reader.is_complete() {
            return self.finish();
        }
        let what = if self.heard_at.is_some() {
            "the provider stopped sending for"
        } else {
            "the provider sent nothing for"
        };
        Err(Fault::passing(format!("{what} {:.0} s", limit.as_secs_f64())))
    }

    fn close(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.body, Body::Unknown) {
            Body::Events(mut events, mut count) => {
                if let Some(event) = events.last() {
                    count += 1;
                    self.reader.event(event.name, &mend(event.data), &mut self.pieces)?;
                }
                if self.pieces.ending().is_some() {
                    return self.check_end();
                }
                if count == 0 {
                    return Err(Fault::passing(
                        "the provider's answer is not an event stream; check the base URL",
                    ));
                }
                self.finish()
            }
            Body::Document(document) => self.read_document(&document),
            Body::Unknown => Err(Fault::passing("the provider's answer is empty")),
        }
    }

    /// Reads an answer that is JSON instead of a stream: one document, or a sequence of events.
    fn read_document(&mut self, document: &[u8]) -> Result<(), Fault> {
        let text = String::from_utf8_lossy(document);
        let text = mend(&text);
        let mut parts = Vec::new();
        for part in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
            match part {
                Ok(Value::Array(items)) => parts.extend(items),
                Ok(part) => parts.push(part),
                Err(error) => return Err(Fault::passing(format!("the provider's answer is not JSON: {error}"))),
            }
        }
        if let [whole] = parts.as_slice() {
            self.reader.whole(whole, &mut self.pieces)?;
        } else {
            for part in &parts {
                self.reader.event("message", &part.to_string(), &mut self.pieces)?;
            }
        }
        if self.pieces.ending().is_some() {
            return self.check_end();
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Fault> {
        self.reader.finish(&mut self.pieces)?;
        self.check_end()
    }

    /// Ends the attempt after the end of the answer. Waits up to [`LINGER`] for late events, such as token usage.
    /// Fails if a tool call was cut off.
    fn check_end(&mut self) -> Result<(), Fault> {
        if let Some(reason) = self.pieces.ending() {
            self.is_over = true;
            let is_cut = self.pieces.waiting_calls().any(|call| is_cut(&call.arguments));
            if is_cut && reason != EndReason::Length {
                self.pieces.drop_calls();
                return Err(Fault::Broken("a tool call of the answer was cut off".to_owned()));
            }
        } else if !self.is_complete && self.reader.is_complete() {
            self.is_complete = true;
            let limit = self.terms.timeouts.gap.min(LINGER);
            self.alarm.as_mut().reset(Instant::now() + limit);
        }
        Ok(())
    }
}

fn is_cut(arguments: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(arguments).is_err_and(|error| error.is_eof() && !arguments.trim().is_empty())
}
