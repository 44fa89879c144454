//! Copies bytes between a command and a server, with limits on idle time, total time and bytes.

use std::{
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// Maximum time in which neither side sends anything.
const IDLE: Duration = Duration::from_mins(2);
/// Maximum duration of a connection.
const TOTAL: Duration = Duration::from_hours(1);
/// Maximum number of bytes of a connection, in both directions together.
const MAX_BYTES: u64 = 8 << 30;
const CHUNK_BYTES: usize = 32 << 10;

/// The limits of one connection.
pub struct Meter {
    ends_at: Instant,
    active_at: Mutex<Instant>,
    bytes: AtomicU64,
}

impl Meter {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            ends_at: now + TOTAL,
            active_at: Mutex::new(now),
            bytes: AtomicU64::new(0),
        }
    }

    fn limit(&self) -> Instant {
        let active_at = *self.active_at.lock().unwrap_or_else(PoisonError::into_inner);
        (active_at + IDLE).min(self.ends_at)
    }

    /// Waits for an operation. Fails if the connection is idle for too long or exceeds its total time. Activity of the
    /// other direction extends the idle time.
    pub async fn within_idle<T>(&self, operation: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        let mut operation = std::pin::pin!(operation);
        loop {
            let limit = self.limit();
            tokio::select! {
                done = &mut operation => return done,
                () = sleep_until(limit) => {}
            }
            if self.limit() <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        *self.active_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(())
    }

    /// Copies until the end of `from`, and then closes the sending side of `to`.
    async fn copy(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = self.within_idle(from.read(&mut chunk)).await?;
            if count == 0 {
                return self.within_idle(to.shutdown()).await;
            }
            self.spend(count)?;
            self.within_idle(to.write_all(&chunk[..count])).await?;
        }
    }
}

/// Copies in both directions until both sides have closed their sending sides.
pub async fn both_ways(client: TcpStream, server: TcpStream, meter: &Meter) -> io::Result<()> {
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::try_join!(meter.copy(from_client, to_server), meter.copy(from_server, to_client))?;
    Ok(())
}

/// Sends the body of one request, which starts with the bytes that have already arrived, and returns the response until
/// its end. Further requests on the connection are not read, because they could name another host.
pub async fn one_request(
    client: TcpStream,
    server: TcpStream,
    (arrived, body_bytes): (&[u8], u64),
    meter: &Meter,
) -> io::Result<()> {
    let ((from_client, to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    let sending = async {
        let mut body = arrived.chain(from_client).take(body_bytes);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = meter.within_idle(body.read(&mut chunk)).await?;
            if count == 0 {
                return Ok::<_, io::Error>(());
            }
            meter.spend(count)?;
            meter.within_idle(to_server.write_all(&chunk[..count])).await?;
        }
    };
    let receiving = meter.copy(from_server, to_client);
    let mut receiving = std::pin::pin!(receiving);
    tokio::select! {
        // A server may answer before it has read the body.
        done = &mut receiving => return done,
        sent = sending => sent?,
    }
    receiving.await
}
