//! Spans with the attributes of the semantic conventions.

use std::collections::HashMap;

use futures::future::Either;
use opentelemetry::{
    Context, ContextGuard, KeyValue,
    context::FutureExt,
    global,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanBuilder, SpanKind, Status, TraceContextExt},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use runyard_engine::{
    config::{Provider, ProviderKind},
    llm::{ModelRequest, TokenUsage},
};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{
    is_on,
    names::{
        ACCOUNT_ID, ERROR_TYPE, GEN_AI_AGENT_ID, GEN_AI_CONVERSATION_ID, GEN_AI_OPERATION_NAME, GEN_AI_OUTPUT_TYPE,
        GEN_AI_PROVIDER_NAME, GEN_AI_REQUEST_MAX_TOKENS, GEN_AI_REQUEST_MODEL, GEN_AI_RESPONSE_FINISH_REASONS,
        GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, GEN_AI_USAGE_INPUT_TOKENS,
        GEN_AI_USAGE_OUTPUT_TOKENS, HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, RPC_METHOD, RUN_EPOCH, RUN_ID,
        RUN_STATUS, SERVER_ADDRESS, SERVER_PORT, URL_PATH,
    },
    tracer,
};

/// Maximum length of a caller's `tracestate` in bytes; W3C Trace Context requires 512. A longer one is dropped.
const MAX_STATE: usize = 512;

/// An open span; empty if tracing is off. The span ends when its last clone is dropped.
#[derive(Clone, Debug, Default)]
pub struct Span(Option<Context>);

impl Span {
    fn start(name: String, kind: SpanKind, attributes: Vec<KeyValue>, parent: &Context) -> Self {
        let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
        let span = builder.start_with_context(tracer(), parent);
        Self(Some(parent.with_span(span)))
    }

    /// The span of a request, a child of the span in the caller's headers.
    pub fn request(method: &str, path: &str, headers: &dyn Extractor) -> Self {
        if !is_on() {
            return Self::default();
        }
        let parent =
            global::get_text_map_propagator(|propagator| propagator.extract_with_context(&Context::new(), headers));
        let attributes = vec![
            KeyValue::new(HTTP_REQUEST_METHOD, method.to_owned()),
            KeyValue::new(URL_PATH, path.to_owned()),
        ];
        Self::start(method.to_owned(), SpanKind::Server, attributes, &parent)
    }

    /// The span of a worker's work on a run, a child of the request that started the run.
    pub fn run<'a>(run: impl FnOnce() -> RunSpan<'a>) -> Self {
        if !is_on() {
            return Self::default();
        }
        let run = run();
        let parent = run.parent.as_ref().map(TraceParent::context).unwrap_or_default();
        let mut attributes = vec![
            KeyValue::new(GEN_AI_OPERATION_NAME, "invoke_agent"),
            KeyValue::new(GEN_AI_CONVERSATION_ID, run.thread_id.to_string()),
            KeyValue::new(GEN_AI_REQUEST_MODEL, run.model.to_owned()),
            KeyValue::new(RUN_ID, run.run_id.to_string()),
            KeyValue::new(RUN_EPOCH, run.epoch),
            KeyValue::new(ACCOUNT_ID, run.account_id.to_string()),
        ];
        if let Some(agent_id) = run.agent_id {
            attributes.push(KeyValue::new(GEN_AI_AGENT_ID, agent_id.to_string()));
        }
        Self::start("invoke_agent".to_owned(), SpanKind::Internal, attributes, &parent)
    }

    /// The span of a call of a model, a child of the current span.
    pub fn model_call(service: &ModelService, request: &ModelRequest) -> Self {
        if !is_on() {
            return Self::default();
        }
        let output = if request.output.is_some() { "json" } else { "text" };
        let mut attributes = vec![
            KeyValue::new(GEN_AI_OPERATION_NAME, "chat"),
            KeyValue::new(GEN_AI_PROVIDER_NAME, service.name),
            KeyValue::new(GEN_AI_REQUEST_MODEL, request.model.clone()),
            KeyValue::new(GEN_AI_REQUEST_MAX_TOKENS, i64::from(request.max_output_tokens)),
            KeyValue::new(GEN_AI_OUTPUT_TYPE, output),
        ];
        if let Some((host, port)) = &service.address {
            attributes.push(KeyValue::new(SERVER_ADDRESS, host.clone()));
            attributes.push(KeyValue::new(SERVER_PORT, i64::from(*port)));
        }
        let name = format!("chat {}", request.model);
        Self::start(name, SpanKind::Client, attributes, &Context::current())
    }

    /// Does the work in this span: spans that begin in the work are its children.
    pub async fn within<F: Future>(&self, work: F) -> F::Output {
        match &self.0 {
            Some(context) => Either::Left(work.with_context(context.clone())),
            None => Either::Right(work),
        }
        .await
    }

    /// Makes this span the current one until the guard is dropped.
    pub fn enter(&self) -> Option<ContextGuard> {
        self.0.as_ref().map(|context| context.clone().attach())
    }

    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// The trace's id, for the log.
    pub fn trace_id(&self) -> Option<String> {
        let context = self.0.as_ref()?;
        Some(context.span().span_context().trace_id().to_string())
    }

    /// Records the response to a request. `error` is the code of the failure.
    pub fn answered(&self, http_status: u16, error: Option<&str>, is_ours: bool) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        span.set_attribute(KeyValue::new(HTTP_RESPONSE_STATUS_CODE, i64::from(http_status)));
        let Some(code) = error else { return };
        span.set_attribute(KeyValue::new(ERROR_TYPE, code.to_owned()));
        if is_ours {
            span.set_status(Status::error(code.to_owned()));
        }
    }

    /// Records the first piece of a model's answer.
    pub fn first_token(&self, seconds: f64) {
        self.set(|| vec![KeyValue::new(GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK, seconds)]);
    }

    pub fn used(&self, usage: TokenUsage) {
        let count = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        self.set(|| {
            vec![
                KeyValue::new(GEN_AI_USAGE_INPUT_TOKENS, count(usage.input)),
                KeyValue::new(GEN_AI_USAGE_OUTPUT_TOKENS, count(usage.output)),
                KeyValue::new(GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, count(usage.cached_input)),
            ]
        });
    }

    /// Records why a model's answer ended.
    pub fn finished(&self, reason: &'static str) {
        let reasons = opentelemetry::Array::String(vec![reason.into()]);
        self.set(|| {
            vec![KeyValue::new(
                GEN_AI_RESPONSE_FINISH_REASONS,
                opentelemetry::Value::Array(reasons),
            )]
        });
    }

    /// Records that the engine repeats a model call.
    pub fn retried(&self) {
        if let Some(context) = &self.0 {
            context.span().add_event("retry", Vec::new());
        }
    }

    /// Records the final status of a run.
    pub fn ended(&self, status: &'static str) {
        self.set(|| vec![KeyValue::new(RUN_STATUS, status)]);
    }

    pub fn failed(&self, code: &str) {
        let Some(context) = &self.0 else { return };
        let span = context.span();
        span.set_attribute(KeyValue::new(ERROR_TYPE, code.to_owned()));
        span.set_status(Status::error(code.to_owned()));
    }

    fn set(&self, attributes: impl FnOnce() -> Vec<KeyValue>) {
        if let Some(context) = &self.0 {
            context.span().set_attributes(attributes());
        }
    }
}

/// The attributes of a run's span.
pub struct RunSpan<'a> {
    pub run_id: Uuid,
    pub account_id: Uuid,
    pub thread_id: Uuid,
    pub agent_id: Option<Uuid>,
    pub model: &'a str,
    pub epoch: i64,
    pub parent: Option<TraceParent>,
}

/// Names the current request's span after the method, such as `runyard.v1.RunService/StartRun`. The transcoder calls
/// methods by the same path as gRPC.
pub fn name_method(path: &str) {
    if is_on() {
        Context::map_current(|context| {
            let method = path.trim_start_matches('/').to_owned();
            context.span().set_attribute(KeyValue::new(RPC_METHOD, method.clone()));
            context.span().update_name(method);
        });
    }
}

/// Adds the account to the current request's span.
pub fn note_account(account_id: Uuid) {
    if is_on() {
        Context::map_current(|context| {
            context
                .span()
                .set_attribute(KeyValue::new(ACCOUNT_ID, account_id.to_string()));
        });
    }
}

/// A reference to a span that another task or process continues, in the form of the W3C Trace Context headers.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TraceParent {
    traceparent: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tracestate: String,
}

impl TraceParent {
    /// The current span; `None` without one.
    pub fn current() -> Option<Self> {
        if !is_on() {
            return None;
        }
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject(&mut headers);
        Some(Self {
            traceparent: headers.remove("traceparent")?,
            tracestate: headers
                .remove("tracestate")
                .filter(|state| state.len() <= MAX_STATE)
                .unwrap_or_default(),
        })
    }

    fn context(&self) -> Context {
        let headers = [("traceparent", &self.traceparent), ("tracestate", &self.tracestate)];
        let headers: HashMap<_, _> = headers.map(|(name, value)| (name.to_owned(), value.clone())).into();
        TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
    }
}

/// The service that answers calls of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelService {
    /// The well-known name of the provider in the semantic conventions; that of the protocol if the provider has none.
    name: &'static str,
    address: Option<(String, u16)>,
}

impl ModelService {
    /// The models in this program.
    pub const BUILT_IN: Self = Self {
        name: "runyard",
        address: None,
    };

    pub fn of(provider: &Provider) -> Self {
        let url = provider.base_url.as_deref().and_then(|url| Url::parse(url.trim()).ok());
        Self {
            name: match provider.kind {
                ProviderKind::OpenAi | ProviderKind::Responses => "openai",
                ProviderKind::Anthropic => "anthropic",
                ProviderKind::Gemini => "gcp.gemini",
            },
            address: url.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?))),
        }
    }
}
