//! Measures runs that wait for inputs: how fast an answered run goes on, and what many waiting runs cost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use runyard_client::v1::{
    AnswerInputRequest, ClientTool, InputAnswer, InputDecision, RunEvent, RunStatus, StartRunRequest, StreamRunRequest,
    input_service_client::InputServiceClient, run_event::Event, run_service_client::RunServiceClient,
};
use runyard_upstream::{Call, Received, Turn};
use serde_json::json;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Streaming, transport::Channel};

use crate::{
    Result,
    callers::{Account, connect, start_on},
    machine::{self, millis},
    subjects::REST,
};

/// Number of runs that wait while answers are measured.
const WAITING: usize = 50;
/// Number of runs whose memory and CPU time are measured.
pub(crate) const MANY: usize = 10_000;
/// Number of finished runs before the memory is first measured. Memory that the server keeps after a load is not counted.
const WARM_UP: usize = 2_000;
const CALLERS: usize = 32;
const CPU_TIME: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct Found {
    /// 99th percentile of the time from the call of `AnswerInput` to the result of the tool in the stream of the run, in
    /// milliseconds.
    pub(crate) answered: f64,
    /// Resident memory that the waiting runs add, in MiB.
    pub(crate) memory: f64,
    /// Processor time that the waiting runs add in ten seconds, in milliseconds.
    pub(crate) cpu: f64,
}

/// The scripted model: it calls the client's tool, and then ends.
pub(crate) fn answer(received: &Received) -> Turn {
    match received.messages().last().map(|message| &message["role"]) {
        Some(role) if role == "tool" => Turn::text("Done."),
        _ => Turn::calls([Call::new("look_up", &json!({"word": "tree"}))]),
    }
}

pub(crate) async fn measure(address: SocketAddr, pid: u32, account: &Account, answers: usize) -> Result<Found> {
    let client = connect(address).await?;
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let mut inputs = InputServiceClient::new(endpoint.connect().await?);
    start_many(&client, account, "bench/one", WARM_UP).await?;
    start_many(&client, account, "bench/asks", WAITING).await?;
    let mut times = Vec::with_capacity(answers);
    for _ in 0..answers {
        times.push(answer_one(&mut client.clone(), &mut inputs, account).await?);
    }
    times.sort_unstable();
    let answered = millis(times[times.len() * 99 / 100]);
    let (memory, cpu) = costs(pid).await?;
    start_many(&client, account, "bench/asks", MANY).await?;
    let (memory_after, cpu_after) = costs(pid).await?;
    Ok(Found {
        answered,
        memory: memory_after - memory,
        cpu: cpu_after - cpu,
    })
}

/// Returns the memory in MiB, and the processor time of the next ten seconds in milliseconds.
async fn costs(pid: u32) -> Result<(f64, f64)> {
    sleep(REST).await;
    let began = machine::nanos_of(pid)?;
    sleep(CPU_TIME).await;
    let used = machine::nanos_of(pid)?.saturating_sub(began);
    Ok((machine::memory_of(pid)?, used as f64 / 1_000_000.0))
}

/// Starts a run, and answers its input when it waits. Returns the time from the call with the answer to the result of the
/// tool, which the worker writes after it has resumed the run.
async fn answer_one(
    client: &mut RunServiceClient<Channel>,
    inputs: &mut InputServiceClient<Channel>,
    account: &Account,
) -> Result<Duration> {
    let (run, mut stream) = start(client, account, "bench/asks").await?;
    let mut input = None;
    loop {
        match next(&mut stream).await?.event {
            Some(Event::InputRequested(asked)) => input = Some(asked.input_id),
            Some(Event::Status(changed)) if changed.status() == RunStatus::Waiting => break,
            _ => {}
        }
    }
    let request = AnswerInputRequest {
        agent_run_id: run,
        answers: vec![InputAnswer {
            input_id: input.ok_or("a run waits without an input")?,
            decision: InputDecision::Result.into(),
            text: "A plant.".to_owned(),
            ..InputAnswer::default()
        }],
    };
    let began = Instant::now();
    let (answered, result) = tokio::join!(inputs.answer_input(account.signed(request)), async {
        while !matches!(next(&mut stream).await?.event, Some(Event::ToolResult(_))) {}
        Ok::<_, crate::Fault>(began.elapsed())
    });
    answered?;
    let took = result?;
    while !is_over(&next(&mut stream).await?) {}
    Ok(took)
}

/// Starts runs, and returns when each of them waits or has ended.
async fn start_many(
    client: &RunServiceClient<Channel>,
    account: &Account,
    model: &'static str,
    runs: usize,
) -> Result<()> {
    let left = Arc::new(AtomicUsize::new(runs));
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut client, account, left) = (client.clone(), account.clone(), Arc::clone(&left));
        tasks.spawn(async move {
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
            {
                let (_, mut stream) = start(&mut client, &account, model).await?;
                while !is_over(&next(&mut stream).await?) {}
            }
            Ok::<_, crate::Fault>(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

async fn start(
    client: &mut RunServiceClient<Channel>,
    account: &Account,
    model: &str,
) -> Result<(String, Streaming<RunEvent>)> {
    let tool = ClientTool {
        name: "look_up".to_owned(),
        description: "Looks up a word.".to_owned(),
        parameters: None,
    };
    let request = StartRunRequest {
        tools: vec![tool],
        ..start_on(model)
    };
    let agent_run_id = client
        .start_run(account.signed(request))
        .await?
        .into_inner()
        .agent_run_id;
    let request = StreamRunRequest {
        agent_run_id: agent_run_id.clone(),
        ..StreamRunRequest::default()
    };
    let stream = client.stream_run(account.signed(request)).await?.into_inner();
    Ok((agent_run_id, stream))
}

async fn next(stream: &mut Streaming<RunEvent>) -> Result<RunEvent> {
    let event = timeout(TIMEOUT, stream.message()).await??;
    Ok(event.ok_or("a stream ended early")?)
}

/// Returns whether the run waits or has completed.
fn is_over(event: &RunEvent) -> bool {
    matches!(&event.event, Some(Event::Status(changed))
        if matches!(changed.status(), RunStatus::Waiting | RunStatus::Completed))
}
