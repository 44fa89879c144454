//! Real model providers, called through genai.
//!
//! `llm/models.rs` creates one `Upstream` for each configured provider. Invariant: a reader never receives the same
//! text twice. If an attempt fails before the first token, the call is retried with a notice (`upstream/retry.rs`). A
//! failure after the first token ends the stream with `Broken`. The API key is stored in a `SecretString` and removed
//! from every text of the provider that an error quotes.
//!
//! genai's own log lines contain response bodies, so the service's log filter disables the target `genai`.

mod attempt;
mod fault;
mod request;
mod retry;
mod tap;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    resolver::{AuthData, Endpoint},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use self::{
    attempt::{Attempt, Step},
    fault::{Fault, Scrubber},
};
use super::{Llm, LlmError, ModelEvent, ModelRequest, ModelStream};
use crate::{
    config::{Provider, ProviderKind},
    error::{Error, Result},
};
pub use retry::Retries;

/// Time limits for the parts of a call.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Maximum time until the connection is established.
    pub connect: Duration,
    /// Maximum time from the request to the first event of the answer.
    pub first_byte: Duration,
    /// Maximum time between two events of the answer. Keep-alive comments of the provider count as events.
    pub gap: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            first_byte: Duration::from_mins(2),
            gap: Duration::from_mins(1),
        }
    }
}

/// A model provider that is called through genai.
pub struct Upstream {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    kind: ProviderKind,
    base_url: String,
    api_key: Option<SecretString>,
    timeouts: Timeouts,
    retries: Retries,
    scrubber: Scrubber,
}

impl Upstream {
    /// Creates a provider with the default timeouts and retries.
    ///
    /// # Errors
    /// `INVALID_REQUEST` when the base URL is invalid; INTERNAL when the TLS library cannot start.
    pub fn new(provider: &Provider) -> Result<Self> {
        Self::with_limits(provider, Timeouts::default(), Retries::default())
    }

    /// Creates a provider with the given timeouts and retries.
    ///
    /// # Errors
    /// The errors of [`Upstream::new`].
    pub fn with_limits(provider: &Provider, timeouts: Timeouts, retries: Retries) -> Result<Self> {
        let base_url = base_url(provider)?;
        let http = reqwest::Client::builder()
            .connect_timeout(timeouts.connect)
            .tcp_nodelay(true)
            // A redirect would send the API key to a server that is not configured.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::internal("cannot create an HTTP client for the model provider", error))?;
        let client = Client::builder()
            .with_reqwest(http)
            .build()
            .map_err(|error| Error::internal("cannot create a client for the model provider", error))?;
        let scrubber = Scrubber::new(provider.api_key.as_ref());
        let kind = provider.kind;
        let api_key = provider.api_key.clone();
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                kind,
                base_url,
                api_key,
                timeouts,
                retries,
                scrubber,
            }),
        })
    }
}

#[async_trait]
impl Llm for Upstream {
    async fn stream(&self, request: ModelRequest) -> ModelStream {
        let answer = Box::new(Asking {
            inner: Arc::clone(&self.inner),
            request,
            attempts: 0,
            asked_at: Instant::now(),
            state: State::Ask { wait: Duration::ZERO },
        });
        stream::unfold(answer, |mut answer| async move { Some((answer.next().await?, answer)) }).boxed()
    }
}

/// One call and its attempts.
struct Asking {
    inner: Arc<Inner>,
    request: ModelRequest,
    attempts: u32,
    asked_at: Instant,
    state: State,
}

enum State {
    Ask { wait: Duration },
    Listen(Box<Attempt>),
    Over,
}

impl Asking {
    async fn next(&mut self) -> Option<Result<ModelEvent, LlmError>> {
        loop {
            match &mut self.state {
                State::Ask { wait } => {
                    if !wait.is_zero() {
                        tokio::time::sleep(*wait).await;
                    }
                    self.attempts += 1;
                    match self.inner.ask(&self.request).await {
                        Ok(attempt) => self.state = State::Listen(Box::new(attempt)),
                        Err(fault) => return Some(self.fail(fault)),
                    }
                }
                State::Listen(attempt) => match attempt.next().await {
                    Step::Event(event) => return Some(Ok(event)),
                    Step::End => self.state = State::Over,
                    Step::Fault(fault) if attempt.has_started() => {
                        self.state = State::Over;
                        return Some(Err(LlmError::Broken(fault.message())));
                    }
                    Step::Fault(fault) => return Some(self.fail(fault)),
                },
                State::Over => return None,
            }
        }
    }

    /// Handles a failure before the first token: returns a notice and schedules another attempt, or ends the stream.
    fn fail(&mut self, fault: Fault) -> Result<ModelEvent, LlmError> {
        let spent = self.asked_at.elapsed();
        match fault {
            Fault::Final(error) => {
                self.state = State::Over;
                Err(error)
            }
            Fault::Passing { message, retry_after } => match self.inner.retries.next(self.attempts, spent, retry_after)
            {
                Ok(wait) => {
                    self.state = State::Ask { wait };
                    let message = format!(
                        "{message}; retrying in {:.1} s (attempt {} of {})",
                        wait.as_secs_f64(),
                        self.attempts + 1,
                        self.inner.retries.attempts,
                    );
                    Ok(ModelEvent::Retried { message })
                }
                Err(why) => {
                    self.state = State::Over;
                    Err(LlmError::Unavailable(format!("{message} ({why})")))
                }
            },
        }
    }
}

impl Inner {
    async fn ask(&self, request: &ModelRequest) -> Result<Attempt, Fault> {
        let tap = tap::Tap::new(self.kind);
        let options = request::options(request, self.kind, Arc::clone(&tap));
        let opened = self
            .client
            .exec_chat_stream(self.target(&request.model), request::chat(request), Some(&options))
            .await
            .map_err(|error| fault::classify(&error, &self.scrubber))?;
        Ok(Attempt::new(
            opened.stream,
            tap,
            self.timeouts,
            self.scrubber.clone(),
            request::answer_limit(request),
        ))
    }

    fn target(&self, model: &str) -> ServiceTarget {
        let auth = match &self.api_key {
            Some(key) => AuthData::from_single(key.expose_secret()),
            // genai requires an API key for this protocol, but a local server may have no key. The override sets the
            // URL and headers directly, so that no key is needed.
            None if self.kind == ProviderKind::OpenAi => AuthData::RequestOverride {
                url: format!("{}chat/completions", self.base_url),
                headers: genai::Headers::default(),
            },
            None => AuthData::from_single(""),
        };
        // genai removes the part of a model name before `::`, because it treats this part as a namespace. If a model
        // name contains `::`, a namespace is added for genai to remove.
        let name = if model.contains("::") {
            format!("upstream::{model}")
        } else {
            model.to_owned()
        };
        ServiceTarget {
            endpoint: Endpoint::from_owned(self.base_url.as_str()),
            auth,
            model: ModelIden::new(adapter(self.kind), name),
        }
    }
}

fn adapter(kind: ProviderKind) -> AdapterKind {
    match kind {
        ProviderKind::OpenAi => AdapterKind::OpenAI,
        ProviderKind::Anthropic => AdapterKind::Anthropic,
        ProviderKind::Gemini => AdapterKind::Gemini,
    }
}

/// Returns the provider's base URL with a trailing slash. Without the slash, joining URLs would remove the last part of
/// the path.
fn base_url(provider: &Provider) -> Result<String> {
    let default = match provider.kind {
        ProviderKind::OpenAi => "https://api.openai.com/v1/",
        ProviderKind::Anthropic => "https://api.anthropic.com/v1/",
        ProviderKind::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
    };
    let text = provider.base_url.as_deref().unwrap_or(default).trim();
    let url = reqwest::Url::parse(text)
        .map_err(|error| Error::invalid(format!("the model provider's base URL {text} is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error::invalid(format!(
            "the model provider's base URL {text} must start with http:// or https://"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(
            "the model provider's base URL must not contain a user name or password; set the provider's API key instead",
        ));
    }
    Ok(format!("{}/", text.trim_end_matches('/')))
}
