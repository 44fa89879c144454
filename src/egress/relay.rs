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
pub const CHUNK_BYTES: usize = 32 << 10;

/// The limits of one connection, and what it has used of them.
pub struct Meter {
    ends_at: Instant,
    active_at: Mutex<Instant>,
    bytes: AtomicU64,
    max_bytes: u64,
}

impl Meter {
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            ends_at: now + TOTAL,
            active_at: Mutex::new(now),
            bytes: AtomicU64::new(0),
            max_bytes: MAX_BYTES,
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

    /// Counts bytes as activity. Fails if the connection has transported too many.
    pub fn spend(&self, bytes: usize) -> io::Result<()> {
        *self.active_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before + bytes as u64 > self.max_bytes {
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use tokio::{
        io::{DuplexStream, duplex, sink},
        net::TcpListener,
        time::{advance, sleep},
    };

    use super::*;

    /// Sends a byte after each of the pauses, and then stays silent.
    fn talk(mut to: DuplexStream, pauses: Vec<Duration>) -> tokio::task::JoinHandle<DuplexStream> {
        tokio::spawn(async move {
            for pause in pauses {
                sleep(pause).await;
                // The connection may have ended.
                if to.write_all(b"x").await.is_err() {
                    break;
                }
            }
            to
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_connection_ends_after_the_idle_time() {
        let (started, meter) = (Instant::now(), Meter::new());
        let (client, from_client) = duplex(64);
        let client = talk(client, vec![IDLE.saturating_sub(Duration::from_secs(1)); 3]);
        let error = meter.copy(from_client, sink()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), (IDLE * 4).saturating_sub(Duration::from_secs(3)));
        drop(client.await.unwrap());
        // A connection whose other side closes in time ends without an error.
        let (client, from_client) = duplex(64);
        drop(client);
        Meter::new().copy(from_client, sink()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn one_direction_may_be_silent_while_the_other_is_active() {
        let meter = Meter::new();
        let (client, from_client) = duplex(64);
        let (server, from_server) = duplex(64);
        let server = talk(server, vec![IDLE / 2; 10]);
        let started = Instant::now();
        let both = tokio::try_join!(meter.copy(from_client, sink()), meter.copy(from_server, sink()));
        assert_eq!(both.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), IDLE * 6);
        drop((client, server.await.unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_active_connection_ends_after_the_total_time() {
        let (started, meter) = (Instant::now(), Meter::new());
        let (client, from_client) = duplex(64);
        let client = talk(client, vec![Duration::from_mins(1); 1000]);
        let error = meter.copy(from_client, sink()).await.unwrap_err();
        assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, TOTAL));
        // Later operations fail at once.
        advance(Duration::from_secs(1)).await;
        drop(client.await.unwrap());
        assert!(
            meter
                .within_idle(std::future::pending::<io::Result<()>>())
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn both_directions_share_the_limit_of_bytes() {
        let pair = async || {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            (near, listener.accept().await.unwrap().0)
        };
        for (sent, answered, is_permitted) in [(60_000, 40_000, true), (60_000, 40_001, false), (100_001, 0, false)] {
            let ((mut client, near), (far, mut server)) = (pair().await, pair().await);
            let meter = Meter {
                max_bytes: 100_000,
                ..Meter::new()
            };
            let ends = async {
                let _ = client.write_all(&vec![0; sent]).await;
                let _ = client.shutdown().await;
                let (mut received, mut returned) = (Vec::new(), Vec::new());
                let _ = (&mut server).take(sent as u64).read_to_end(&mut received).await;
                let _ = server.write_all(&vec![0; answered]).await;
                let _ = server.shutdown().await;
                let _ = client.read_to_end(&mut returned).await;
                received.len() + returned.len()
            };
            let (relayed, passed) = tokio::join!(both_ways(near, far, &meter), ends);
            match relayed {
                Ok(()) => assert_eq!((is_permitted, passed), (true, sent + answered)),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{sent} {answered}");
                    assert!(!is_permitted && passed <= 100_000, "{passed}");
                }
            }
        }
    }
}
