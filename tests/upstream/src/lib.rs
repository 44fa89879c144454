//! A scripted model server on loopback. It speaks the OpenAI protocol or, with raw turns, any other protocol.
//!
//! Tests start a server with a [`Script`], point a provider at its [`Upstream::base_url`] and check the received
//! requests.

mod serve;
mod turn;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{Notify, watch};

pub use turn::{Answer, Call, Gate, Step, Turn};

pub enum Script {
    /// Each request gets the next turn. A request after the last turn gets status 400.
    Turns(VecDeque<Turn>),
    Function(Box<dyn Fn(&Received) -> Turn + Send + Sync>),
    /// Every request gets the same frames, and the server does not record requests. Benchmarks use this variant.
    Fixed(Fixed),
}

impl Script {
    pub fn turns(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self::Turns(turns.into_iter().collect())
    }

    pub fn function(function: impl Fn(&Received) -> Turn + Send + Sync + 'static) -> Self {
        Self::Function(Box::new(function))
    }

    /// Returns a script that answers every request with the same `tokens` words. Each word is one delta.
    pub fn fixed(tokens: usize) -> Self {
        Self::Fixed(Fixed {
            frames: turn::fixed_frames(tokens),
            pace: None,
        })
    }

    /// Like [`Script::fixed`], with a pause of `pace` before each frame.
    pub fn paced(tokens: usize, pace: Duration) -> Self {
        Self::Fixed(Fixed {
            frames: turn::fixed_frames(tokens),
            pace: Some(pace),
        })
    }
}

impl From<Turn> for Script {
    fn from(turn: Turn) -> Self {
        Self::turns([turn])
    }
}

impl<const N: usize> From<[Turn; N]> for Script {
    fn from(turns: [Turn; N]) -> Self {
        Self::turns(turns)
    }
}

impl From<Vec<Turn>> for Script {
    fn from(turns: Vec<Turn>) -> Self {
        Self::turns(turns)
    }
}

#[derive(Clone)]
pub struct Fixed {
    frames: Arc<[Bytes]>,
    pace: Option<Duration>,
}

#[derive(Clone, Debug)]
pub struct Received {
    /// Number of the request, counted from 0.
    pub number: usize,
    /// The path of the request's URL, such as `/v1/chat/completions`.
    pub path: String,
    /// The query of the request, without the question mark.
    pub query: String,
    /// The headers of the request. Their names are in lower case.
    pub headers: BTreeMap<String, String>,
    /// The value of the header `x-api-key` or `x-goog-api-key`, which some protocols use instead of `Authorization`.
    pub api_key: Option<String>,
    /// The value of the header `Authorization`, such as `Bearer KEY`.
    pub authorization: Option<String>,
    /// The body as JSON. A body that is not JSON becomes a string.
    pub body: Value,
}

impl Received {
    /// Returns the messages of the request; empty if there are none.
    pub fn messages(&self) -> &[Value] {
        self.body["messages"].as_array().map_or(&[], Vec::as_slice)
    }

    pub fn tool_names(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map_or(&[][..], Vec::as_slice);
        tools
            .iter()
            .filter_map(|tool| tool["function"]["name"].as_str())
            .collect()
    }

    /// Returns the text of the last message; empty if there is no message.
    pub fn last_text(&self) -> &str {
        self.messages()
            .last()
            .and_then(|message| message["content"].as_str())
            .unwrap_or_default()
    }
}

/// A running server. Dropping this handle stops the server and every open response.
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
}

struct Shared {
    script: Mutex<Script>,
    fixed: Option<Fixed>,
    received: Mutex<Vec<Received>>,
    count: AtomicUsize,
    arrived: Notify,
    dropped: AtomicUsize,
    closing: watch::Receiver<bool>,
}

impl Upstream {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn start(script: impl Into<Script>) -> Self {
        let script = script.into();
        let fixed = if let Script::Fixed(fixed) = &script {
            Some(fixed.clone())
        } else {
            None
        };
        let (closing, closed) = watch::channel(false);
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            fixed,
            received: Mutex::default(),
            count: AtomicUsize::new(0),
            arrived: Notify::new(),
            dropped: AtomicUsize::new(0),
            closing: closed,
        });
        let address = serve::start(Arc::clone(&shared)).await;
        Self {
            address,
            shared,
            closing,
        }
    }

    /// Returns the base URL for a provider, ending in `/v1/`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1/", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns all recorded requests, oldest first. A fixed script records no requests.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Returns the number of completions that clients have requested so far.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Acquire)
    }

    /// Returns the number of responses whose client disconnected before the end of the response.
    pub fn dropped(&self) -> usize {
        self.shared.dropped.load(Ordering::Acquire)
    }

    pub async fn wait_for(&self, count: usize) {
        loop {
            let arrived = self.shared.arrived.notified();
            if self.count() >= count {
                return;
            }
            arrived.await;
        }
    }

    /// Adds turns to the end of a script of turns.
    ///
    /// # Panics
    /// If the script is not [`Script::Turns`].
    #[expect(clippy::panic, reason = "a test that mixes two kinds of scripts is wrong")]
    pub fn push(&self, more: impl IntoIterator<Item = Turn>) {
        match &mut *lock(&self.shared.script) {
            Script::Turns(turns) => turns.extend(more),
            Script::Function(_) | Script::Fixed(_) => panic!("push requires a script of turns"),
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.closing.send_replace(true);
    }
}

impl Shared {
    fn record(&self, mut received: Received) -> Received {
        received.number = self.count.fetch_add(1, Ordering::AcqRel);
        lock(&self.received).push(received.clone());
        self.arrived.notify_waiters();
        received
    }

    fn next_turn(&self, received: &Received) -> Turn {
        match &mut *lock(&self.script) {
            Script::Turns(turns) => turns
                .pop_front()
                .unwrap_or_else(|| Turn::status(400).body("the script has no more turns")),
            Script::Function(function) => function(received),
            Script::Fixed(_) => Turn::text("fixed"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
