//! Measures the rate at which the server stores and streams tokens, and how long it delays the first token.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use futures::StreamExt;
use runyard_client::v1::{RunStatus, StreamRunRequest, run_event::Event, run_service_client::RunServiceClient};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};
use tonic::transport::Channel;

use crate::{
    Result,
    callers::{Account, connect, start_on},
    check::Reader,
    children::TOKENS,
    machine::{Usage, Used, millis},
    starts::Target,
};

const RUNS_PER_CONNECTION: usize = 50;
const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) struct Found {
    pub(crate) tokens: f64,
    pub(crate) events: f64,
    /// The server's processor time per durable event, in microseconds.
    pub(crate) cpu: f64,
    pub(crate) used: Used,
}

/// Each wave starts `runs` runs of 200 tokens together and follows them.
pub(crate) async fn measure(target: Target<'_>, runs: usize, waves: usize) -> Result<Found> {
    let mut clients = Vec::new();
    for _ in 0..runs.div_ceil(RUNS_PER_CONNECTION) {
        clients.push(connect(target.address).await?);
    }
    let account = &target.accounts[0];
    follow(&mut clients[0], account).await?;
    let usage = Usage::begin(target.server, target.helpers)?;
    let began = Instant::now();
    let mut events = 0;
    for _ in 0..waves {
        let mut tasks = JoinSet::new();
        for position in 0..runs {
            let (mut client, account) = (clients[position / RUNS_PER_CONNECTION].clone(), account.clone());
            tasks.spawn(async move { timeout(TIMEOUT, follow(&mut client, &account)).await? });
        }
        while let Some(done) = tasks.join_next().await {
            events += done??;
        }
    }
    let took = began.elapsed().as_secs_f64();
    let used = usage.so_far()?;
    Ok(Found {
        tokens: (runs * waves * TOKENS) as f64 / took,
        events: events as f64 / took,
        cpu: used.server.as_secs_f64() * 1_000_000.0 / events as f64,
        used,
    })
}

// Checks that no token is lost.
async fn follow(client: &mut RunServiceClient<Channel>, account: &Account) -> Result<i64> {
    let started = client
        .start_run(account.signed(start_on("bench/many")))
        .await?
        .into_inner();
    let mut reader = Reader::new(&started.agent_run_id);
    let request = StreamRunRequest {
        agent_run_id: started.agent_run_id,
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let (mut pieces, mut whole) = (String::new(), String::new());
    while let Some(event) = stream.message().await? {
        reader.take(&event)?;
        match event.event {
            Some(Event::MessageDelta(delta)) => pieces.push_str(&delta.text),
            Some(Event::Message(message)) => whole = message.text,
            _ => {}
        }
    }
    if pieces != whole || whole.split_whitespace().count() != TOKENS {
        return Err(format!("the deltas of a run do not add up to its message: {pieces:?}, {whole:?}").into());
    }
    reader.ended(RunStatus::Completed)
}

/// Measures the time to the first token in milliseconds. The first list is for runs on the server; the second list is
/// for direct calls to the model.
pub(crate) async fn first(target: Target<'_>, model: &str, count: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let http = reqwest::Client::builder().tcp_nodelay(true).timeout(TIMEOUT).build()?;
    let mut client = connect(target.address).await?;
    let (mut through, mut direct) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for round in 0..=count {
        let took = (
            first_direct(&http, model).await?,
            first_through(&mut client, &target.accounts[0]).await?,
        );
        // The first round opens the connections, so its times are not counted.
        if round > 0 {
            direct.push(millis(took.0));
            through.push(millis(took.1));
        }
    }
    Ok((through, direct))
}

async fn first_direct(http: &reqwest::Client, model: &str) -> Result<Duration> {
    let body =
        json!({"model": "scripted", "stream": true, "messages": [{"role": "user", "content": "Say something."}]});
    let began = Instant::now();
    let answer = http.post(format!("{model}chat/completions")).json(&body).send().await?;
    let mut frames = answer.bytes_stream();
    let (mut took, mut seen) = (None, Vec::new());
    while let Some(frame) = frames.next().await {
        seen.extend_from_slice(&frame?);
        if took.is_none() && has_text(&seen) {
            took = Some(began.elapsed());
        }
    }
    took.ok_or_else(|| "the model returned no token".into())
}

// Returns true if the frames contain text. The first frame of an answer may contain only the role.
fn has_text(seen: &[u8]) -> bool {
    String::from_utf8_lossy(seen)
        .split("\"content\":\"")
        .skip(1)
        .any(|text| !text.starts_with('"'))
}

async fn first_through(client: &mut RunServiceClient<Channel>, account: &Account) -> Result<Duration> {
    let began = Instant::now();
    let started = client
        .start_run(account.signed(start_on("bench/one")))
        .await?
        .into_inner();
    let request = StreamRunRequest {
        agent_run_id: started.agent_run_id,
        after_sequence: 0,
        ..Default::default()
    };
    let mut stream = client.stream_run(account.signed(request)).await?.into_inner();
    let mut took = None;
    while let Some(event) = stream.message().await? {
        if took.is_none() && matches!(event.event, Some(Event::MessageDelta(_))) {
            took = Some(began.elapsed());
        }
    }
    took.ok_or_else(|| "the run produced no token".into())
}

pub(crate) fn address(line: &str) -> Result<SocketAddr> {
    Ok(line.parse()?)
}
