//! Accepts, serves and closes connections.
//!
//! Called by `server`. Each connection occupies a slot (`server/connection_slots.rs`), must start its protocol in time
//! (`server/protocol_detection.rs`), and must present a credential in time. A connection with unread input is closed
//! without losing the response (`server/linger.rs`).

use std::{pin::pin, sync::Arc, time::Duration};

use axum::body::Body;
use http::Request;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time::{sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use tracing::{debug, warn};

use super::{
    connection_slots::{ConnectionSlot, ConnectionSlots},
    linger::Lingering,
    protocol_detection::ProtocolDetection,
};
use crate::{
    config::Http,
    wire::{link::Link, stack::Stack},
};

/// Maximum time in which a connection must start its protocol. The same maximum then applies to sending the headers of
/// a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum number of concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 1000;
/// Interval of pings on an HTTP/2 connection, and the maximum time in which the peer must answer a ping.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Maximum size of a request's headers, in bytes.
const MAX_HEADERS: u32 = 32 * 1024;
/// Maximum number of bytes buffered for one HTTP/2 stream whose peer does not read.
const MAX_SEND_BUFFER: usize = 32 * 1024;
/// Pause after a failed accept, for example when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Maximum time that a connection may stay open without an accepted credential.
const UNRECOGNIZED: Duration = Duration::from_mins(1);
/// Maximum time that a connection without an accepted credential has to finish its open requests after
/// [`UNRECOGNIZED`].
const UNRECOGNIZED_GRACE: Duration = Duration::from_secs(10);
/// Maximum value to which the server raises the soft limit of file descriptors.
const MAX_DESCRIPTORS: u64 = 65_536;
/// Divisor for the reserved file descriptors: one quarter is reserved for files, databases and tools.
const DESCRIPTORS_FOR_OTHERS: u64 = 4;

/// The connections of a server.
pub(super) struct Connections {
    builder: auto::Builder<TokioExecutor>,
    places: Arc<ConnectionSlots>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Connections {
    /// Creates a set without connections.
    pub fn new(http: &Http) -> Self {
        let places = usize::try_from(descriptors()).unwrap_or(usize::MAX);
        Self {
            builder: builder(),
            places: ConnectionSlots::new(http.max_connections.min(places), http.max_idle_per_address),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

    /// Accepts and serves connections until the server is stopping.
    pub async fn accept(&self, listener: &TcpListener, stack: &Stack, stopping: &CancellationToken) {
        loop {
            let next = async {
                self.places.wait().await;
                listener.accept().await
            };
            let accepted = tokio::select! {
                () = stopping.cancelled() => return,
                accepted = next => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    let link = Arc::new(Link::new(Some(address.ip())));
                    let place = self.places.take(&link);
                    self.tasks.spawn(self.serve(stream, stack.clone(), link, place));
                }
                Err(fault) => {
                    // Either file descriptors have run out or the peer has disconnected. The pause prevents a busy
                    // loop.
                    warn!(error = %fault, "could not accept a connection");
                    self.places.give_way();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Waits until open requests are complete, and closes every connection.
    pub async fn shutdown(self) {
        self.closing.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn serve(
        &self,
        stream: TcpStream,
        stack: Stack,
        link: Arc<Link>,
        place: ConnectionSlot,
    ) -> impl Future<Output = ()> + Send + use<> {
        // Nagle's algorithm would delay small packets, such as one token of a model, although a reader is waiting for
        // them.
        if let Err(fault) = stream.set_nodelay(true) {
            warn!(error = %fault, "could not turn off Nagle's algorithm");
        }
        let marked = Arc::clone(&link);
        let service = stack.map_request(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(Arc::clone(&marked));
            request.map(Body::new)
        });
        let stream = Lingering::new(ProtocolDetection::new(stream, HEADER_TIMEOUT), Arc::clone(&link));
        let connection = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(service))
            .into_owned();
        let closing = self.closing.clone();
        async move {
            let mut connection = pin!(connection);
            let mut is_closing = false;
            let mut unrecognized = pin!(sleep_until(link.opened() + UNRECOGNIZED));
            let outcome = loop {
                tokio::select! {
                    outcome = connection.as_mut() => break outcome,
                    () = link.ended() => break Ok(()),
                    () = closing.cancelled(), if !is_closing => {}
                    () = unrecognized.as_mut(), if !link.is_recognized() => {
                        // A credential may have been accepted after the condition above was evaluated.
                        if link.is_recognized() {
                            continue;
                        }
                        // A connection with an open stream, such as the stream of the health method `Watch`, stays open
                        // even without a credential. `wire::streams` limits the number of such streams.
                        if is_closing && link.idle_since().is_some() {
                            break Ok(());
                        }
                        unrecognized.as_mut().reset(tokio::time::Instant::now() + UNRECOGNIZED_GRACE);
                    }
                }
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            };
            // A broken connection is logged at debug only, because it is not an error of the server.
            if let Err(fault) = outcome {
                debug!(error = %fault, "a connection failed");
            }
            drop(place);
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADERS as usize * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE.0)
        .keep_alive_timeout(KEEP_ALIVE.1)
        .max_header_list_size(MAX_HEADERS)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .adaptive_window(true);
    builder
}

/// Raises the soft limit of file descriptors, and returns the maximum number of connections that the new limit allows.
/// The soft limit is often only 1024, for the sake of programs that use `select`.
fn descriptors() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    let target = limit.maximum.unwrap_or(u64::MAX).min(MAX_DESCRIPTORS);
    let raised = Rlimit {
        current: Some(target),
        maximum: limit.maximum,
    };
    let current = if target > current && setrlimit(Resource::Nofile, raised).is_ok() {
        target
    } else {
        current
    };
    current - current / DESCRIPTORS_FOR_OTHERS
}
