//! Tests of `/metrics`: the real program after real runs with tools, and the list in docs/metrics.md.

use std::collections::{BTreeMap, BTreeSet};

use runyard::telemetry::names::{self, Kind};
use runyard_upstream::{Call, Gate, Turn, Upstream};
use serde_json::{Value, json};

use super::{
    program::{OPEN, Program},
    webhooks::receiver::Receiver,
};
use crate::test_server::{TEST_TIMEOUT, on_every_database};

const TOKEN: &str = "the token of the metrics";

/// A sample: its name, its labels and its value.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

struct Scraped {
    text: String,
    samples: Vec<Sample>,
}

impl Scraped {
    fn parse(text: String) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap();
            let labels = labels.split("\",").filter(|label| !label.is_empty()).map(|label| {
                let (key, value) = label.split_once("=\"").unwrap();
                (key.to_owned(), value.trim_end_matches('"').to_owned())
            });
            Sample {
                name: name.to_owned(),
                labels: labels.collect(),
                value: value.parse().unwrap(),
            }
        });
        let samples = samples.collect();
        Self { text, samples }
    }

    /// Adds up the series of a name that have these labels. Returns `None` if there is no such series.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |sample: &&Sample| {
            let matches = |(key, value): &(&str, &str)| sample.labels.get(*key).is_some_and(|found| found == value);
            sample.name == name && labels.iter().all(matches)
        };
        let found: Vec<f64> = self.samples.iter().filter(has).map(|sample| sample.value).collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }

    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.sum(name, labels);
        found.unwrap_or_else(|| panic!("{name} {labels:?} is missing: {}", self.text))
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.get(&format!("{name}_count"), labels)
    }
}

async fn scrape(program: &Program) -> Scraped {
    let request = program.http.get(format!("{}/metrics", program.url)).bearer_auth(TOKEN);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    Scraped::parse(answer.text().await.unwrap())
}

async fn scrape_until(program: &Program, what: &str, is_met: impl Fn(&Scraped) -> bool) -> Scraped {
    let waiting = async {
        loop {
            let scraped = scrape(program).await;
            if is_met(&scraped) {
                return scraped;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let met = tokio::time::timeout(TEST_TIMEOUT, waiting).await;
    met.unwrap_or_else(|_| panic!("the metrics do not show {what}"))
}

async fn start(program: &Program, mode: &str) -> Value {
    let body = json!({"prompt": "Go.", "mode": mode});
    let answer = program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.json().await.unwrap()
}

/// Reads the events of a run up to its end. Returns the text of the stream.
async fn follow(program: &Program, run: &Value) -> String {
    let path = format!("/agent-run/{}/stream?last_id=0", run["agent_run_id"].as_str().unwrap());
    let answer = program
        .request("GET", &path)
        .timeout(TEST_TIMEOUT)
        .send()
        .await
        .unwrap();
    answer.text().await.unwrap()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one program and one list of checks")]
#[expect(clippy::float_cmp, reason = "the numbers are whole")]
async fn the_program_measures_its_runs() {
    // Four processes need more memory together than the command may use.
    let greedy = "for i in 1 2 3 4; do perl -e '$n = 50_000_000; $x = \"x\" x $n; sleep 30' & done; wait; exit 1";
    let gate = Gate::new();
    let upstream = Upstream::start([
        Turn::calls([
            Call::new("bash", &json!({"command": "echo hello"})),
            Call::new("read", &json!({"path": "missing.txt"})),
        ])
        .usage(1_000, 20),
        Turn::calls([Call::new("bash", &json!({"command": greedy}))]).usage(1_100, 20),
        Turn::text("Done.").usage(1_200, 5),
        Turn::status(401),
        Turn::text("Never read.").held_by(&gate),
    ])
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "auth.metrics_token = \"{TOKEN}\"\nsandbox.max_memory_bytes = 134217728\nwebhooks.allow_private_addresses = true\n\
         [providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\nmodel = \"scripted\"\n{}",
        upstream.base_url(),
        OPEN.replace("runyard/demo", "kortix/minimax")
    );
    let program = Program::start(folder.path(), &config).await;
    let receiver = Receiver::start().await;
    let webhook = json!({"url": receiver.url(), "events": []});
    let made = program
        .request("POST", "/webhooks")
        .json(&webhook)
        .send()
        .await
        .unwrap();
    assert_eq!(made.status(), 200);

    let before = scrape(&program).await;
    assert_eq!(before.sum(names::TOOL_CALLS, &[]), None, "control: no run has started");

    let completed = start(&program, "code").await;
    let events = follow(&program, &completed).await;
    assert!(events.contains("Done."), "{events}");
    let failed = start(&program, "chat").await;
    follow(&program, &failed).await;
    let stopped = start(&program, "chat").await;
    scrape_until(&program, "the last model call", |scraped| {
        upstream.count() >= 5 && scraped.get(names::WORKER_RUNS, &[]) >= 1.0
    })
    .await;
    let path = format!("/agent-run/{}/stop", stopped["agent_run_id"].as_str().unwrap());
    let answer = program.request("POST", &path).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
    follow(&program, &stopped).await;
    receiver.wait_for(3).await;
    let scraped = scrape_until(&program, "the end of all runs and deliveries", |scraped| {
        let sum = |name: &str| scraped.sum(name, &[]).unwrap_or_default();
        sum(names::WEBHOOK_DELIVERIES) >= 3.0
            && sum(names::SANDBOX_RUNNING) < 1.0
            && sum(names::WORKER_RUNS) < 1.0
            && sum(names::STREAMS_OPEN) < 1.0
    })
    .await;

    let model = [("provider", "default"), ("model", "kortix/minimax")];
    let with = |label: (&'static str, &'static str)| [model[0], model[1], label];
    assert_eq!(
        scraped.get(names::MODEL_CALLS, &with(("outcome", "ok"))),
        3.0,
        "{}",
        scraped.text
    );
    assert_eq!(scraped.get(names::MODEL_CALLS, &with(("outcome", "credentials"))), 1.0);
    assert_eq!(scraped.get(names::MODEL_CALLS, &with(("outcome", "cancelled"))), 1.0);
    assert_eq!(scraped.count(names::MODEL_SECONDS, &model), 5.0);
    assert_eq!(scraped.count(names::MODEL_FIRST_TOKEN, &model), 3.0, "{}", scraped.text);
    assert!(scraped.get(names::MODEL_TOKENS, &with(("type", "input"))) >= 3_300.0);
    assert!(scraped.get(names::MODEL_TOKENS, &with(("type", "output"))) >= 45.0);
    assert!(scraped.get(names::MODEL_MICROCREDITS, &model) > 0.0);

    assert_eq!(
        scraped.get(names::TOOL_CALLS, &[("tool", "read"), ("outcome", "error")]),
        1.0
    );
    assert_eq!(
        scraped.get(names::TOOL_CALLS, &[("tool", "bash")]),
        2.0,
        "{}",
        scraped.text
    );
    assert_eq!(
        scraped.get(names::TOOL_CALLS, &[("tool", "bash"), ("outcome", "ok")]),
        1.0
    );
    assert_eq!(scraped.count(names::TOOL_SECONDS, &[("tool", "bash")]), 2.0);
    assert!(scraped.get(names::SANDBOX_STARTS, &[("outcome", "started")]) >= 2.0);
    assert_eq!(scraped.get(names::SANDBOX_STARTS, &[("outcome", "failed")]), 0.0);
    assert_eq!(scraped.get(names::SANDBOX_MEMORY_KILLS, &[]), 1.0, "{}", scraped.text);

    for (status, count) in [("completed", 1.0), ("failed", 1.0), ("stopped", 1.0)] {
        assert_eq!(scraped.get(names::RUNS_ENDED, &[("status", status)]), count, "{status}");
        assert_eq!(
            scraped.count(names::RUN_SECONDS, &[("status", status)]),
            count,
            "{status}"
        );
    }
    assert_eq!(scraped.get(names::RUNS_STARTED, &[]), 3.0);
    assert_eq!(scraped.count(names::CLAIM_DELAY, &[]), 3.0);
    assert_eq!(scraped.get(names::RUNS_WAITING, &[]), 0.0);
    assert!(scraped.get(names::WORKER_SLOTS, &[]) >= 1.0);

    let written = scraped.get(names::EVENTS, &[]);
    assert!(
        written >= 10.0 && scraped.get(names::STREAM_EVENTS, &[]) >= written,
        "{}",
        scraped.text
    );
    assert!((scraped.get(&format!("{}_sum", names::JOURNAL_BATCH), &[]) - written).abs() < 0.5);
    assert!(scraped.count(names::COMMIT_SECONDS, &[]) >= 5.0);
    let units = scraped.get(&format!("{}_sum", names::BATCH_UNITS), &[]);
    assert!(units >= scraped.count(names::BATCH_UNITS, &[]), "{}", scraped.text);
    assert!(scraped.get(names::MAX_CONNECTIONS, &[]) >= scraped.get(names::CONNECTIONS, &[]));
    assert_eq!(scraped.get(names::WEBHOOK_ATTEMPTS, &[("outcome", "succeeded")]), 3.0);
    assert_eq!(scraped.get(names::WEBHOOK_DELIVERIES, &[("outcome", "succeeded")]), 3.0);
    assert_eq!(scraped.count(names::WEBHOOK_DELAY, &[]), 3.0);
    assert!(scraped.get(names::DISK_FREE, &[]) > 0.0);
    assert_eq!(
        scraped.get(names::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))]),
        1.0
    );
    assert!(scraped.get(names::PROCESS_CPU, &[]) > before.get(names::PROCESS_CPU, &[]));

    check_names(&scraped);
    for id in ["agent_run_id", "thread_id", "project_id"] {
        assert!(
            !scraped.text.contains(completed[id].as_str().unwrap()),
            "{id}: {}",
            scraped.text
        );
    }
}

/// Checks that each series is in the list, with the type and the labels of the list.
fn check_names(scraped: &Scraped) {
    for sample in &scraped.samples {
        let metric = names::ALL.iter().find(|metric| {
            let is_part = |suffix: &str| sample.name.strip_suffix(suffix) == Some(metric.name);
            match metric.kind {
                Kind::Histogram => ["_bucket", "_sum", "_count"].into_iter().any(is_part),
                Kind::Counter | Kind::Gauge => sample.name == metric.name,
            }
        });
        let metric = metric.unwrap_or_else(|| panic!("{} is not in the list of metrics", sample.name));
        let found: BTreeSet<&str> = sample
            .labels
            .keys()
            .map(String::as_str)
            .filter(|key| *key != "le")
            .collect();
        let listed: BTreeSet<&str> = metric.labels.iter().copied().collect();
        assert_eq!(found, listed, "{}", sample.name);
        let types = format!("# TYPE {} {}\n", metric.name, metric.kind.as_str());
        assert_eq!(scraped.text.matches(&types).count(), 1, "{types}{}", scraped.text);
        assert!(
            scraped.text.contains(&format!("# HELP {} ", metric.name)),
            "{}",
            metric.name
        );
    }
    let seen: BTreeSet<&str> = scraped
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .collect();
    let seen: BTreeSet<&str> = seen.into_iter().filter_map(|line| line.split(' ').next()).collect();
    let unseen: Vec<&str> = names::ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !seen.contains(name))
        .collect();
    // These series appear only after a failure.
    assert_eq!(
        unseen,
        [names::MODEL_RETRIES, names::COMMIT_FAILURES],
        "{}",
        scraped.text
    );
}

#[test]
fn names_and_units_follow_the_conventions_of_prometheus() {
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        let name = metric.name;
        assert!(seen.insert(name), "{name} is listed twice");
        assert!(name.starts_with("runyard_") || name.starts_with("process_"), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
        if metric.unit == names::SECONDS {
            assert!(name.contains("_seconds"), "{name}");
        }
        assert!(!name.contains("_ms") && !name.contains("millis"), "{name}");
        assert!(!metric.meaning.ends_with('.') && !metric.meaning.is_empty(), "{name}");
        for label in metric.labels {
            assert!(!label.ends_with("_id"), "{name}: {label}");
        }
    }
}

#[tokio::test]
async fn waiting_runs_commits_and_connections_are_measured_on_every_database() {
    on_every_database(
        |_| Turn::text("Done."),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("Go.").await;
            caller.ended(&run).await;
            let admin = server.caller_as("root", Some("super_admin"));
            let scraped = Scraped::parse(admin.get("/metrics").await.text);
            assert!(scraped.get(names::RUNS_WAITING, &[]) >= 0.0);
            assert!(scraped.count(names::COMMIT_SECONDS, &[]) >= 1.0);
            let connections = server.app().db.connections();
            assert!(connections.max >= 4 && connections.used + connections.idle <= connections.max);
            assert!(connections.used + connections.idle >= 1, "{connections:?}");
            let (used, most) = server.app().worker_slots.usage();
            assert!(used <= 1 && most == server.config.worker.max_runs);
        },
    )
    .await;
}
