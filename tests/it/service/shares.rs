//! Tests of shares: what their readers see, which tokens work, and their limits.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use chrono::TimeDelta;
use futures::future::join_all;
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use runyard::config::{Config, Limits, Rate, RateLimit};
use runyard_client::v1::{self, share_service_client::ShareServiceClient};
use runyard_upstream::{Call, Gate, Received, Script, Turn};
use serde_json::{Value, json};
use tonic::Code;
use uuid::Uuid;

use super::{
    call::{Reply, call, methods, ways},
    program::{OPEN, Program},
    requests::{delete, each, text},
};
use crate::test_server::{Answer, Caller, TestServer, on_every_database_with};

/// The texts of a run that no reader may see.
const PRIVATE: [&str; 6] = [
    "CANARY-SYSTEM",
    "CANARY-REASON",
    "CANARY-ARGUMENT",
    "CANARY-RESULT",
    "CANARY-CONTENT",
    "CANARY-SECRET",
];
const GONE: &str = r#"{"detail":"Share not found"}"#;

fn unlimited(config: &mut Config) {
    config.limits = Limits::Off;
}

fn echoing(_: &Gate) -> Script {
    Script::function(|request| Turn::text(&format!("Answer to {}", request.last_text())))
}

/// Calls a tool with private arguments and a private result, and then answers.
fn busy(_: &Gate) -> Script {
    Script::function(|request: &Received| {
        let is_prompt = request.messages().last().is_some_and(|last| last["role"] == "user");
        if !is_prompt {
            return Turn::text("The answer.");
        }
        let command = json!({"command": "echo CANARY-RES''ULT; : CANARY-ARGUMENT"});
        Turn::text("I look at it.")
            .reasoning("CANARY-REASON")
            .and_calls([Call::new("bash", &command)])
    })
}

async fn thread(caller: &Caller, prompt: &str) -> String {
    let run = caller.start(prompt).await;
    caller.ended(&run).await;
    text(&run, "thread_id").to_owned()
}

async fn share(caller: &Caller, thread_id: &str, body: Value) -> Value {
    caller.post(&format!("/threads/{thread_id}/shares"), body).await.ok()
}

/// Reads a share without a credential.
async fn read(server: &TestServer, path: &str, body: Value) -> Answer {
    let request = server.http.post(server.url(path)).json(&body);
    Answer::of(request.send().await.unwrap()).await
}

async fn opened(server: &TestServer, token: &str) -> Answer {
    read(server, "/v1/shared-thread", json!({"token": token})).await
}

/// All messages of a share, over all pages.
async fn messages(server: &TestServer, token: &str, page_size: usize) -> Vec<Value> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    for _ in 0..100 {
        let body = json!({"token": token, "page_size": page_size, "page_token": page_token});
        let page = read(server, "/shared-thread/messages", body).await.ok();
        found.extend(page["messages"].as_array().unwrap().clone());
        text(&page, "next_page_token").clone_into(&mut page_token);
        if page_token.is_empty() {
            return found;
        }
    }
    panic!("the pages do not end");
}

#[tokio::test]
async fn a_reader_sees_texts_and_file_names_and_nothing_else() {
    on_every_database_with(busy, unlimited, async |server| {
        let caller = server.caller("canary-subject");
        let secret = json!({"name": "KEY", "value": "CANARY-SECRET"});
        caller.post("/secrets", secret).await.ok();
        let agent = json!({"name": "Agent", "system_prompt": "CANARY-SYSTEM ${secret:KEY}"});
        let agent = caller.post("/agents", agent).await.ok();
        let form = Form::new()
            .text("prompt", "Look at it.")
            .text("agent_id", text(&agent, "agent_id").to_owned())
            .part("files", Part::bytes(b"CANARY-CONTENT".to_vec()).file_name("notes.txt"));
        let run = caller.form("/agent/start", form).await.ok();
        assert_eq!(caller.ended(&run).await["status"], "completed");
        let thread_id = text(&run, "thread_id");
        let made = share(&caller, thread_id, json!({})).await;
        let token = text(&made, "token");
        assert!(token.starts_with("rys_") && token.len() > 50, "{token}");

        let found = messages(server, token, 0).await;
        let shown: Vec<_> = found
            .iter()
            .map(|one| (text(one, "role"), text(one, "content")))
            .collect();
        assert_eq!(
            shown,
            [
                ("user", "Look at it."),
                ("assistant", "I look at it."),
                ("assistant", "The answer.")
            ]
        );
        assert_eq!(found[0]["files"], json!(["notes.txt"]));
        assert_eq!(messages(server, token, 1).await, found, "pages of one row");
        let page = json!({"token": token, "page_size": 1});
        let page = read(server, "/shared-thread/messages", page).await.ok();
        let page = BASE64.decode(text(&page, "next_page_token")).unwrap();
        let contains = |bytes: &[u8], id: Uuid| bytes.windows(16).any(|part| part == id.as_bytes());
        let run_id = Uuid::parse_str(text(&run, "agent_run_id")).unwrap();
        assert!(!contains(&page, run_id), "the page token contains the id of the run");
        let owners = caller
            .get(&format!("/threads/{thread_id}/messages?page_size=1"))
            .await
            .ok();
        let owners = BASE64.decode(text(&owners, "next_page_token")).unwrap();
        assert!(contains(&owners, run_id), "control: the owner's page token");

        // The private texts exist: the owner and the model see them.
        let owned = caller.get(&format!("/threads/{thread_id}/messages")).await.text;
        for private in [
            "CANARY-ARGUMENT",
            "CANARY-RESULT",
            thread_id,
            text(&run, "agent_run_id"),
        ] {
            assert!(owned.contains(private), "{private}: {owned}");
        }
        let account = caller.get("/billing/account-state").await.ok();
        let mut private: Vec<&str> = PRIVATE.to_vec();
        private.extend(["canary-subject", text(&account, "account_id")]);
        private.extend(["thread_id", "project_id", "sandbox_id", "agent_run_id"].map(|field| text(&run, field)));
        let mut anyone = caller.clone();
        "none".clone_into(&mut anyone.token);
        let request = json!({"token": token});
        for method in methods() {
            if !["GetSharedThread", "ListSharedMessages"].contains(&method.name()) {
                continue;
            }
            for way in ways(&method) {
                let reply = call(&anyone, &method, &request, way).await;
                assert!(reply.is_good(), "{way:?}: {reply:?}");
                let reply = format!("{reply:?}");
                assert!(reply.contains("Look at it."), "{way:?}: {reply}");
                for private in &private {
                    assert!(!reply.contains(private), "{private} over {way:?}: {reply}");
                }
            }
        }
        let mut grpc = ShareServiceClient::new(caller.channel().await);
        let asked = v1::GetSharedThreadRequest {
            token: token.to_owned(),
        };
        let shown = grpc.get_shared_thread(asked).await.unwrap().into_inner();
        assert_eq!(shown.name, "Look at it.");
        // The token opens nothing else.
        let list = server.http.get(server.url("/threads")).bearer_auth(token);
        assert_eq!(list.send().await.unwrap().status(), 401);
    })
    .await;
}

#[tokio::test]
async fn a_share_shows_the_thread_as_it_is_now() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let thread_id = thread(&caller, "First").await;
        let made = share(&caller, &thread_id, json!({})).await;
        let token = text(&made, "token");
        assert_eq!(messages(server, token, 0).await.len(), 2);
        let more = json!({"content": "Second"});
        caller.post(&format!("/threads/{thread_id}/messages"), more).await.ok();
        let found = messages(server, token, 0).await;
        assert_eq!(text(&found[2], "content"), "Second");
        let renamed = caller.request("PUT", &format!("/threads/{thread_id}"));
        Answer::of(renamed.json(&json!({"name": "New name"})).send().await.unwrap())
            .await
            .ok();
        let opened = opened(server, token).await.ok();
        assert_eq!(opened["name"], "New name");
        assert!(opened["created_at"].is_string() && opened["updated_at"].is_string());
        // A share of a thread shows no other thread.
        let other = thread(&caller, "Other").await;
        let other = share(&caller, &other, json!({})).await;
        let found = messages(server, text(&other, "token"), 0).await;
        assert_eq!(found.len(), 2);
        assert_eq!(text(&found[0], "content"), "Other");
    })
    .await;
}

#[tokio::test]
async fn each_token_that_does_not_work_gets_the_same_answer() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let thread_id = thread(&caller, "First").await;
        let mut tokens = Vec::new();
        let fresh = async |body: Value| {
            let made = share(&caller, &thread_id, body).await;
            let token = text(&made, "token").to_owned();
            opened(server, &token).await.ok();
            (token, text(&made["share"], "share_id").to_owned())
        };
        let (revoked, share_id) = fresh(json!({})).await;
        delete(&caller, &format!("/shares/{share_id}")).await.ok();
        delete(&caller, &format!("/shares/{share_id}"))
            .await
            .refused(404, "SHARE_NOT_FOUND");
        let soon = server.clock.now() + TimeDelta::minutes(5);
        let (expiring, _) = fresh(json!({"expires_at": soon.to_rfc3339()})).await;
        server.clock.advance(Duration::from_mins(4));
        opened(server, &expiring).await.ok();
        server.clock.advance(Duration::from_mins(1));
        let caller = server.caller("ann");
        let doomed = thread(&caller, "Doomed").await;
        let made = share(&caller, &doomed, json!({})).await;
        let deleted = text(&made, "token").to_owned();
        opened(server, &deleted).await.ok();
        delete(&caller, &format!("/threads/{doomed}")).await.ok();
        let rows = format!("SELECT COUNT(*) FROM shares WHERE prefix = '{}'", &deleted[..15]);
        assert_eq!(server.number(&rows).await, 0, "the share of a deleted thread stays");
        // Suspended accounts.
        let bob = server.caller("bob");
        let bobs = thread(&bob, "Bob's").await;
        let bobs = share(&bob, &bobs, json!({})).await;
        let suspended = text(&bobs, "token").to_owned();
        opened(server, &suspended).await.ok();
        let account = bob.get("/billing/account-state").await.ok();
        let account = format!("/admin/accounts/{}", text(&account, "account_id"));
        let root = server.caller_as("root", Some("super_admin"));
        root.post(&format!("{account}/suspend"), json!({"reason": "A test."}))
            .await
            .ok();
        let made = share(&caller, &thread_id, json!({})).await;
        let good = text(&made, "token").to_owned();
        let mut wrong = good.clone();
        wrong.replace_range(good.len() - 4.., if good.ends_with("AAAA") { "BBBB" } else { "AAAA" });
        tokens.extend([revoked, expiring, deleted, suspended.clone(), wrong]);
        tokens.extend([String::new(), "rys_".to_owned(), "rys_é".repeat(9), good.repeat(9)]);
        tokens.extend([good.to_lowercase(), format!("{good} "), good[..15].to_owned()]);
        let key = caller.post("/api-keys", json!({"name": "Key"})).await.ok();
        tokens.extend([text(&key, "secret").to_owned(), caller.token.clone()]);
        tokens.push(Uuid::now_v7().to_string());
        for token in &tokens {
            // The token is checked before the page token.
            for (path, body) in [
                ("/shared-thread", json!({"token": token})),
                (
                    "/v1/shared-thread/messages",
                    json!({"token": token, "page_token": "none"}),
                ),
            ] {
                let answer = read(server, path, body).await;
                assert_eq!((answer.status, answer.text.as_str()), (404, GONE), "{token}");
                assert_eq!(answer.header("x-error-code"), "SHARE_NOT_FOUND");
            }
            for method in methods() {
                if !["GetSharedThread", "ListSharedMessages"].contains(&method.name()) {
                    continue;
                }
                for way in ways(&method) {
                    let reply = call(&caller, &method, &json!({"token": token}), way).await;
                    let expected = Reply::Refused(404, "SHARE_NOT_FOUND".to_owned(), json!("Share not found"));
                    assert_eq!(reply, expected, "{token} over {way:?}");
                }
            }
        }
        opened(server, &good).await.ok();
        root.post(&format!("{account}/resume"), json!({})).await.ok();
        opened(server, &suspended).await.ok();
    })
    .await;
}

#[tokio::test]
async fn another_account_manages_none_of_the_shares() {
    on_every_database_with(echoing, unlimited, async |server| {
        let (ann, bob) = (server.caller("ann"), server.caller("bob"));
        let thread_id = thread(&ann, "First").await;
        let made = share(&ann, &thread_id, json!({})).await;
        let share_id = text(&made["share"], "share_id");
        let shares = format!("/threads/{thread_id}/shares");
        bob.post(&shares, json!({})).await.refused(404, "THREAD_NOT_FOUND");
        bob.get(&shares).await.refused(404, "THREAD_NOT_FOUND");
        assert_eq!(bob.get("/shares").await.ok()["shares"], json!([]));
        delete(&bob, &format!("/shares/{share_id}"))
            .await
            .refused(404, "SHARE_NOT_FOUND");
        let token = text(&made, "token");
        opened(server, token).await.ok();
        for path in ["/shares", &shares, &format!("/shares?thread_id={thread_id}")] {
            let listed = ann.get(path).await;
            assert!(!listed.text.contains(token), "{path} shows the token");
            let listed = listed.ok();
            assert_eq!(each(&listed, "shares", "share_id"), [json!(share_id)], "{path}");
            assert!(token.starts_with(text(&listed["shares"][0], "prefix")));
        }
        // A key that only reads creates and revokes nothing.
        let key = json!({"name": "Reader", "scopes": ["read"]});
        let key = ann.post("/api-keys", key).await.ok();
        let mut reader = ann.clone();
        text(&key, "secret").clone_into(&mut reader.token);
        reader.get(&shares).await.ok();
        reader.post(&shares, json!({})).await.refused(403, "PERMISSION_DENIED");
        delete(&reader, &format!("/shares/{share_id}"))
            .await
            .refused(403, "PERMISSION_DENIED");
        delete(&ann, &format!("/shares/{share_id}")).await.ok();
        assert_eq!(ann.get("/shares").await.ok()["shares"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_thread_has_up_to_twenty_shares() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let thread_id = thread(&caller, "First").await;
        let shares = format!("/threads/{thread_id}/shares");
        let past = json!({"expires_at": "2020-01-01T00:00:00Z"});
        caller.post(&shares, past).await.refused(400, "INVALID_REQUEST");
        let soon = server.clock.now() + TimeDelta::minutes(5);
        share(&caller, &thread_id, json!({"expires_at": soon.to_rfc3339()})).await;
        let all = join_all((0..25).map(|_| caller.post(&shares, json!({})))).await;
        let made = all.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(made, 19);
        let refused = all.into_iter().find(|answer| answer.status != 200).unwrap();
        let refused = refused.refused(409, "SHARE_LIMIT_EXCEEDED");
        assert!(refused.to_string().contains("revoke one first"), "{refused}");
        // Expired shares do not count, and the shares of another thread do not either.
        server.clock.advance(Duration::from_mins(6));
        let caller = server.caller("ann");
        share(&caller, &thread_id, json!({})).await;
        caller
            .post(&shares, json!({}))
            .await
            .refused(409, "SHARE_LIMIT_EXCEEDED");
        let other = thread(&caller, "Other").await;
        share(&caller, &other, json!({})).await;
        let listed = caller.get(&shares).await.ok();
        let share_id = text(&listed["shares"][0], "share_id");
        delete(&caller, &format!("/shares/{share_id}")).await.ok();
        share(&caller, &thread_id, json!({})).await;
    })
    .await;
}

#[tokio::test]
async fn answers_to_readers_are_not_cached_and_their_requests_are_small() {
    on_every_database_with(echoing, unlimited, async |server| {
        let caller = server.caller("ann");
        let thread_id = thread(&caller, "First").await;
        let made = share(&caller, &thread_id, json!({})).await;
        let token = text(&made, "token");
        for token in [token, "rys_other"] {
            for path in ["/shared-thread", "/v1/shared-thread/messages"] {
                let answer = read(server, path, json!({"token": token})).await;
                assert_eq!(answer.header("cache-control"), "no-store");
                assert_eq!(answer.header("x-robots-tag"), "noindex, nofollow");
            }
        }
        // No other request passes without a credential.
        for (method, path) in [
            ("GET", "/shared-thread".to_owned()),
            ("GET", format!("/shared-thread?token={token}")),
            ("PUT", "/v1/shared-thread".to_owned()),
            ("POST", "/shared-thread/other".to_owned()),
            ("POST", format!("/threads/{thread_id}/shares")),
            ("GET", "/shares".to_owned()),
        ] {
            let request = server.http.request(method.parse().unwrap(), server.url(&path));
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
        }
        let long = "x".repeat(100_000);
        read(server, "/shared-thread", json!({"token": long}))
            .await
            .refused(413, "TOO_LARGE");
        // Without a length in the headers, the size of the body shows only while it arrives.
        for path in ["/shared-thread", "/runyard.v1.ShareService/GetSharedThread"] {
            let streamed = futures::stream::iter([Ok::<_, std::io::Error>(format!("{{\"token\": \"{long}\"}}"))]);
            let request = server.http.post(server.url(path));
            let request = request
                .header("content-type", "application/json")
                .body(Body::wrap_stream(streamed));
            let answer = Answer::of(request.send().await.unwrap()).await;
            // Connect has no status 413; it answers 429 for `resource_exhausted`.
            let expected = if path == "/shared-thread" { 413 } else { 429 };
            assert_eq!(answer.status, expected, "{path}: {}", answer.text);
            assert_eq!(answer.header("x-error-code"), "TOO_LARGE", "{path}: {}", answer.text);
        }
        let mut grpc = ShareServiceClient::new(caller.channel().await);
        let asked = v1::GetSharedThreadRequest { token: long.clone() };
        let refused = grpc.get_shared_thread(asked).await.unwrap_err();
        assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
        opened(server, token).await.ok();
    })
    .await;
}

#[tokio::test]
async fn the_rate_limit_of_the_address_counts_readers() {
    let rate = RateLimit::Rate(Rate {
        per_second: 1.try_into().unwrap(),
        burst: 10.try_into().unwrap(),
    });
    on_every_database_with(
        echoing,
        |config| {
            unlimited(config);
            config.http.rate_per_address = Some(rate);
        },
        async |server| {
            let guesses = join_all((0..40).map(|_| opened(server, "rys_guess"))).await;
            let count = |status| guesses.iter().filter(|answer| answer.status == status).count();
            assert!(count(404) >= 10 && count(429) >= 10, "{guesses:?}");
            assert_eq!(count(404) + count(429), 40, "{guesses:?}");
        },
    )
    .await;
}

#[tokio::test]
async fn the_log_contains_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("{OPEN}\n[log]\naccess = \"all\"\n");
    let program = Program::start(folder.path(), &config).await;
    let made = program.request("POST", "/threads").json(&json!({"name": "A thread"}));
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let shares = format!("/threads/{}/shares", text(&made, "thread_id"));
    let made = program.request("POST", &shares).json(&json!({})).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    let token = text(&made, "token");
    for (token, status) in [(token.to_owned(), 200), (format!("{token}CANARY"), 404)] {
        let sent = program.http.post(format!("{}/shared-thread", program.url));
        let answer = sent.json(&json!({"token": token})).send().await.unwrap();
        assert_eq!(answer.status(), status);
        program
            .line("the request", |line| {
                line["path"] == "/shared-thread" && line["http_status"] == status
            })
            .await;
    }
    let log = program.log();
    assert!(!log.contains(&token[15..]) && !log.contains("CANARY"), "{log}");
}

#[tokio::test]
async fn requests_with_wrong_tokens_do_not_flood_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), OPEN).await;
    let asked = || async {
        let sent = program.http.post(format!("{}/shared-thread", program.url));
        let answer = sent.json(&json!({"token": "rys_wrong"})).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    };
    for _ in 0..4 {
        join_all((0..25).map(|_| asked())).await;
    }
    let lines = program.lines();
    let refused = lines.iter().filter(|line| line["error_code"] == "SHARE_NOT_FOUND");
    let refused = refused.count();
    assert!((1..100).contains(&refused), "{refused} lines");
}
