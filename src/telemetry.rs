//! Sets up logs and metrics. Setting them up again has no effect, so that tests can start many servers in one
//! process.

use std::{
    fmt as text,
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing::span::Record;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::RecordFields,
    filter::Targets,
    fmt::{
        self, FormatFields, FormattedFields,
        format::{JsonFields, Writer},
    },
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::error::{Error, Result};

/// Upper bounds of the histogram buckets, in seconds.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// Interval at which histogram samples are aggregated. Each sample takes memory until it is aggregated.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Logs to standard error: as text on a terminal, otherwise as JSON. `filter` has the syntax of `RUNYARD_LOG`.
pub fn start_logging(filter: &str) -> Result<()> {
    // At every start, PostgreSQL reports that the migrations table already exists. This filter hides the notice.
    let filter = format!("sqlx::postgres::notice=warn,{filter}");
    let registry = tracing_subscriber::registry().with(read_filter(&filter)?);
    // The call fails if a subscriber is already installed. That subscriber stays in use.
    let _ = if stderr().is_terminal() {
        registry
            .with(fmt::layer().with_writer(stderr).with_target(false))
            .try_init()
    } else {
        registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .fmt_fields(AppendedFields::default())
                    .with_writer(stderr),
            )
            .try_init()
    };
    Ok(())
}

/// Parses a log filter. [`EnvFilter`] takes a lock whenever a span is entered or left. A filter without span names
/// becomes [`Targets`], which takes no locks.
fn read_filter(filter: &str) -> Result<Box<dyn Layer<Registry> + Send + Sync>> {
    let complete = EnvFilter::try_new(filter).map_err(|error| {
        Error::invalid(format!(
            "RUNYARD_LOG is not a log filter such as info or runyard=debug: {error}"
        ))
    })?;
    let mut directives = filter.split(',');
    let is_simple = directives.all(|directive| !directive.is_empty() && !directive.contains(['[', ' ']));
    match filter.parse::<Targets>() {
        Ok(targets) if is_simple => Ok(targets.boxed()),
        _ => Ok(complete.boxed()),
    }
}

/// Formats the fields of spans as JSON. [`JsonFields`] alone would parse and rewrite the whole text for each field
/// that is recorded later.
#[derive(Default)]
struct AppendedFields {
    json: JsonFields,
}

impl<'w> FormatFields<'w> for AppendedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> text::Result {
        self.json.format_fields(writer, fields)
    }

    fn add_fields(&self, current: &'w mut FormattedFields<Self>, fields: &Record<'_>) -> text::Result {
        let mut added = String::new();
        self.json.format_fields(Writer::new(&mut added), fields)?;
        match (current.fields.strip_suffix('}'), added.strip_prefix('{')) {
            (Some(before), Some(more)) if before.len() > 1 && more.len() > 1 => {
                current.fields = format!("{before},{more}");
            }
            (Some(_), _) if added.len() <= 2 => {}
            _ => current.fields = added,
        }
        Ok(())
    }
}

pub const REQUESTS: &str = "runyard_requests_total";
pub const REQUEST_SECONDS: &str = "runyard_request_seconds";
pub const RUNS_STARTED: &str = "runyard_runs_started_total";
pub const RUNS_ENDED: &str = "runyard_runs_ended_total";
pub const EVENTS: &str = "runyard_events_total";
pub const MODEL_RETRIES: &str = "runyard_model_retries_total";
pub const SKIPPED_PIECES: &str = "runyard_model_skipped_pieces_total";
pub const RUNS_LIVE: &str = "runyard_runs_live";

pub fn start_metrics() {
    if handle().is_some() {
        describe_counter!(REQUESTS, "Requests, by protocol and HTTP status");
        describe_histogram!(
            REQUEST_SECONDS,
            Unit::Seconds,
            "Time until the response head, by protocol"
        );
        describe_counter!(RUNS_STARTED, "Started runs");
        describe_counter!(RUNS_ENDED, "Ended runs, by status");
        describe_counter!(EVENTS, "Events written to the database");
        describe_counter!(MODEL_RETRIES, "Repeated model calls, by provider");
        describe_counter!(
            SKIPPED_PIECES,
            "Parts of model answers that were skipped or repaired, by provider"
        );
        describe_gauge!(RUNS_LIVE, "Runs executed or watched in this process");
    }
}

/// Aggregates histogram samples forever. Without this task, a server whose metrics are never scraped would collect
/// samples without bound.
pub async fn add_up_samples() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(handle) = handle() {
            handle.run_upkeep();
        }
    }
}

/// Renders the metrics in the Prometheus text format. The text is empty if another recorder was installed first.
pub fn render() -> String {
    handle().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        handle.render()
    })
}

fn handle() -> Option<&'static PrometheusHandle> {
    METRICS
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new().set_buckets(BUCKETS).ok()?.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            Some(handle)
        })
        .as_ref()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{field::Empty, info, info_span, subscriber::with_default};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn fields(first: Option<&str>, later: &[(&'static str, &str)]) -> serde_json::Value {
        let lines = Lines::default();
        let writer = lines.clone();
        let output = fmt::layer().json().fmt_fields(AppendedFields::default());
        let registry = tracing_subscriber::registry().with(output.with_writer(move || writer.clone()));
        with_default(registry, || {
            let span = info_span!("request", first, second = Empty, third = Empty);
            for (name, value) in later {
                span.record(*name, value);
            }
            span.in_scope(|| info!("a line"));
        });
        let line: serde_json::Value = serde_json::from_slice(&lines.0.lock().unwrap()).unwrap();
        line["span"].clone()
    }

    #[test]
    fn recorded_fields_are_added_to_the_fields_of_a_span() {
        let quoted = "a \"}, {";
        assert_eq!(fields(Some("1"), &[])["first"], "1");
        assert_eq!(fields(None, &[("second", quoted)])["second"], quoted);
        let all = fields(Some(quoted), &[("second", "2"), ("third", quoted)]);
        assert_eq!(
            (&all["first"], &all["second"], &all["third"]),
            (&quoted.into(), &"2".into(), &quoted.into())
        );
        assert_eq!(fields(None, &[("second", "1"), ("second", "2")])["second"], "2");
    }

    #[test]
    fn filters_of_every_kind_are_read() {
        for filter in ["info", "off", "info,runyard=debug", "info,", "[request]=debug"] {
            assert!(read_filter(filter).is_ok(), "{filter}");
        }
        for filter in ["info=loud", "!"] {
            assert!(read_filter(filter).is_err(), "{filter}");
        }
    }
}
