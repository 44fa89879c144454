//! Measures `StartRun`: runs per second, latency, and the server's cost per run.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Result,
    callers::{Account, Caller, Protocol, connect},
    check,
    machine::{Usage, Used, millis},
};

#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) address: SocketAddr,
    /// Process id of the server.
    pub(crate) server: u32,
    /// Process ids of the benchmark's other child processes.
    pub(crate) helpers: &'a [u32],
    pub(crate) accounts: &'a [Account],
}

#[derive(Debug)]
pub(crate) struct Found {
    /// Finished runs per second, measured until the last terminal event.
    pub(crate) executed: f64,
    /// Answered `StartRun` calls per second.
    pub(crate) answered: f64,
    /// Median latency of `StartRun` in milliseconds.
    pub(crate) p50: f64,
    /// 99th percentile latency of `StartRun` in milliseconds.
    pub(crate) p99: f64,
    /// The server's processor time per run, in milliseconds.
    pub(crate) cpu: f64,
    /// Voluntary context switches of the server's threads per run.
    pub(crate) waits: f64,
    pub(crate) events: f64,
    pub(crate) used: Used,
}

/// The callers work in parallel; each starts its runs one after another. Returns when all runs have ended and their
/// events are checked.
pub(crate) async fn measure(target: Target<'_>, protocol: Protocol, callers: usize, runs: usize) -> Result<Found> {
    let accounts = &target.accounts[..callers];
    let mut lines = Caller::all(protocol, target.address, accounts).await?;
    let mut asking = connect(target.address).await?;
    for line in &mut lines {
        // The first call is not measured, because it creates the account and opens the JSON connection.
        line.start("bench/one").await?;
    }
    for account in accounts {
        check::until_done(&mut asking, account).await?;
    }
    let usage = Usage::begin(target.server, target.helpers)?;
    let began = Instant::now();
    let left = Arc::new(AtomicUsize::new(runs));
    let mut tasks = JoinSet::new();
    for (position, mut line) in lines.into_iter().enumerate() {
        let left = Arc::clone(&left);
        tasks.spawn(async move {
            let mut started_runs = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let started = Instant::now();
                let run = line.start("bench/one").await?;
                started_runs.push((run, started.elapsed()));
            }
            Ok::<_, crate::Fault>((position, started_runs))
        });
    }
    let mut started_runs = Vec::with_capacity(callers);
    while let Some(done) = tasks.join_next().await {
        started_runs.push(done??);
    }
    let all_answered = began.elapsed();
    for account in accounts {
        check::until_done(&mut asking, account).await?;
    }
    let took = began.elapsed();
    let used = usage.so_far()?;
    let mut events = 0;
    for (position, runs) in &started_runs {
        let runs: Vec<_> = runs.iter().map(|(run, _)| *run).collect();
        events += check::read_back(target.address, &accounts[*position], &runs).await?;
    }
    let mut times: Vec<Duration> = started_runs
        .iter()
        .flat_map(|(_, runs)| runs.iter().map(|(_, took)| *took))
        .collect();
    times.sort_unstable();
    Ok(Found {
        executed: runs as f64 / took.as_secs_f64(),
        answered: runs as f64 / all_answered.as_secs_f64(),
        p50: millis(times[times.len() / 2]),
        p99: millis(times[times.len() * 99 / 100]),
        cpu: millis(used.server) / runs as f64,
        waits: used.waits as f64 / runs as f64,
        events: events as f64 / runs as f64,
        used,
    })
}
