//! Logs and metrics.
//!
//! Initialised once by `commands`. Further calls change nothing, so tests may start many servers in one process.

use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::error::{Error, Result};

/// Upper bounds of the histogram buckets, in seconds. The smallest bounds suit responses from memory; the largest suit
/// slow requests such as large uploads.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// Interval at which histogram samples are aggregated. Every sample takes memory until it is aggregated.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts logging to standard error: text on a terminal, JSON otherwise. `filter` has the syntax of `RUNYARD_LOG`.
///
/// # Errors
/// INVALID_REQUEST if the filter is invalid.
pub fn start_logging(filter: &str) -> Result<()> {
    // Hide PostgreSQL's notices: at each server start, PostgreSQL would report that the migrations table already
    // exists.
    let filter = format!("sqlx::postgres::notice=warn,{filter}");
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Error::invalid(format!(
            "RUNYARD_LOG is not a log filter such as info or runyard=debug: {error}"
        ))
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    // The call fails if a subscriber is already installed. That subscriber then stays in use.
    let _ = if stderr().is_terminal() {
        registry
            .with(fmt::layer().with_writer(stderr).with_target(false))
            .try_init()
    } else {
        registry
            .with(fmt::layer().json().flatten_event(true).with_writer(stderr))
            .try_init()
    };
    Ok(())
}

/// Counter of requests by protocol and HTTP status.
pub const REQUESTS: &str = "runyard_requests_total";
/// Histogram of the time in seconds until the response head, by protocol.
pub const REQUEST_SECONDS: &str = "runyard_request_seconds";
/// Counter of started runs.
pub const RUNS_STARTED: &str = "runyard_runs_started_total";
/// Counter of ended runs, by status.
pub const RUNS_ENDED: &str = "runyard_runs_ended_total";
/// Counter of events that were written to the database.
pub const EVENTS: &str = "runyard_events_total";
/// Counter of retried model calls, by provider.
pub const MODEL_RETRIES: &str = "runyard_model_retries_total";
/// Counter of parts of model answers that were skipped or repaired, by provider.
pub const SKIPPED_PIECES: &str = "runyard_model_skipped_pieces_total";
/// Gauge of runs that this process executes or streams to clients.
pub const RUNS_LIVE: &str = "runyard_runs_live";

/// Installs the metrics recorder and describes the metrics. Does nothing if another recorder was installed first.
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

/// Aggregates histogram samples at regular intervals. Without this task, a server whose metrics are never scraped would
/// collect samples without bound. The future never completes.
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
