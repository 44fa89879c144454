//! Measures many concurrent streams while the model sends tokens at a fixed rate.

use std::time::{Duration, Instant};

use runyard_client::v1::{RunStatus, StreamRunRequest, run_event::Event, run_service_client::RunServiceClient};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::transport::Channel;

use crate::{
    Result,
    callers::{Account, connect, start_on},
    check::Reader,
    machine::Usage,
    paced::Load,
    report,
    starts::Target,
};

const STREAMS_PER_CONNECTION: usize = 50;
/// Period in which the runs start, at regular intervals.
const RAMP: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) struct Found {
    /// Delivered tokens per second, as a fraction of the tokens per second that the model sends.
    pub(crate) delivered: f64,
    /// 99th percentile of the duration of a run, as a multiple of the duration of the model's answer.
    pub(crate) slowest: f64,
    /// Number of runs that failed or whose events were incomplete.
    pub(crate) lost: usize,
    /// Processor time of the server per token, in microseconds.
    pub(crate) cpu: f64,
}

/// The duration of a run, and its tokens per second from the first to the last token.
struct Followed {
    took: Duration,
    rate: f64,
}

pub(crate) async fn measure(target: Target<'_>, account: &Account, load: Load) -> Result<Found> {
    let mut clients = Vec::new();
    for _ in 0..load.streams.div_ceil(STREAMS_PER_CONNECTION) {
        clients.push(connect(target.address).await?);
    }
    let usage = Usage::begin(target.server, target.helpers)?;
    let mut tasks = JoinSet::new();
    for position in 0..load.streams {
        let client = clients[position % clients.len()].clone();
        let (account, wait) = (account.clone(), RAMP.mul_f64(position as f64 / load.streams as f64));
        tasks.spawn(async move {
            sleep(wait).await;
            timeout(TIMEOUT, follow(client, &account, load)).await?
        });
    }
    let (mut followed, mut lost) = (Vec::with_capacity(load.streams), 0);
    while let Some(done) = tasks.join_next().await {
        match done? {
            Ok(run) => followed.push(run),
            Err(fault) => {
                lost += 1;
                report::complain(&fault);
            }
        }
    }
    let tokens = load.streams as f64 * f64::from(load.tokens());
    let cpu = usage.so_far()?.server.as_secs_f64() * 1e6 / tokens;
    Ok(Found {
        lost,
        cpu,
        ..summary(&followed, load)?
    })
}

fn summary(followed: &[Followed], load: Load) -> Result<Found> {
    let mut times: Vec<Duration> = followed.iter().map(|run| run.took).collect();
    times.sort_unstable();
    let slowest = times
        .get(times.len() * 99 / 100)
        .ok_or("no run of the many streams was complete")?;
    let rate: f64 = followed.iter().map(|run| run.rate).sum();
    Ok(Found {
        delivered: rate / (load.streams as f64 * f64::from(load.rate)),
        slowest: slowest.as_secs_f64() / load.ideal().as_secs_f64(),
        lost: 0,
        cpu: 0.0,
    })
}

async fn follow(mut client: RunServiceClient<Channel>, account: &Account, load: Load) -> Result<Followed> {
    let began = Instant::now();
    let request = account.signed(start_on("bench/paced"));
    let run = client.start_run(request).await?.into_inner().agent_run_id;
    let mut reader = Reader::new(&run);
    let request = StreamRunRequest {
        agent_run_id: run,
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let (mut tokens, mut early, mut first, mut last) = (0, 0, None, began);
    while let Some(event) = stream.message().await? {
        reader.take(&event)?;
        if let Some(Event::MessageDelta(delta)) = &event.event {
            tokens += delta.text.split_whitespace().count();
            last = Instant::now();
            if first.is_none() {
                (first, early) = (Some(last), tokens);
            }
        }
    }
    reader.ended(RunStatus::Completed)?;
    let first = first.ok_or("a run without tokens")?;
    if tokens != load.tokens() as usize {
        return Err(format!("a run has {tokens} tokens instead of {}", load.tokens()).into());
    }
    Ok(Followed {
        took: began.elapsed(),
        rate: (tokens - early) as f64 / (last - first).as_secs_f64().max(f64::MIN_POSITIVE),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn streams_at_half_the_rate_deliver_half() {
        let load = Load { streams: 2, rate: 50 };
        let run = |seconds, rate| Followed {
            took: Duration::from_secs(seconds),
            rate,
        };
        let found = summary(&[run(8, 25.0), run(16, 25.0)], load).unwrap();
        assert!((found.delivered - 0.5).abs() < 1e-9, "{}", found.delivered);
        assert!((found.slowest - 2.0).abs() < 1e-9, "{}", found.slowest);
    }

    #[test]
    fn a_lost_run_counts_as_a_missing_rate() {
        let load = Load { streams: 2, rate: 50 };
        let found = summary(
            &[Followed {
                took: load.ideal(),
                rate: 50.0,
            }],
            load,
        )
        .unwrap();
        assert!((found.delivered - 0.5).abs() < 1e-9, "{}", found.delivered);
    }
}
