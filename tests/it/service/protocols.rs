//! Tests that gRPC, gRPC-Web, Connect and HTTP/JSON give the same answers.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use prost::Message;
use runyard::v1;
use runyard_transcode::connect::Format;
use runyard_upstream::{Script, Turn};
use serde_json::json;

use super::{
    archives,
    call::{Reply, Way, call, methods, ways},
    fixtures::{Belongings, LATER, looks_up},
};
use crate::{
    difference::assert_same_list,
    test_server::{Answer, assert_no_gaps, on_every_database, on_every_database_with},
};

fn framed(message: &impl Message) -> Vec<u8> {
    super::call::framed(&message.encode_to_vec())
}

fn unframed(mut body: &[u8]) -> (Vec<Vec<u8>>, String) {
    let (mut messages, mut trailers) = (Vec::new(), String::new());
    while body.len() >= 5 {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        let payload = body[5..5 + length].to_vec();
        if body[0] & 0x80 == 0 {
            messages.push(payload);
        } else {
            trailers = String::from_utf8(payload).unwrap();
        }
        body = &body[5 + length..];
    }
    (messages, trailers)
}

#[tokio::test]
async fn a_run_over_grpc_web() {
    on_every_database(
        |_| Script::function(|_| Turn::words(20)),
        async |server| {
            let caller = server.caller("ann");
            let call = async |method: &str, body: Vec<u8>| {
                let request = caller
                    .request("POST", &format!("/runyard.v1.RunService/{method}"))
                    .header("content-type", "application/grpc-web+proto")
                    .header("x-grpc-web", "1")
                    .body(body);
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200);
                // If an answer has no message, the gRPC status is in the headers.
                let early = response.headers().get("grpc-status").cloned();
                let early = early.map(|status| format!("grpc-status:{}", status.to_str().unwrap()));
                let (messages, trailers) = unframed(&response.bytes().await.unwrap());
                (messages, early.unwrap_or(trailers))
            };
            let start = v1::StartRunRequest {
                prompt: Some("x".to_owned()),
                ..Default::default()
            };
            let (messages, trailers) = call("StartRun", framed(&start)).await;
            assert!(trailers.contains("grpc-status:0"), "{trailers}");
            let started = v1::StartRunResponse::decode(messages[0].as_slice()).unwrap();
            let stream = v1::StreamRunRequest {
                agent_run_id: started.agent_run_id.clone(),
                after_sequence: 0,
                ..Default::default()
            };
            let (messages, trailers) = call("StreamRun", framed(&stream)).await;
            assert!(trailers.contains("grpc-status:0"), "{trailers}");
            let sequences: Vec<i64> = messages
                .iter()
                .map(|bytes| v1::RunEvent::decode(bytes.as_slice()).unwrap().sequence)
                .collect();
            let expected: Vec<_> = (1..=i64::try_from(messages.len()).unwrap()).collect();
            assert_same_list(&sequences, &expected, "sequences over gRPC-Web");
            let sse = caller.events(&json!({"agent_run_id": started.agent_run_id}), 0).await;
            assert_no_gaps(&sse, 1);
            assert_eq!(sse.len(), messages.len());
            let (messages, trailers) = call(
                "GetRun",
                framed(&v1::GetRunRequest {
                    agent_run_id: "x".to_owned(),
                }),
            )
            .await;
            assert!(messages.is_empty() && trailers.contains("grpc-status:3"), "{trailers}");
        },
    )
    .await;
}

#[tokio::test]
async fn refusals_are_the_same_over_every_protocol() {
    on_every_database(
        |_| Turn::text("ok"),
        async |server| {
            let caller = server.caller("ann");
            let missing = uuid::Uuid::now_v7().to_string();
            let http = caller.get(&format!("/agents/{missing}")).await;
            assert_eq!(http.status, 404);
            let status = caller
                .agents()
                .await
                .get_agent(caller.signed(v1::GetAgentRequest { agent_id: missing }))
                .await
                .unwrap_err();
            assert_eq!(status.code(), tonic::Code::NotFound);
            assert_eq!(http.json()["detail"], status.message());
            let unauthenticated = caller
                .agents()
                .await
                .list_agents(v1::ListAgentsRequest::default())
                .await
                .unwrap_err();
            assert_eq!(
                (unauthenticated.code(), unauthenticated.message()),
                (tonic::Code::Unauthenticated, "Not authenticated")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn h2c_and_http_1_share_a_port_and_both_honour_deadlines() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
            let answer = h2
                .get(server.url("/agents"))
                .bearer_auth(&caller.token)
                .send()
                .await
                .unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.version()),
                (200, reqwest::Version::HTTP_2)
            );
            let late = caller
                .request("GET", "/agents")
                .header("grpc-timeout", "1n")
                .send()
                .await
                .unwrap();
            Answer::of(late).await.refused(504, "DEADLINE_EXCEEDED");
            let garbage = caller
                .request("GET", "/agents")
                .header("grpc-timeout", "soon")
                .send()
                .await
                .unwrap();
            Answer::of(garbage).await.refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

/// Fields of webhooks and deliveries that change while the server retries a delivery.
const ATTEMPTS: [&str; 6] = [
    "consecutive_failures",
    "attempts",
    "attempted_at",
    "next_attempt_at",
    "duration_ms",
    "error",
];

/// Replaces ids, times and secrets, because they differ between accounts. Also replaces [`ATTEMPTS`].
fn plain(value: &mut serde_json::Value) {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            let is_time = text.len() >= 20 && text.ends_with('Z') && text.as_bytes()[10] == b'T';
            let id = text.strip_prefix("/triggers/").unwrap_or(text);
            if uuid::Uuid::parse_str(id).is_ok() || is_time {
                "<varies>".clone_into(text);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        Value::Object(fields) => {
            for (name, value) in fields {
                if ["secret", "token", "prefix", "subject"].contains(&name.as_str())
                    || ATTEMPTS.contains(&name.as_str())
                {
                    *value = "<varies>".into();
                }
                plain(value);
            }
        }
        _ => {}
    }
}

/// Returns all methods. Methods that delete or disable objects come last, so that the other methods can use the objects.
fn in_safe_order() -> Vec<prost_reflect::MethodDescriptor> {
    let mut methods = methods();
    methods.sort_by_key(|method| match method.name() {
        "RevokeApiKey" | "RevokeShare" | "DeleteFile" | "UpdateWebhook" => 1,
        "DeleteAgent" | "DeleteWebhook" | "DeleteSchedule" | "DeleteTrigger" | "DeleteSecret" => 2,
        "DeleteThread" => 3,
        "DeleteProject" => 4,
        _ => 0,
    });
    methods
}

#[tokio::test]
async fn every_method_gives_the_same_answer_over_every_protocol() {
    on_every_database_with(
        |_| looks_up(|_| Turn::text("Yes.")),
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            // Each protocol uses its own account. All accounts make the same requests.
            let ways = [
                ("gRPC", Way::Grpc),
                ("gRPC-Web", Way::GrpcWeb),
                ("HTTP", Way::Http(0)),
                ("Connect with JSON", Way::Connect(Format::Json)),
                ("binary Connect", Way::Connect(Format::Proto)),
            ];
            let callers = ["ann", "bob", "eve", "dan", "fay"].map(|name| server.caller_as(name, Some("super_admin")));
            let mut has = Vec::new();
            for caller in &callers {
                has.push(Belongings::of(caller).await);
            }
            // An administrator cannot suspend their own account.
            let suspended = server.caller("gus").get("/billing/account-state").await.ok()["account_id"].clone();
            for method in in_safe_order() {
                let mut answers = Vec::new();
                for ((caller, has), (_, way)) in callers.iter().zip(&has).zip(ways) {
                    let request = match method.name() {
                        // StartRun has used the prepared upload, so this request contains the archive itself.
                        "CreateSkill" => {
                            json!({"archive": BASE64.encode(archives::skill("second", "A second skill."))})
                        }
                        "SuspendAccount" => json!({"account_id": suspended, "reason": "A reason."}),
                        "ResumeAccount" => json!({"account_id": suspended}),
                        _ => has.request(&method),
                    };
                    let mut answer = call(caller, &method, &request, way).await;
                    if LATER.contains(&method.name()) {
                        assert_eq!(
                            answer.code(),
                            "UNIMPLEMENTED",
                            "{} is served; remove it from LATER",
                            method.name()
                        );
                    } else {
                        assert!(answer.is_good(), "{} over {way:?}: {answer:?}", method.name());
                    }
                    if let Reply::Good(messages) = &mut answer {
                        messages.iter_mut().for_each(plain);
                    }
                    // Some methods start or continue a run, which adds to the answers of later methods.
                    wait_until_idle(caller).await;
                    answers.push(answer);
                }
                for (other, (name, _)) in answers.iter().zip(ways).skip(1) {
                    let what = format!("{}: gRPC and {name}", method.name());
                    assert_same_list(&answers[0].lines(), &other.lines(), &what);
                    assert_eq!(answers[0], *other, "{what}");
                }
            }
        },
    )
    .await;
}

async fn wait_until_idle(caller: &crate::test_server::Caller) {
    let active = caller.get("/agent-runs/active").await.ok();
    for run in active["active_runs"].as_array().unwrap() {
        // The run of the fixtures waits until `AnswerInput` is called.
        if run["status"] != "waiting" {
            caller.ended(run).await;
        }
    }
}

/// Each request contains an invalid id, page token or page size, or a NUL character. Every protocol refuses the
/// request with the same error text.
#[tokio::test]
async fn every_method_refuses_alike_over_every_protocol() {
    on_every_database_with(
        |_| looks_up(|_| Turn::text("Yes.")),
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let has = Belongings::of(&caller).await;
            for method in methods() {
                if LATER.contains(&method.name()) {
                    continue;
                }
                let good = has.request(&method);
                for field in method.input().fields() {
                    let bad = match (field.kind(), field.name()) {
                        _ if field.is_list() || field.is_map() => continue,
                        (prost_reflect::Kind::String, name) if name.ends_with("_id") && name != "request_id" => {
                            vec![json!("none")]
                        }
                        (prost_reflect::Kind::String, "page_token") => vec![json!("none"), json!("AAAA")],
                        (prost_reflect::Kind::String, _) => vec![json!("a\u{0}b")],
                        (prost_reflect::Kind::Int32, "page_size") => vec![json!(-1)],
                        _ => continue,
                    };
                    for bad in bad {
                        let mut request = good.clone();
                        request[field.name()] = bad.clone();
                        let mut answers = Vec::new();
                        for way in ways(&method) {
                            answers.push(call(&caller, &method, &request, way).await);
                        }
                        let what = format!("{} with {}: {bad}", method.name(), field.name());
                        assert!(!answers[0].is_good(), "{what}: {answers:?}");
                        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{what}: {answers:?}");
                    }
                }
            }
        },
    )
    .await;
}
