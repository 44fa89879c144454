//! Tests that `grpc-timeout` bounds streams and unary calls. Each protocol reports an expired deadline in its own
//! form.

use std::time::Duration;

use bytes::Buf;
use futures::StreamExt;
use prost::Message;
use runyard::{error::Kind, v1, wire::status};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::{
    call::framed,
    requests::{text, until_first_delta},
};
use crate::test_server::{Caller, TEST_TIMEOUT, assert_no_gaps, on_every_database, parse_sse};

const WHY: &str = "the deadline of the call has passed";

/// Returns a script that sends a few words and then waits until the gate opens.
fn held() -> impl Fn(&runyard_upstream::Gate) -> Script {
    |gate| {
        let gate = gate.clone();
        Script::function(move |_| Turn::words(10).gate_after(3, &gate))
    }
}

async fn stream_text(caller: &Caller, run: &Value, accept: &str, timeout: &str) -> String {
    let path = format!("/agent-run/{}/stream", text(run, "agent_run_id"));
    let request = caller.request("GET", &path).header("accept", accept);
    let stream = request.header("grpc-timeout", timeout).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let whole = tokio::time::timeout(TEST_TIMEOUT, stream.text()).await;
    whole.expect("the stream should end at its deadline").unwrap()
}

async fn over_grpc(caller: &Caller, run: &Value, timeout: &str) -> Vec<Result<v1::RunEvent, tonic::Status>> {
    let mut request = caller.signed(v1::StreamRunRequest {
        agent_run_id: text(run, "agent_run_id").to_owned(),
        after_sequence: 0,
        ..Default::default()
    });
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    let stream = caller.runs().await.stream_run(request).await.unwrap().into_inner();
    let whole = tokio::time::timeout(TEST_TIMEOUT, stream.collect()).await;
    whole.expect("the stream should end at its deadline")
}

/// Streams a run over gRPC-Web. Returns the number of messages, and the trailers.
async fn over_grpc_web(caller: &Caller, run: &Value, timeout: &str) -> (usize, String) {
    let request = v1::StreamRunRequest {
        agent_run_id: text(run, "agent_run_id").to_owned(),
        after_sequence: 0,
        ..Default::default()
    };
    let request = caller
        .request("POST", "/runyard.v1.RunService/StreamRun")
        .header("content-type", "application/grpc-web+proto")
        .header("grpc-timeout", timeout)
        .body(framed(&request.encode_to_vec()));
    let answer = tokio::time::timeout(TEST_TIMEOUT, async {
        request.send().await.unwrap().bytes().await.unwrap()
    });
    let mut body = answer.await.expect("the stream should end at its deadline");
    let mut messages = 0;
    while body.len() >= 5 {
        let (flag, length) = (body.get_u8(), body.get_u32() as usize);
        let payload = body.split_to(length);
        if flag & 0x80 != 0 {
            return (messages, String::from_utf8_lossy(&payload).into_owned());
        }
        messages += 1;
    }
    panic!("the stream ended without trailers");
}

#[tokio::test]
async fn a_stream_ends_at_its_deadline_over_every_protocol() {
    on_every_database(held(), async |server| {
        let caller = server.caller("ann");
        let run = caller.start("x").await;
        until_first_delta(&caller, &run).await;
        let (sse, lines, grpc, web) = tokio::join!(
            stream_text(&caller, &run, "text/event-stream", "3S"),
            stream_text(&caller, &run, "application/x-ndjson", "3000m"),
            over_grpc(&caller, &run, "3S"),
            over_grpc_web(&caller, &run, "3000000u"),
        );

        let events = parse_sse(&sse);
        let (fault, before) = events.split_last().unwrap();
        assert_eq!((fault.event.as_str(), &fault.data["detail"]), ("fault", &json!(WHY)));
        assert!(before.iter().any(|event| event.event == "message_delta"), "{before:?}");
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last, json!({"fault": {"detail": WHY}}));
        let (status, before) = grpc.split_last().unwrap();
        let status = status.as_ref().unwrap_err();
        assert_eq!((status.code(), status.message()), (tonic::Code::DeadlineExceeded, WHY));
        let fault = status::read(status);
        assert_eq!((fault.kind, &*fault.reason), (Kind::Expired, "DEADLINE_EXCEEDED"));
        assert!(before.len() > 1 && before.iter().all(Result::is_ok));
        assert!(web.0 > 1 && web.1.contains("grpc-status:4"), "{web:?}");

        // A distant deadline has no effect. The expired deadlines above did not stop the run.
        let open = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.gate.open();
        };
        let (sse, grpc, web, ()) = tokio::join!(
            stream_text(&caller, &run, "text/event-stream", "1H"),
            over_grpc(&caller, &run, "1H"),
            over_grpc_web(&caller, &run, "99999999H"),
            open,
        );
        let events = parse_sse(&sse);
        assert_no_gaps(&events, 1);
        assert!(grpc.len() == events.len() && grpc.iter().all(Result::is_ok));
        assert!(web.0 == events.len() && web.1.contains("grpc-status:0"), "{web:?}");
    })
    .await;
}
