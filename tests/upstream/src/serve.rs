//! The HTTP routes of the server: `/v1/models` lists the model, and the script answers all other paths.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Router,
    body::Body as HttpBody,
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri, header},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    Fixed, Received, Shared,
    turn::{Body, Step, Turn, frame},
};

/// Binds a free port and serves requests until the `Upstream` is dropped.
#[expect(clippy::expect_used, reason = "tests cannot run without a port")]
pub(crate) async fn start(shared: Arc<Shared>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("a bound address");
    let mut closing = shared.closing.clone();
    let routes = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(list_models))
        .fallback(post(complete))
        .with_state(shared);
    let server = axum::serve(
        axum::serve::ListenerExt::tap_io(listener, |socket| {
            // Nagle's algorithm is off: a delta is a small write and must not wait for the previous acknowledgement.
            let _ = socket.set_nodelay(true);
        }),
        routes,
    );
    tokio::spawn(async move {
        let closed = async move {
            let _ = closing.wait_for(|closed| *closed).await;
        };
        let _ = server.with_graceful_shutdown(closed).await;
    });
    address
}

async fn list_models() -> Response<HttpBody> {
    let models = json!({"object": "list", "data": [{"id": "scripted", "object": "model", "owned_by": "tests"}]});
    respond(200, &[], "application/json", HttpBody::from(models.to_string()))
}

async fn complete(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<HttpBody> {
    if let Some(fixed) = &shared.fixed {
        shared.count.fetch_add(1, Ordering::AcqRel);
        return respond(
            200,
            &[],
            "text/event-stream",
            HttpBody::from_stream(frames(fixed.clone())),
        );
    }
    let body =
        serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    let text = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let streamed = body["stream"].as_bool().unwrap_or(false);
    let received = shared.record(Received {
        number: 0,
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        api_key: text("x-api-key").or_else(|| text("x-goog-api-key")),
        authorization: text("authorization"),
        body,
    });
    let Turn {
        before,
        status,
        headers,
        body,
    } = shared.next_turn(&received);
    let guard = Unfinished(Some(Arc::clone(&shared)));
    for step in before {
        if play(step, &shared).await.is_err() {
            break;
        }
    }
    let (kind, body) = match body {
        Body::Plain(text) => {
            guard.finished();
            ("application/json", HttpBody::from(text))
        }
        Body::Answer(answer) if !streamed => {
            guard.finished();
            ("application/json", HttpBody::from(answer.whole().to_string()))
        }
        Body::Answer(answer) => (
            "text/event-stream",
            HttpBody::from_stream(steps(answer.steps(), shared, guard)),
        ),
        Body::Raw(raw) => ("text/event-stream", HttpBody::from_stream(steps(raw, shared, guard))),
    };
    respond(status, &headers, kind, body)
}

fn frames(fixed: Fixed) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold((fixed, 0_usize), |(fixed, at)| async move {
        let frame = fixed.frames.get(at)?.clone();
        if let Some(pace) = fixed.pace {
            tokio::time::sleep(pace).await;
        }
        Some((Ok(frame), (fixed, at + 1)))
    })
}

fn steps(steps: Vec<Step>, shared: Arc<Shared>, guard: Unfinished) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(
        (steps.into_iter(), shared, Some(guard)),
        |(mut left, shared, mut guard)| async move {
            let Some(step) = left.next() else {
                if let Some(guard) = guard.take() {
                    guard.finished();
                }
                return None;
            };
            let played = play(step, &shared).await;
            if played.is_err()
                && let Some(guard) = guard.take()
            {
                guard.finished();
            }
            Some((played, (left, shared, guard)))
        },
    )
    .filter(|played| std::future::ready(!matches!(played, Ok(bytes) if bytes.is_empty())))
}

/// Plays one step and returns the bytes to send. A step that only waits returns zero bytes.
async fn play(step: Step, shared: &Shared) -> io::Result<Bytes> {
    let mut closing = shared.closing.clone();
    let wait = async {
        match step {
            Step::Event(event) => Ok(frame(&event)),
            Step::Bytes(bytes) => Ok(bytes),
            Step::Pause(pause) => {
                tokio::time::sleep(pause).await;
                Ok(Bytes::new())
            }
            Step::Wait(gate) => {
                gate.pass().await;
                Ok(Bytes::new())
            }
            Step::Hang => std::future::pending().await,
            Step::Cut => {
                // The network needs time to send earlier bytes before the connection breaks.
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                Err(io::Error::from(io::ErrorKind::ConnectionAborted))
            }
        }
    };
    tokio::select! {
        played = wait => played,
        _ = closing.wait_for(|closed| *closed) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
    }
}

#[expect(clippy::expect_used, reason = "a script with an invalid header is wrong")]
fn respond(status: u16, headers: &[(String, String)], kind: &str, body: HttpBody) -> Response<HttpBody> {
    let mut response = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        response = response.header(header::CONTENT_TYPE, kind);
    }
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(body).expect("a response")
}

/// Counts a response as dropped when this value is dropped, unless `finished` was called before.
struct Unfinished(Option<Arc<Shared>>);

impl Unfinished {
    fn finished(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.dropped.fetch_add(1, Ordering::AcqRel);
        }
    }
}
