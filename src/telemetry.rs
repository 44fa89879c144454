//! Logs and metrics.
//!
//! Called once by `commands`; calling again changes nothing, so that tests may start many servers in one process.

use std::{
    io::{IsTerminal, stderr},
    sync::OnceLock,
    time::Duration,
};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::error::{Error, Result};

/// Seconds: from an answer out of memory to a long run.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];

/// How often the samples of histograms are added up. Until then, every sample takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Starts logging to standard error: text on a terminal, JSON otherwise. The filter is as in `RUNYARD_LOG`.
///
/// # Errors
/// INVALID_REQUEST when the filter cannot be read.
pub fn start_logging(filter: &str) -> Result<()> {
    // The library that speaks to providers logs what they answer, and they repeat what they were told.
    // PostgreSQL notes at each start that the table of migrations is there.
    let filter = format!("sqlx::postgres::notice=warn,{filter},genai=off");
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Error::invalid(format!(
            "RUNYARD_LOG is not a log filter such as info or runyard=debug: {error}"
        ))
    })?;
    let registry = tracing_subscriber::registry().with(filter);
    // A second call finds a subscriber in place, which is fine.
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

/// Requests by door and HTTP status.
pub const REQUESTS: &str = "runyard_requests_total";
/// Seconds until the head of an answer, by door.
pub const REQUEST_SECONDS: &str = "runyard_request_seconds";
/// Runs that were started.
pub const RUNS_STARTED: &str = "runyard_runs_started_total";
/// Runs that ended, by status.
pub const RUNS_ENDED: &str = "runyard_runs_ended_total";
/// Events that were made durable.
pub const EVENTS: &str = "runyard_events_total";
/// Runs that are worked on or watched in this process.
pub const RUNS_LIVE: &str = "runyard_runs_live";

/// Starts collecting metrics.
pub fn start_metrics() {
    if handle().is_some() {
        describe_counter!(REQUESTS, "Requests, by door and HTTP status");
        describe_histogram!(
            REQUEST_SECONDS,
            Unit::Seconds,
            "Time until the head of an answer, by door"
        );
        describe_counter!(RUNS_STARTED, "Runs that were started");
        describe_counter!(RUNS_ENDED, "Runs that ended, by status");
        describe_counter!(EVENTS, "Events that were made durable");
        describe_gauge!(RUNS_LIVE, "Runs that are worked on or watched in this process");
    }
}

/// Adds up the samples of histograms for as long as it is polled, so that a server whose metrics nobody reads keeps none.
pub async fn add_up_samples() {
    loop {
        tokio::time::sleep(UPKEEP).await;
        if let Some(handle) = handle() {
            handle.run_upkeep();
        }
    }
}

/// The metrics in the text format of Prometheus; empty when another recorder was there first.
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
