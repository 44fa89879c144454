//! Tests of receivers that fail.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{Receiver, create, deliveries, end_runs, newest_delivery, open, put, scripted, text};
use crate::test_server::{TEST_TIMEOUT, TestServer, on_every_database_with};

/// Moves the clock step by step, until the receiver has `count` requests.
async fn advance_until(server: &TestServer, receiver: &Receiver, count: usize) {
    let advancing = async {
        while receiver.all().len() < count {
            server.clock.advance(Duration::from_secs(30));
            sleep(Duration::from_millis(100)).await;
        }
    };
    let advanced = timeout(TEST_TIMEOUT, advancing).await;
    assert!(advanced.is_ok(), "{} of {count} requests", receiver.all().len());
}

/// Waits until the second newest delivery fulfils a condition.
async fn earlier_delivery(server: &TestServer, webhook: &Value, is_met: impl Fn(&Value) -> bool) -> Value {
    // An earlier token may have expired.
    let caller = server.caller("ann");
    let looking = async {
        loop {
            let earlier = deliveries(&caller, webhook).await.remove(1);
            if is_met(&earlier) {
                return earlier;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TEST_TIMEOUT, looking)
        .await
        .expect("the delivery should change")
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_every_event_and_is_not_flooded() {
    on_every_database_with(
        |_| scripted(),
        |config| {
            open(config);
            config.webhooks.max_concurrent = 3;
            config.webhooks.max_per_second = 20;
        },
        async |server| {
            let (caller, receiver) = (server.caller("ann"), Receiver::start().await);
            let webhook = create(&caller, &receiver, &[]).await;
            receiver.answer(503);
            end_runs(server, "ann", 30).await;
            let path = format!("/webhooks/{}", text(&webhook, "webhook_id"));
            while caller.get(&path).await.ok()["consecutive_failures"] == 0 {
                sleep(Duration::from_millis(20)).await;
            }
            receiver.forget_most_open();
            let early = receiver.all().len();
            // While the receiver is down, it gets single requests with growing pauses.
            let began = server.clock.now();
            advance_until(server, &receiver, early + 7).await;
            assert!(
                server.clock.now() - began > TimeDelta::minutes(3),
                "the pauses do not grow"
            );
            assert_eq!(receiver.most_open(), 1);
            let down = receiver.answer(200);
            receiver.answer_after(Duration::from_millis(5));
            server.clock.advance(Duration::from_mins(61));
            receiver.wait_for(down + 30).await;
            let up = receiver.all().split_off(down);
            assert_eq!(up.len(), 30, "a delivery was repeated after its success");
            assert!(receiver.most_open() <= 3, "{}", receiver.most_open());
            let mut ids: Vec<_> = up.iter().map(|one| &one.id).collect();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), 30);
            // Twenty per second: after a round of twenty, the next round starts a second later.
            assert!(
                up[29].at - up[0].at > Duration::from_millis(500),
                "{:?}",
                up[29].at - up[0].at
            );
            newest_delivery(&server.caller("ann"), &webhook, |found| found["status"] == "succeeded").await;
            let shown = server
                .caller("ann")
                .get(&format!("/webhooks/{}", text(&webhook, "webhook_id")))
                .await;
            assert_eq!(shown.ok()["consecutive_failures"], 0);
        },
    )
    .await;
}

#[tokio::test]
async fn a_refused_delivery_is_retried_for_a_day_and_does_not_delay_others() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (caller, receiver) = (server.caller("ann"), Receiver::start().await);
            let webhook = create(&caller, &receiver, &[]).await;
            receiver.answer(400);
            end_runs(server, "ann", 1).await;
            let refused = newest_delivery(&caller, &webhook, |found| found["attempts"] == 1).await;
            assert_eq!(
                (&refused["status"], &refused["response_status"]),
                (&json!("pending"), &json!(400))
            );
            // The receiver refuses only this delivery, however often the service sends it.
            let id = text(&refused, "delivery_id");
            receiver.answer_delivery(id, 404);
            receiver.answer(200);
            end_runs(server, "ann", 1).await;
            let other = newest_delivery(&caller, &webhook, |found| found["status"] == "succeeded").await;
            assert_ne!(other["delivery_id"], refused["delivery_id"]);
            server.clock.advance(Duration::from_mins(1));
            let again = earlier_delivery(server, &webhook, |found| found["attempts"].as_u64() > Some(1)).await;
            assert_eq!(again["delivery_id"], id);
            let within_a_day = server.clock.now() + TimeDelta::hours(24);
            server.clock.advance(Duration::from_hours(25));
            let failed = earlier_delivery(server, &webhook, |found| found["status"] == "failed").await;
            let mut sent = receiver.all();
            let total = sent.len();
            sent.retain(|one| one.id == id);
            assert_eq!((&failed["attempts"], total), (&json!(sent.len()), sent.len() + 1));
            for one in &sent {
                assert_eq!(one.body, sent[0].body);
                assert!(one.timestamp < within_a_day.timestamp(), "{one:?}");
            }
            // The same delivery can be sent again, with its id.
            receiver.answer_delivery(id, 200);
            let caller = server.caller("ann");
            let path = format!(
                "/webhooks/{}/deliveries/{}/redeliver",
                text(&webhook, "webhook_id"),
                text(&failed, "delivery_id")
            );
            let queued = caller.post(&path, json!({})).await.ok();
            assert_eq!(queued["status"], "pending");
            let last = receiver.wait_for(total + 1).await.pop().unwrap();
            assert_eq!((last.id.as_str(), &last.body), (id, &sent[0].body));
        },
    )
    .await;
}

#[tokio::test]
async fn a_receiver_that_answers_410_is_disabled_until_it_is_enabled() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (caller, receiver) = (server.caller("ann"), Receiver::start().await);
            let webhook = create(&caller, &receiver, &[]).await;
            receiver.answer(410);
            end_runs(server, "ann", 1).await;
            let failed = newest_delivery(&caller, &webhook, |found| found["status"] == "failed").await;
            assert_eq!(failed["response_status"], 410);
            let path = format!("/webhooks/{}", text(&webhook, "webhook_id"));
            let shown = caller.get(&path).await.ok();
            assert_eq!(shown["enabled"], false);
            assert!(text(&shown, "disabled_reason").contains("410"), "{shown}");
            end_runs(server, "ann", 1).await;
            caller
                .post(&format!("{path}/test"), json!({}))
                .await
                .refused(409, "CONFLICT");
            receiver.answer(200);
            let enabled = put(&caller, &path, json!({"enabled": true})).await.ok();
            assert!(enabled["enabled"] == true && enabled["disabled_reason"].is_null());
            end_runs(server, "ann", 1).await;
            assert_eq!(
                receiver.wait_for(2).await.len(),
                2,
                "the event of the disabled time is not sent"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (caller, receiver) = (server.caller("ann"), Receiver::start().await);
            let webhook = create(&caller, &receiver, &[]).await;
            receiver.answer(302);
            end_runs(server, "ann", 1).await;
            let refused = newest_delivery(&caller, &webhook, |found| found["attempts"] == 1).await;
            assert_eq!(
                (&refused["status"], &refused["response_status"]),
                (&json!("pending"), &json!(302))
            );
            assert_eq!(receiver.all().len(), 1);
        },
    )
    .await;
}
