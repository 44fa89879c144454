//! The rest of a request's body that no service reads, such as that of a refused request.
//!
//! Called by `wire/patience.rs`, for every protocol. Over HTTP/2 the connection lives on, with other calls on it. Unread frames
//! count against it, and h2 ends a connection that has too many of them ("too_many_data_frames"). Over HTTP/1 the next
//! request stands behind the body: either the body is read to its end, or the answer says that the connection closes. In
//! both cases a short rest is read beside the answer. What is longer than that is dropped.

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

/// Maximum number of bytes to read, and the time for them, on a connection that other calls share. More than a message of
/// most calls has.
const SHARED: (u64, Duration) = (64 * 1024, Duration::from_secs(2));
/// The same for a connection of HTTP/1, which carries nothing else meanwhile.
const ALONE: (u64, Duration) = (1024 * 1024, Duration::from_secs(30));

/// What becomes of a body that is dropped before its end.
pub(super) struct Rest {
    link: Option<Arc<Link>>,
    /// Other calls are on its connection.
    is_shared: bool,
    /// The client sends its body only when it is told to continue.
    waits: bool,
    /// The connection cannot be used for another request.
    cut: Arc<AtomicBool>,
}

impl Rest {
    /// That of a request, as its headers announce it.
    pub(super) fn of(request: &Request<Body>) -> Self {
        let expects = request.headers().get(header::EXPECT);
        Self {
            link: request.extensions().get::<Arc<Link>>().cloned(),
            is_shared: request.version() == Version::HTTP_2,
            waits: expects.is_some_and(|expects| expects.as_bytes().eq_ignore_ascii_case(b"100-continue")),
            cut: Arc::default(),
        }
    }

    /// Tells the client on its answer whether the connection closes.
    pub(super) fn verdict(&self) -> Verdict {
        Verdict {
            cut: Arc::clone(&self.cut),
        }
    }

    /// Notes that the client was told to continue.
    pub(super) fn asked_for(&mut self) {
        self.waits = false;
    }

    /// Takes a body of which nothing more is wanted.
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

    /// Drops a body whose client has stopped sending.
    pub(super) fn give_up(&self) {
        if !self.is_shared {
            self.cut.store(true, Relaxed);
            if let Some(link) = &self.link {
                link.cut();
            }
        }
    }
}

/// Whether the connection of a request can be used for another one.
pub(super) struct Verdict {
    cut: Arc<AtomicBool>,
}

impl Verdict {
    /// Writes into an answer that its connection closes, if it does.
    pub(super) fn announce<B>(&self, answer: &mut Response<B>) {
        if self.cut.load(Relaxed) {
            answer
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Reads the rest of a body and forgets it.
async fn drain<B>(body: B, (most, patience): (u64, Duration))
where
    B: http_body::Body<Data = bytes::Bytes>,
{
    let reading = async {
        let mut frames = pin!(http_body_util::BodyStream::new(body));
        let mut read = 0;
        while let Some(Ok(frame)) = frames.next().await {
            read += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
            if read > most {
                return;
            }
        }
    };
    // Whatever is left then is dropped with the body.
    let _ = timeout(patience, reading).await;
}
