//! A scripted model that sends tokens on a fixed schedule. A late token does not delay the next tokens.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body, http::header::CONTENT_TYPE, response::IntoResponse, routing::post, serve::ListenerExt};
use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep_until},
};

use crate::{Result, report};

const DURATION: Duration = Duration::from_secs(8);
/// Minimum number of processor cores for the larger load of [`Load::of_this_machine`].
pub(crate) const LARGE: usize = 16;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) streams: usize,
    /// Tokens per second and stream.
    pub(crate) rate: u32,
}

impl Load {
    pub(crate) fn of_this_machine() -> Self {
        if crate::machine::cores() >= LARGE {
            Self {
                streams: 1_000,
                rate: 100,
            }
        } else {
            Self { streams: 200, rate: 50 }
        }
    }

    pub(crate) fn tokens(self) -> u32 {
        self.rate * u32::try_from(DURATION.as_secs()).unwrap_or(1)
    }

    fn pace(self) -> Duration {
        Duration::from_secs(1) / self.rate
    }

    /// Returns the duration of an answer if every token is on schedule.
    pub(crate) fn ideal(self) -> Duration {
        self.pace() * self.tokens()
    }
}

pub(crate) async fn serve() -> Result<String> {
    let load = Load::of_this_machine();
    let frames = frames(load);
    let answer = move || {
        let body = Body::from_stream(on_schedule(Arc::clone(&frames), load.pace()));
        std::future::ready(([(CONTENT_TYPE, "text/event-stream")], body).into_response())
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1/", listener.local_addr()?);
    let listener = listener.tap_io(|socket| {
        // Disables Nagle's algorithm, because each token is a small write.
        let _ = socket.set_nodelay(true);
    });
    let routes = Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async move {
        if let Err(fault) = axum::serve(listener, routes).await {
            report::complain(&fault.into());
        }
    });
    Ok(url)
}

fn frames(load: Load) -> Arc<[Bytes]> {
    let frame = |chunk: Value| format!("data: {chunk}\n\n");
    let chunk = |delta: Value, finish: Value| {
        frame(json!({
            "id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    };
    let usage = json!({"prompt_tokens": 100, "completion_tokens": load.tokens(), "total_tokens": 100 + load.tokens()});
    let end = [
        chunk(json!({}), json!("stop")),
        frame(
            json!({"id": "chatcmpl-paced", "object": "chat.completion.chunk", "created": 1, "model": "scripted",
            "choices": [], "usage": usage}),
        ),
        "data: [DONE]\n\n".to_owned(),
    ];
    let words = (0..load.tokens()).map(|number| {
        chunk(
            json!({"role": "assistant", "content": format!("w{number} ")}),
            Value::Null,
        )
    });
    words.chain([end.concat()]).map(Bytes::from).collect()
}

fn on_schedule(frames: Arc<[Bytes]>, pace: Duration) -> impl Stream<Item = std::result::Result<Bytes, Infallible>> {
    let began = Instant::now();
    stream::unfold((frames, 0_u32), move |(frames, at)| async move {
        let frame = frames.get(at as usize)?.clone();
        // The last frame follows the last token without a pause.
        let number = (at + 1).min(u32::try_from(frames.len()).unwrap_or(u32::MAX) - 1);
        sleep_until(began + pace * number).await;
        Some((Ok(frame), (frames, at + 1)))
    })
}
