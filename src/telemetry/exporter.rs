//! Collects the metrics of the process and renders them in the Prometheus text format.

use std::{sync::OnceLock, thread, time::Duration};

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{
    names::{self, Kind},
    process,
};

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0,
];
/// Upper bounds of the buckets of numbers, such as the units of work of a commit.
const NUMBERS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0,
];

/// Interval at which histogram samples are aggregated. Each sample takes memory until it is aggregated.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Begins to create the exporter in another thread, because the calibration of its clock takes about ten milliseconds.
/// [`start_metrics`] waits for the end.
pub fn prepare_metrics() {
    // If the thread cannot start, `start_metrics` creates the exporter.
    drop(thread::Builder::new().name("metrics".to_owned()).spawn(handle));
}

/// Metrics before this call are lost.
pub fn start_metrics() {
    if handle().is_none() {
        return;
    }
    for metric in names::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.meaning),
            Kind::Gauge => describe_gauge!(metric.name, metric.meaning),
            Kind::Histogram => describe_histogram!(metric.name, metric.meaning),
        }
    }
    metrics::gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
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

/// Renders the metrics in the Prometheus text format. Reads files in `/proc`, so it blocks for some microseconds. The
/// text is empty if another recorder was installed first.
pub fn render() -> String {
    handle().map_or_else(String::new, |handle| {
        handle.run_upkeep();
        let mut text = handle.render();
        process::render(&mut text);
        text
    })
}

fn handle() -> Option<&'static PrometheusHandle> {
    METRICS
        .get_or_init(|| {
            let numbers = names::ALL
                .iter()
                .filter(|metric| metric.kind == Kind::Histogram && metric.unit != names::SECONDS);
            let mut builder = PrometheusBuilder::new().set_buckets(SECONDS).ok()?;
            for metric in numbers {
                let name = Matcher::Full(metric.name.to_owned());
                builder = builder.set_buckets_for_metric(name, NUMBERS).ok()?;
            }
            let recorder = builder.build_recorder();
            let handle = recorder.handle();
            metrics::set_global_recorder(recorder).ok()?;
            Some(handle)
        })
        .as_ref()
}
