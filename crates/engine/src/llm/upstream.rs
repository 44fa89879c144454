//! Model providers that are called over HTTP.
//!
//! A `Protocol` builds requests and reads answers; `upstream/profile.rs` has the differences between providers of one
//! protocol. An attempt that fails before the first token is retried (`upstream/retry.rs`). A failure after the first
//! token ends the stream with `Broken`.
//!
//! Invariants: the stream never repeats text, and error texts contain no secrets.

mod adapt;
mod anthropic;
mod attempt;
mod calls;
mod catalog;
mod chat;
mod fault;
mod gemini;
mod held;
mod http;
mod mend;
mod output;
mod profile;
mod protocol;
#[cfg(test)]
mod reading;
mod responses;
mod retry;
mod sight;
mod sse;
mod text;
mod timeouts;
mod turns;
mod window;
mod word;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use self::{
    attempt::{Attempt, Step, Terms},
    catalog::Catalog,
    fault::{Fault, Scrubber},
    http::Endpoint,
    profile::{Overlay, Profile},
    protocol::Protocol,
};
use super::{Llm, LlmError, ModelEvent, ModelRequest, ModelStream};
use crate::{
    config::{Provider, ProviderKind, StructuredOutput, Vision, VisionSettings},
    error::Result,
};
pub use retry::Retries;
pub use timeouts::Timeouts;

/// Maximum bytes of text per token. Converts the token limit of an answer to a limit in bytes.
const BYTES_PER_TOKEN: usize = 32;

/// Lower bound for the byte limit of an answer.
const MIN_ANSWER_BYTES: usize = 64 * 1024;

/// Maximum number of times per call that a refused request is adapted (`adapt.rs`) and sent again.
const MAX_LESSONS: u32 = 6;

/// Maximum number of retries per call after answers that ended in the middle of a tool call.
const MAX_BROKEN: u32 = 2;

/// Client of one model provider.
pub struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    provider: Provider,
    protocol: Box<dyn Protocol>,
    endpoint: Endpoint,
    timeouts: Timeouts,
    retries: Retries,
    scrubber: Scrubber,
    /// Properties learned from refused requests, by model name.
    learned: Mutex<HashMap<String, Overlay>>,
    skipped: Arc<AtomicU64>,
}

impl Upstream {
    /// Creates the client of a provider with its configured timeouts and retries.
    ///
    /// # Errors
    /// `INVALID_REQUEST` if a setting is invalid; `INTERNAL` if the TLS library cannot start.
    pub fn new(name: &str, provider: &Provider) -> Result<Self> {
        let is_local = provider
            .base_url
            .as_deref()
            .and_then(|url| reqwest::Url::parse(url.trim()).ok())
            .is_some_and(|url| profile::is_local(&url));
        let standard = Retries::default();
        let retries = Retries {
            total: provider.retry_seconds.map_or(standard.total, Duration::from_secs),
            ..standard
        };
        Self::with_limits(name, provider, Timeouts::of(provider, is_local), retries)
    }

    /// Creates the client of a provider with these timeouts and retries.
    ///
    /// # Errors
    /// The same errors as [`Upstream::new`].
    pub fn with_limits(name: &str, provider: &Provider, timeouts: Timeouts, retries: Retries) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                name: name.to_owned(),
                protocol: protocol(provider.kind),
                endpoint: Endpoint::new(provider, timeouts.connect)?,
                scrubber: http::scrubber(provider),
                provider: provider.clone(),
                timeouts,
                retries,
                learned: Mutex::default(),
                skipped: Arc::default(),
            }),
        })
    }

    /// Returns the counter of answer parts that could not be parsed and were skipped or repaired.
    pub fn skipped_pieces(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.inner.skipped)
    }
}

fn protocol(kind: ProviderKind) -> Box<dyn Protocol> {
    match kind {
        ProviderKind::OpenAi => Box::new(chat::Chat),
        ProviderKind::Anthropic => Box::new(anthropic::Anthropic),
        ProviderKind::Gemini => Box::new(gemini::Gemini),
        ProviderKind::Responses => Box::new(responses::Responses),
    }
}

#[async_trait]
impl Llm for Upstream {
    async fn stream(&self, mut request: ModelRequest) -> ModelStream {
        request.reasoning_effort = request.reasoning_effort.or(self.inner.provider.reasoning_effort);
        let asked_at = Instant::now();
        let answer = Box::new(Asking {
            inner: Arc::clone(&self.inner),
            request,
            attempts: 0,
            lessons: 0,
            broken: 0,
            asked_at,
            deadline: self.inner.timeouts.total.map(|total| asked_at + total),
            state: State::Ask { wait: Duration::ZERO },
        });
        stream::unfold(answer, |mut answer| async move { Some((answer.next().await?, answer)) }).boxed()
    }

    fn vision(&self, model: &str, over: VisionSettings) -> Vision {
        self.inner.profile(model, over).vision
    }

    fn structured_output(&self, model: &str) -> StructuredOutput {
        self.inner.profile(model, VisionSettings::UNSET).structured_output
    }
}

struct Asking {
    inner: Arc<Inner>,
    request: ModelRequest,
    attempts: u32,
    lessons: u32,
    broken: u32,
    asked_at: Instant,
    deadline: Option<Instant>,
    state: State,
}

enum State {
    Ask { wait: Duration },
    Listen(Box<Attempt>),
    Over,
}

impl Asking {
    async fn next(&mut self) -> Option<std::result::Result<ModelEvent, LlmError>> {
        let Some(deadline) = self.deadline else {
            return self.go_on().await;
        };
        if let Ok(item) = timeout_at(deadline, self.go_on()).await {
            return item;
        }
        let has_started = matches!(&self.state, State::Listen(attempt) if attempt.has_started());
        self.state = State::Over;
        let message = format!("the answer took longer than {} s", self.asked_at.elapsed().as_secs());
        Some(Err(if has_started {
            LlmError::Broken(message)
        } else {
            LlmError::Unavailable(message)
        }))
    }

    async fn go_on(&mut self) -> Option<std::result::Result<ModelEvent, LlmError>> {
        loop {
            match &mut self.state {
                State::Ask { wait } => {
                    if !wait.is_zero() {
                        tokio::time::sleep(*wait).await;
                    }
                    self.attempts += 1;
                    match self.inner.ask(&self.request).await {
                        Ok(attempt) => self.state = State::Listen(Box::new(attempt)),
                        Err(fault) => {
                            if let Some(item) = self.fail(fault).await {
                                return Some(item);
                            }
                        }
                    }
                }
                State::Listen(attempt) => match attempt.next().await {
                    Step::Event(event) => return Some(Ok(event)),
                    Step::End => self.state = State::Over,
                    Step::Fault(fault) if attempt.has_started() => {
                        self.state = State::Over;
                        return Some(Err(LlmError::Broken(self.inner.scrubber.clean(fault).message())));
                    }
                    Step::Fault(fault) => {
                        if let Some(item) = self.fail(fault).await {
                            return Some(item);
                        }
                    }
                },
                State::Over => return None,
            }
        }
    }

    /// Handles a failure before the first token. Returns a retry notice or the final error. Returns `None` if an
    /// adapted request is sent immediately.
    async fn fail(&mut self, fault: Fault) -> Option<std::result::Result<ModelEvent, LlmError>> {
        if let Fault::Final(LlmError::Refused(words)) = &fault
            && adapt::refuses_carried(words)
            && adapt::forget_carried(&mut self.request)
        {
            self.state = State::Ask { wait: Duration::ZERO };
            return None;
        }
        if let Fault::Final(LlmError::Refused(words)) = &fault
            && self.lessons < MAX_LESSONS
            // The engine sends a request without the schema. The refusal says nothing about the model's other properties.
            && !(self.request.output.is_some() && adapt::refuses_output(words))
            && self.inner.learn(&self.request.model, words)
        {
            self.lessons += 1;
            self.state = State::Ask { wait: Duration::ZERO };
            return None;
        }
        if let Fault::Final(LlmError::Refused(words) | LlmError::UnknownModel(words)) = &fault
            && sight::refuses_images(words)
            && sight::forget_images(&mut self.request)
        {
            self.state = State::Ask { wait: Duration::ZERO };
            return None;
        }
        match self.inner.scrubber.clean(fault) {
            Fault::Final(error) => {
                self.state = State::Over;
                Some(Err(self.inner.explain(error, &self.request.model).await))
            }
            Fault::Broken(message) if self.broken >= MAX_BROKEN => {
                self.state = State::Over;
                Some(Err(LlmError::Broken(message)))
            }
            Fault::Broken(message) => {
                self.broken += 1;
                Some(self.retry(&message, None))
            }
            Fault::Passing { message, retry_after } => Some(self.retry(&message, retry_after)),
        }
    }

    fn retry(&mut self, message: &str, pause: Option<Duration>) -> std::result::Result<ModelEvent, LlmError> {
        match self.inner.retries.next(self.attempts, self.asked_at.elapsed(), pause) {
            Ok(wait) => {
                self.state = State::Ask { wait };
                let (seconds, attempt) = (wait.as_secs_f64(), self.attempts + 1);
                let message = format!("{message}; retrying in {seconds:.1} s (attempt {attempt})");
                Ok(ModelEvent::Retried { message })
            }
            Err(why) => {
                self.state = State::Over;
                Err(LlmError::Unavailable(format!("{message} ({why})")))
            }
        }
    }
}

impl Inner {
    fn overlay(&self, model: &str) -> Overlay {
        let learned = self.learned().get(model).copied();
        learned.unwrap_or_else(|| {
            let mut overlay = Overlay::known(self.provider.kind, self.endpoint.base_url(), model);
            overlay.lay(Overlay::of(&self.provider));
            overlay
        })
    }

    /// Returns the profile of a model. `vision` overrides the properties of the model's vision.
    fn profile(&self, model: &str, vision: VisionSettings) -> Profile {
        let mut overlay = self.overlay(model);
        overlay.capabilities.vision.lay(vision);
        Profile::new(&self.name, model, overlay)
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<String, Overlay>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns properties of the model from `words`, the provider's refusal. Returns whether an adapted request may
    /// succeed.
    fn learn(&self, model: &str, words: &str) -> bool {
        let overlay = self.overlay(model);
        let profile = Profile::new(&self.name, model, overlay);
        let Some(learned) = adapt::lesson(words, overlay, &profile, model) else {
            return false;
        };
        tracing::info!(provider = %self.name, "the provider rejected the request's format; sending an adapted request");
        self.learned().insert(model.to_owned(), learned);
        true
    }

    async fn ask(&self, request: &ModelRequest) -> std::result::Result<Attempt, Fault> {
        let profile = self.profile(&request.model, request.vision);
        let request = &*sight::fit(request, &profile.vision).await;
        let wire = self.protocol.request(request, &profile);
        let asked_at = Instant::now();
        let sending = self.endpoint.send(&*self.protocol, &profile, wire, &request.extra_body);
        let response = timeout_at(asked_at + self.timeouts.first_byte, sending)
            .await
            .map_err(|_| {
                let seconds = self.timeouts.first_byte.as_secs_f64();
                Fault::passing(format!("the provider sent nothing for {seconds:.0} s"))
            })??;
        let reader = self.protocol.reader(request, &profile);
        let terms = Terms {
            timeouts: self.timeouts,
            max_bytes: answer_limit(request),
            provider: profile.provider,
            family: profile.family,
            skipped: Arc::clone(&self.skipped),
        };
        Ok(Attempt::new(response, reader, asked_at, terms))
    }

    /// Adds the available models to an error about an unknown model, and the window size to an error about a long
    /// conversation.
    async fn explain(&self, error: LlmError, model: &str) -> LlmError {
        let profile = Profile::new(&self.name, model, self.overlay(model));
        let catalog = Catalog {
            endpoint: &self.endpoint,
            protocol: &*self.protocol,
            profile: &profile,
        };
        match error {
            LlmError::UnknownModel(message) => LlmError::UnknownModel(match catalog.names().await {
                Some(names) => format!("{message}; the provider offers: {names}"),
                None => message,
            }),
            LlmError::TooLong { message, window: None } => LlmError::TooLong {
                message,
                window: catalog.window(model).await,
            },
            error => error,
        }
    }
}

/// Returns the maximum bytes of an answer's text and reasoning. Needed because some providers ignore the token limit.
fn answer_limit(request: &ModelRequest) -> usize {
    usize::try_from(request.max_output_tokens)
        .unwrap_or(usize::MAX)
        .saturating_mul(BYTES_PER_TOKEN)
        .max(MIN_ANSWER_BYTES)
}
