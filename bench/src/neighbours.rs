//! Measures how a noisy account affects a quiet account. The noisy account sends ten times as many requests as its
//! rate limit allows.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tonic::Code;

use crate::{
    Fault, Result,
    callers::{Account, connect, start_on},
    machine::millis,
};

pub(crate) const CONFIG: &str = "[http]\nrate_per_account = { per_second = 20, burst = 20 }\n";
/// Pause between two `StartRun` calls of the quiet account. The account makes half as many calls as its rate
/// limit allows.
const QUIET: Duration = Duration::from_millis(100);
/// Pause between two `StartRun` calls of the noisy account. The account makes ten times as many calls as its
/// rate limit allows.
const NOISY: Duration = Duration::from_millis(5);
const UNDER_WAY: usize = 64;

pub(crate) struct Found {
    /// 99th percentile latency of the quiet account's `StartRun` calls without other load, in milliseconds.
    pub(crate) alone: f64,
    /// 99th percentile latency of the quiet account's `StartRun` calls beside the noisy account, in milliseconds.
    pub(crate) beside: f64,
    /// Percentage of the noisy account's `StartRun` calls that were refused.
    pub(crate) refused: f64,
}

pub(crate) async fn measure(address: SocketAddr, quiet: &Account, noisy: &Account, starts: usize) -> Result<Found> {
    start_latency(address, quiet, 1).await?;
    let alone = start_latency(address, quiet, starts).await?;
    let mut flood = Flood::default();
    let beside = tokio::select! {
        p99 = start_latency(address, quiet, starts) => p99?,
        broken = flood.make(address, noisy) => return Err(broken),
    };
    Ok(Found {
        alone,
        beside,
        refused: 100.0 * flood.refused as f64 / (flood.refused + flood.answered).max(1) as f64,
    })
}

/// Returns the 99th percentile latency of `StartRun` in milliseconds.
async fn start_latency(address: SocketAddr, account: &Account, starts: usize) -> Result<f64> {
    let mut client = connect(address).await?;
    let mut pace = interval(QUIET);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::with_capacity(starts);
    for _ in 0..starts {
        pace.tick().await;
        let started = Instant::now();
        client.start_run(account.signed(start_on("bench/one"))).await?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(millis(times[times.len() * 99 / 100]))
}

#[derive(Default)]
struct Flood {
    answered: usize,
    refused: usize,
}

impl Flood {
    /// Sends `StartRun` calls faster than the limit allows. Returns only if the connection or a call fails for a reason
    /// other than the rate limit.
    async fn make(&mut self, address: SocketAddr, account: &Account) -> Fault {
        let client = match connect(address).await {
            Ok(client) => client,
            Err(fault) => return fault,
        };
        let mut pace = interval(NOISY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                _ = pace.tick(), if under_way.len() < UNDER_WAY => {
                    let (mut client, request) = (client.clone(), account.signed(start_on("bench/one")));
                    under_way.spawn(async move { client.start_run(request).await });
                }
                Some(ended) = under_way.join_next() => match ended {
                    Ok(Ok(_)) => self.answered += 1,
                    Ok(Err(status)) if status.code() == Code::ResourceExhausted => self.refused += 1,
                    Ok(Err(status)) => return status.into(),
                    Err(fault) => return fault.into(),
                },
            }
        }
    }
}
