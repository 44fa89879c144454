//! An MCP server for the protocol revision 2025-06-18. It uses no MCP library, so that tests can break the protocol.

use std::{
    io,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    sync::{Barrier, Notify},
    task::JoinHandle,
};

use crate::test_server::TEST_TIMEOUT;

pub enum Reaction {
    /// Answers as the protocol requires.
    Normal,
    Result(Value),
    Status(u16, &'static str),
    /// Answers as the protocol requires, but only after all parties have reached the barrier.
    Together(Arc<Barrier>),
    Silence,
    /// Starts an answer and closes the connection.
    Cut,
    Redirect(String),
    /// Sends a request of the server on the stream of the answer, and the normal result after the notification.
    Ask(Value, Arc<Notify>),
}

pub struct RawServer {
    pub url: String,
    /// Methods of the received messages, in order.
    pub seen: Arc<Mutex<Vec<String>>>,
    /// Results of the client's responses, in order.
    pub responses: Arc<Mutex<Vec<Value>>>,
    arrived: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RawServer {
    pub async fn start(react: impl Fn(&str) -> Reaction + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let arrived = Arc::<Notify>::default();
        let responses = Arc::<Mutex<Vec<Value>>>::default();
        let shared = (Arc::clone(&seen), Arc::clone(&responses), Arc::clone(&arrived));
        let router = Router::new().fallback(move |method: Method, body: Bytes| {
            let (react, (recorded, responses, notify)) = (react.clone(), shared.clone());
            async move {
                if method != Method::POST {
                    return StatusCode::METHOD_NOT_ALLOWED.into_response();
                }
                let request: Value = serde_json::from_slice(&body).unwrap();
                let name = request["method"].as_str().unwrap_or("response").to_owned();
                recorded.lock().unwrap().push(name.clone());
                if name == "response" {
                    responses.lock().unwrap().push(request["result"].clone());
                }
                notify.notify_one();
                answer(react(&name), &name, &request).await
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            url,
            seen,
            responses,
            arrived,
            task,
        }
    }

    pub async fn received(&self, method: &str) {
        let arrived = async {
            while self.count(method) == 0 {
                self.arrived.notified().await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, arrived).await.unwrap();
    }

    pub fn count(&self, method: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|name| *name == method).count()
    }
}

async fn answer(reaction: Reaction, method: &str, request: &Value) -> Response {
    if let Reaction::Together(barrier) = &reaction {
        barrier.wait().await;
    }
    let result = match reaction {
        Reaction::Normal | Reaction::Together(_) => match normal(method) {
            Some(result) => result,
            None if request.get("id").is_none() => return StatusCode::ACCEPTED.into_response(),
            None => {
                let error =
                    json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "unknown"}});
                return json_body(&error);
            }
        },
        Reaction::Result(result) => result,
        Reaction::Status(status, text) => return (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Reaction::Silence => std::future::pending().await,
        Reaction::Cut => {
            let start = Ok(Bytes::from_static(b"data: {\"jsonrpc\""));
            let broken = Err(io::Error::other("the connection breaks"));
            let body = Body::from_stream(stream::iter([start, broken]));
            return ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
        }
        Reaction::Ask(mut asked, answered) => {
            (asked["jsonrpc"], asked["id"]) = (json!("2.0"), json!("a question"));
            let result = json!({"jsonrpc": "2.0", "id": request["id"], "result": normal(method)});
            let asked = stream::once(async move { io::Result::Ok(event(&asked)) });
            let result = stream::once(async move {
                answered.notified().await;
                Ok(event(&result))
            });
            let body = Body::from_stream(asked.chain(result));
            return ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
        }
        Reaction::Redirect(url) => return Redirect::temporary(&url).into_response(),
    };
    json_body(&json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
}

fn event(message: &Value) -> Bytes {
    format!("data: {message}\n\n").into()
}

fn json_body(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Returns the result that the protocol requires; `None` for a notification or an unknown method.
pub fn normal(method: &str) -> Option<Value> {
    let tool = json!({"name": "act", "description": "Acts.", "inputSchema": {"type": "object"}});
    match method {
        "initialize" => Some(json!({
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "raw", "version": "1"}
        })),
        "tools/list" => Some(json!({"tools": [tool]})),
        "tools/call" => Some(json!({"content": [{"type": "text", "text": "acted"}]})),
        _ => None,
    }
}
