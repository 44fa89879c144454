//! Checks that the server delivers each event of a run exactly once and in order.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use runyard_client::v1::{
    ListActiveRunsRequest, RunCursor, RunEvent, RunStatus, StreamRunsRequest, run_service_client::RunServiceClient,
};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use uuid::Uuid;

use crate::{
    Result,
    callers::{Account, connect, ends_with},
};

/// Maximum number of runs per event stream.
const AT_ONCE: usize = 100;
const TIMEOUT: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(2);

/// Checks the events of one run. Each sequence number must arrive once and in order. The terminal event must be the
/// last.
#[derive(Debug)]
pub(crate) struct Reader {
    run_id: String,
    pub(crate) events: i64,
    ended: Option<RunStatus>,
}

impl Reader {
    pub(crate) fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            events: 0,
            ended: None,
        }
    }

    pub(crate) fn take(&mut self, event: &RunEvent) -> Result<()> {
        if event.sequence != self.events + 1 || event.agent_run_id != self.run_id || self.ended.is_some() {
            return Err(format!(
                "run {}: event {} (ended: {:?}) was followed by {event:?}",
                self.run_id, self.events, self.ended
            )
            .into());
        }
        self.events += 1;
        self.ended = ends_with(event);
        Ok(())
    }

    pub(crate) fn ended(&self, status: RunStatus) -> Result<i64> {
        if self.ended == Some(status) {
            return Ok(self.events);
        }
        Err(format!(
            "run {} ended with {:?} after {} events",
            self.run_id, self.ended, self.events
        )
        .into())
    }
}

/// Polls until an account has no unfinished run. A page size of 1 keeps the load of polling low.
pub(crate) async fn until_done(client: &mut RunServiceClient<Channel>, account: &Account) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let request = account.signed(ListActiveRunsRequest {
            page_size: 1,
            ..ListActiveRunsRequest::default()
        });
        let active = client.list_active_runs(request).await?.into_inner().active_runs;
        if active.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("runs did not end in {TIMEOUT:?}, such as {}", active[0].agent_run_id).into());
        }
        sleep(PAUSE).await;
    }
}

pub(crate) async fn read_back(address: SocketAddr, account: &Account, runs: &[Uuid]) -> Result<i64> {
    let mut client = connect(address).await?;
    let mut events = 0;
    for runs in runs.chunks(AT_ONCE) {
        events += timeout(TIMEOUT, read_some(&mut client, account, runs)).await??;
    }
    Ok(events)
}

async fn read_some(client: &mut RunServiceClient<Channel>, account: &Account, runs: &[Uuid]) -> Result<i64> {
    let mut readers: HashMap<String, Reader> = runs
        .iter()
        .map(ToString::to_string)
        .map(|run| (run.clone(), Reader::new(&run)))
        .collect();
    let cursors = readers.keys().map(|run| RunCursor {
        agent_run_id: run.clone(),
        after_sequence: 0,
    });
    let request = account.signed(StreamRunsRequest {
        runs: cursors.collect(),
    });
    let mut stream = client.stream_runs(request).await?.into_inner();
    while let Some(event) = stream.message().await? {
        let reader = readers.get_mut(&event.agent_run_id).ok_or("an event of another run")?;
        reader.take(&event)?;
    }
    readers.values().map(|reader| reader.ended(RunStatus::Completed)).sum()
}
