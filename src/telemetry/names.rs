//! The names of all metrics. docs/metrics.md is generated from this list, and a test compares the list with `/metrics`.
//!
//! Every label has a bounded number of values. No label names an account, a thread, a run or a caller.

/// A metric, as docs/metrics.md lists it.
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// The unit of the value.
    pub unit: &'static str,
    pub labels: &'static [&'static str],
    /// One sentence without a full stop.
    pub meaning: &'static str,
}

/// The type of a metric in Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

pub const SECONDS: &str = "seconds";
const BYTES: &str = "bytes";

pub const BUILD_INFO: &str = "runyard_build_info";
pub const REQUESTS: &str = "runyard_requests_total";
pub const REQUEST_SECONDS: &str = "runyard_request_seconds";
pub const STREAMS_OPEN: &str = "runyard_streams_open";
pub const STREAM_EVENTS: &str = "runyard_stream_events_total";
pub const RUNS_STARTED: &str = "runyard_runs_started_total";
pub const RUNS_ENDED: &str = "runyard_runs_ended_total";
pub const RUN_SECONDS: &str = "runyard_run_duration_seconds";
pub const RUNS_LIVE: &str = "runyard_runs_live";
pub const RUNS_WAITING: &str = "runyard_runs_waiting";
pub const CLAIM_DELAY: &str = "runyard_run_claim_delay_seconds";
pub const WORKER_RUNS: &str = "runyard_worker_runs";
pub const WORKER_SLOTS: &str = "runyard_worker_slots";
pub const MODEL_CALLS: &str = "runyard_model_calls_total";
pub const MODEL_SECONDS: &str = "runyard_model_call_duration_seconds";
pub const MODEL_FIRST_TOKEN: &str = "runyard_model_first_token_seconds";
pub const MODEL_TOKENS: &str = "runyard_model_tokens_total";
pub const MODEL_MICROCREDITS: &str = "runyard_model_microcredits_total";
pub const MODEL_RETRIES: &str = "runyard_model_retries_total";
pub const SKIPPED_PIECES: &str = "runyard_model_skipped_pieces_total";
pub const TOOL_CALLS: &str = "runyard_tool_calls_total";
pub const TOOL_SECONDS: &str = "runyard_tool_duration_seconds";
pub const SANDBOX_STARTS: &str = "runyard_sandbox_starts_total";
pub const SANDBOX_RUNNING: &str = "runyard_sandbox_running";
pub const SANDBOX_MEMORY_KILLS: &str = "runyard_sandbox_memory_kills_total";
pub const EVENTS: &str = "runyard_events_total";
pub const JOURNAL_BATCH: &str = "runyard_journal_batch_events";
pub const COMMIT_SECONDS: &str = "runyard_database_commit_duration_seconds";
pub const COMMIT_FAILURES: &str = "runyard_database_commit_failures_total";
pub const BATCH_UNITS: &str = "runyard_database_batch_units";
pub const CONNECTIONS: &str = "runyard_database_connections";
pub const MAX_CONNECTIONS: &str = "runyard_database_connections_max";
pub const WEBHOOK_ATTEMPTS: &str = "runyard_webhook_attempts_total";
pub const WEBHOOK_DELIVERIES: &str = "runyard_webhook_deliveries_total";
pub const WEBHOOK_DELAY: &str = "runyard_webhook_delivery_delay_seconds";
pub const DISK_FREE: &str = "runyard_data_disk_free_bytes";
pub const PROCESS_CPU: &str = "process_cpu_seconds_total";
pub const PROCESS_RESIDENT: &str = "process_resident_memory_bytes";
pub const PROCESS_VIRTUAL: &str = "process_virtual_memory_bytes";
pub const PROCESS_FDS: &str = "process_open_fds";
pub const PROCESS_MAX_FDS: &str = "process_max_fds";
pub const PROCESS_THREADS: &str = "process_threads";
pub const PROCESS_START: &str = "process_start_time_seconds";

/// All metrics, in the order of the documentation.
pub const ALL: &[Metric] = &[
    gauge(
        BUILD_INFO,
        "–",
        &["version"],
        "Version of the program; the value is always 1",
    ),
    counter(
        REQUESTS,
        "requests",
        &["protocol", "status"],
        "Requests, by protocol and HTTP status",
    ),
    histogram(
        REQUEST_SECONDS,
        SECONDS,
        &["protocol"],
        "Time until the response head, by protocol",
    ),
    gauge(STREAMS_OPEN, "streams", &[], "Open streaming responses"),
    counter(STREAM_EVENTS, "events", &[], "Run events passed to open streams"),
    counter(RUNS_STARTED, "runs", &[], "Started runs"),
    counter(RUNS_ENDED, "runs", &["status"], "Ended runs, by status"),
    histogram(
        RUN_SECONDS,
        SECONDS,
        &["status"],
        "Time from the creation of a run to its end",
    ),
    gauge(RUNS_LIVE, "runs", &[], "Runs executed or watched in this process"),
    gauge(
        RUNS_WAITING,
        "runs",
        &[],
        "Unfinished runs of the whole database that no worker has claimed, counted up to 1000",
    ),
    histogram(
        CLAIM_DELAY,
        SECONDS,
        &[],
        "Time from the creation of a run to its first claim by a worker",
    ),
    gauge(
        WORKER_RUNS,
        "runs",
        &[],
        "Runs that the worker of this process executes",
    ),
    gauge(
        WORKER_SLOTS,
        "runs",
        &[],
        "Maximum number of runs that the worker of this process executes",
    ),
    counter(
        MODEL_CALLS,
        "calls",
        &["provider", "model", "outcome"],
        "Model calls that have ended: ok, length, declined, cancelled, or the kind of their error",
    ),
    histogram(
        MODEL_SECONDS,
        SECONDS,
        &["provider", "model"],
        "Time from the start of a model call to the end of its answer, including retries",
    ),
    histogram(
        MODEL_FIRST_TOKEN,
        SECONDS,
        &["provider", "model"],
        "Time from the start of a model call to the first chunk of its answer",
    ),
    counter(
        MODEL_TOKENS,
        "tokens",
        &["provider", "model", "type"],
        "Tokens of model calls: input (not cached), cached_input and output; estimated if the provider reports no usage",
    ),
    counter(
        MODEL_MICROCREDITS,
        "millionths of a credit",
        &["provider", "model"],
        "Cost of model calls",
    ),
    counter(
        MODEL_RETRIES,
        "calls",
        &["provider"],
        "Repeated model calls, by provider",
    ),
    counter(
        SKIPPED_PIECES,
        "parts",
        &["provider"],
        "Parts of model answers that were skipped or repaired, by provider",
    ),
    counter(
        TOOL_CALLS,
        "calls",
        &["tool", "outcome"],
        "Executed tool calls: ok, error (reported to the model) or fatal (ends the run)",
    ),
    histogram(TOOL_SECONDS, SECONDS, &["tool"], "Duration of executed tool calls"),
    counter(
        SANDBOX_STARTS,
        "commands",
        &["outcome"],
        "Commands started in a sandbox, and sandboxes that failed to start",
    ),
    gauge(SANDBOX_RUNNING, "commands", &[], "Commands that run in a sandbox now"),
    counter(
        SANDBOX_MEMORY_KILLS,
        "commands",
        &[],
        "Commands in which a process was killed because memory had run out",
    ),
    counter(EVENTS, "events", &[], "Events written to the database"),
    histogram(JOURNAL_BATCH, "events", &[], "Events per transaction of the journal"),
    histogram(
        COMMIT_SECONDS,
        SECONDS,
        &[],
        "Duration of database commits; on SQLite, of a batch",
    ),
    counter(COMMIT_FAILURES, "commits", &[], "Failed database commits"),
    histogram(
        BATCH_UNITS,
        "units of work",
        &[],
        "Units of work per commit; SQLite only",
    ),
    gauge(
        CONNECTIONS,
        "connections",
        &["state"],
        "Open database connections, used or idle; on SQLite, those for reads",
    ),
    gauge(
        MAX_CONNECTIONS,
        "connections",
        &[],
        "Maximum number of these database connections",
    ),
    counter(
        WEBHOOK_ATTEMPTS,
        "requests",
        &["outcome"],
        "Requests to receivers of webhooks: succeeded, refused, failing or gone",
    ),
    counter(
        WEBHOOK_DELIVERIES,
        "deliveries",
        &["outcome"],
        "Finished deliveries of webhooks: succeeded or failed",
    ),
    histogram(
        WEBHOOK_DELAY,
        SECONDS,
        &[],
        "Time from queueing a delivery of a webhook to its acceptance by the receiver",
    ),
    gauge(DISK_FREE, BYTES, &[], "Free bytes on the disk of the data folder"),
    counter(PROCESS_CPU, SECONDS, &[], "CPU time of the process, user and system"),
    gauge(PROCESS_RESIDENT, BYTES, &[], "Resident memory of the process"),
    gauge(PROCESS_VIRTUAL, BYTES, &[], "Virtual memory of the process"),
    gauge(PROCESS_FDS, "descriptors", &[], "Open file descriptors of the process"),
    gauge(
        PROCESS_MAX_FDS,
        "descriptors",
        &[],
        "Maximum number of open file descriptors",
    ),
    gauge(PROCESS_THREADS, "threads", &[], "Threads of the process"),
    gauge(
        PROCESS_START,
        SECONDS,
        &[],
        "Start of the process, in seconds since 1970",
    ),
];

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(Kind::Counter, name, unit, labels, meaning)
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(Kind::Gauge, name, unit, labels, meaning)
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    metric(Kind::Histogram, name, unit, labels, meaning)
}

const fn metric(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Metric {
    Metric {
        name,
        kind,
        unit,
        labels,
        meaning,
    }
}
