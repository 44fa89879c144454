//! Measures model calls: their duration, the time to the first token, their outcome, tokens and credits.
//!
//! The handles of a model's series are created once, so that a chunk of an answer costs no lock and no allocation.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Instant,
};

use async_trait::async_trait;
use futures::{Stream, StreamExt};
use metrics::{Counter, Histogram, SharedString};
use runyard_engine::{
    config::{DEMO_PROVIDER, Provider, StructuredOutput, Vision, VisionSettings},
    llm::{EndReason, Llm, LlmError, ModelEvent, ModelRequest, ModelStream, Models, TokenUsage},
};

use super::{
    names,
    traces::{ModelService, Span},
};
use crate::config::ModelTable;

/// The label of a model that the configuration does not contain.
const OTHER: &str = "other";

/// The series of all configured models.
pub struct ModelMeasures {
    /// By name and alias.
    models: BTreeMap<String, Arc<ModelSeries>>,
    other: Arc<ModelSeries>,
}

/// The series of one model.
pub struct ModelSeries {
    provider: SharedString,
    model: SharedString,
    service: ModelService,
    handles: OnceLock<Handles>,
}

struct Handles {
    duration: Histogram,
    first_token: Histogram,
    input: Counter,
    cached_input: Counter,
    output: Counter,
    microcredits: Counter,
}

impl ModelMeasures {
    pub fn new(table: &ModelTable, providers: &BTreeMap<String, Provider>, llm: &Models) -> Self {
        let mut models = BTreeMap::new();
        for model in table.iter() {
            let (provider, service) = if llm.is_demo(&model.name) {
                (DEMO_PROVIDER, ModelService::BUILT_IN)
            } else {
                let service = providers.get(&model.provider).map(ModelService::of);
                (model.provider.as_str(), service.unwrap_or(ModelService::BUILT_IN))
            };
            let series = Arc::new(ModelSeries::new(provider, &model.name, service));
            for name in std::iter::once(&model.name).chain(&model.aliases) {
                models.insert(name.clone(), Arc::clone(&series));
            }
        }
        Self {
            models,
            other: Arc::new(ModelSeries::new(OTHER, OTHER, ModelService::BUILT_IN)),
        }
    }

    /// `name` may be an alias.
    pub fn of(&self, name: &str) -> &Arc<ModelSeries> {
        self.models.get(name).unwrap_or(&self.other)
    }
}

impl ModelSeries {
    fn new(provider: &str, model: &str, service: ModelService) -> Self {
        Self {
            provider: Arc::<str>::from(provider).into(),
            model: Arc::<str>::from(model).into(),
            service,
            handles: OnceLock::new(),
        }
    }

    /// Counts the usage and the cost of a call.
    pub fn used(&self, usage: TokenUsage, microcredits: i64) {
        let handles = self.handles();
        handles.input.increment(usage.input.saturating_sub(usage.cached_input));
        handles.cached_input.increment(usage.cached_input);
        handles.output.increment(usage.output);
        handles
            .microcredits
            .increment(microcredits.try_into().unwrap_or_default());
    }

    /// Counts a call that the engine repeats.
    pub fn retried(&self) {
        metrics::counter!(names::MODEL_RETRIES, "provider" => self.provider.clone()).increment(1);
    }

    fn ended(&self, outcome: &'static str, began: Instant) {
        self.handles().duration.record(began.elapsed());
        let (provider, model) = (self.provider.clone(), self.model.clone());
        metrics::counter!(names::MODEL_CALLS, "provider" => provider, "model" => model, "outcome" => outcome)
            .increment(1);
    }

    fn handles(&self) -> &Handles {
        self.handles.get_or_init(|| {
            let labels = || [("provider", self.provider.clone()), ("model", self.model.clone())];
            let tokens = |kind: &'static str| {
                let [provider, model] = labels();
                metrics::counter!(names::MODEL_TOKENS, &[provider, model, ("type", kind.into())])
            };
            Handles {
                duration: metrics::histogram!(names::MODEL_SECONDS, &labels()),
                first_token: metrics::histogram!(names::MODEL_FIRST_TOKEN, &labels()),
                input: tokens("input"),
                cached_input: tokens("cached_input"),
                output: tokens("output"),
                microcredits: metrics::counter!(names::MODEL_MICROCREDITS, &labels()),
            }
        })
    }
}

/// The models of the configuration. Each call is measured.
pub struct MeasuredModels<'a> {
    pub models: &'a Models,
    pub measures: &'a ModelMeasures,
}

#[async_trait]
impl Llm for MeasuredModels<'_> {
    async fn stream(&self, request: ModelRequest) -> ModelStream {
        let series = Arc::clone(self.measures.of(&request.model));
        let began = Instant::now();
        let span = Span::model_call(&series.service, &request);
        MeasuredStream {
            inner: span.within(self.models.stream(request)).await,
            span,
            series,
            began,
            has_begun: false,
            has_ended: false,
        }
        .boxed()
    }

    fn vision(&self, model: &str, over: VisionSettings) -> Vision {
        self.models.vision(model, over)
    }

    fn structured_output(&self, model: &str) -> StructuredOutput {
        self.models.structured_output(model)
    }
}

struct MeasuredStream {
    inner: ModelStream,
    span: Span,
    series: Arc<ModelSeries>,
    began: Instant,
    has_begun: bool,
    has_ended: bool,
}

impl MeasuredStream {
    fn note(&mut self, item: Option<&Result<ModelEvent, LlmError>>) {
        match item {
            Some(Ok(ModelEvent::Text(_) | ModelEvent::Reasoning(_) | ModelEvent::ToolCall(_))) => {
                if !self.has_begun {
                    self.has_begun = true;
                    let took = self.began.elapsed();
                    self.series.handles().first_token.record(took);
                    self.span.first_token(took.as_secs_f64());
                }
            }
            Some(Ok(ModelEvent::End(reason))) => {
                let (outcome, finish) = match reason {
                    EndReason::Done => ("ok", "stop"),
                    EndReason::Length => ("length", "length"),
                    EndReason::Refused => ("declined", "content_filter"),
                };
                self.span.finished(finish);
                self.end(outcome);
            }
            Some(Ok(ModelEvent::Usage(usage))) => self.span.used(*usage),
            Some(Ok(ModelEvent::Retried { .. })) => self.span.retried(),
            Some(Ok(ModelEvent::Carried(_))) => {}
            Some(Err(error)) => self.fail(code(error)),
            None => self.fail("broken"),
        }
    }

    fn fail(&mut self, outcome: &'static str) {
        if !self.has_ended {
            self.span.failed(outcome);
        }
        self.end(outcome);
    }

    fn end(&mut self, outcome: &'static str) {
        if !self.has_ended {
            self.has_ended = true;
            self.series.ended(outcome, self.began);
        }
    }
}

impl Stream for MeasuredStream {
    type Item = Result<ModelEvent, LlmError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let entered = self.span.enter();
        let item = ready!(self.inner.poll_next_unpin(context));
        drop(entered);
        self.note(item.as_ref());
        Poll::Ready(item)
    }
}

impl Drop for MeasuredStream {
    // The caller drops the stream of a call that it cancels.
    fn drop(&mut self) {
        self.fail("cancelled");
    }
}

fn code(error: &LlmError) -> &'static str {
    match error {
        LlmError::UnknownModel(_) => "unknown_model",
        LlmError::TooLong { .. } => "too_long",
        error => error.kind(),
    }
}
