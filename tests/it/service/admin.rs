//! Tests that only a super admin may use the administration API, and that every change leaves an audit entry.

use futures::future::join_all;
use runyard_upstream::{Script, Turn};
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{Answer, Caller, on_every_database};

async fn put(caller: &Caller, path: &str, body: Value) -> Answer {
    Answer::of(caller.request("PUT", path).json(&body).send().await.unwrap()).await
}

#[tokio::test]
async fn an_administrator_changes_tier_and_credits_and_each_change_is_audited() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let account_id = ann.get("/billing/account-state").await.ok()["account_id"].clone();
            let path = format!("/admin/accounts/{}", account_id.as_str().unwrap());
            let root = server.caller_as("root", Some("super_admin"));
            let seen = root.get(&path).await.ok();
            assert_eq!(
                (
                    &seen["account_id"],
                    &seen["subject"],
                    &seen["tier_name"],
                    &seen["credits"]
                ),
                (&account_id, &json!("ann"), &json!("free"), &json!(300.0))
            );
            let changed = put(&root, &format!("{path}/tier"), json!({"tier_name": "pro"}))
                .await
                .ok();
            assert_eq!(changed["tier_name"], "pro");
            let state = ann.get("/billing/account-state").await.ok();
            assert_eq!(
                (&state["tier_name"], &state["concurrent_runs"]["limit"]),
                (&json!("pro"), &json!(3))
            );
            let granted = root.post(&format!("{path}/credits"), json!({"credits": 25})).await.ok();
            assert_eq!(granted["credits"], 325.0);
            // The first request grants 10 credits. The repeated requests have the same key and grant nothing.
            for _ in 0..3 {
                let request = json!({"credits": 10, "request_id": "one"});
                assert_eq!(
                    root.post(&format!("{path}/credits"), request).await.ok()["credits"],
                    335.0
                );
            }
            let request = json!({"credits": 11, "request_id": "one"});
            let refused = root.post(&format!("{path}/credits"), request).await;
            refused.refused(409, "REQUEST_KEY_REUSED");
            assert_eq!(root.get(&path).await.ok()["credits"], 335.0);
            let recorded = "SELECT COUNT(*) FROM audit_entries WHERE actor_id <> account_id";
            assert_eq!(server.number(recorded).await, 3);
            let tier =
                "SELECT COUNT(*) FROM audit_entries WHERE action = 'account.tier' AND detail = 'from free to pro'";
            assert_eq!(server.number(tier).await, 1);

            for credits in [0, -5, 1_000_000_001] {
                let refused = root.post(&format!("{path}/credits"), json!({"credits": credits})).await;
                refused.refused(400, "INVALID_REQUEST");
            }
            put(&root, &format!("{path}/tier"), json!({"tier_name": "gold"}))
                .await
                .refused(400, "INVALID_REQUEST");
            let unknown = format!("/admin/accounts/{}", Uuid::now_v7());
            root.get(&unknown).await.refused(404, "ACCOUNT_NOT_FOUND");
            assert_eq!(server.number("SELECT COUNT(*) FROM audit_entries").await, 3);
        },
    )
    .await;
}

#[tokio::test]
async fn concurrent_tier_changes_leave_a_consistent_audit_trail() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let ann = server.caller("ann");
            let account_id = ann.get("/billing/account-state").await.ok()["account_id"].clone();
            let path = format!("/admin/accounts/{}/tier", account_id.as_str().unwrap());
            let root = server.caller_as("root", Some("super_admin"));
            let tiers = ["pro", "enterprise", "free"];
            let changes = (0..30).map(|turn| put(&root, &path, json!({"tier_name": tiers[turn % 3]})));
            for changed in join_all(changes).await {
                changed.ok();
            }
            let db = server.outside().await;
            let sql = "SELECT detail FROM audit_entries ORDER BY id";
            let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql));
            let mut current = "free".to_owned();
            let rows = rows.await.unwrap();
            assert_eq!(rows.len(), 30);
            for row in rows {
                let detail: String = row.try_get("", "detail").unwrap();
                let to = detail.strip_prefix(&format!("from {current} to "));
                current = to
                    .unwrap_or_else(|| panic!("an entry does not continue from {current}: {detail}"))
                    .to_owned();
            }
        },
    )
    .await;
}

#[tokio::test]
async fn without_the_role_existing_and_unknown_accounts_are_refused_alike() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let mine = ann.get("/billing/account-state").await.ok()["account_id"].clone();
            let random = Uuid::now_v7().to_string();
            for account in [mine.as_str().unwrap(), &random, "no-uuid"] {
                let path = format!("/admin/accounts/{account}");
                let credits = ann.post(&format!("{path}/credits"), json!({"credits": 1})).await;
                let answers = [
                    ann.get(&path).await,
                    put(&ann, &format!("{path}/tier"), json!({"tier_name": "pro"})).await,
                    credits,
                ];
                for answer in answers {
                    let body = answer.refused(403, "PERMISSION_DENIED");
                    assert_eq!(body["detail"], "this method requires the role super_admin");
                }
            }
            let state = ann.get("/billing/account-state").await.ok();
            assert_eq!(
                (&state["tier_name"], &state["credits"]),
                (&json!("free"), &json!(300.0))
            );
        },
    )
    .await;
}
