//! Tests of the administrators' lists of accounts, of suspensions, and of `runyard admin`.

use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::program::{OPEN, Program};
use crate::test_server::{Caller, TestServer, on_every_database};

async fn account_id(caller: &Caller) -> String {
    let state = caller.get("/billing/account-state").await.ok();
    state["account_id"].as_str().unwrap().to_owned()
}

fn subjects(page: &Value) -> Vec<String> {
    let accounts = page["accounts"].as_array().unwrap().iter();
    accounts
        .map(|account| account["subject"].as_str().unwrap().to_owned())
        .collect()
}

/// Reads all pages of one account each.
async fn all(root: &Caller, filter: &str) -> Vec<String> {
    let (mut found, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/admin/accounts?page_size=1&page_token={token}&{filter}");
        let page = root.get(&path).await.ok();
        found.extend(subjects(&page));
        page["next_page_token"].as_str().unwrap().clone_into(&mut token);
        if token.is_empty() {
            return found;
        }
        assert!(found.len() < 50, "the list does not end: {found:?}");
    }
}

#[tokio::test]
async fn accounts_are_found_by_subject_tier_state_and_activity() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let root = server.caller_as("root", Some("super_admin"));
            let mut ids = Vec::new();
            for name in ["anna", "ann", "Bob", "ann%"] {
                ids.push(account_id(&server.caller(name)).await);
            }
            account_id(&root).await;
            assert_eq!(all(&root, "").await, ["root", "ann%", "Bob", "ann", "anna"]);
            assert_eq!(all(&root, "subject=ann").await, ["ann"]);
            assert_eq!(all(&root, "subject_prefix=ann").await, ["ann", "ann%", "anna"]);
            assert_eq!(
                all(&root, "subject_prefix=b").await,
                [""; 0],
                "a prefix has the case of the subject"
            );
            let tier = root.request("PUT", &format!("/admin/accounts/{}/tier", ids[2]));
            assert_eq!(
                tier.json(&json!({"tier_name": "pro"})).send().await.unwrap().status(),
                200
            );
            assert_eq!(all(&root, "tier_name=pro").await, ["Bob"]);
            assert_eq!(all(&root, "tier_name=free").await, ["root", "ann%", "ann", "anna"]);
            assert_eq!(all(&root, "suspended=true").await, [""; 0]);
            root.post(
                &format!("/admin/accounts/{}/suspend", ids[0]),
                json!({"reason": "spam"}),
            )
            .await
            .ok();
            root.post(&format!("/admin/accounts/{}/suspend", ids[3]), json!({}))
                .await
                .ok();
            assert_eq!(all(&root, "suspended=true").await, ["ann%", "anna"]);

            // A run two hours later is an activity.
            server.clock.advance(std::time::Duration::from_hours(2));
            // The earlier tokens have expired.
            let root = server.caller_as("root", Some("super_admin"));
            let later = server.clock.now() - chrono::TimeDelta::hours(1);
            let later = later.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            let ann = server.caller("ann");
            ann.ended(&ann.start("Go.").await).await;
            assert_eq!(all(&root, &format!("active_after={later}")).await, ["ann"]);
            assert_eq!(
                all(&root, &format!("active_before={later}")).await,
                ["root", "ann%", "Bob", "anna"]
            );
            let both = root.get("/admin/accounts?subject=ann&tier_name=free").await;
            both.refused(400, "INVALID_REQUEST");
            server
                .caller("ann")
                .get("/admin/accounts")
                .await
                .refused(403, "PERMISSION_DENIED");
        },
    )
    .await;
}

async fn waits_at_the_model(server: &TestServer) {
    while server.upstream.count() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_suspended_account_is_refused_its_runs_are_stopped_and_nothing_is_lost() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |request| match request.last_text() {
                "hold" => Turn::text("Held.").held_by(&gate),
                _ => Turn::text("Done.").usage(10, 1),
            })
        },
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let root = server.caller_as("root", Some("super_admin"));
            let id = account_id(&ann).await;
            let key = ann.post("/api-keys", json!({"name": "A key"})).await.ok();
            let run = ann.start("hold").await;
            waits_at_the_model(server).await;
            let path = format!("/admin/accounts/{id}");
            let suspended = root
                .post(&format!("{path}/suspend"), json!({"reason": "unpaid"}))
                .await
                .ok();
            assert_eq!(suspended["suspended_reason"], "unpaid");
            assert!(suspended["suspended_at"].is_string(), "{suspended}");

            let refused = ann.get("/threads").await.refused(403, "ACCOUNT_SUSPENDED");
            assert_eq!(
                refused["detail"],
                "this account is suspended; contact the operator of this server"
            );
            ann.post("/agent/start", json!({"prompt": "go"}))
                .await
                .refused(403, "ACCOUNT_SUSPENDED");
            let secret = key["secret"].as_str().unwrap();
            let with_key = server
                .http
                .get(server.url("/threads"))
                .header("x-api-key", secret)
                .send()
                .await
                .unwrap();
            assert_eq!(with_key.headers()["x-error-code"], "ACCOUNT_SUSPENDED");
            bob.get("/threads").await.ok();
            let stopped = "SELECT COUNT(*) FROM runs WHERE status = 4";
            while server.number(stopped).await == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            // A second suspension changes nothing, and a restart keeps it.
            let again = root
                .post(&format!("{path}/suspend"), json!({"reason": "other"}))
                .await
                .ok();
            assert_eq!(again["suspended_reason"], "unpaid");
            server.gate.open();
            server.restart().await;
            let (ann, root) = (server.caller("ann"), server.caller_as("root", Some("super_admin")));
            ann.get("/threads").await.refused(403, "ACCOUNT_SUSPENDED");

            let resumed = root.post(&format!("{path}/resume"), json!({})).await.ok();
            assert!(
                resumed["suspended_at"].is_null() && resumed["suspended_reason"] == "",
                "{resumed}"
            );
            let seen = ann
                .get(&format!("/agent-run/{}", run["agent_run_id"].as_str().unwrap()))
                .await
                .ok();
            assert_eq!(
                (&seen["status"], &seen["stopped_by"]),
                (&json!("stopped"), &json!("administrator")),
                "{seen}"
            );
            ann.ended(&ann.start("go").await).await;
            let usage = root.get(&format!("{path}/usage")).await.ok();
            assert!(!usage["entries"].as_array().unwrap().is_empty(), "{usage}");
            let own = account_id(&root).await;
            root.post(&format!("/admin/accounts/{own}/suspend"), json!({}))
                .await
                .refused(409, "CONFLICT");
            let actions = "SELECT COUNT(*) FROM audit_entries WHERE action IN ('account.suspend', 'account.resume')";
            assert_eq!(server.number(actions).await, 2);
        },
    )
    .await;
}

#[tokio::test]
async fn the_command_line_administers_accounts_by_id_and_by_subject() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let state = program.request("GET", "/billing/account-state").send().await.unwrap();
    let state: Value = state.json().await.unwrap();
    let id = state["account_id"].as_str().unwrap();
    let (shown, _) = program.command(&["admin", "show", "ann"]).await;
    assert!(shown.contains(id) && shown.contains("subject         ann"), "{shown}");
    let (same, _) = program.command(&["admin", "show", "ann", "--json"]).await;
    let same: Value = serde_json::from_str(&same).unwrap();
    assert_eq!(
        (&same["account_id"], &same["subject"]),
        (&Value::from(id), &Value::from("ann"))
    );
    // The balance of an account that has spent nothing contains the credits of this month.
    let bob = program.mint("bob").await;
    let seen = program.http.get(format!("{}/threads", program.url)).bearer_auth(&bob);
    assert_eq!(seen.send().await.unwrap().status(), 200);
    let (new, _) = program.command(&["admin", "show", "bob"]).await;
    assert!(new.contains("credits         300"), "{new}");
    let (listed, _) = program.command(&["admin", "list", "--subject-prefix", "an"]).await;
    assert!(listed.contains(id) && listed.lines().count() == 1, "{listed}");
    let (suspended, _) = program
        .command(&["admin", "suspend", "ann", "--reason", "unpaid"])
        .await;
    assert!(
        suspended.contains("suspended       since ") && suspended.contains("unpaid"),
        "{suspended}"
    );
    assert_eq!(program.request("GET", "/threads").send().await.unwrap().status(), 403);
    let (listed, _) = program.command(&["admin", "list", "--suspended"]).await;
    assert!(listed.trim_end().ends_with("suspended"), "{listed}");
    let (resumed, _) = program.command(&["admin", "resume", id]).await;
    assert!(resumed.contains("suspended       no"), "{resumed}");
    assert_eq!(program.request("GET", "/threads").send().await.unwrap().status(), 200);
    let (granted, _) = program
        .command(&["admin", "grant", "ann", "25", "--reason", "a gift"])
        .await;
    assert!(granted.contains("credits         325"), "{granted}");
    let (tier, _) = program.command(&["admin", "tier", "ann", "free"]).await;
    assert!(tier.contains("tier            free"), "{tier}");
    let (usage, remark) = program.command(&["admin", "usage", "ann"]).await;
    assert_eq!(
        (usage.as_str(), remark.as_str()),
        ("", "runyard: the account has no charges\n")
    );
    let (_, missing) = program.command(&["admin", "show", "somebody-else"]).await;
    assert!(
        missing.contains("no account has the subject somebody-else"),
        "{missing}"
    );
}
