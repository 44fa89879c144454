//! Tests of errors: a `runyard::Error` becomes a gRPC status and then an HTTP answer, byte for byte as documented.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::HeaderMap;
use runyard::{
    Error,
    error::{Code, ErrorDetails, Kind},
    wire::status,
};
use serde_json::{Value, json};
use tonic::Status;
use tonic_types::StatusExt;

use super::service::{Told, TranscoderServer};

async fn told(error: impl Fn() -> Error + Send + Sync + 'static) -> Told {
    let server = TranscoderServer::failing(move || error().into()).await;
    server.get("/by-id/b1").await
}

/// The error bodies of the API documentation.
const SEEDS: &[(Code, &str)] = &[
    (
        Code::InsufficientCredits,
        r#"{
  "detail": {
    "message": "Billing check failed: Insufficient credits",
    "error_code": "INSUFFICIENT_CREDITS"
  }
}"#,
    ),
    (
        Code::ModelAccessDenied,
        r#"{
  "detail": {
    "message": "Your current subscription plan does not include access to openai/gpt-5-nano-2025-08-07. Please upgrade your subscription.",
    "tier_name": "free",
    "error_code": "MODEL_ACCESS_DENIED"
  }
}"#,
    ),
    (
        Code::AgentRunLimitExceeded,
        r#"{
  "detail": {
    "message": "Maximum of 1 concurrent runs. You have 1 running.",
    "running_thread_ids": ["770fa622-g4bd-63f6-c938-668877662222"],
    "running_count": 1,
    "limit": 1,
    "error_code": "AGENT_RUN_LIMIT_EXCEEDED"
  }
}"#,
    ),
    (
        Code::ThreadLimitExceeded,
        r#"{
  "detail": {
    "message": "Maximum of 10 threads allowed.",
    "current_count": 10,
    "limit": 10,
    "error_code": "THREAD_LIMIT_EXCEEDED"
  }
}"#,
    ),
    (
        Code::AgentLimitExceeded,
        r#"{
  "detail": {
    "message": "Maximum of 3 agents allowed for your current plan. You have 3 agents.",
    "current_count": 3,
    "limit": 3,
    "tier_name": "free",
    "error_code": "AGENT_LIMIT_EXCEEDED"
  }
}"#,
    ),
];

fn compact(json: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for char in json.chars() {
        inside ^= char == '"';
        if inside || !char.is_whitespace() {
            out.push(char);
        }
    }
    serde_json::from_str::<Value>(&out).unwrap();
    out
}

#[tokio::test]
async fn plan_refusals_match_the_seed_documents() {
    for &(code, seed) in SEEDS {
        let seed = compact(seed);
        let read: Value = serde_json::from_str(&seed).unwrap();
        let detail = &read["detail"];
        let number = |key: &str| detail[key].as_i64().map(|number| i32::try_from(number).unwrap());
        let threads = detail["running_thread_ids"].as_array().cloned().unwrap_or_default();
        let facts = ErrorDetails {
            running_thread_ids: threads.iter().map(|id| id.as_str().unwrap().to_owned()).collect(),
            running_count: number("running_count"),
            current_count: number("current_count"),
            limit: number("limit"),
            // The server always knows the tier, but some bodies in the API documentation omit the tier.
            tier_name: Some("free".to_owned()),
        };
        let sentence = detail["message"].as_str().unwrap().to_owned();
        let told = told(move || Error::new(code, sentence.clone()).with_details(facts.clone())).await;
        assert_eq!(told.refusal(), (402, code.as_str(), seed.as_str()));
        assert_eq!(told.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn every_code_has_its_http_status_and_a_message() {
    let server =
        TranscoderServer::failing_with(|number| Error::new(Code::ALL[number], "a sentence, \"quoted\" – ü").into())
            .await;
    for (number, &code) in Code::ALL.iter().enumerate() {
        let told = server.get(&format!("/by-id/{number}")).await;
        let status = match code.kind() {
            Kind::Invalid => 400,
            Kind::Unauthenticated => 401,
            Kind::OverPlan | Kind::NotInPlan => 402,
            Kind::Forbidden => 403,
            Kind::Missing => 404,
            Kind::Existing | Kind::Conflicting | Kind::Contended => 409,
            Kind::TooLarge => 413,
            Kind::Throttled => 429,
            Kind::Cancelled => 499,
            Kind::Internal => 500,
            Kind::Unimplemented => 501,
            Kind::Unavailable => 503,
            Kind::Expired => 504,
        };
        assert_eq!((told.status, told.header("x-error-code")), (status, code.as_str()));
        let body: Value = serde_json::from_str(&told.body).unwrap();
        let detail = match code.kind() {
            Kind::Unauthenticated => json!("Not authenticated"),
            Kind::OverPlan | Kind::NotInPlan => body["detail"].clone(),
            _ => json!("a sentence, \"quoted\" – ü"),
        };
        assert_eq!(body, json!({"detail": detail}), "{code:?}");
    }
}

#[tokio::test]
async fn errors_set_the_authenticate_and_retry_headers() {
    let refused = told(|| Error::new(Code::NotAuthenticated, "the signature is wrong")).await;
    assert_eq!(
        refused.refusal(),
        (401, "NOT_AUTHENTICATED", r#"{"detail":"Not authenticated"}"#)
    );
    assert_eq!(refused.header("www-authenticate"), "Bearer");
    for (wait, header) in [
        (Duration::from_millis(1500), "2"),
        (Duration::ZERO, "1"),
        (Duration::from_mins(1), "60"),
    ] {
        let refused = told(move || Error::new(Code::Throttled, "slowly").retry_after(wait)).await;
        assert_eq!(
            (refused.status, refused.header("retry-after")),
            (429, header),
            "{wait:?}"
        );
    }
    assert_eq!(
        told(|| Error::new(Code::Throttled, "slowly"))
            .await
            .header("retry-after"),
        "1"
    );
    assert_eq!(
        told(|| Error::new(Code::Unavailable, "away"))
            .await
            .header("retry-after"),
        ""
    );
}

#[tokio::test]
async fn the_cause_of_an_internal_error_is_never_sent() {
    let refused = told(|| {
        Error::internal("the database is unavailable", std::io::Error::other("SECRET")).doing("Failed to start agent")
    })
    .await;
    let body = r#"{"detail":"Failed to start agent: the database is unavailable"}"#;
    assert_eq!(refused.refusal(), (500, "INTERNAL", body));
    let status = Status::from(Error::internal("x", std::io::Error::other("SECRET")));
    assert!(!format!("{status:?}").contains("SECRET"));
    assert!(!String::from_utf8_lossy(status.details()).contains("SECRET"));
}

#[test]
fn the_cause_of_an_internal_error_is_logged_once() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let _ = Status::from(Error::internal(
            "the database is unavailable",
            std::io::Error::other("disk full"),
        ));
        let _ = Status::from(Error::invalid("the caller's own fault"));
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text.matches("disk full").count(), 1, "{text}");
    assert!(text.contains("ERROR") && text.contains("INTERNAL"), "{text}");
    assert!(!text.contains("own fault"), "{text}");
}

#[test]
fn grpc_clients_receive_google_rpc_error_details() {
    let status = Status::from(Error::invalid_field("name", "Agent name is required"));
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::InvalidArgument, "Agent name is required")
    );
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("INVALID_REQUEST", "runyard")
    );
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!(
        (violation.field.as_str(), violation.description.as_str()),
        ("name", "Agent name is required")
    );
    assert!(details.retry_info().is_none() && details.quota_failure().is_none());

    let wait = Duration::from_millis(2500);
    let status = Status::from(Error::new(Code::Throttled, "slowly").retry_after(wait));
    assert_eq!(status.get_error_details().retry_info().unwrap().retry_delay, Some(wait));

    let facts = ErrorDetails {
        current_count: Some(3),
        limit: Some(3),
        tier_name: Some("free".to_owned()),
        ..ErrorDetails::default()
    };
    let status = Status::from(Error::new(Code::AgentLimitExceeded, "Maximum of 3 agents").with_details(facts));
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    let details = status.get_error_details();
    assert_eq!(
        details.quota_failure().unwrap().violations[0].description,
        "Maximum of 3 agents"
    );
    assert_eq!(details.error_info().unwrap().metadata["limit"], "3");
    let refusal = status::read(&status).refusal.unwrap();
    assert_eq!(
        (refusal.current_count, refusal.limit, refusal.running_count),
        (Some(3), Some(3), None)
    );
    assert_eq!(refusal.error_code, "AGENT_LIMIT_EXCEEDED");
}

#[test]
fn every_error_round_trips_through_a_status() {
    for &code in Code::ALL {
        let status = Status::from(Error::new(code, "sentence"));
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let fault = status::read(&Status::from_header_map(&headers).unwrap());
        assert_eq!(
            (fault.kind, &*fault.reason, &*fault.message),
            (code.kind(), code.as_str(), "sentence")
        );
        assert_eq!(status.code(), status::grpc_code(code.kind()));
    }
}

#[tokio::test]
async fn errors_made_by_tonic_are_classified() {
    type Case = (fn() -> Status, u16, &'static str);
    const CASES: &[Case] = &[
        (
            || Status::internal("failed to decode Protobuf message: invalid varint"),
            400,
            "INVALID_REQUEST",
        ),
        (|| Status::internal("Missing request message."), 400, "INVALID_REQUEST"),
        (
            || Status::out_of_range("Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes"),
            413,
            "TOO_LARGE",
        ),
        (
            || {
                Status::resource_exhausted(
                    "Error decompressing: size limit, of 4 bytes, exceeded while decompressing message",
                )
            },
            413,
            "TOO_LARGE",
        ),
        (|| Status::unimplemented(""), 501, "UNIMPLEMENTED"),
        (|| Status::unauthenticated("who"), 401, "NOT_AUTHENTICATED"),
        (|| Status::not_found("x"), 404, "NOT_FOUND"),
        (|| Status::deadline_exceeded("x"), 504, "DEADLINE_EXCEEDED"),
        (|| Status::cancelled("x"), 499, "CANCELLED"),
        (|| Status::resource_exhausted("x"), 429, "THROTTLED"),
        (|| Status::unknown("x"), 500, "INTERNAL"),
        (|| Status::internal("x"), 500, "INTERNAL"),
    ];
    let server = TranscoderServer::failing_with(|number| CASES[number].0()).await;
    for (number, (status, http, code)) in CASES.iter().enumerate() {
        let told = server.get(&format!("/by-id/{number}")).await;
        assert_eq!(
            (told.status, told.header("x-error-code")),
            (*http, *code),
            "{:?}",
            status()
        );
        assert!(serde_json::from_str::<Value>(&told.body).unwrap()["detail"].is_string());
    }
}

#[test]
fn a_tonic_status_is_completed_with_details_over_grpc() {
    let mut headers = HeaderMap::new();
    Status::internal("failed to decode Protobuf message: invalid varint")
        .add_header(&mut headers)
        .unwrap();
    status::complete(&mut headers);
    let completed = Status::from_header_map(&headers).unwrap();
    assert_eq!(completed.code(), tonic::Code::InvalidArgument);
    assert_eq!(
        completed.get_error_details().error_info().unwrap().reason,
        "INVALID_REQUEST"
    );

    // A status that already has details stays unchanged, and so does a successful status.
    for status in [Status::from(Error::new(Code::AgentNotFound, "x")), Status::ok("")] {
        let mut headers = HeaderMap::new();
        status.add_header(&mut headers).unwrap();
        let before = headers.clone();
        status::complete(&mut headers);
        assert_eq!(headers, before);
    }
}
