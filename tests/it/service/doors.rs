//! One contract, three doors: gRPC, gRPC-Web and HTTP say the same.

use bytes::{BufMut, BytesMut};
use prost::Message;
use runyard::v1;
use runyard_upstream::{Script, Turn};
use serde_json::json;

use crate::house::{Answer, assert_whole, everywhere};

fn framed(message: &impl Message) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    frame.to_vec()
}

/// The messages and the trailers of a gRPC-Web body.
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
    everywhere(
        |_| Script::function(|_| Turn::words(20)),
        async |house| {
            let caller = house.caller("ann");
            let call = async |method: &str, body: Vec<u8>| {
                let request = caller
                    .request("POST", &format!("/runyard.v1.RunService/{method}"))
                    .header("content-type", "application/grpc-web+proto")
                    .header("x-grpc-web", "1")
                    .body(body);
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200);
                // An answer without a message carries its status in the headers.
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
            };
            let (messages, trailers) = call("StreamRun", framed(&stream)).await;
            assert!(trailers.contains("grpc-status:0"), "{trailers}");
            let sequences: Vec<i64> = messages
                .iter()
                .map(|bytes| v1::RunEvent::decode(bytes.as_slice()).unwrap().sequence)
                .collect();
            assert_eq!(
                sequences,
                (1..=i64::try_from(messages.len()).unwrap()).collect::<Vec<_>>()
            );
            let sse = caller.events(&json!({"agent_run_id": started.agent_run_id}), 0).await;
            assert_whole(&sse, 1);
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
async fn refusals_are_the_same_over_every_door() {
    everywhere(
        |_| Turn::text("ok"),
        async |house| {
            let caller = house.caller("ann");
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
            let nobody = caller
                .agents()
                .await
                .list_agents(v1::ListAgentsRequest::default())
                .await
                .unwrap_err();
            assert_eq!(
                (nobody.code(), nobody.message()),
                (tonic::Code::Unauthenticated, "Not authenticated")
            );
        },
    )
    .await;
}

#[tokio::test]
async fn h2c_and_http_1_on_one_port_and_a_deadline_on_both() {
    everywhere(
        |_| Script::function(|_| Turn::text("ok")),
        async |house| {
            let caller = house.caller("ann");
            let h2 = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
            let answer = h2
                .get(house.url("/agents"))
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
