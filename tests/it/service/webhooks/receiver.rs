//! A receiver of webhooks, which checks nothing and records everything. The test decides how it answers.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::test_server::TEST_TIMEOUT;

#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub timestamp: i64,
    pub signatures: Vec<String>,
    pub body: Bytes,
    pub at: Instant,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Computes the signature without the service's code.
    pub fn signature(&self, secret: &str) -> String {
        let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.id, self.timestamp).as_bytes());
        mac.update(&self.body);
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

struct Shared {
    status: AtomicU16,
    /// A delivery that gets its own status.
    exception: Mutex<Option<(String, u16)>>,
    delay_ms: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
}

pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared {
            status: AtomicU16::new(200),
            exception: Mutex::default(),
            delay_ms: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            received: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&shared));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, address, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers all later requests with this status. Returns the number of the requests before, which get the old one.
    pub fn answer(&self, status: u16) -> usize {
        let all = self.shared.received.lock().unwrap();
        self.shared.status.store(status, Ordering::SeqCst);
        all.len()
    }

    /// Answers all later requests of one delivery with this status. Other deliveries get the status of
    /// [`Receiver::answer`].
    pub fn answer_delivery(&self, id: &str, status: u16) {
        *self.shared.exception.lock().unwrap() = Some((id.to_owned(), status));
    }

    pub fn answer_after(&self, delay: Duration) {
        let delay = usize::try_from(delay.as_millis()).unwrap();
        self.shared.delay_ms.store(delay, Ordering::SeqCst);
    }

    /// Largest number of requests that were open at the same time.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    pub fn forget_most_open(&self) {
        self.shared.most_open.store(0, Ordering::SeqCst);
    }

    pub fn all(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Waits until the receiver has `count` requests. Returns all of them.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut counts = self.shared.count.subscribe();
        let waited = timeout(TEST_TIMEOUT, counts.wait_for(|now| *now >= count)).await;
        assert!(waited.is_ok(), "{} of {count} requests", self.all().len());
        self.all()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_open.fetch_max(open, Ordering::SeqCst);
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let received = Received {
        id: header("webhook-id"),
        timestamp: header("webhook-timestamp").parse().unwrap(),
        signatures: header("webhook-signature").split(' ').map(str::to_owned).collect(),
        body,
        at: Instant::now(),
    };
    assert_eq!(header("content-type"), "application/json");
    // A request gets the status of the time at which it is counted.
    let (count, status) = {
        let mut all = shared.received.lock().unwrap();
        let status = match &*shared.exception.lock().unwrap() {
            Some((id, status)) if *id == received.id => *status,
            _ => shared.status.load(Ordering::SeqCst),
        };
        all.push(received);
        (all.len(), status)
    };
    shared.count.send_replace(count);
    let delay = shared.delay_ms.load(Ordering::SeqCst);
    sleep(Duration::from_millis(u64::try_from(delay).unwrap())).await;
    shared.open.fetch_sub(1, Ordering::SeqCst);
    let status = StatusCode::from_u16(status).unwrap();
    let text = format!("answer {} {}", status.as_u16(), "x".repeat(5_000));
    // A redirect to the receiver itself: if the service follows redirects, another request arrives.
    (status, [("location", "/elsewhere")], text).into_response()
}
