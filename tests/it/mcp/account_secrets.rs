//! Tests of secrets in the headers of MCP servers. A value reaches the server of a permitted host, and nothing else.

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use runyard_client::v1::{self, secret_service_client::SecretServiceClient};
use runyard_upstream::Turn;
use serde_json::{Value, json};

use super::{calls, http, permit_loopback, run_of, run_with, server::McpServer};
use crate::{
    service::{
        program::{OPEN, Program},
        requests::{patch, text},
    },
    test_server::{Answer, Caller, on_every_database_with},
};

const VALUE: &str = "canary-7f3a-of-the-secret";

async fn create(caller: &Caller, value: &str, hosts: Value) -> Value {
    let body = json!({"name": "KEY", "value": value, "hosts": hosts});
    caller.post("/secrets", body).await.ok()
}

fn with_header(url: &str, value: &str) -> Value {
    let mut entry = http("box", url);
    entry["headers"] = json!({"X-Key": value});
    entry
}

fn keys(remote: &McpServer) -> Vec<String> {
    remote.seen.keys.lock().unwrap().drain(..).collect()
}

#[tokio::test]
async fn a_header_uses_the_current_value_of_a_secret() {
    on_every_database_with(
        |_| calls("box__echo", json!({"text": "x"})),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let secret = create(&caller, VALUE, json!(["127.0.0.1"])).await;
            let body = json!({"name": "An agent", "custom_mcps": [with_header(&remote.url, "Bearer ${secret:KEY}")]});
            let agent = caller.post("/agents", body).await.ok();
            run_of(&caller, &agent).await;
            let seen = keys(&remote);
            assert!(
                !seen.is_empty() && seen.iter().all(|key| *key == format!("Bearer {VALUE}")),
                "{seen:?}"
            );
            let path = format!("/secrets/{}", text(&secret, "secret_id"));
            patch(&caller, &path, json!({"value": "another value"})).await.ok();
            run_of(&caller, &agent).await;
            let seen = keys(&remote);
            assert!(
                !seen.is_empty() && seen.iter().all(|key| key == "Bearer another value"),
                "{seen:?}"
            );
            // The secret of another account with the same name is not used.
            let bob = server.caller("bob");
            let events = run_with(&bob, json!([with_header(&remote.url, "${secret:KEY}")])).await;
            assert!(format!("{events:?}").contains("does not exist"), "{events:#?}");
            assert_eq!(keys(&remote), Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test]
async fn a_secret_is_sent_only_to_its_hosts() {
    on_every_database_with(
        |_| Turn::text("x"),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let secret = create(&caller, VALUE, json!(["mcp.example.com"])).await;
            let test = async |value: &str| {
                let body = json!({"server": with_header(&remote.url, value)});
                caller.post("/agents/test-mcp-server", body).await.ok()
            };
            for (value, why) in [
                ("${secret:KEY}", "may not be sent to 127.0.0.1"),
                ("${secret:OTHER}", "does not exist"),
                ("${secret:KEY", "not closed"),
            ] {
                let refused = test(value).await;
                assert_eq!(refused["connected"], false, "{refused}");
                assert!(refused.to_string().contains(why), "{refused}");
            }
            assert_eq!(keys(&remote), Vec::<String>::new());
            let path = format!("/secrets/{}", text(&secret, "secret_id"));
            patch(&caller, &path, json!({"hosts": []})).await.ok();
            assert_eq!(test("${secret:KEY}").await["connected"], true);
            assert!(keys(&remote).iter().all(|key| key == VALUE));
        },
    )
    .await;
}

fn as_json(message: &Value) -> Response {
    ([(CONTENT_TYPE, "application/json")], message.to_string()).into_response()
}

/// Starts an MCP server that repeats the header in all its answers, also in its errors.
async fn repeating() -> String {
    let answer = |request: Request| async move {
        if request.method() != "POST" {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        let key = request.headers()["x-key"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let result = match asked["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                "serverInfo": {"name": "x", "version": "1"},
            }),
            "tools/list" => json!({"tools": [{"name": "echo", "description": "x", "inputSchema": {"type": "object"}}]}),
            "tools/call" => json!({"content": [{"type": "text", "text": format!("you sent {key}")}]}),
            _ if asked["id"].is_null() => return StatusCode::ACCEPTED.into_response(),
            _ => {
                let error = json!({"code": -32601, "message": format!("no such method, {key}")});
                return as_json(&json!({"jsonrpc": "2.0", "id": asked["id"], "error": error}));
            }
        };
        as_json(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": result}))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

#[tokio::test]
async fn no_answer_event_or_row_contains_the_value() {
    on_every_database_with(
        |_| calls("box__echo", json!({})),
        permit_loopback,
        async |server| {
            let caller = server.caller("ann");
            let secret = create(&caller, VALUE, json!([])).await;
            let url = repeating().await;
            let body = json!({"name": "An agent", "custom_mcps": [with_header(&url, "${secret:KEY}")]});
            let agent = caller.post("/agents", body).await.ok();
            let events = run_of(&caller, &agent).await;
            let shown = format!("{events:?}");
            assert!(shown.contains("you sent ***"), "control: the tool was called: {shown}");
            let mut answers = vec![shown, secret.to_string(), agent.to_string()];
            for path in ["/secrets", "/agents", "/threads", "/agent-runs"] {
                answers.push(caller.get(path).await.text);
            }
            let run = caller.get("/agent-runs").await.ok()["agent_runs"][0].clone();
            let messages = format!("/threads/{}/messages", text(&run, "thread_id"));
            answers.push(caller.get(&messages).await.text);
            for refused in [
                json!({"name": "KEY", "value": VALUE}),
                json!({"name": "a b", "value": VALUE}),
                json!({"name": "OTHER", "value": VALUE, "hosts": ["https://x.example/"]}),
                json!({"name": "OTHER", "value": format!("{VALUE}\n")}),
            ] {
                let refused = caller.post("/secrets", refused).await;
                assert!([400, 409].contains(&refused.status), "{}", refused.text);
                answers.push(refused.text);
            }
            for answer in answers {
                assert!(!answer.contains(VALUE), "{answer}");
            }
            for (table, column) in [("account_secrets", "value"), ("messages", "content")] {
                let sql = format!("SELECT COUNT(*) FROM {table} WHERE CAST({column} AS TEXT) LIKE '%{VALUE}%'");
                assert_eq!(server.number(&sql).await, 0, "{sql}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_log_contains_no_value() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path(), &format!("{OPEN}[mcp]\nallow_private_addresses = true\n")).await;
    let json_of = async |method: &str, path: &str, body: Value| {
        let answer = program.request(method, path).json(&body).send().await.unwrap();
        Answer::of(answer).await
    };
    json_of("POST", "/secrets", json!({"name": "KEY", "value": VALUE}))
        .await
        .ok();
    json_of("POST", "/secrets", json!({"name": "KEY", "value": VALUE}))
        .await
        .refused(409, "CONFLICT");
    let url = repeating().await;
    for url in [url.as_str(), "http://127.0.0.1:1/mcp"] {
        let body = json!({"server": with_header(url, "${secret:KEY}")});
        let tested = json_of("POST", "/agents/test-mcp-server", body).await.ok();
        assert_eq!(tested["connected"], url != "http://127.0.0.1:1/mcp", "{tested}");
        assert!(!tested.to_string().contains(VALUE), "{tested}");
    }
    let log = program.log();
    assert!(log.contains("CONFLICT"), "control: refused requests are logged: {log}");
    assert!(!log.contains(VALUE), "{log}");
    let files = std::fs::read_dir(folder.path().join("data")).unwrap();
    for file in files.flatten().filter(|file| file.file_type().unwrap().is_file()) {
        let bytes = std::fs::read(file.path()).unwrap();
        let holds = bytes.windows(VALUE.len()).any(|window| window == VALUE.as_bytes());
        assert!(!holds, "{:?}", file.path());
    }
}

#[tokio::test]
async fn secrets_are_changed_listed_and_deleted_over_grpc() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.secrets.max_per_account = 1,
        async |server| {
            let caller = server.caller("ann");
            let mut grpc = SecretServiceClient::new(caller.channel().await);
            let new = |name: &str| v1::CreateSecretRequest {
                name: name.to_owned(),
                value: VALUE.to_owned(),
                hosts: vec!["MCP.example.com".to_owned()],
            };
            let made = grpc
                .create_secret(caller.signed(new("KEY")))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(
                (made.name.as_str(), made.hosts.as_slice()),
                ("KEY", ["mcp.example.com".to_owned()].as_slice())
            );
            let refused = grpc.create_secret(caller.signed(new("OTHER"))).await.unwrap_err();
            assert!(refused.message().contains("limit of 1 secrets"), "{refused}");
            let change = v1::UpdateSecretRequest {
                secret_id: made.secret_id.clone(),
                value: Some("short".to_owned()),
                ..Default::default()
            };
            let refused = grpc.update_secret(caller.signed(change)).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
            let change = v1::UpdateSecretRequest {
                secret_id: made.secret_id.clone(),
                value: Some("long enough".to_owned()),
                ..Default::default()
            };
            let changed = grpc.update_secret(caller.signed(change)).await.unwrap().into_inner();
            assert!(changed.hosts == made.hosts && changed.updated_at != made.updated_at);
            let list = || caller.signed(v1::ListSecretsRequest::default());
            assert_eq!(grpc.list_secrets(list()).await.unwrap().into_inner().secrets, [changed]);
            let delete = v1::DeleteSecretRequest {
                secret_id: made.secret_id,
            };
            grpc.delete_secret(caller.signed(delete)).await.unwrap();
            assert!(grpc.list_secrets(list()).await.unwrap().into_inner().secrets.is_empty());
        },
    )
    .await;
}
