//! Measures how the number of finished runs affects `StartRun`, lists, deletions and the processor time of an idle
//! server.
//!
//! The measured servers differ only in their number of finished runs. The servers run at the same time and are
//! measured in turns. Other load on the machine therefore affects all servers equally.

use std::{
    fmt::Write,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Result,
    callers::{Account, Caller, Protocol, connect},
    check,
    children::{Place, Server},
    fill,
    machine::{self, millis},
    options::Options,
    report::{median, note, say},
    starts::{self, Target},
};

/// Numbers of finished runs on the measured servers. The first server has no history.
const HISTORIES: [usize; 3] = [0, 10_000, 100_000];
/// Numbers of accounts that share the history. The benchmark runs once per number.
const ACCOUNTS: [usize; 2] = [1, 1_000];
const CALLERS: usize = 16;
/// Number of `StartRun` calls per batch. SQLite checkpoints its write-ahead log several times in a batch of this
/// size.
const STARTS: usize = 2_000;
const BATCHES: usize = 2;
const LISTS: usize = 40;
/// The lists from which rows are deleted, each with the name of its id field.
const DELETED: [(&str, &str); 2] = [("threads", "thread_id"), ("projects", "project_id")];
const DELETES: usize = 8;
const IDLE: Duration = Duration::from_secs(20);
const REST: Duration = Duration::from_secs(3);
/// Minimum rate of `StartRun` calls with the longest history, relative to the server without history.
const MIN_RATE: f64 = 0.95;
/// Maximum processor time per run with the longest history, relative to the server without history.
const MAX_COST: f64 = 1.05;
/// Maximum latency of a GET request or a deletion with the longest history, relative to the server without history.
const MAX_LATENCY: f64 = 1.3;
/// Maximum processor time of an idle server, in milliseconds per second.
const MAX_IDLE: f64 = 0.5;

/// Paths of the measured GET requests. The page size is 1, because lists on the server without history have one row.
const PATHS: [&str; 20] = [
    "/agent-runs?page_size=1",
    "/agent-runs?page_size=1&status=completed",
    "/agent-runs?page_size=1&status=running",
    "/agent-runs/active?page_size=1",
    "/agent-runs?page_size=1&created_after=2020-01-01T00:00:00Z",
    "/agent-runs?page_size=1&created_before=2100-01-01T00:00:00Z",
    "/agent-runs?page_size=1&thread_id={thread}",
    "/agent-run/{run}",
    "/threads?page_size=1",
    "/threads?page_size=1&project_id={project}",
    "/threads?page_size=1&search=a",
    "/threads?page_size=1&search=zzz&project_id={project}",
    "/threads/{thread}/messages?page_size=1",
    "/projects?page_size=1",
    "/agents?page_size=1",
    "/skills?page_size=1",
    "/inputs?page_size=1",
    "/shares?page_size=1",
    "/billing/account-state",
    "/billing/usage-history?page_size=1",
];

struct Grown {
    history: usize,
    server: Server,
    accounts: Vec<Account>,
    http: reqwest::Client,
    paths: Vec<String>,
    rates: Vec<f64>,
    costs: Vec<f64>,
    lists: Vec<Vec<f64>>,
    deletes: [Vec<f64>; 2],
    idle: f64,
}

pub(crate) async fn measure(options: &Options, program: &Path, folder: &Path, config: &str) -> Result<()> {
    for accounts in ACCOUNTS {
        let mut all = Vec::new();
        for history in HISTORIES {
            note(&format!("growth: {history} finished runs in {accounts} accounts"));
            let folder = folder.join(format!("growth-{accounts}-{history}"));
            all.push(grow(options, program, &folder, config, (accounts, history)).await?);
        }
        for round in 1..=options.rounds {
            note(&format!("growth: round {round} of {}", options.rounds));
            for _ in 0..BATCHES {
                for grown in &mut all {
                    grown.start_runs(options).await?;
                }
            }
            // Let the servers finish background work, such as writing files.
            tokio::time::sleep(REST).await;
            read_lists(&mut all).await?;
            delete_rows(&mut all).await?;
        }
        idle(&mut all).await?;
        say(&table(accounts, &all));
        for grown in all {
            grown.server.stop().await?;
        }
    }
    Ok(())
}

async fn grow(
    options: &Options,
    program: &Path,
    folder: &Path,
    config: &str,
    (accounts, history): (usize, usize),
) -> Result<Grown> {
    let (database, url) = fill::database(options.database.as_deref(), folder).await?;
    let place = Place {
        program,
        folder,
        config,
        database: database.as_deref(),
    };
    let server = Server::start(&place).await?;
    let accounts = (0..accounts)
        .map(|number| Account::new(&format!("grown-{number}")))
        .collect::<Result<Vec<_>>>()?;
    // Each account starts one real run, because only accounts with a run get a history.
    let mut lines = Caller::all(Protocol::Grpc, server.address, &accounts).await?;
    for line in &mut lines {
        line.start("bench/one").await?;
    }
    drop(lines);
    let mut asking = connect(server.address).await?;
    for account in &accounts {
        check::until_done(&mut asking, account).await?;
    }
    server.stop().await?;
    fill::fill(&url, history).await?;
    let server = Server::start(&place).await?;
    let paths = paths(&server, &accounts[0]).await?;
    Ok(Grown {
        history,
        server,
        accounts,
        http: reqwest::Client::builder().tcp_nodelay(true).build()?,
        lists: vec![Vec::new(); paths.len()],
        paths,
        rates: Vec::new(),
        costs: Vec::new(),
        deletes: Default::default(),
        idle: 0.0,
    })
}

/// Replaces the placeholders in `PATHS` with the ids of the account's newest run.
async fn paths(server: &Server, account: &Account) -> Result<Vec<String>> {
    let url = format!("http://{}/agent-runs?page_size=1", server.address);
    let answer = account.get(&reqwest::Client::new(), &url).await?;
    let listed: Value = serde_json::from_slice(&answer)?;
    let run = &listed["agent_runs"][0];
    let id = |name: &str| run[name].as_str().ok_or("a list without a run");
    let (run, thread, project) = (id("agent_run_id")?, id("thread_id")?, id("project_id")?);
    Ok(PATHS
        .iter()
        .map(|path| {
            path.replace("{run}", run)
                .replace("{thread}", thread)
                .replace("{project}", project)
        })
        .collect())
}

impl Grown {
    async fn start_runs(&mut self, options: &Options) -> Result<()> {
        // With one account, all callers share it.
        let callers: Vec<Account> = self.accounts.iter().cycle().take(CALLERS).cloned().collect();
        let target = Target {
            address: self.server.address,
            server: self.server.pid(),
            helpers: &[],
            accounts: &callers,
        };
        let found = starts::measure(target, Protocol::Grpc, CALLERS, STARTS / options.divisor).await?;
        self.rates.push(found.executed);
        self.costs.push(found.cpu);
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.server.address)
    }

    async fn newest(&self, (noun, id): (&str, &str)) -> Result<Vec<String>> {
        let url = self.url(&format!("/{noun}?page_size={DELETES}"));
        let listed: Value = serde_json::from_slice(&self.accounts[0].get(&self.http, &url).await?)?;
        let rows = listed[noun].as_array().ok_or("a list without rows")?;
        rows.iter()
            .map(|row| {
                let id = row[id].as_str().ok_or("a row without an id")?;
                Ok(self.url(&format!("/{noun}/{id}")))
            })
            .collect()
    }
}

/// Measures the GET requests of [`PATHS`], and records their median latencies in milliseconds.
async fn read_lists(all: &mut [Grown]) -> Result<()> {
    for position in 0..PATHS.len() {
        let mut times = vec![Vec::with_capacity(LISTS); all.len()];
        for _ in 0..LISTS {
            for (grown, times) in all.iter().zip(&mut times) {
                let url = grown.url(&grown.paths[position]);
                let started = Instant::now();
                grown.accounts[0].get(&grown.http, &url).await?;
                times.push(millis(started.elapsed()));
            }
        }
        for (grown, times) in all.iter_mut().zip(times) {
            grown.lists[position].push(middle(&times));
        }
    }
    Ok(())
}

/// Measures the deletions, and records their median latencies in milliseconds.
async fn delete_rows(all: &mut [Grown]) -> Result<()> {
    for (position, list) in DELETED.into_iter().enumerate() {
        let mut urls = Vec::new();
        for grown in &*all {
            urls.push(grown.newest(list).await?);
        }
        let mut times = vec![Vec::with_capacity(DELETES); all.len()];
        for row in 0..DELETES {
            for ((grown, urls), times) in all.iter().zip(&urls).zip(&mut times) {
                let url = urls.get(row).ok_or("a list with too few rows")?;
                let started = Instant::now();
                grown.accounts[0].delete(&grown.http, url).await?;
                times.push(millis(started.elapsed()));
            }
        }
        for (grown, times) in all.iter_mut().zip(times) {
            grown.deletes[position].push(middle(&times));
        }
    }
    Ok(())
}

async fn idle(all: &mut [Grown]) -> Result<()> {
    tokio::time::sleep(REST).await;
    let mut before = Vec::new();
    for grown in &*all {
        before.push(machine::nanos_of(grown.server.pid())?);
    }
    tokio::time::sleep(IDLE).await;
    for (grown, before) in all.iter_mut().zip(before) {
        let used = machine::nanos_of(grown.server.pid())?.saturating_sub(before);
        grown.idle = used as f64 / 1e6 / IDLE.as_secs_f64();
    }
    Ok(())
}

fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    median(&sorted)
}

fn table(accounts: usize, all: &[Grown]) -> String {
    let mut table = format!(
        "Growth, {accounts} {}, limits on: medians, and the last column compared with the first\n{:<66}",
        if accounts == 1 { "account" } else { "accounts" },
        "finished runs"
    );
    for grown in all {
        let _ = write!(table, "{:>10}", grown.history);
    }
    let _ = writeln!(table, "{:>15}{:>10}", "target", "");
    let mut line = |name: &str, values: Vec<f64>, (target, is_met): (String, bool)| {
        let _ = write!(table, "{name:<66}");
        for value in values {
            let _ = write!(table, "{value:>10.3}");
        }
        let _ = writeln!(table, "{target:>15}  {}", if is_met { "met" } else { "NOT met" });
    };
    let compared = |values: &[f64]| values.last().copied().unwrap_or_default() / values.first().copied().unwrap_or(1.0);
    let rates: Vec<f64> = all.iter().map(|grown| middle(&grown.rates)).collect();
    let ratio = compared(&rates);
    line(
        &format!("StartRun {CALLERS} gRPC, runs/s"),
        rates,
        (format!("{ratio:.2} ≥ {MIN_RATE}"), ratio >= MIN_RATE),
    );
    let costs: Vec<f64> = all.iter().map(|grown| middle(&grown.costs)).collect();
    let ratio = compared(&costs);
    line(
        &format!("StartRun {CALLERS} gRPC, ms of CPU per run"),
        costs,
        (format!("{ratio:.2} ≤ {MAX_COST}"), ratio <= MAX_COST),
    );
    for (position, path) in PATHS.iter().enumerate() {
        let times: Vec<f64> = all.iter().map(|grown| middle(&grown.lists[position])).collect();
        let ratio = compared(&times);
        line(
            &format!("GET {path}, ms"),
            times,
            (format!("{ratio:.2} ≤ {MAX_LATENCY}"), ratio <= MAX_LATENCY),
        );
    }
    for (position, (noun, _)) in DELETED.into_iter().enumerate() {
        let times: Vec<f64> = all.iter().map(|grown| middle(&grown.deletes[position])).collect();
        let ratio = compared(&times);
        line(
            &format!("DELETE /{noun}, ms"),
            times,
            (format!("{ratio:.2} ≤ {MAX_LATENCY}"), ratio <= MAX_LATENCY),
        );
    }
    let idle: Vec<f64> = all.iter().map(|grown| grown.idle).collect();
    let most = idle.iter().copied().fold(0.0, f64::max);
    line(
        "idle, ms of CPU per second",
        idle,
        (format!("≤ {MAX_IDLE}"), most <= MAX_IDLE),
    );
    table
}
