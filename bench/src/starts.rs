//! StartRun: how many a second are executed, how long a call takes, what one costs the server.

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
    callers::{Account, Caller, Door, connect, start_on},
    check,
    machine::{Usage, Used, millis},
};

/// What a server is measured with.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its process.
    pub(crate) server: u32,
    /// The benchmark's other processes.
    pub(crate) helpers: &'a [u32],
    /// Who asks; each caller is an account of its own.
    pub(crate) accounts: &'a [Account],
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Runs a second, until the last one's terminal event was there.
    pub(crate) executed: f64,
    /// The median time of a call, in milliseconds.
    pub(crate) p50: f64,
    /// The time that one of a hundred calls exceeds, in milliseconds.
    pub(crate) p99: f64,
    /// Processor time of the server for one run, in milliseconds.
    pub(crate) cpu: f64,
    /// How often a thread of the server went to sleep for one run.
    pub(crate) waits: f64,
    /// Events of one run.
    pub(crate) events: f64,
    /// Use of the machine.
    pub(crate) used: Used,
}

/// Lets callers start runs, each one after another, until `runs` were started; waits until all have ended; then reads
/// back the events of every one.
pub(crate) async fn measure(target: Target<'_>, door: Door, callers: usize, runs: usize) -> Result<Found> {
    let accounts = &target.accounts[..callers];
    let mut lines = Caller::all(door, target.address, accounts).await?;
    let mut asking = connect(target.address).await?;
    for line in &mut lines {
        // Connections and accounts are made before the clock runs.
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
            let mut made = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let asked = Instant::now();
                let run = line.start("bench/one").await?;
                made.push((run, asked.elapsed()));
            }
            Ok::<_, crate::Fault>((position, made))
        });
    }
    let mut made = Vec::with_capacity(callers);
    while let Some(done) = tasks.join_next().await {
        made.push(done??);
    }
    for account in accounts {
        check::until_done(&mut asking, account).await?;
    }
    let took = began.elapsed();
    let used = usage.so_far()?;
    let mut events = 0;
    for (position, runs) in &made {
        let runs: Vec<_> = runs.iter().map(|(run, _)| *run).collect();
        events += check::read_back(target.address, &accounts[*position], &runs).await?;
    }
    let mut times: Vec<Duration> = made
        .iter()
        .flat_map(|(_, runs)| runs.iter().map(|(_, took)| *took))
        .collect();
    times.sort_unstable();
    Ok(Found {
        executed: runs as f64 / took.as_secs_f64(),
        p50: millis(times[times.len() / 2]),
        p99: millis(times[times.len() * 99 / 100]),
        cpu: millis(used.server) / runs as f64,
        waits: used.waits as f64 / runs as f64,
        events: events as f64 / runs as f64,
        used,
    })
}

/// Calls a second that the bare echo answers, and the time that one of a hundred exceeds, in milliseconds.
pub(crate) async fn echo(address: SocketAddr, account: &Account, callers: usize, calls: usize) -> Result<(f64, f64)> {
    let client = connect(address).await?;
    let left = Arc::new(AtomicUsize::new(calls));
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..callers {
        let (mut client, account, left) = (client.clone(), account.clone(), Arc::clone(&left));
        tasks.spawn(async move {
            let mut times = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let asked = Instant::now();
                client.start_run(account.signed(start_on("bench/one"))).await?;
                times.push(asked.elapsed());
            }
            Ok::<_, crate::Fault>(times)
        });
    }
    let mut times = Vec::with_capacity(calls);
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let rate = calls as f64 / began.elapsed().as_secs_f64();
    times.sort_unstable();
    Ok((rate, millis(times[times.len() * 99 / 100])))
}
