//! Applies a low mixed load for a long time, to check that memory does not grow. Started by `make soak`.
//!
//! Each step starts a run and follows its events. Some steps also run a command, read lists, send invalid requests,
//! delete a thread, or stop a slow run. The result is the growth of memory per hour after the warm-up.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use runyard::v1::{RunStatus, StopRunRequest, StreamRunRequest};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    Result,
    callers::{Account, connect, ends_with, start_on},
    children::{Place, Server},
    machine,
    options::Options,
    report::{note, say},
};

/// Number of accounts, which the steps use in turn.
const ACCOUNTS: usize = 50;
const STEP: Duration = Duration::from_millis(100);
const UNDER_WAY: usize = 32;
const TIMEOUT: Duration = Duration::from_mins(1);
const SAMPLE: Duration = Duration::from_secs(15);
const SHOWN: usize = 24;
/// Warm-up time as a fraction of the total time.
const WARM_UP: f64 = 0.25;
/// Maximum growth of memory after the warm-up, in MiB per hour.
const MAX_SLOPE: f64 = 1.0;

/// `hours` is the time since the start. `memory` is the server's memory and `wal` the size of SQLite's write-ahead
/// log, both in MiB.
struct Sample {
    hours: f64,
    memory: f64,
    wal: f64,
    runs: usize,
}

pub(crate) async fn measure(options: &Options, program: &Path, folder: &Path, config: &str) -> Result<()> {
    let folder = folder.join("soak");
    let place = Place {
        program,
        folder: &folder,
        config,
        database: options.database.as_deref(),
    };
    let server = Server::start(&place).await?;
    let (began, mut sampled) = (Instant::now(), Instant::now());
    let (mut under_way, mut number) = (JoinSet::new(), 0_usize);
    let mut curve = Vec::new();
    let mut ticks = interval(STEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < options.soak {
        ticks.tick().await;
        if under_way.len() < UNDER_WAY {
            number += 1;
            // Tokens expire after an hour, so each step creates a new one.
            let account = Account::new(&format!("soak-{}", number % ACCOUNTS))?;
            under_way.spawn(timeout(TIMEOUT, step(server.address, account, number)));
        }
        while let Some(ended) = under_way.try_join_next() {
            ended???;
        }
        if sampled.elapsed() >= SAMPLE || curve.is_empty() {
            sampled = Instant::now();
            let wal = std::fs::metadata(folder.join("data/runyard.db-wal")).map_or(0, |wal| wal.len());
            let sample = Sample {
                hours: began.elapsed().as_secs_f64() / 3600.0,
                memory: machine::anonymous_memory_of(server.pid())?,
                wal: wal as f64 / f64::from(1 << 20),
                runs: number,
            };
            note(&format!(
                "soak: {:.2} h, {:.2} MiB, WAL {:.1} MiB, {} steps",
                sample.hours, sample.memory, sample.wal, sample.runs
            ));
            curve.push(sample);
        }
    }
    while let Some(ended) = under_way.join_next().await {
        ended???;
    }
    say(&table(&curve));
    server.stop().await
}

async fn step(address: std::net::SocketAddr, account: Account, number: usize) -> Result<()> {
    let url = |path: &str| format!("http://{address}{path}");
    let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
    let model = match number % 20 {
        7 => "bench/tools",
        13 => "bench/many",
        19 => "bench/slow",
        _ => "bench/one",
    };
    let thread = run(address, &account, model).await?;
    if number.is_multiple_of(3) {
        for path in [
            "/agent-runs",
            "/threads",
            "/projects",
            "/billing/account-state",
            "/agent-runs/active",
        ] {
            account.get(&http, &url(path)).await?;
        }
    }
    if number.is_multiple_of(5) {
        // The server must refuse both requests: the first has an unknown thread, the second has no token.
        let nowhere = url("/threads/00000000-0000-7000-8000-000000000000");
        if account.get(&http, &nowhere).await.is_ok() || http.get(url("/agents")).send().await?.status() != 401 {
            return Err("a refusal was expected".into());
        }
    }
    if number.is_multiple_of(4) {
        account.delete(&http, &url(&format!("/threads/{thread}"))).await?;
    }
    Ok(())
}

/// Starts a run, follows its events to the end and returns the id of its thread. Stops a run of the slow model at its
/// hundredth event.
async fn run(address: std::net::SocketAddr, account: &Account, model: &str) -> Result<String> {
    let mut client = connect(address).await?;
    let mut start = start_on(model);
    if model == "bench/tools" {
        "code".clone_into(&mut start.mode);
    }
    let started = client.start_run(account.signed(start)).await?.into_inner();
    let request = StreamRunRequest {
        agent_run_id: started.agent_run_id.clone(),
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let mut ended = None;
    while let Some(event) = stream.message().await? {
        ended = ends_with(&event).or(ended);
        if model == "bench/slow" && event.sequence == 100 {
            let stop = StopRunRequest {
                agent_run_id: started.agent_run_id.clone(),
            };
            client.stop_run(account.signed(stop)).await?;
        }
    }
    match ended {
        Some(RunStatus::Completed | RunStatus::Stopped) => Ok(started.thread_id),
        other => Err(format!("a run ended with {other:?}").into()),
    }
}

fn table(samples: &[Sample]) -> String {
    let mut table =
        String::from("Soak: anonymous memory of the server by number of steps\n  hours     MiB   WAL MiB   steps\n");
    let every = samples.len().div_ceil(SHOWN).max(1);
    for sample in samples.iter().step_by(every) {
        let _ = writeln!(
            table,
            "{:>7.2} {:>7.2} {:>9.1} {:>7}",
            sample.hours, sample.memory, sample.wal, sample.runs
        );
    }
    let last = samples.last().map_or(0.0, |sample| sample.hours);
    let warm: Vec<&Sample> = samples.iter().filter(|sample| sample.hours >= last * WARM_UP).collect();
    let slope = slope(&warm);
    let verdict = if slope <= MAX_SLOPE { "met" } else { "NOT met" };
    let _ = writeln!(
        table,
        "slope after the first {:.0} %: {slope:+.2} MiB/h, target ≤ {MAX_SLOPE}: {verdict}",
        WARM_UP * 100.0
    );
    table
}

/// Returns the slope of a least-squares line through the memory samples, in MiB per hour.
fn slope(samples: &[&Sample]) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: fn(&Sample) -> f64| samples.iter().map(|sample| of(sample)).sum::<f64>() / count;
    let (hours, memory) = (mean(|sample| sample.hours), mean(|sample| sample.memory));
    let above: f64 = samples
        .iter()
        .map(|sample| (sample.hours - hours) * (sample.memory - memory))
        .sum();
    let below: f64 = samples.iter().map(|sample| (sample.hours - hours).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}
