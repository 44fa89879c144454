//! Sends the due deliveries of one claimed webhook, in rounds.
//!
//! A receiver that fails gets one request per round, and then a pause. When it works again, the number of concurrent
//! requests doubles with each round. The pace limit applies at all times. A receiver that was down is therefore not
//! flooded.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{debug, warn};
use uuid::Uuid;

use super::{
    attempt::{Attempt, Keys, Verdict},
    outcome::{self, Done, RETRIED_FOR},
    table::{delivery, webhook},
};
use crate::{app::App, error::Result};

/// Maximum number of deliveries per round.
const ROUND: usize = 64;
/// A round starts no further requests after this time. It ends at most one timeout later, well before the lease.
const ROUND_TIME: Duration = Duration::from_secs(20);
/// Time that open requests get at shutdown.
const WIND_UP: Duration = Duration::from_millis(500);

/// Sends deliveries until none is due, the receiver fails, or the app is stopping.
pub(super) async fn deliver(app: App, owner: Uuid, webhook: webhook::Model) {
    let mut concurrent = if webhook.failures > 0 {
        1
    } else {
        app.config.webhooks.max_concurrent
    };
    let mut next = Some(webhook);
    while let Some(webhook) = next {
        let webhook_id = webhook.id;
        match round(&app, owner, webhook, concurrent).await {
            Ok(again) => next = again,
            Err(fault) => {
                // The lease expires, and a process sends the deliveries again, with the same ids.
                warn!(error = %fault, %webhook_id, "could not record the deliveries of a webhook");
                return;
            }
        }
        concurrent = concurrent.saturating_mul(2).min(app.config.webhooks.max_concurrent);
    }
}

async fn round(app: &App, owner: Uuid, webhook: webhook::Model, concurrent: usize) -> Result<Option<webhook::Model>> {
    let began = Instant::now();
    let pace = app.config.webhooks.max_per_second;
    let limit = if webhook.failures > 0 { 1 } else { ROUND };
    let due = outcome::due(
        app,
        webhook.id,
        limit.min(usize::try_from(pace).unwrap_or(ROUND)) as u64,
    )
    .await?;
    let keys = Keys::open(app, &webhook);
    let is_failing = AtomicBool::new(false);
    let sent: Vec<Option<Done>> = stream::iter(due)
        .map(|delivery| async {
            let stops = is_failing.load(Ordering::Relaxed) || began.elapsed() > ROUND_TIME;
            if stops || app.stopping.is_cancelled() {
                return None;
            }
            // An abandoned delivery stays queued.
            let done = tokio::select! {
                done = send(app, &webhook, &keys, delivery) => done,
                () = abandoned(app) => return None,
            };
            let verdict = done.attempt.as_ref().map(|attempt| attempt.verdict);
            let fails = matches!(verdict, Some(Verdict::Failing(_) | Verdict::Gone));
            is_failing.fetch_or(fails, Ordering::Relaxed);
            Some(done)
        })
        .buffer_unordered(concurrent.max(1))
        .collect()
        .await;
    let done: Vec<Done> = sent.into_iter().flatten().collect();
    debug!(webhook_id = %webhook.id, deliveries = done.len(), concurrent, "sent deliveries of a webhook");
    let goes_on = !app.stopping.is_cancelled();
    let next = outcome::record(app, owner, &webhook, &done, goes_on).await?;
    let sent = u32::try_from(done.len()).unwrap_or(u32::MAX);
    if next.is_some() {
        let pause = Duration::from_secs(1).saturating_mul(sent) / u32::try_from(pace).unwrap_or(u32::MAX).max(1);
        tokio::select! {
            () = app.stopping.cancelled() => {}
            () = sleep_until(began + pause) => {}
        }
    }
    Ok(next)
}

/// Returns after the app has begun to stop, when open requests have had a moment to end.
async fn abandoned(app: &App) {
    app.stopping.cancelled().await;
    sleep(WIND_UP).await;
}

async fn send(
    app: &App,
    webhook: &webhook::Model,
    keys: &std::result::Result<Keys, String>,
    delivery: delivery::Model,
) -> Done {
    if delivery.queued_at + RETRIED_FOR < app.clock.now() {
        return Done {
            delivery,
            attempt: None,
        };
    }
    let attempt = match keys {
        Ok(keys) => app.webhooks.attempt(app, webhook, keys, &delivery).await,
        Err(error) => Attempt {
            verdict: Verdict::Failing(None),
            status: None,
            duration_ms: 0,
            response: None,
            error: Some(error.clone()),
        },
    };
    Done {
        delivery,
        attempt: Some(attempt),
    }
}
