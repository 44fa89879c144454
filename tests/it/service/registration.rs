//! Tests of a rate limit on new accounts per address, and of an option that turns self-registration off.

use futures::future::join_all;
use reqwest::RequestBuilder;
use runyard_upstream::Turn;
use serde_json::json;

use crate::test_server::{Answer, Caller, on_every_database, on_every_database_with};

const ACCOUNTS: &str = "SELECT COUNT(*) FROM accounts";

async fn state(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.unwrap()).await
}

fn ask(caller: &Caller) -> RequestBuilder {
    caller.request("GET", "/agents")
}

#[tokio::test]
async fn an_address_creates_a_limited_number_of_accounts() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let first = server.caller("ann");
            assert_eq!(first.get("/agents").await.status, 200);
            let strangers: Vec<_> = (0..400)
                .map(|number| server.caller(&format!("stranger {number}")))
                .collect();
            let mut refused = None;
            for some in strangers.chunks(50) {
                let answers = join_all(some.iter().map(|caller| state(ask(caller)))).await;
                refused = refused.or(answers.into_iter().find(|answer| answer.status != 200));
            }
            let refused = refused.expect("new accounts should be limited");
            assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
            let body = refused.refused(429, "THROTTLED");
            assert_eq!(body["detail"], "too many new accounts from this address; retry later");
            // The limit admits a burst of 100 accounts. On a slow machine, the token bucket refills during the test.
            let made = server.number(ACCOUNTS).await;
            assert!((100..300).contains(&made), "{made}");
            assert_eq!(first.get("/agents").await.status, 200);
        },
    )
    .await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_forwarded_address_counts() {
    let burst = |few: &str| {
        let text = format!(
            "[auth]\nnew_accounts_per_address = {{ per_minute = 1, burst = 2 }}\n[http]\nrate_per_address = \"off\"\n\
             rate_per_account = \"off\"\ntrusted_proxies = [{few}]\n"
        );
        runyard::config::Config::parse("a test", &text).unwrap()
    };
    for (trusted, is_trusted) in [("\"127.0.0.1\"", true), ("\"10.0.0.0/8\"", false)] {
        on_every_database_with(
            |_| Turn::text("x"),
            |config| {
                let parsed = burst(trusted);
                config.auth.new_accounts_per_address = parsed.auth.new_accounts_per_address;
                config.http = parsed.http;
            },
            async |server| {
                let from = async |name: &str, address: &str| {
                    let request = ask(&server.caller(name)).header("x-forwarded-for", address);
                    state(request).await.status
                };
                assert_eq!(from("a", "198.51.100.1").await, 200);
                assert_eq!(from("b", "203.0.113.5, 198.51.100.1").await, 200);
                assert_eq!(from("c", "198.51.100.1").await, 429);
                let other = if is_trusted { 200 } else { 429 };
                assert_eq!(from("d", "198.51.100.2").await, other, "trusted: {trusted}");
            },
        )
        .await;
    }
}

#[tokio::test]
async fn without_self_registration_an_administrator_creates_accounts() {
    on_every_database_with(
        |_| Turn::text("x"),
        |_| {},
        async |server| {
            let old = server.caller("old");
            assert_eq!(old.get("/agents").await.status, 200);
            server.config.auth.self_registration = false;
            server.restart().await;
            assert_eq!(server.caller("old").get("/agents").await.status, 200);
            let ann = server.caller("ann");
            let body = ann.get("/agents").await.refused(403, "REGISTRATION_CLOSED");
            assert!(body["detail"].as_str().unwrap().contains("administrator"));
            let status = ann
                .runs()
                .await
                .list_runs(ann.signed(runyard::v1::ListRunsRequest::default()))
                .await;
            assert_eq!(status.unwrap_err().code(), tonic::Code::PermissionDenied);
            // An administrator can create the account. A second request for the same subject returns the same
            // account.
            let root = server.caller_as("root", Some("super_admin"));
            let before = server.number(ACCOUNTS).await;
            let made = root.post("/admin/accounts", json!({"subject": "ann"})).await.ok();
            assert_eq!((&made["subject"], &made["tier_name"]), (&json!("ann"), &json!("free")));
            let again = root.post("/admin/accounts", json!({"subject": "ann"})).await.ok();
            assert_eq!(made["account_id"], again["account_id"]);
            assert_eq!(
                server.number(ACCOUNTS).await - before,
                2,
                "the administrator's account and ann's should be created"
            );
            let recorded = "SELECT COUNT(*) FROM audit_entries WHERE action = 'account.create'";
            assert_eq!(server.number(recorded).await, 1);
            let state = ann.get("/billing/account-state").await.ok();
            assert_eq!(state["account_id"], made["account_id"]);
            for subject in ["", "a\u{1}b", &"x".repeat(256)] {
                let refused = root.post("/admin/accounts", json!({"subject": subject})).await;
                refused.refused(400, "INVALID_REQUEST");
            }
            let refused = ann.post("/admin/accounts", json!({"subject": "eve"})).await;
            refused.refused(403, "PERMISSION_DENIED");
        },
    )
    .await;
}
