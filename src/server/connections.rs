//! Accepts, serves and closes connections.
//!
//! Each connection uses a slot (`server/connection_slots.rs`). A client must start a protocol
//! (`server/protocol_detection.rs`) and present a credential within time limits.

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

/// Maximum time until a new connection has sent its first bytes, and maximum time for the headers of an HTTP/1 request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
const MAX_STREAMS: u32 = 1000;
/// Interval between pings on an HTTP/2 connection, and the maximum time until the client answers a ping.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Maximum size of the headers of an HTTP/2 request, in bytes. The buffer of an HTTP/1 connection has twice this size.
const MAX_HEADERS: u32 = 32 * 1024;
/// Maximum number of bytes that are buffered for an HTTP/2 stream whose client does not read.
const MAX_SEND_BUFFER: usize = 32 * 1024;
/// Pause after a failed accept, for example when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time after which a connection without a valid credential accepts no more requests.
const UNRECOGNIZED: Duration = Duration::from_mins(1);
/// Interval of the checks after [`UNRECOGNIZED`]. A check closes the connection if it has no open request.
const UNRECOGNIZED_GRACE: Duration = Duration::from_secs(10);
/// Maximum number to which the server raises the soft limit of file descriptors.
const MAX_DESCRIPTORS: u64 = 65_536;
/// A quarter of the file descriptors is reserved for files, databases and tools.
const DESCRIPTORS_FOR_OTHERS: u64 = 4;

pub(super) struct Connections {
    builder: auto::Builder<TokioExecutor>,
    places: Arc<ConnectionSlots>,
    tasks: TaskTracker,
    closing: CancellationToken,
}

impl Connections {
    pub fn new(http: &Http) -> Self {
        let places = usize::try_from(descriptors()).unwrap_or(usize::MAX);
        Self {
            builder: builder(),
            places: ConnectionSlots::new(http.max_connections.min(places), http.max_idle_per_address),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        }
    }

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
                    // Either the process has no free file descriptors, or the client has disconnected. The pause
                    // prevents a busy loop.
                    warn!(error = %fault, "could not accept a connection");
                    self.places.give_way();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

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
        // Nagle's algorithm would delay small packets, such as a packet with a single token of a model.
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
                        // The credential may have been accepted after the `select!` evaluated the condition of this
                        // branch.
                        if link.is_recognized() {
                            continue;
                        }
                        // A connection with an open stream, such as a `Watch` call of the health service, stays open
                        // without a credential. `wire::streams` limits the number of such streams.
                        if is_closing && link.idle_since().is_some() {
                            break Ok(());
                        }
                        unrecognized.as_mut().reset(tokio::time::Instant::now() + UNRECOGNIZED_GRACE);
                    }
                }
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            };
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

/// Raises the soft limit of file descriptors, and returns the maximum number of connections under the new limit. The
/// soft limit is often only 1024, for programs that use `select`.
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
