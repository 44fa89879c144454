//! Tests of triggers: their secrets, their templates, repeated requests and their limits.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{RequestBuilder, header::AUTHORIZATION};
use runyard::config::{Config, Limits, Rate, RateLimit};
use runyard_client::v1::{self, trigger_service_client::TriggerServiceClient};
use runyard_upstream::{Gate, Script, Turn};
use serde_json::{Value, json};
use sha2::Sha256;
use uuid::Uuid;

use super::requests::text;
use crate::test_server::{Answer, Caller, TestServer, on_every_database_with};

fn echoing(_: &Gate) -> Script {
    Script::function(|request| Turn::text(request.last_text()))
}

fn unlimited(config: &mut Config) {
    config.limits = Limits::Off;
}

async fn create(caller: &Caller, more: Value) -> Value {
    let mut body = json!({"name": "Hook", "prompt": "{{body}}"});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    caller.post("/triggers", body).await.ok()
}

/// A request without a credential to a trigger.
fn request(server: &TestServer, trigger: &Value, body: &str) -> RequestBuilder {
    let path = text(trigger, "path");
    server.http.post(server.url(path)).body(body.to_owned())
}

async fn fire(server: &TestServer, trigger: &Value, body: &str) -> Answer {
    let request = request(server, trigger, body).bearer_auth(text(trigger, "secret"));
    Answer::of(request.send().await.unwrap()).await
}

/// Adds the headers of the Standard Webhooks specification. Computes the signature without the service's code.
fn signed(request: RequestBuilder, secret: &str, id: &str, timestamp: i64, body: &str) -> RequestBuilder {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let signature = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    request
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp.to_string())
        .header("webhook-signature", signature)
}

fn accepted(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.json()
}

async fn prompt_of(caller: &Caller, run: &Value) -> String {
    assert_eq!(caller.ended(run).await["status"], "completed");
    let messages = caller
        .get(&format!("/threads/{}/messages", text(run, "thread_id")))
        .await;
    text(&messages.ok()["messages"][0], "content").to_owned()
}

#[tokio::test]
async fn a_request_with_the_secret_starts_a_run_with_the_filled_template() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let prompt = "Look at {{body.issue.title}} ({{body.issue.labels}}), sent by {{header.x-source}}{{body.by?}}.";
        let trigger = create(&caller, json!({"prompt": prompt})).await;
        assert!(
            trigger["enabled"] == true && trigger["last_fired_at"].is_null(),
            "{trigger}"
        );
        let body = r#"{"issue": {"title": "{{body}}", "labels": ["bug"]}}"#;
        let sent = request(server, &trigger, body)
            .bearer_auth(text(&trigger, "secret"))
            .header("x-source", "a test");
        let run = accepted(&Answer::of(sent.send().await.unwrap()).await);
        let expected = r#"Look at {{body}} (["bug"]), sent by a test."#;
        assert_eq!(prompt_of(&caller, &run).await, expected);
        let listed = caller.get("/triggers").await.ok();
        let shown = &listed["triggers"][0];
        assert_eq!(
            (&shown["last_run_id"], &shown["last_thread_id"], &shown["last_error"]),
            (&run["agent_run_id"], &run["thread_id"], &json!(""))
        );
        assert!(
            shown["last_fired_at"].is_string() && shown["secret"].is_null(),
            "{shown}"
        );

        let refused = fire(server, &trigger, body).await.refused(400, "INVALID_REQUEST");
        assert!(refused.to_string().contains("{{header.x-source}}"), "{refused}");
        let shown = caller.get(text(&trigger, "path")).await.ok();
        assert_eq!(shown["last_error_code"], "INVALID_REQUEST");
        assert!(text(&shown, "last_error").contains("{{header.x-source}}"), "{shown}");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_trigger_and_a_wrong_secret_get_the_same_answer() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let (trigger, other) = (create(&caller, json!({})).await, create(&caller, json!({})).await);
        let secret = text(&trigger, "secret");
        let now = server.clock.now().timestamp();
        let unknown = json!({"path": format!("/triggers/{}", Uuid::now_v7())});
        let no_id = json!({"path": "/triggers/hook"});
        let wrong = format!("{}x", text(&other, "secret"));
        let mut answers = Vec::new();
        for (trigger, credential) in [
            (&trigger, Some(text(&other, "secret"))),
            (&trigger, Some(&wrong)),
            (&trigger, Some("")),
            (&trigger, Some(&caller.token)),
            (&trigger, None),
            (&unknown, Some(secret)),
            (&no_id, Some(secret)),
        ] {
            let mut sent = request(server, trigger, "{}");
            if let Some(credential) = credential {
                sent = sent.header(AUTHORIZATION, format!("Bearer {credential}"));
            }
            answers.push(Answer::of(sent.send().await.unwrap()).await);
        }
        for (trigger, timestamp, body) in [
            (&trigger, now, "changed"),
            (&trigger, now - 400, "{}"),
            (&trigger, now + 400, "{}"),
            (&unknown, now, "{}"),
        ] {
            let sent = signed(request(server, trigger, body), secret, "msg_1", timestamp, "{}");
            answers.push(Answer::of(sent.send().await.unwrap()).await);
        }
        for answer in answers {
            assert_eq!(answer.header("x-error-code"), "NOT_AUTHENTICATED");
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (401, r#"{"detail":"Not authenticated"}"#)
            );
        }
        assert_eq!(server.number("SELECT COUNT(*) FROM runs").await, 0);
        accepted(&fire(server, &trigger, "{}").await);
        let sent = signed(request(server, &trigger, "{}"), secret, "msg_1", now, "{}");
        accepted(&Answer::of(sent.send().await.unwrap()).await);
        // A token opens no trigger, and a secret opens nothing else.
        let list = server.http.get(server.url("/triggers")).bearer_auth(secret);
        assert_eq!(list.send().await.unwrap().status(), 401);
    })
    .await;
}

#[tokio::test]
async fn repeated_requests_start_one_run() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let trigger = create(&caller, json!({})).await;
        let secret = text(&trigger, "secret");
        let keyed = |key: &'static str, body: &'static str| {
            let sent = request(server, &trigger, body).bearer_auth(secret);
            async move { Answer::of(sent.header("idempotency-key", key).send().await.unwrap()).await }
        };
        let first = accepted(&keyed("one", "go").await);
        assert_eq!(accepted(&keyed("one", "go").await), first);
        assert_ne!(accepted(&keyed("two", "go").await), first);
        keyed("one", "other").await.refused(409, "REQUEST_KEY_REUSED");
        keyed("", "go").await.refused(400, "INVALID_REQUEST");

        let now = server.clock.now().timestamp();
        let mut runs = Vec::new();
        for (id, later) in [("msg_1", 0), ("msg_1", 60), ("msg_2", 0)] {
            let sent = signed(request(server, &trigger, "go"), secret, id, now + later, "go");
            runs.push(accepted(&Answer::of(sent.send().await.unwrap()).await));
        }
        assert!(runs[0] == runs[1] && runs[0] != runs[2], "{runs:?}");
        // The keys of another trigger are its own.
        let other = create(&caller, json!({})).await;
        let sent = request(server, &other, "go").bearer_auth(text(&other, "secret"));
        let run = Answer::of(sent.header("idempotency-key", "one").send().await.unwrap()).await;
        assert_ne!(accepted(&run), first);
    })
    .await;
}

#[tokio::test]
async fn a_rotated_secret_is_valid_for_a_day() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let old = create(&caller, json!({})).await;
        let path = format!("{}/rotate-secret", text(&old, "path"));
        let new = caller.post(&path, json!({})).await.ok();
        assert!(new["secret"] != old["secret"] && new["earlier_secret_expires_at"].is_string());
        for trigger in [&old, &new] {
            accepted(&fire(server, trigger, "go").await);
        }
        server.clock.advance(Duration::from_hours(25));
        fire(server, &old, "go").await.refused(401, "NOT_AUTHENTICATED");
        accepted(&fire(server, &new, "go").await);
        // The database stores no secret in plain text.
        let secret = text(&new, "secret");
        let stored = format!("SELECT COUNT(*) FROM triggers WHERE secret LIKE '%{}%'", &secret[6..]);
        assert_eq!(server.number(&stored).await, 0);
        assert_eq!(
            server.number("SELECT COUNT(*) FROM triggers WHERE secret <> ''").await,
            1
        );
    })
    .await;
}

#[tokio::test]
async fn triggers_are_changed_listed_and_deleted_over_grpc() {
    on_every_database_with(
        echoing,
        |config| {
            unlimited(config);
            config.triggers.max_per_account = 1;
        },
        async |server| {
            let caller = server.caller("ann");
            let mut grpc = TriggerServiceClient::new(caller.channel().await);
            let new = v1::CreateTriggerRequest {
                name: "Hook".to_owned(),
                prompt: "{{body.text}}".to_owned(),
                ..Default::default()
            };
            let made = grpc.create_trigger(caller.signed(new.clone())).await.unwrap();
            let made = made.into_inner();
            let refused = grpc.create_trigger(caller.signed(new)).await.unwrap_err();
            assert!(refused.message().contains("limit of 1 triggers"), "{refused}");
            let change = v1::UpdateTriggerRequest {
                trigger_id: made.trigger_id.clone(),
                prompt: Some("Again: {{body.text}}".to_owned()),
                enabled: Some(false),
                ..Default::default()
            };
            let changed = grpc.update_trigger(caller.signed(change)).await.unwrap().into_inner();
            assert!(!changed.enabled && changed.name == made.name && changed.secret.is_none());
            let trigger = json!({"path": made.path, "secret": made.secret});
            let body = r#"{"text": "hello"}"#;
            fire(server, &trigger, body).await.refused(409, "CONFLICT");
            let change = v1::UpdateTriggerRequest {
                trigger_id: made.trigger_id.clone(),
                enabled: Some(true),
                ..Default::default()
            };
            grpc.update_trigger(caller.signed(change)).await.unwrap();
            let run = accepted(&fire(server, &trigger, body).await);
            assert_eq!(prompt_of(&caller, &run).await, "Again: hello");
            let rotate = v1::RotateTriggerSecretRequest {
                trigger_id: made.trigger_id.clone(),
            };
            let rotated = grpc
                .rotate_trigger_secret(caller.signed(rotate))
                .await
                .unwrap()
                .into_inner();
            assert!(rotated.secret.is_some() && rotated.secret != made.secret);
            let listed = grpc
                .list_triggers(caller.signed(v1::ListTriggersRequest::default()))
                .await;
            assert_eq!(listed.unwrap().into_inner().triggers.len(), 1);
            let delete = v1::DeleteTriggerRequest {
                trigger_id: made.trigger_id.clone(),
            };
            grpc.delete_trigger(caller.signed(delete)).await.unwrap();
            let get = v1::GetTriggerRequest {
                trigger_id: made.trigger_id,
            };
            let missing = grpc.get_trigger(caller.signed(get)).await.unwrap_err();
            assert_eq!(missing.code(), tonic::Code::NotFound);
            fire(server, &trigger, body).await.refused(401, "NOT_AUTHENTICATED");
        },
    )
    .await;
}

#[tokio::test]
async fn invalid_triggers_and_large_bodies_are_refused() {
    on_every_database_with(
        echoing,
        |config| {
            unlimited(config);
            config.triggers.max_body_bytes = 1_000;
        },
        async |server| {
            let caller = server.caller("ann");
            for (field, value) in [
                ("name", json!(" ")),
                ("prompt", json!("")),
                ("prompt", json!("{{body")),
                ("prompt", json!("{{query.x}}")),
                ("prompt", json!("{{header.authorization}}")),
                ("mode", json!("no such mode")),
            ] {
                let mut body = json!({"name": "x", "prompt": "go"});
                body[field] = value;
                let refused = caller.post("/triggers", body.clone()).await;
                assert_eq!(refused.status, 400, "{body}: {}", refused.text);
            }
            let trigger = create(&caller, json!({})).await;
            fire(server, &trigger, &"x".repeat(1_001))
                .await
                .refused(413, "TOO_LARGE");
            accepted(&fire(server, &trigger, &"x".repeat(1_000)).await);
            let sent = server.http.post(server.url(text(&trigger, "path"))).body(vec![0xff]);
            let sent = sent.bearer_auth(text(&trigger, "secret")).send().await.unwrap();
            Answer::of(sent).await.refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn the_rate_limit_of_the_account_counts_requests_to_its_triggers() {
    let rate = RateLimit::Rate(Rate {
        per_second: 1.try_into().unwrap(),
        burst: 5.try_into().unwrap(),
    });
    on_every_database_with(
        echoing,
        |config| {
            unlimited(config);
            config.http.rate_per_account = Some(rate);
        },
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (trigger, other) = (create(&ann, json!({})).await, create(&bob, json!({})).await);
            let mut statuses = Vec::new();
            for _ in 0..30 {
                statuses.push(fire(server, &trigger, "go").await.status);
            }
            assert!(statuses.contains(&202) && statuses.contains(&429), "{statuses:?}");
            accepted(&fire(server, &other, "go").await);
        },
    )
    .await;
}
