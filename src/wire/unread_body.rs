//! Handles the part of a request body that no service reads, such as the body of a refused request.
//!
//! An HTTP/2 connection should stay open, but h2 closes a connection with too many unread frames. On an HTTP/1
//! connection, the next request follows the body. The server therefore reads a short remainder. It drops a long
//! remainder and, on HTTP/1, closes the connection.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use futures::StreamExt;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::Body as _;
use tokio::{runtime::Handle, time::timeout};

use super::link::Link;

/// Limits for reading the rest of a body on a shared (HTTP/2) connection: number of bytes, and time. Most messages
/// are smaller than 64 KiB.
const SHARED: (u64, Duration) = (64 * 1024, Duration::from_secs(2));
/// Limits for reading the rest of a body on an HTTP/1 connection: number of bytes, and time. They are higher than
/// [`SHARED`], because no other request uses the connection meanwhile.
const ALONE: (u64, Duration) = (1024 * 1024, Duration::from_secs(30));

/// Decides whether the rest of a body is read or dropped, if the service stops reading before the end.
pub(super) struct UnreadBody {
    link: Option<Arc<Link>>,
    /// True if other calls share the connection, as in HTTP/2.
    is_shared: bool,
    /// True if the client waits for `100 Continue` before it sends the body.
    waits: bool,
    /// True if the connection cannot be used for another request.
    cut: Arc<AtomicBool>,
}

impl UnreadBody {
    pub(super) fn of(request: &Request<Body>) -> Self {
        let expects = request.headers().get(header::EXPECT);
        Self {
            link: request.extensions().get::<Arc<Link>>().cloned(),
            is_shared: request.version() == Version::HTTP_2,
            waits: expects.is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue")),
            cut: Arc::default(),
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        Verdict {
            cut: Arc::clone(&self.cut),
        }
    }

    /// Records that the service has started to read, so the client no longer waits for `100 Continue`.
    pub(super) fn record_demand(&mut self) {
        self.waits = false;
    }

    /// Reads or drops the rest of a body that no service will read.
    pub(super) fn take(&self, body: Body) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.is_shared {
            runtime.spawn(drain(body, SHARED));
            return;
        }
        let is_short = body.size_hint().exact().is_some_and(|length| length <= ALONE.0);
        if self.waits || !is_short {
            self.give_up();
            return;
        }
        let link = self.link.clone();
        runtime.spawn(async move {
            let mut body = body;
            drain(&mut body, ALONE).await;
            if !body.is_end_stream()
                && let Some(link) = link
            {
                link.cut();
            }
        });
    }

    /// Marks an HTTP/1 connection as unusable, because the rest of the body will not be read.
    pub(super) fn give_up(&self) {
        if !self.is_shared {
            self.cut.store(true, Relaxed);
            if let Some(link) = &self.link {
                link.cut();
            }
        }
    }
}

/// Records whether the connection of a request must close.
pub(super) struct Verdict {
    cut: Arc<AtomicBool>,
}

impl Verdict {
    pub(super) fn announce<B>(&self, answer: &mut Response<B>) {
        if self.cut.load(Relaxed) {
            answer
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

async fn drain<B>(body: B, (max_bytes, max_time): (u64, Duration))
where
    B: http_body::Body<Data = bytes::Bytes>,
{
    let reading = async {
        let mut frames = pin!(http_body_util::BodyStream::new(body));
        let mut read = 0;
        while let Some(Ok(frame)) = frames.next().await {
            read += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            if read > max_bytes {
                return;
            }
        }
    };
    let _ = timeout(max_time, reading).await;
}
