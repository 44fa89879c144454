//! Sends one request to a receiver.

use std::{sync::OnceLock, time::Duration};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use runyard_mcp::{AddressRule, PermittedHosts};
use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use super::{
    context, event,
    table::{delivery, webhook},
    target::{self, NOT_PERMITTED},
};
use crate::{app::App, config, signatures::Signed, web::client};

/// Maximum size of the stored beginning of an answer, in bytes.
const MAX_RESPONSE: usize = 1_024;
/// Maximum number of idle connections per receiver.
const IDLE: usize = 8;
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum wait that a receiver can request with `Retry-After`.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// The HTTP client of all webhooks. It is set up for the first delivery, because reading the host's root certificates
/// would delay the start.
pub struct Sender {
    client: OnceLock<Client>,
    permits: AddressRule,
    timeout: Duration,
}

/// The state of the delivery and of its receiver, as an attempt showed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Succeeded,
    /// The receiver works, but refuses this request.
    Refused,
    /// The receiver does not work. It may have named the time after which to try again.
    Failing(Option<Duration>),
    /// The receiver wants no more requests.
    Gone,
}

impl Verdict {
    /// The name of the verdict in metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Refused => "refused",
            Self::Failing(_) => "failing",
            Self::Gone => "gone",
        }
    }
}

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    pub(super) verdict: Verdict,
    pub(super) status: Option<i32>,
    pub(super) duration_ms: i64,
    pub(super) response: Option<String>,
    pub(super) error: Option<String>,
}

/// The secrets with which requests are signed: the current one, and the earlier one after a rotation.
pub(super) struct Keys(Vec<SecretString>);

impl Keys {
    /// # Errors
    /// A text for the delivery log.
    pub(super) fn open(app: &App, webhook: &webhook::Model) -> std::result::Result<Self, String> {
        let is_valid = webhook.earlier_until.is_some_and(|until| until > app.clock.now());
        let earlier = webhook.earlier_secret.as_ref().filter(|_| is_valid);
        let context = context(webhook.account_id, webhook.id);
        let open = |sealed: &String| app.secrets.open_sealed(&context, sealed);
        let keys: Option<Vec<_>> = std::iter::once(&webhook.secret).chain(earlier).map(open).collect();
        keys.map(Self)
            .ok_or_else(|| "the signing secret cannot be decrypted; rotate it".to_owned())
    }

    fn sign(&self, signed: Signed<'_>) -> String {
        let signatures: Vec<String> = self.0.iter().filter_map(|key| signed.sign(key)).collect();
        signatures.join(" ")
    }
}

impl Sender {
    pub fn new(config: &config::Webhooks) -> Self {
        Self {
            client: OnceLock::new(),
            permits: target::permits(config),
            timeout: config.timeout(),
        }
    }

    /// # Errors
    /// A text for the delivery log.
    fn client(&self) -> std::result::Result<&Client, String> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = client::client()
            .no_proxy()
            .dns_resolver(PermittedHosts {
                permits: self.permits,
                refusal: NOT_PERMITTED,
            })
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build();
        let built = built.map_err(|error| format!("the HTTP client could not be set up: {error}"))?;
        Ok(self.client.get_or_init(|| built))
    }

    /// Sends a delivery once.
    pub(super) async fn attempt(
        &self,
        app: &App,
        webhook: &webhook::Model,
        keys: &Keys,
        delivery: &delivery::Model,
    ) -> Attempt {
        let began = Instant::now();
        let answered = async {
            // Check again, because the operator may have changed the rules.
            let url = target::parse(&app.config.webhooks, &webhook.url)?;
            let response = self.send(app, url, keys, delivery).await?;
            let (status, retry_after) = (response.status(), retry_after(response.headers()));
            let body = client::read(response, MAX_RESPONSE, self.timeout).await;
            let text = body.map_or_else(|_| String::new(), |body| printable(&body.bytes));
            Ok((status, retry_after, text))
        };
        let seconds = self.timeout.as_secs();
        let late = |_| Err(format!("no complete answer within {seconds} seconds"));
        let answer = timeout(self.timeout, answered).await.unwrap_or_else(late);
        let duration_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        match answer {
            Ok((status, retry_after, text)) => Attempt {
                verdict: verdict(status, retry_after),
                status: Some(status.as_u16().into()),
                duration_ms,
                response: Some(text),
                error: None,
            },
            Err(error) => Attempt {
                verdict: Verdict::Failing(None),
                status: None,
                duration_ms,
                response: None,
                error: Some(error),
            },
        }
    }

    async fn send(
        &self,
        app: &App,
        url: Url,
        keys: &Keys,
        delivery: &delivery::Model,
    ) -> std::result::Result<Response, String> {
        let body = event::body(delivery);
        let (id, timestamp) = (delivery.id.to_string(), app.clock.now().timestamp());
        let signatures = keys.sign(Signed {
            id: &id,
            timestamp,
            body: &body,
        });
        let request = self
            .client()?
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures)
            .body(body);
        client::send(request, self.timeout).await
    }
}

fn verdict(status: StatusCode, retry_after: Option<Duration>) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Succeeded,
        410 => Verdict::Gone,
        408 | 429 | 500.. => Verdict::Failing(retry_after),
        _ => Verdict::Refused,
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(MAX_RETRY_AFTER))
}

/// Converts the beginning of an answer to text without control characters.
fn printable(bytes: &[u8]) -> String {
    let is_printable = |letter: &char| !letter.is_control() || matches!(letter, '\n' | '\t');
    String::from_utf8_lossy(bytes).chars().filter(is_printable).collect()
}
