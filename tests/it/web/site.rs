//! A web server on loopback that records its requests.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::Value;
use tokio::{sync::Notify, task::JoinHandle};

use crate::test_server::TEST_TIMEOUT;

#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Seen {
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Returns the parameters of the query.
    pub fn query(&self) -> BTreeMap<String, String> {
        let url = reqwest::Url::parse("http://site").unwrap().join(&self.target).unwrap();
        url.query_pairs().into_owned().collect()
    }
}

pub struct Site {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub async fn start(respond: impl Fn(&Seen) -> Response + Clone + Send + Sync + 'static) -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let changed = Arc::<Notify>::default();
        let (recorded, notify) = (Arc::clone(&seen), Arc::clone(&changed));
        let router = Router::new().fallback(move |request: Request| {
            let (respond, recorded, notify) = (respond.clone(), Arc::clone(&recorded), Arc::clone(&notify));
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                let headers = head.headers.iter();
                let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
                let one = Seen {
                    method: head.method.to_string(),
                    target: head.uri.to_string(),
                    headers: headers.collect(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                recorded.lock().unwrap().push(one.clone());
                notify.notify_one();
                respond(&one)
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            seen,
            changed,
            task,
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns a URL of the server that names the host `localhost`.
    pub fn named_url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.address.port())
    }

    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the server has received this number of requests.
    pub async fn reached(&self, count: usize) {
        let reached = async {
            while self.requests().len() < count {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, reached).await.unwrap();
    }
}

pub fn of_type(media: &str, body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, media.to_owned())], body.into()).into_response()
}

pub fn html(body: &str) -> Response {
    of_type("text/html; charset=utf-8", body.to_owned())
}

/// Sends the beginning of a page, and then nothing. `dropped` is notified when the client closes the connection.
pub fn silent(dropped: &Arc<Notify>) -> Response {
    struct OnDrop(Arc<Notify>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.notify_one();
        }
    }
    let guard = OnDrop(Arc::clone(dropped));
    let start = futures::stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"The beginning"))]);
    let never = futures::stream::once(async move {
        let _guard = guard;
        std::future::pending().await
    });
    of_type("text/plain", Body::from_stream(start.chain(never)))
}

/// Sends a few bytes again and again, without an end.
pub fn endless() -> Response {
    let ticks = futures::stream::unfold(
        tokio::time::interval(Duration::from_millis(100)),
        async |mut interval| {
            interval.tick().await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"tick ")), interval))
        },
    );
    of_type("text/plain", Body::from_stream(ticks))
}
