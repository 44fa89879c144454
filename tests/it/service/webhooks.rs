//! Tests of webhooks: which events are sent, signatures, retries, limits and the delivery log.

mod crashes;
pub mod receiver;
mod retries;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use runyard::config::Config;
use runyard_client::v1::{self, webhook_service_client::WebhookServiceClient};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::waiting::{self, obedient};
use crate::test_server::{Answer, Caller, TEST_TIMEOUT, TestServer, on_every_database, on_every_database_with};
use receiver::Receiver;

fn open(config: &mut Config) {
    config.webhooks.allow_private_addresses = true;
    config.limits = runyard::config::Limits::Off;
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field}: {value}"))
}

async fn create(caller: &Caller, receiver: &Receiver, events: &[&str]) -> Value {
    let body = json!({"url": receiver.url(), "events": events});
    caller.post("/webhooks", body).await.ok()
}

async fn deliveries(caller: &Caller, webhook: &Value) -> Vec<Value> {
    let path = format!("/webhooks/{}/deliveries", text(webhook, "webhook_id"));
    let listed = caller.get(&path).await.ok();
    listed["deliveries"].as_array().unwrap().clone()
}

/// Waits until the newest delivery fulfils a condition.
async fn newest_delivery(caller: &Caller, webhook: &Value, is_met: impl Fn(&Value) -> bool) -> Value {
    let began = Instant::now();
    loop {
        let newest = deliveries(caller, webhook).await.into_iter().next();
        if let Some(newest) = newest.as_ref().filter(|newest| is_met(newest)) {
            return newest.clone();
        }
        assert!(began.elapsed() < TEST_TIMEOUT, "{newest:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn put(caller: &Caller, path: &str, body: Value) -> Answer {
    Answer::of(caller.request("PUT", path).json(&body).send().await.unwrap()).await
}

fn scripted() -> Script {
    Script::function(|request| match request.last_text() {
        "fail" => Turn::status(400),
        _ => Turn::text("Done.").usage(10, 1),
    })
}

#[tokio::test]
async fn the_end_of_a_run_is_sent_with_a_valid_signature() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (receiver, bobs) = (Receiver::start().await, Receiver::start().await);
            let webhook = create(&ann, &receiver, &[]).await;
            create(&bob, &bobs, &[]).await;
            let secret = text(&webhook, "secret");
            for (number, (prompt, event)) in [("go", "run.completed"), ("fail", "run.failed")]
                .into_iter()
                .enumerate()
            {
                let run = ann.start(prompt).await;
                let events = ann.events(&run, 0).await;
                let request = receiver.wait_for(number + 1).await.pop().unwrap();
                assert_eq!(request.signatures, [request.signature(secret)]);
                let body = request.json();
                assert_eq!(body["type"], event, "{body}");
                let data = &body["data"];
                for field in ["agent_run_id", "thread_id", "project_id"] {
                    assert_eq!(data[field], run[field], "{body}");
                }
                assert_eq!(data["status"], event.strip_prefix("run.").unwrap());
                assert_eq!(data["sequence"], events.last().unwrap().data["sequence"]);
                let [sent, made] = [&body["timestamp"], &events.last().unwrap().data["created_at"]]
                    .map(|time| time.as_str().unwrap().parse::<DateTime<Utc>>().unwrap());
                assert!((sent - made).abs() < TimeDelta::seconds(5), "{body}");
                let delivery = newest_delivery(&ann, &webhook, |found| found["status"] == "succeeded").await;
                assert_eq!(text(&delivery, "delivery_id"), request.id);
                assert_eq!((&delivery["event"], &delivery["attempts"]), (&json!(event), &json!(1)));
                assert_eq!(delivery["response_status"], 200);
                assert!(
                    delivery["duration_ms"].is_string() || delivery["duration_ms"].is_number(),
                    "{delivery}"
                );
                let response = text(&delivery, "response");
                assert!(
                    response.starts_with("answer 200 x") && response.len() == 1_024,
                    "{response}"
                );
            }
            assert_eq!(bobs.all().len(), 0, "events of another account");
            let run = bob.start("go").await;
            bob.ended(&run).await;
            bobs.wait_for(1).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_that_waits_is_sent_with_the_sequence_of_its_status() {
    on_every_database_with(
        |_| obedient(),
        open,
        async |server| {
            let caller = server.caller("ann");
            let receiver = Receiver::start().await;
            create(&caller, &receiver, &["run.waiting", "run.completed"]).await;
            let run = waiting::start(&caller, r#"look_up {"word": "tree"}"#).await;
            let inputs = waiting::waiting(&caller, &run).await;
            let sent = receiver.wait_for(1).await.pop().unwrap().json();
            assert_eq!(
                (&sent["type"], &sent["data"]["status"]),
                (&json!("run.waiting"), &json!("waiting"))
            );
            assert_eq!(sent["data"]["agent_run_id"], run["agent_run_id"]);
            let result = json!({"input_id": inputs[0]["input_id"], "decision": "result", "text": "A plant."});
            waiting::answer(&caller, &run, &[result]).await;
            let events = caller.events(&run, 0).await;
            let waits = events
                .iter()
                .find(|event| event.data["status"]["status"] == "waiting")
                .unwrap();
            assert_eq!(sent["data"]["sequence"], waits.data["sequence"]);
            assert_eq!(
                receiver.wait_for(2).await.pop().unwrap().json()["type"],
                "run.completed"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_stopped_run_is_sent_and_events_without_a_subscription_are_not() {
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Held.").held_by(&gate))
        },
        open,
        async |server| {
            let caller = server.caller("ann");
            let (receiver, other) = (Receiver::start().await, Receiver::start().await);
            create(&caller, &receiver, &["run.stopped"]).await;
            create(&caller, &other, &["run.completed", "run.waiting"]).await;
            let run = caller.start("go").await;
            let stop = format!("/agent-run/{}/stop", text(&run, "agent_run_id"));
            caller.post(&stop, json!({})).await.ok();
            let ended = caller.ended(&run).await;
            assert_eq!(ended["status"], "stopped");
            let request = receiver.wait_for(1).await.pop().unwrap();
            assert_eq!(request.json()["type"], "run.stopped");
            server.gate.open();
            let run = caller.start("go").await;
            caller.ended(&run).await;
            // The delivery of the later run shows that the earlier one was not sent to this receiver.
            let completed = other.wait_for(1).await.pop().unwrap();
            assert_eq!(completed.json()["type"], "run.completed");
            assert_eq!(receiver.all().len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn an_account_without_webhooks_has_no_deliveries() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let receiver = Receiver::start().await;
            create(&bob, &receiver, &[]).await;
            let run = ann.start("go").await;
            ann.ended(&run).await;
            assert_eq!(server.number("SELECT COUNT(*) FROM webhook_deliveries").await, 0);
            let run = bob.start("go").await;
            bob.ended(&run).await;
            assert_eq!(server.number("SELECT COUNT(*) FROM webhook_deliveries").await, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_rotation_adds_the_new_signature_and_keeps_the_old_one_for_a_day() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let caller = server.caller("ann");
            let receiver = Receiver::start().await;
            let webhook = create(&caller, &receiver, &[]).await;
            let path = format!("/webhooks/{}", text(&webhook, "webhook_id"));
            let rotated = caller.post(&format!("{path}/rotate-secret"), json!({})).await.ok();
            let (old, new) = (text(&webhook, "secret"), text(&rotated, "secret"));
            assert_ne!(old, new);
            assert!(rotated["earlier_secret_expires_at"].is_string(), "{rotated}");
            let test = format!("{path}/test");
            caller.post(&test, json!({})).await.ok();
            let request = receiver.wait_for(1).await.pop().unwrap();
            assert_eq!(request.signatures, [request.signature(new), request.signature(old)]);
            server.clock.advance(Duration::from_hours(25));
            let caller = server.caller("ann");
            caller.post(&test, json!({})).await.ok();
            let request = receiver.wait_for(2).await.pop().unwrap();
            assert_eq!(request.signatures, [request.signature(new)]);
            let shown = caller.get(&path).await.ok();
            assert!(
                shown["secret"].is_null() && shown["earlier_secret_expires_at"].is_null(),
                "{shown}"
            );
            let stored = format!("SELECT COUNT(*) FROM webhooks WHERE secret LIKE '%{}%'", &new[6..]);
            assert_eq!(server.number(&stored).await, 0);
            assert_eq!(
                server
                    .number("SELECT COUNT(*) FROM webhooks WHERE secret LIKE '%'")
                    .await,
                1
            );
        },
    )
    .await;
}

#[tokio::test]
async fn urls_that_break_a_rule_are_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let caller = server.caller("ann");
            for url in [
                "",
                "example.com",
                "ftp://example.com",
                "http://example.com/hook",
                "https://user:password@example.com",
                "https://example.com/#part",
                "https://127.0.0.1/hook",
                "https://[::1]/hook",
                "https://169.254.169.254/latest",
            ] {
                let refused = caller.post("/webhooks", json!({"url": url})).await;
                refused.refused(400, "INVALID_REQUEST");
            }
            let body = json!({"url": "https://example.com/hook", "events": ["run.started"]});
            caller.post("/webhooks", body).await.refused(400, "INVALID_REQUEST");
            let made = caller
                .post("/webhooks", json!({"url": "https://example.com/hook"}))
                .await
                .ok();
            assert_eq!(
                made["events"],
                json!(["run.completed", "run.failed", "run.stopped", "run.waiting"])
            );
            let path = format!("/webhooks/{}", text(&made, "webhook_id"));
            put(&caller, &path, json!({"url": "https://10.0.0.1/"}))
                .await
                .refused(400, "INVALID_REQUEST");
            // A name whose addresses are private is refused when the connection is made.
            put(&caller, &path, json!({"url": "https://localhost/"})).await.ok();
            caller.post(&format!("{path}/test"), json!({})).await.ok();
            let failed = newest_delivery(&caller, &made, |found| found["attempts"] == 1).await;
            assert!(text(&failed, "error").contains("no public address"), "{failed}");
        },
    )
    .await;
}

#[tokio::test]
async fn webhooks_are_changed_listed_and_deleted_over_grpc() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| {
            open(config);
            config.webhooks.max_per_account = 2;
        },
        async |server| {
            let caller = server.caller("ann");
            let mut grpc = WebhookServiceClient::new(caller.channel().await);
            let new = |url: &str| v1::CreateWebhookRequest {
                url: url.to_owned(),
                events: vec!["run.failed".to_owned()],
            };
            let made = grpc.create_webhook(caller.signed(new("https://example.com/a"))).await;
            let made = made.unwrap().into_inner();
            let other = grpc.create_webhook(caller.signed(new("https://example.com/b"))).await;
            let other = other.unwrap().into_inner();
            let refused = grpc.create_webhook(caller.signed(new("https://example.com/c"))).await;
            assert!(refused.unwrap_err().message().contains("limit of 2 webhooks"));
            let webhook_id = made.webhook_id.clone();
            let request = v1::UpdateWebhookRequest {
                webhook_id: webhook_id.clone(),
                enabled: Some(false),
                ..Default::default()
            };
            let changed = grpc.update_webhook(caller.signed(request)).await.unwrap().into_inner();
            assert!(!changed.enabled && changed.events == ["run.failed"] && changed.url == made.url);
            let get = v1::GetWebhookRequest {
                webhook_id: webhook_id.clone(),
            };
            let read = grpc.get_webhook(caller.signed(get.clone())).await.unwrap().into_inner();
            assert_eq!(read, changed);
            let test = v1::TestWebhookRequest {
                webhook_id: webhook_id.clone(),
            };
            let refused = grpc.test_webhook(caller.signed(test)).await.unwrap_err();
            assert!(refused.message().contains("disabled"), "{refused}");
            let list = v1::ListWebhooksRequest::default();
            let listed = grpc
                .list_webhooks(caller.signed(list.clone()))
                .await
                .unwrap()
                .into_inner();
            let ids: Vec<_> = listed.webhooks.iter().map(|webhook| &webhook.webhook_id).collect();
            assert_eq!(ids, [&other.webhook_id, &webhook_id]);
            let delete = v1::DeleteWebhookRequest { webhook_id };
            grpc.delete_webhook(caller.signed(delete)).await.unwrap();
            grpc.get_webhook(caller.signed(get)).await.unwrap_err();
            let listed = grpc.list_webhooks(caller.signed(list)).await.unwrap().into_inner();
            assert_eq!(listed.webhooks.len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn old_deliveries_are_removed() {
    on_every_database_with(
        |_| scripted(),
        open,
        async |server| {
            let caller = server.caller("ann");
            let receiver = Receiver::start().await;
            let webhook = create(&caller, &receiver, &[]).await;
            let test = format!("/webhooks/{}/test", text(&webhook, "webhook_id"));
            caller.post(&test, json!({})).await.ok();
            newest_delivery(&caller, &webhook, |found| found["status"] == "succeeded").await;
            server.clock.advance(Duration::from_hours(24 * 6));
            runyard::webhooks::purge(server.app()).await.unwrap();
            let caller = server.caller("ann");
            assert_eq!(deliveries(&caller, &webhook).await.len(), 1);
            server.clock.advance(Duration::from_hours(25));
            runyard::webhooks::purge(server.app()).await.unwrap();
            let caller = server.caller("ann");
            assert_eq!(deliveries(&caller, &webhook).await.len(), 0);
        },
    )
    .await;
}

/// Starts `count` runs and waits until they have ended.
async fn end_runs(server: &TestServer, name: &str, count: usize) {
    let caller = server.caller(name);
    for _ in 0..count {
        let run = caller.start("go").await;
        caller.ended(&run).await;
    }
}
