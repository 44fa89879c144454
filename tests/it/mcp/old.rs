//! An MCP server with the HTTP transport of 2024. A GET request opens a stream. The stream names the endpoint for
//! posted messages.

use std::{convert::Infallible, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::sse::{Event, Sse},
    routing::{get, post},
};
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::raw::normal;

type Answers = Arc<Mutex<Option<mpsc::Sender<Value>>>>;

pub async fn start() -> String {
    let router = Router::new()
        .route("/sse", get(open))
        .route("/messages", post(receive))
        .with_state(Answers::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sse", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn open(State(answers): State<Answers>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (sender, receiver) = mpsc::channel(16);
    *answers.lock().await = Some(sender);
    let endpoint = Event::default().event("endpoint").data("/messages");
    let messages =
        ReceiverStream::new(receiver).map(|answer| Event::default().event("message").data(answer.to_string()));
    Sse::new(stream::once(async { endpoint }).chain(messages).map(Ok))
}

async fn receive(State(answers): State<Answers>, body: Bytes) -> StatusCode {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let method = request["method"].as_str().unwrap_or_default();
    if let Some(result) = normal(method) {
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        let answers = answers.lock().await;
        answers.as_ref().unwrap().send(answer).await.unwrap();
    }
    StatusCode::ACCEPTED
}
