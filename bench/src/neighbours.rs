//! What a noisy account costs a quiet one, where accounts have a rate: the quiet one's starts alone, and beside an account
//! that asks ten times as often as it may.

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

/// What an account may ask, as the configuration of a server says it.
pub(crate) const CONFIG: &str = "[http]\nrate_per_account = { per_second = 20, burst = 20 }\n";
/// The pause between two starts of the quiet account: half of what it may.
const QUIET: Duration = Duration::from_millis(100);
/// The pause between two starts of the noisy one: ten times what it may.
const NOISY: Duration = Duration::from_millis(5);
/// Starts of the noisy account that are under way at most.
const UNDER_WAY: usize = 64;

/// What was found.
pub(crate) struct Found {
    /// The time that one of a hundred starts of the quiet account exceeds, alone, in milliseconds.
    pub(crate) alone: f64,
    /// The same beside the noisy one.
    pub(crate) beside: f64,
    /// How many of the noisy account's starts were refused, in percent.
    pub(crate) refused: f64,
}

/// Lets the quiet account start runs alone, and then beside the noisy one.
pub(crate) async fn measure(address: SocketAddr, quiet: &Account, noisy: &Account, starts: usize) -> Result<Found> {
    // The first start of an account makes the account.
    ask(address, quiet, 1).await?;
    let alone = ask(address, quiet, starts).await?;
    let mut flood = Flood::default();
    let beside = tokio::select! {
        p99 = ask(address, quiet, starts) => p99?,
        broken = flood.make(address, noisy) => return Err(broken),
    };
    Ok(Found {
        alone,
        beside,
        refused: 100.0 * flood.refused as f64 / (flood.refused + flood.answered).max(1) as f64,
    })
}

/// Starts runs at the pace of the quiet account; the time that one of a hundred exceeds.
async fn ask(address: SocketAddr, account: &Account, starts: usize) -> Result<f64> {
    let mut client = connect(address).await?;
    let mut pace = interval(QUIET);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Vec::with_capacity(starts);
    for _ in 0..starts {
        pace.tick().await;
        let asked = Instant::now();
        client.start_run(account.signed(start_on("bench/one"))).await?;
        times.push(asked.elapsed());
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
    /// Asks too often for as long as it is let; ends only with what is no refusal.
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
