//! Tests that API keys are shown once, limited to their scopes, and unusable after they are revoked.

use std::time::Duration;

use prost_reflect::DescriptorPool;
use runyard::{accounts::Access, contract::DESCRIPTORS, wire::permit::Scopes};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use crate::test_server::{Answer, Caller, TEST_TIMEOUT, TestServer, on_every_database};

async fn make(caller: &Caller, body: Value) -> (String, Value) {
    let made = caller.post("/api-keys", body).await.ok();
    (made["secret"].as_str().unwrap().to_owned(), made["api_key"].clone())
}

fn with(server: &TestServer, key: &str) -> Caller {
    let mut caller = server.caller("nobody");
    key.clone_into(&mut caller.token);
    caller
}

#[tokio::test]
async fn a_key_is_shown_once_and_authenticates_its_own_account() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let (secret, key) = make(&ann, json!({"name": "ci", "scopes": ["admin"]})).await;
            assert!(secret.starts_with("ry_") && secret.len() == 57, "{secret}");
            assert_eq!(key["prefix"], secret[..14]);
            assert_eq!(key["scopes"], json!(["admin"]));
            let listed = ann.get("/api-keys").await;
            assert!(!listed.text.contains(&secret), "{}", listed.text);
            let text = server
                .number("SELECT COUNT(*) FROM api_keys WHERE length(hash) = 32 AND length(salt) = 32")
                .await;
            assert_eq!(text, 1);
            let state = with(server, &secret).get("/billing/account-state").await.ok();
            assert_eq!(
                state["account_id"],
                ann.get("/billing/account-state").await.ok()["account_id"]
            );
            let request = server.http.get(server.url("/agents")).header("x-api-key", &secret);
            assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 200);
            let bob = server.caller("bob");
            assert_eq!(bob.get("/api-keys").await.ok()["api_keys"], json!([]));
        },
    )
    .await;
}

#[tokio::test]
async fn j16_a_wrong_character_anywhere_in_a_key_gets_the_same_refusal() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let (secret, _) = make(&server.caller("ann"), json!({"name": "ci", "scopes": ["admin"]})).await;
            assert_eq!(with(server, &secret).get("/agents").await.status, 200);
            let mut wrong_tail = secret.clone();
            let last = wrong_tail.pop().unwrap();
            wrong_tail.push(if last == 'A' { 'B' } else { 'A' });
            let mut answers = Vec::new();
            for wrong in [
                wrong_tail,
                secret.replacen("ry_", "ry_x", 1),
                secret[..20].to_owned(),
                "ry_".to_owned(),
            ] {
                let refused = with(server, &wrong).get("/agents").await;
                answers.push(refused.refused(401, "NOT_AUTHENTICATED"));
            }
            answers.dedup();
            assert_eq!(answers.len(), 1, "{answers:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_revoked_or_expired_key_is_refused_at_once() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let (secret, key) = make(&ann, json!({"name": "one"})).await;
            assert_eq!(key["scopes"], json!(["run"]));
            let using = with(server, &secret);
            assert_eq!(using.get("/agents").await.status, 200);
            let path = format!("/api-keys/{}/revoke", key["key_id"].as_str().unwrap());
            let foreign = Answer::of(server.caller("bob").request("PATCH", &path).send().await.unwrap()).await;
            foreign.refused(404, "API_KEY_NOT_FOUND");
            assert_eq!(using.get("/agents").await.status, 200);
            let revoked = Answer::of(ann.request("PATCH", &path).send().await.unwrap()).await.ok();
            assert!(revoked["revoked_at"].is_string());
            using.get("/agents").await.refused(401, "NOT_AUTHENTICATED");
            let again = Answer::of(ann.request("PATCH", &path).send().await.unwrap()).await.ok();
            assert_eq!(again["revoked_at"], revoked["revoked_at"]);

            let until = server.clock.now() + Duration::from_mins(30);
            let (secret, _) = make(&ann, json!({"name": "two", "expires_at": until.to_rfc3339()})).await;
            assert_eq!(with(server, &secret).get("/agents").await.status, 200);
            server.clock.advance(Duration::from_mins(31));
            with(server, &secret)
                .get("/agents")
                .await
                .refused(401, "NOT_AUTHENTICATED");
            let past = json!({"name": "three", "expires_at": "2020-01-01T00:00:00Z"});
            server
                .caller("ann")
                .post("/api-keys", past)
                .await
                .refused(400, "INVALID_REQUEST");
            server
                .caller("ann")
                .post("/api-keys", json!({"name": ""}))
                .await
                .refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn the_last_use_is_recorded_to_the_minute() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let (secret, _) = make(&ann, json!({"name": "one"})).await;
            let used = async || server.caller("ann").get("/api-keys").await.ok()["api_keys"][0]["last_used_at"].clone();
            assert_eq!(used().await, Value::Null);
            let changes = async |from: &Value| {
                tokio::time::timeout(TEST_TIMEOUT, async {
                    while &used().await == from {
                        tokio::task::yield_now().await;
                    }
                })
                .await
                .unwrap();
            };
            with(server, &secret).get("/agents").await.ok();
            changes(&Value::Null).await;
            let first = used().await;
            with(server, &secret).get("/agents").await.ok();
            assert_eq!(used().await, first);
            server.clock.advance(Duration::from_mins(2));
            with(server, &secret).get("/agents").await.ok();
            changes(&first).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_scope_allows_only_its_own_methods() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let ann = server.caller("ann");
            let key = async |scope: &str| {
                let (secret, _) = make(&ann, json!({"name": scope, "scopes": [scope]})).await;
                with(server, &secret)
            };
            let (read, run, admin) = (key("read").await, key("run").await, key("admin").await);
            for caller in [&read, &run, &admin] {
                assert_eq!(caller.get("/agents").await.status, 200);
                assert_eq!(caller.get("/billing/account-state").await.status, 200);
                // Only a super admin may read the metrics, and API keys have no roles.
                caller.get("/metrics").await.refused(403, "PERMISSION_DENIED");
            }
            let start = json!({"prompt": "x"});
            let body = read
                .post("/agent/start", start.clone())
                .await
                .refused(403, "PERMISSION_DENIED");
            assert_eq!(
                body["detail"],
                "the API key lacks the scope run; use a key with that scope"
            );
            let request = runyard::v1::StartRunRequest {
                prompt: Some("x".to_owned()),
                ..Default::default()
            };
            let status = read.runs().await.start_run(read.signed(request)).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::PermissionDenied);
            let form = reqwest::multipart::Form::new().text("prompt", "x").part(
                "files",
                reqwest::multipart::Part::bytes(b"x".to_vec()).file_name("a.txt"),
            );
            read.form("/agent/start", form).await.refused(403, "PERMISSION_DENIED");
            assert_eq!(server.number("SELECT COUNT(*) FROM uploads").await, 0);
            let started = run.post("/agent/start", start).await.ok();
            ann.ended(&started).await;
            for caller in [&read, &run] {
                let body = caller.get("/api-keys").await.refused(403, "PERMISSION_DENIED");
                assert_eq!(
                    body["detail"],
                    "the API key lacks the scope admin; use a key with that scope"
                );
            }
            assert_eq!(admin.get("/api-keys").await.status, 200);
            let state = ann.get("/billing/account-state").await.ok();
            let path = format!("/admin/accounts/{}", state["account_id"].as_str().unwrap());
            admin.get(&path).await.refused(403, "PERMISSION_DENIED");
        },
    )
    .await;
}

#[test]
fn every_method_declares_its_scope() {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let option = pool.get_extension_by_name("runyard.v1.access").unwrap();
    let scopes = Scopes::of(&pool);
    let reads = ["Get", "List", "Stream", "Read", "Compare"];
    // The methods that need no credential, because their request contains a token.
    let public = ["GetSharedThread", "ListSharedMessages"];
    let mut faults = Vec::new();
    for method in pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
    {
        let name = method.full_name().to_owned();
        if !method.options().has_extension(&option) {
            faults.push(format!("{name} has no option (runyard.v1.access)"));
        }
        let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
        let needed = scopes.needed(&path);
        // A read-only key may call only methods that change nothing.
        let is_read = reads.iter().any(|read| method.name().starts_with(read));
        let is_public = public.contains(&method.name());
        if needed.is_none() != is_public || (needed == Some(Access::Read) && !is_read) {
            faults.push(format!("{name} needs {needed:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let admin = "/runyard.v1.AdminService/GrantCredits";
    assert_eq!(scopes.needed(admin), Some(Access::Admin));
    assert_eq!(scopes.needed("/runyard.v1.RunService/GetRun"), Some(Access::Read));
    assert_eq!(scopes.needed("/grpc.health.v1.Health/Check"), None);
}
