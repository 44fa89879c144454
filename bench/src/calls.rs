//! Measures `GetRun` on a Runyard server, and `StartRun` and `GetRun` on the gRPC echo server (`echo.rs`).

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use runyard_client::v1::{GetRunRequest, run_service_client::RunServiceClient};
use tokio::task::JoinSet;
use tonic::{Status, transport::Channel};

use crate::{
    Result,
    callers::{Account, connect, start_on},
    check,
    machine::millis,
};

/// Number of callers, which share one connection.
pub(crate) const CALLERS: usize = 16;

/// Returns the calls per second and the 99th percentile latency in milliseconds.
pub(crate) async fn echo_starts(address: SocketAddr, account: &Account, calls: usize) -> Result<(f64, f64)> {
    let account = account.clone();
    let start = move |mut client: RunServiceClient<Channel>| {
        let request = account.signed(start_on("bench/one"));
        async move { client.start_run(request).await.map(drop) }
    };
    repeat(&connect(address).await?, calls, start).await
}

/// Returns the calls per second.
pub(crate) async fn echo_gets(address: SocketAddr, account: &Account, calls: usize) -> Result<f64> {
    let id = uuid::Uuid::now_v7().to_string();
    gets(&connect(address).await?, account, id, calls).await
}

/// Returns the calls per second of `GetRun` for a new run.
pub(crate) async fn server_gets(address: SocketAddr, account: &Account, calls: usize) -> Result<f64> {
    let mut client = connect(address).await?;
    let request = account.signed(start_on("bench/one"));
    let started = client.start_run(request).await?.into_inner();
    check::until_done(&mut client, account).await?;
    gets(&client, account, started.agent_run_id, calls).await
}

async fn gets(client: &RunServiceClient<Channel>, account: &Account, run: String, calls: usize) -> Result<f64> {
    let account = account.clone();
    let get = move |mut client: RunServiceClient<Channel>| {
        let agent_run_id = run.clone();
        let request = account.signed(GetRunRequest { agent_run_id });
        async move { client.get_run(request).await.map(drop) }
    };
    Ok(repeat(client, calls, get).await?.0)
}

/// Returns the calls per second and the 99th percentile latency in milliseconds.
async fn repeat<C, F>(client: &RunServiceClient<Channel>, calls: usize, call: C) -> Result<(f64, f64)>
where
    C: Fn(RunServiceClient<Channel>) -> F + Clone + Send + 'static,
    F: Future<Output = std::result::Result<(), Status>> + Send,
{
    let left = Arc::new(AtomicUsize::new(calls));
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..CALLERS {
        let (client, left, call) = (client.clone(), Arc::clone(&left), call.clone());
        tasks.spawn(async move {
            let mut times = Vec::new();
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let started = Instant::now();
                call(client.clone()).await?;
                times.push(started.elapsed());
            }
            Ok::<_, Status>(times)
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
