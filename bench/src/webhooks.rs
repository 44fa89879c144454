//! Measures how many deliveries per second the server sends to a receiver on this machine.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use runyard_client::v1::{CreateWebhookRequest, webhook_service_client::WebhookServiceClient};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use crate::{
    Result,
    callers::{Account, connect, start_on},
};

/// The pace limit per webhook is off, because the receiver and the server share the machine.
pub(crate) const CONFIG: &str = "[webhooks]\nallow_private_addresses = true\nmax_per_second = 1000000\n";
/// Number of webhooks of the account. Each run causes one delivery per webhook.
const WEBHOOKS: usize = 20;
const TIMEOUT: Duration = Duration::from_mins(2);

pub(crate) struct Found {
    /// Deliveries per second, from the first to the last request.
    pub(crate) rate: f64,
    /// Deliveries that did not arrive, or arrived twice.
    pub(crate) wrong: f64,
}

/// Ends `runs` runs of an account with many webhooks, and waits until all deliveries have arrived.
pub(crate) async fn measure(address: SocketAddr, account: &Account, runs: usize) -> Result<Found> {
    let receiver = Receiver::start().await?;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let mut webhooks = WebhookServiceClient::new(channel);
    for number in 0..WEBHOOKS {
        let request = CreateWebhookRequest {
            url: format!("{}/{number}", receiver.url),
            events: vec!["run.completed".to_owned()],
        };
        webhooks.create_webhook(account.signed(request)).await?;
    }
    let mut client = connect(address).await?;
    for _ in 0..runs {
        client.start_run(account.signed(start_on("bench/one"))).await?;
    }
    let (wanted, began) = (runs * WEBHOOKS, Instant::now());
    while receiver.seen().requests < wanted && began.elapsed() < TIMEOUT {
        sleep(Duration::from_millis(10)).await;
    }
    let seen = receiver.seen();
    let seconds = match (seen.first, seen.last) {
        (Some(first), Some(last)) => (last - first).as_secs_f64(),
        _ => return Err("no delivery arrived".into()),
    };
    let repeated = seen.requests - seen.ids.len();
    Ok(Found {
        rate: seen.requests as f64 / seconds,
        wrong: (wanted.saturating_sub(seen.ids.len()) + repeated) as f64,
    })
}

#[derive(Clone, Default)]
struct Seen {
    requests: usize,
    ids: HashSet<String>,
    first: Option<Instant>,
    last: Option<Instant>,
}

struct Receiver {
    url: String,
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Receiver {
    async fn start() -> Result<Self> {
        let seen = Arc::<Mutex<Seen>>::default();
        let router = Router::new().fallback(receive).with_state(Arc::clone(&seen));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            // The task ends with this value, so an error of the receiver shows as missing deliveries.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { url, seen, task })
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn receive(State(seen): State<Arc<Mutex<Seen>>>, headers: HeaderMap) -> StatusCode {
    let now = Instant::now();
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.requests += 1;
    seen.ids.extend(id.map(str::to_owned));
    seen.first.get_or_insert(now);
    seen.last = Some(now);
    StatusCode::NO_CONTENT
}
