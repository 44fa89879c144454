//! Tests that lists, cursors, streams, files, counts and public pages reveal nothing about another account.

use futures::future::join_all;
use runyard::{config::Limits, wire::permit::Scopes};
use runyard_transcode::connect::Format;
use runyard_upstream::{Call, Script, Turn};
use serde_json::json;
use uuid::Uuid;

use super::{
    call::{CONTRACT, Way, call, methods, path_of, ways},
    requests::each,
};
use crate::test_server::{Answer, on_every_database, on_every_database_with};

#[tokio::test]
async fn j01_requests_without_a_valid_token_are_refused() {
    on_every_database(
        |_| Turn::text("x"),
        async |server| {
            let good = server.caller("ann").token;
            let send = async |headers: &[(&str, String)], path: &str| {
                let mut request = server.http.get(server.url(path));
                for (name, value) in headers {
                    request = request.header(*name, value);
                }
                Answer::of(request.send().await.unwrap()).await
            };
            let with = |value: &str| vec![("authorization", value.to_owned())];
            let mut bad = vec![Vec::new(), with("Bearer"), with("Bearer "), with("Bearer x.y.z")];
            bad.extend([with("Basic YW5uOmFubg=="), with(&good), with(&format!("Token {good}"))]);
            bad.push([with(&format!("Bearer {good}")), with(&format!("Bearer {good}"))].concat());
            bad.push(vec![("x-api-key", "ry_nothing".to_owned())]);
            for headers in &bad {
                for path in [
                    "/agents",
                    "/v1/agents",
                    "/no/such/path",
                    "/agent-runs/active",
                    "/%2e%2e/agents",
                ] {
                    let answer = send(headers, path).await;
                    assert_eq!(answer.header("www-authenticate"), "Bearer", "{headers:?} {path}");
                    let body = answer.refused(401, "NOT_AUTHENTICATED");
                    assert_eq!(body, json!({"detail": "Not authenticated"}));
                }
            }
            for query in ["access_token", "token", "authorization"] {
                let answer = send(&[], &format!("/agents?{query}={good}")).await;
                answer.refused(401, "NOT_AUTHENTICATED");
            }
            send(&with(&format!("Bearer {good}")), "/agents").await.ok();
            send(&with(&format!("bearer {good}")), "/agents").await.ok();

            let mut unknown = server.caller("ann");
            unknown.token = "x.y.z".to_owned();
            let id = Uuid::now_v7().to_string();
            let scopes = Scopes::of(&CONTRACT.pool);
            for method in methods() {
                // A public method ignores the credential, and refuses the missing token of its request.
                let expected = match scopes.needed(&path_of(&method)) {
                    Some(_) => "NOT_AUTHENTICATED",
                    None => "SHARE_NOT_FOUND",
                };
                let mut request = json!({});
                for field in method.input().fields().filter(|field| field.name().ends_with("_id")) {
                    request[field.name()] = json!(id);
                }
                for way in ways(&method) {
                    let reply = call(&unknown, &method, &request, way).await;
                    assert_eq!(reply.code(), expected, "{} {way:?}", method.name());
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn j18_public_endpoints_reveal_no_account() {
    on_every_database_with(
        |_| Turn::text("CANARY-ANSWER"),
        |config| config.auth.metrics_token = Some("the token of the metrics".to_owned().into()),
        async |server| {
            runyard::telemetry::start_metrics();
            let caller = server.caller("canary-subject");
            let agent = caller.post("/agents", json!({"name": "CANARY-AGENT"})).await.ok();
            let run = caller
                .post(
                    "/agent/start",
                    json!({"prompt": "CANARY-PROMPT", "agent_id": agent["agent_id"]}),
                )
                .await
                .ok();
            caller.ended(&run).await;
            for path in ["/", "/healthz", "/readyz", "/openapi.json"] {
                let text = server
                    .http
                    .get(server.url(path))
                    .send()
                    .await
                    .unwrap()
                    .text()
                    .await
                    .unwrap();
                assert!(!text.to_lowercase().contains("canary"), "{path}");
                for id in ["agent_run_id", "thread_id", "project_id"] {
                    assert!(!text.contains(run[id].as_str().unwrap()), "{path}");
                }
            }
            let metrics = server
                .http
                .get(server.url("/metrics"))
                .bearer_auth("the token of the metrics");
            let metrics = metrics.send().await.unwrap().text().await.unwrap();
            assert!(metrics.contains("runyard_"), "{metrics}");
            assert!(!metrics.to_lowercase().contains("canary"), "{metrics}");
            let words = metrics.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-');
            assert_eq!(
                words.filter(|word| Uuid::parse_str(word).is_ok()).count(),
                0,
                "{metrics}"
            );
            let wrong = server.http.get(server.url("/metrics")).bearer_auth("another token");
            assert_eq!(wrong.send().await.unwrap().status(), 401);
        },
    )
    .await;
}

#[tokio::test]
async fn i05_a_page_token_is_bound_to_its_caller_and_its_query() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("x")),
        |config| config.limits = Limits::Off,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            for caller in [&ann, &bob] {
                for number in 0..3 {
                    caller
                        .post("/agents", json!({"name": format!("Agent {number}")}))
                        .await
                        .ok();
                    caller.ended(&caller.start("x").await).await;
                }
            }
            for list in ["/agents", "/agent-runs", "/threads", "/projects"] {
                let token = |answer: serde_json::Value| answer["next_page_token"].as_str().unwrap().to_owned();
                let first = token(ann.get(&format!("{list}?page_size=1")).await.ok());
                assert!(!first.is_empty(), "{list}");
                let ask = async |caller: &crate::test_server::Caller, token: &str| {
                    caller.get(&format!("{list}?page_size=1&page_token={token}")).await
                };
                ask(&bob, &first).await.refused(400, "INVALID_PAGE_TOKEN");
                // A page token of another list and a page token with one changed character are refused.
                let other = if list == "/agents" { "/threads" } else { "/agents" };
                let foreign = token(ann.get(&format!("{other}?page_size=1")).await.ok());
                ask(&ann, &foreign).await.refused(400, "INVALID_PAGE_TOKEN");
                for position in 0..first.len().min(16) {
                    let mut bytes = first.clone().into_bytes();
                    bytes[position] = if bytes[position] == b'A' { b'B' } else { b'A' };
                    let changed = String::from_utf8(bytes).unwrap();
                    ask(&ann, &changed).await.refused(400, "INVALID_PAGE_TOKEN");
                }
                for garbage in ["x", "%00", "..%2f", &"A".repeat(5000), &first[..first.len() - 1]] {
                    let answer = ask(&ann, garbage).await;
                    assert_eq!(answer.status, 400, "{list} {garbage}: {}", answer.text);
                }
                let (mut all, mut next) = (0, String::new());
                loop {
                    let page = ask(&ann, &next).await.ok();
                    all += page
                        .as_object()
                        .unwrap()
                        .values()
                        .find_map(|rows| rows.as_array())
                        .unwrap()
                        .len();
                    next = token(page);
                    if next.is_empty() {
                        break;
                    }
                }
                assert_eq!(all, 3, "{list}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn i06_the_stream_of_another_account_is_not_found() {
    on_every_database(
        |gate| Turn::words(10).gate_after(5, gate),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let method = methods()
                .into_iter()
                .find(|method| method.name() == "StreamRun")
                .unwrap();
            let run = ann.start("x").await;
            let request = json!({"agent_run_id": run["agent_run_id"]});
            let mut replies = Vec::new();
            for step in 0..3 {
                if step == 1 {
                    server.upstream.wait_for(1).await;
                }
                if step == 2 {
                    server.gate.open();
                    ann.ended(&run).await;
                }
                for way in [Way::Grpc, Way::GrpcWeb, Way::Connect(Format::Json), Way::Http(0)] {
                    let reply = call(&bob, &method, &request, way).await;
                    assert_eq!(reply.code(), "RUN_NOT_FOUND", "{step} {way:?}");
                    replies.push(reply);
                }
                let many = json!({"runs": [{"agent_run_id": run["agent_run_id"]}]});
                bob.post("/agent-runs/stream", many).await.refused(404, "RUN_NOT_FOUND");
            }
            assert!(replies.windows(2).all(|pair| pair[0] == pair[1]));
        },
    )
    .await;
}

#[tokio::test]
async fn i07_no_path_reaches_the_file_of_another_account() {
    on_every_database_with(
        |_| {
            Script::function(|request| match request.messages().len() {
                0..=2 => Turn::calls([Call::new("write", &json!({"path": "canary.txt", "content": "CANARY"}))]),
                _ => Turn::text("Kept."),
            })
        },
        |config| config.limits = Limits::Off,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let (mine, theirs) = (ann.start("x").await, bob.start("x").await);
            let (mine, theirs) = (ann.ended(&mine).await, bob.ended(&theirs).await);
            let read = async |run: &serde_json::Value, path: &str| {
                let sandbox = run["sandbox_id"].as_str().unwrap();
                bob.get(&format!("/sandboxes/{sandbox}/files/content?path={path}"))
                    .await
            };
            assert_eq!(read(&theirs, "canary.txt").await.text, "CANARY");
            read(&mine, "canary.txt").await.refused(404, "SANDBOX_NOT_FOUND");
            let project = mine["project_id"].as_str().unwrap();
            for path in [
                format!("../{project}/canary.txt"),
                format!("..%2f{project}%2fcanary.txt"),
                format!("/workspace/../{project}/canary.txt"),
                server
                    .data_dir()
                    .join("workspaces")
                    .join(project)
                    .join("canary.txt")
                    .display()
                    .to_string(),
                "/proc/self/environ".to_owned(),
                "/etc/passwd".to_owned(),
            ] {
                let answer = read(&theirs, &path).await;
                assert!(
                    [400, 404].contains(&answer.status),
                    "{path}: {} {}",
                    answer.status,
                    answer.text
                );
            }
        },
    )
    .await;
}

/// The cached data are the agents, credits and counts of an account, and the details of a refused StartRun request.
#[tokio::test]
async fn i09_cached_data_is_never_shown_to_another_account() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("Held.").held_by(&gate))
        },
        async |server| {
            let root = server.caller_as("root", Some("super_admin"));
            let mut accounts = Vec::new();
            for number in 0..4 {
                let caller = server.caller(&format!("caller {number}"));
                let names: Vec<_> = (0..number).map(|agent| format!("{agent} of {number}")).collect();
                for name in &names {
                    caller.post("/agents", json!({"name": name})).await.ok();
                }
                let state = caller.get("/billing/account-state").await.ok();
                let path = format!("/admin/accounts/{}/credits", state["account_id"].as_str().unwrap());
                let granted = root.post(&path, json!({"credits": number + 1})).await.ok();
                // This run occupies the account's only slot, so the next StartRun request is refused. The refusal
                // contains the id of this thread.
                let thread = caller.start("x").await["thread_id"].clone();
                accounts.push((caller, names, granted["credits"].clone(), thread));
            }
            let accounts = &accounts;
            for _ in 0..10 {
                let requests = (0..120).map(|turn| {
                    let (caller, names, credits, thread) = &accounts[turn % accounts.len()];
                    async move {
                        match turn / accounts.len() % 3 {
                            0 => {
                                let path = "/agents?order_by=created_at";
                                assert_eq!(each(&caller.get(path).await.ok(), "agents", "name"), *names);
                            }
                            1 => {
                                let state = caller.get("/billing/account-state").await.ok();
                                assert_eq!(&state["credits"], credits);
                                assert_eq!(state["agents"]["used"], json!(names.len()));
                            }
                            _ => {
                                let start = caller.post("/agent/start", json!({"prompt": "x"})).await;
                                let refused = start.refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
                                assert_eq!(refused["detail"]["running_thread_ids"], json!([thread]));
                            }
                        }
                    }
                });
                join_all(requests).await;
            }
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn l12_a_model_that_never_stops_calling_tools_is_stopped() {
    on_every_database_with(
        |_| {
            Script::function(|request| {
                let calls = (0..5).map(|number| {
                    Call::new("bash", &json!({"command": "true"})).id(&format!("call-{}-{number}", request.number))
                });
                Turn::calls(calls)
            })
        },
        |config| config.worker.max_steps = 3,
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let events = caller.events(&run, 0).await;
            crate::test_server::assert_no_gaps(&events, 1);
            let ended = caller.ended(&run).await;
            // The budget is three steps. Then the model must give its final answer in a step without tools. If the
            // model calls tools anyway, one more step follows.
            assert!(server.upstream.count() <= 5, "{}", server.upstream.count());
            assert!(ended["usage"]["steps"].as_i64().unwrap() <= 5, "{ended}");
            // The run fails, because tool calls in a step without tools do not count as an answer.
            assert_eq!(
                (&ended["status"], &ended["error"]["error_code"]),
                (&json!("failed"), &json!("MODEL_EMPTY_ANSWER")),
                "{ended}"
            );
            let notices: Vec<_> = events.iter().filter(|event| event.event == "notice").collect();
            let is_reported = notices
                .iter()
                .any(|event| event.data["notice"]["kind"] == "budget_exhausted");
            assert!(is_reported, "{notices:?}");
        },
    )
    .await;
}
