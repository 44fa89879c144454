//! Tests that event streams contain every event from any cursor to the end of the run.

use std::time::Duration;

use futures::StreamExt;
use runyard::v1;
use runyard_upstream::{Gate, Turn};
use serde_json::json;

use crate::{
    difference::assert_same_list,
    test_server::{Answer, SseEvent, TEST_TIMEOUT, assert_no_gaps, on_every_database, parse_sse},
};

fn words(_: &Gate) -> Turn {
    Turn::words(50)
}

#[tokio::test]
async fn a_stream_from_any_cursor_returns_exactly_the_later_events() {
    on_every_database(words, async |server| {
        let caller = server.caller("ann");
        let run = caller.start("x").await;
        let all = caller.events(&run, 0).await;
        assert_no_gaps(&all, 1);
        let last = i64::try_from(all.len()).unwrap();
        for after in 1..last {
            let rest = caller.events(&run, after).await;
            assert_same_list(
                &rest,
                &all[usize::try_from(after).unwrap()..],
                &format!("after {after}"),
            );
        }
        let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
        let at_end = caller
            .request("GET", &path)
            .header("Last-Event-ID", last)
            .send()
            .await
            .unwrap();
        assert_eq!(at_end.status(), 204);
        let beyond = caller
            .request("GET", &path)
            .header("Last-Event-ID", last + 1)
            .send()
            .await
            .unwrap();
        Answer::of(beyond).await.refused(400, "CURSOR_BEYOND_END");
        let text: String = all
            .iter()
            .filter_map(|event| event.data["message_delta"]["text"].as_str())
            .collect();
        let message = all.iter().find(|event| event.event == "message").unwrap();
        assert_eq!(message.data["message"]["text"], text);
    })
    .await;
}

#[tokio::test]
async fn a_stream_killed_in_the_middle_resumes_without_gap_or_repeat() {
    on_every_database(
        |gate| Turn::words(40).gate_after(20, gate),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
            let response = caller.request("GET", &path).send().await.unwrap();
            assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
            let mut body = response.bytes_stream();
            let mut seen = String::new();
            // The stream is live: the client receives text while the gate blocks the rest of the model's answer.
            while !seen.contains("event: message_delta") {
                let piece = tokio::time::timeout(TEST_TIMEOUT, body.next())
                    .await
                    .unwrap()
                    .unwrap()
                    .unwrap();
                seen.push_str(std::str::from_utf8(&piece).unwrap());
            }
            drop(body);
            let whole = &seen[..seen.rfind("\n\n").unwrap() + 2];
            let before = parse_sse(whole);
            let cursor = before.last().unwrap().id.clone();
            server.gate.open();
            let request = caller.request("GET", &path).header("Last-Event-ID", &cursor);
            let rest = parse_sse(&request.send().await.unwrap().text().await.unwrap());
            let joined: Vec<SseEvent> = before.into_iter().chain(rest).collect();
            assert_no_gaps(&joined, 1);
        },
    )
    .await;
}

#[tokio::test]
async fn newline_json_and_grpc_stream_the_same_events() {
    on_every_database(words, async |server| {
        let caller = server.caller("ann");
        let run = caller.start("x").await;
        let sse = caller.events(&run, 0).await;
        let run_id = run["agent_run_id"].as_str().unwrap();
        let path = format!("/agent-run/{run_id}/stream");
        let lines = caller
            .request("GET", &path)
            .header("accept", "application/x-ndjson")
            .send()
            .await
            .unwrap();
        let lines = lines.text().await.unwrap();
        let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let data: Vec<_> = sse.iter().map(|event| event.data.clone()).collect();
        assert_same_list(&lines, &data, "newline JSON and server-sent events");

        let request = v1::StreamRunRequest {
            agent_run_id: run_id.to_owned(),
            after_sequence: 0,
            ..Default::default()
        };
        let stream = caller
            .runs()
            .await
            .stream_run(caller.signed(request))
            .await
            .unwrap()
            .into_inner();
        let events: Vec<v1::RunEvent> = stream.map(Result::unwrap).collect().await;
        let sequences: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        let expected: Vec<_> = (1..=i64::try_from(sse.len()).unwrap()).collect();
        assert_same_list(&sequences, &expected, "sequences over gRPC");
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_loses_nothing_and_delays_no_other_reader() {
    on_every_database(
        |_| Turn::words(5000),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let path = format!("/agent-run/{}/stream", run["agent_run_id"].as_str().unwrap());
            // This stream is opened but not read yet. Meanwhile, another reader receives the whole run.
            let slow = caller.request("GET", &path).send().await.unwrap();
            assert_no_gaps(&caller.events(&run, 0).await, 1);
            assert_no_gaps(&parse_sse(&slow.text().await.unwrap()), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn tokens_that_follow_each_other_quickly_share_events() {
    on_every_database(
        |_| Turn::words(300).delay(Duration::from_millis(1)),
        async |server| {
            let caller = server.caller("ann");
            let run = caller.start("x").await;
            let events = caller.events(&run, 0).await;
            assert_no_gaps(&events, 1);
            let chunks: Vec<&str> = events
                .iter()
                .filter_map(|event| event.data["message_delta"]["text"].as_str())
                .collect();
            assert!(
                (2..200).contains(&chunks.len()),
                "{} events for 300 tokens",
                chunks.len()
            );
            let message = events.iter().find(|event| event.event == "message").unwrap();
            assert_eq!(message.data["message"]["text"], chunks.concat());
        },
    )
    .await;
}

#[tokio::test]
async fn one_stream_carries_the_events_of_many_runs() {
    on_every_database(
        |_| [Turn::words(5), Turn::words(5)],
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            caller.ended(&first).await;
            let second = caller.start("y").await;
            let runs = json!({"runs": [
                {"agent_run_id": first["agent_run_id"], "after_sequence": 2},
                {"agent_run_id": second["agent_run_id"]},
            ]});
            let events = parse_sse(&caller.post("/agent-runs/stream", runs).await.text);
            for (run, after) in [(&first, 2), (&second, 0)] {
                let expected: Vec<_> = caller
                    .events(run, after)
                    .await
                    .into_iter()
                    .map(|event| event.data)
                    .collect();
                let got: Vec<_> = events
                    .iter()
                    .filter(|event| event.data["agent_run_id"] == run["agent_run_id"])
                    .map(|event| event.data.clone())
                    .collect();
                assert_same_list(&got, &expected, "events of one run");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_stream_from_the_end_of_a_finished_run_ends_at_once() {
    on_every_database(words, async |server| {
        let caller = server.caller("ann");
        let mut cursors = Vec::new();
        for _ in 0..2 {
            let run = caller.start("x").await;
            let last = caller.events(&run, 0).await.len();
            cursors.push(v1::RunCursor {
                agent_run_id: run["agent_run_id"].as_str().unwrap().to_owned(),
                after_sequence: i64::try_from(last).unwrap(),
            });
        }
        let mut grpc = caller.runs().await;
        let one = caller.signed(v1::StreamRunRequest {
            agent_run_id: cursors[0].agent_run_id.clone(),
            after_sequence: cursors[0].after_sequence,
            ..Default::default()
        });
        let rest = grpc.stream_run(one).await.unwrap().into_inner().collect::<Vec<_>>();
        assert!(tokio::time::timeout(TEST_TIMEOUT, rest).await.unwrap().is_empty());
        // Both runs have ended. The stream sends the one event after the second cursor, and then ends.
        cursors[1].after_sequence -= 1;
        let many = caller.signed(v1::StreamRunsRequest { runs: cursors });
        let rest = grpc.stream_runs(many).await.unwrap().into_inner().collect::<Vec<_>>();
        assert_eq!(tokio::time::timeout(TEST_TIMEOUT, rest).await.unwrap().len(), 1);
    })
    .await;
}
