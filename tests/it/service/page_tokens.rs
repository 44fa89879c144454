//! Tests that a page token is bound to every field of its list request. The test reads the methods and fields from
//! the contract.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use prost_reflect::{FieldDescriptor, Kind, MethodDescriptor};
use runyard::config::Limits;
use runyard_upstream::{Gate, Script, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    archives,
    call::{Way, call, methods},
    fixtures::{Belongings, looks_up, waiting},
};
use crate::test_server::{Caller, on_every_database_with};

const PAGE: [&str; 2] = ["page_size", "page_token"];

fn held_or_done(gate: &Gate) -> Script {
    let gate = gate.clone();
    looks_up(move |request| match request.last_text() {
        "hold" => Turn::text("Held.").held_by(&gate),
        _ => Turn::text("Done.").usage(10, 1),
    })
}

fn is_list(method: &MethodDescriptor) -> bool {
    method.input().get_field_by_name("page_token").is_some()
}

/// Returns the smallest request that the method accepts: the required ids, and pages of one row.
fn first_page(method: &MethodDescriptor, has: &Belongings) -> Value {
    let mut request = json!({"page_size": 1});
    let required: &[&str] = match method.name() {
        "ListAgentVersions" => &["agent_id"],
        "ListMessages" => &["thread_id"],
        "ListFiles" => &["sandbox_id"],
        "ListWebhookDeliveries" => &["webhook_id"],
        "ListScheduleRuns" => &["schedule_id"],
        "ListAccountUsage" => &["account_id"],
        "ListSharedMessages" => {
            request["token"] = json!(has.id("share_token"));
            &[]
        }
        _ => &[],
    };
    for field in required {
        request[field] = json!(has.id(field));
    }
    request
}

/// Returns a value that differs from the field's value in the request for the first page.
fn other_value(field: &FieldDescriptor) -> Value {
    match field.kind() {
        Kind::String if field.name().ends_with("_id") => json!(Uuid::now_v7()),
        Kind::String if field.name() == "order_by" => json!("name"),
        Kind::String => json!("other"),
        Kind::Bool => json!(true),
        Kind::Enum(kind) => json!(kind.get_value(1).unwrap().name()),
        Kind::Message(kind) if kind.full_name() == "google.protobuf.Timestamp" => json!("2020-01-01T00:00:00Z"),
        kind => panic!("{} is of kind {kind:?}; add a value for it", field.full_name()),
    }
}

/// Creates enough objects for a second page of every list.
async fn two_of_each(caller: &Caller) -> Belongings {
    let has = Belongings::of(caller).await;
    caller.post("/api-keys", json!({"name": "Second"})).await.ok();
    caller.post("/agents", json!({"name": "Second"})).await.ok();
    let skill = BASE64.encode(archives::skill("second", "A second skill."));
    caller.post("/skills", json!({"archive": skill})).await.ok();
    caller.post("/memories", json!({"text": "Second"})).await.ok();
    waiting(caller).await;
    caller
        .post("/webhooks", json!({"url": "https://localhost:1/hook"}))
        .await
        .ok();
    let test = format!("/webhooks/{}/test", has.id("webhook_id"));
    caller.post(&test, json!({})).await.ok();
    let schedule = json!({"name": "Second", "cron": "0 0 1 1 *", "prompt": "end"});
    caller.post("/schedules", schedule).await.ok();
    for _ in 0..2 {
        let path = format!("/schedules/{}/run", has.id("schedule_id"));
        caller.post(&path, json!({})).await.ok();
    }
    let secret = json!({"name": "SECOND", "value": "a secret value"});
    caller.post("/secrets", secret).await.ok();
    let shares = format!("/threads/{}/shares", has.id("thread_id"));
    caller.post(&shares, json!({})).await.ok();
    let trigger = json!({"name": "Second", "prompt": "{{body}}"});
    caller.post("/triggers", trigger).await.ok();
    for prompt in ["end", "hold", "hold"] {
        let run = caller.start(prompt).await;
        if prompt == "end" {
            caller.ended(&run).await;
        }
    }
    has
}

#[tokio::test]
async fn a_page_token_is_refused_if_any_other_field_has_changed() {
    on_every_database_with(
        held_or_done,
        |config| config.limits = Limits::Off,
        async |server| {
            // Lists of accounts need the role, and a second account.
            let caller = server.caller_as("ann", Some("super_admin"));
            server.caller("bob").get("/billing/account-state").await.ok();
            let has = two_of_each(&caller).await;
            let (mut lists, mut changes) = (0, 0);
            for method in methods().into_iter().filter(is_list) {
                let first = first_page(&method, &has);
                let answer = call(&caller, &method, &first, Way::Grpc).await.message();
                let token = answer["next_page_token"].as_str().unwrap();
                assert!(!token.is_empty(), "{} has no second page: {answer}", method.name());
                let with = |field: &str, value: Value| {
                    let mut request = first.clone();
                    request["page_token"] = json!(token);
                    request[field] = value;
                    request
                };
                let next = call(&caller, &method, &with("page_size", json!(2)), Way::Grpc).await;
                assert!(next.is_good(), "{}: {next:?}", method.name());
                for field in method.input().fields().filter(|field| !PAGE.contains(&field.name())) {
                    let request = with(field.name(), other_value(&field));
                    let refused = call(&caller, &method, &request, Way::Grpc).await;
                    // The token of a share is checked before the page token.
                    let expected = match field.name() {
                        "token" => "SHARE_NOT_FOUND",
                        _ => "INVALID_PAGE_TOKEN",
                    };
                    assert_eq!(refused.code(), expected, "{}: {request}", method.name());
                    changes += 1;
                }
                lists += 1;
            }
            assert!(lists >= 10 && changes >= 18, "{lists} lists, {changes} changes");
            server.gate.open();
        },
    )
    .await;
}
