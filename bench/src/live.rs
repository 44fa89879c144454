//! Live streams of slow runs. They are measured alone, and as background load for `StartRun`.

use runyard::v1::{RunStatus, StopRunRequest, StreamRunRequest};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    Result,
    callers::{Account, Caller, Protocol, connect},
    check::Reader,
    starts::Target,
};

const STREAMS_PER_CONNECTION: usize = 50;

pub(crate) struct Live {
    account: Account,
    runs: Vec<Uuid>,
    readers: JoinSet<Result<i64>>,
}

impl Live {
    /// Starts `count` runs and a stream for each. Returns when every stream has received its first event.
    pub(crate) async fn open(target: Target<'_>, account: &Account, count: usize) -> Result<Self> {
        let mut starting = Caller::all(Protocol::Grpc, target.address, std::slice::from_ref(account)).await?;
        let (mut runs, mut readers, mut client) = (Vec::with_capacity(count), JoinSet::new(), None);
        for position in 0..count {
            let run = starting[0].start("bench/slow").await?;
            if position % STREAMS_PER_CONNECTION == 0 {
                client = Some(connect(target.address).await?);
            }
            let mut client = client.clone().ok_or("no connection")?;
            let request = account.signed(StreamRunRequest {
                agent_run_id: run.to_string(),
                after_sequence: 0,
                ..Default::default()
            });
            let mut stream = client.stream_run(request).await?.into_inner();
            let mut reader = Reader::new(&run.to_string());
            let first = stream.message().await?.ok_or("the stream ended without events")?;
            reader.take(&first)?;
            readers.spawn(async move {
                while let Some(event) = stream.message().await? {
                    reader.take(&event)?;
                }
                reader.ended(RunStatus::Stopped)
            });
            runs.push(run);
        }
        Ok(Self {
            account: account.clone(),
            runs,
            readers,
        })
    }

    /// Stops the runs and checks their sequence numbers. Returns the number of received events.
    pub(crate) async fn close(mut self, target: Target<'_>) -> Result<i64> {
        let mut client = connect(target.address).await?;
        for run in &self.runs {
            client
                .stop_run(self.account.signed(StopRunRequest {
                    agent_run_id: run.to_string(),
                }))
                .await?;
        }
        let mut events = 0;
        while let Some(read) = self.readers.join_next().await {
            events += read??;
        }
        Ok(events)
    }
}
