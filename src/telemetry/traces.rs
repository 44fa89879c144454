//! Traces of requests, runs, model calls and tool calls, exported in the OpenTelemetry protocol (OTLP).
//!
//! The standard `OTEL_` variables configure the export (docs/traces.md). Without an endpoint, tracing is off, and no
//! span is created. Spans contain ids, names, codes and numbers, but no text from a caller, a model or a tool.

mod exporter;
mod names;
mod settings;
mod span;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    InstrumentationScope, KeyValue,
    global::{self, BoxedTracer},
};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{info, warn};

use self::{
    names::{SCHEMA_URL, SERVICE_VERSION},
    settings::Settings,
};
use crate::{config::environment::Lookup, error::Result};
pub use span::{ModelService, RunSpan, Span, TraceParent, name_method, note_account};

const NAME: &str = "runyard";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Maximum time to export the last spans at exit. The next process can answer only after this one has ended.
const EXIT_LIMIT: Duration = Duration::from_secs(1);

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Exports spans until it is stopped.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts tracing for the whole process. Returns `None` if the variables do not enable it. Export over gRPC uses
    /// `runtime`. Must not be called inside a runtime.
    ///
    /// # Errors
    /// INVALID_REQUEST with the name of a wrong variable.
    pub fn start(lookup: Lookup<'_>, runtime: &Handle) -> Result<Option<Self>> {
        let Some(settings) = Settings::read(lookup)? else {
            return Ok(None);
        };
        let exporter = exporter::build(&settings, runtime)?;
        let mut resource = Resource::builder();
        if !settings.names_service {
            resource = resource.with_service_name(NAME);
        }
        let resource = resource.with_attribute(KeyValue::new(SERVICE_VERSION, VERSION));
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        global::set_tracer_provider(provider.clone());
        if settings.propagates {
            global::set_text_map_propagator(TraceContextPropagator::new());
        }
        IS_ON.store(true, Ordering::Relaxed);
        info!(
            endpoint = settings.endpoint_host(),
            protocol = settings.protocol.as_str(),
            "exporting traces"
        );
        Ok(Some(Self(provider)))
    }

    /// Exports the spans that have ended, for up to [`EXIT_LIMIT`].
    pub fn stop(self) {
        IS_ON.store(false, Ordering::Relaxed);
        if let Err(error) = self.0.shutdown_with_timeout(EXIT_LIMIT) {
            warn!(%error, "could not export the last traces");
        }
    }
}

fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// The tracer of the service; its spans follow the version of the semantic conventions in their schema URL.
fn tracer() -> &'static BoxedTracer {
    static TRACER: OnceLock<BoxedTracer> = OnceLock::new();
    TRACER.get_or_init(|| {
        let scope = InstrumentationScope::builder(NAME)
            .with_version(VERSION)
            .with_schema_url(SCHEMA_URL);
        global::tracer_with_scope(scope.build())
    })
}
