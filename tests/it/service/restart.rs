//! Tests of SIGTERM and restart with the real program. The program hands over its runs immediately. No event that a
//! client has received is lost.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use futures::{
    StreamExt,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use reqwest::{
    Body, Response,
    multipart::{Form, Part},
};
use runyard_upstream::{Call, Gate, Script, Turn, Upstream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::program::{OPEN, Program};
use crate::{
    difference::assert_same_list,
    test_server::{SseEvent, TEST_TIMEOUT, assert_no_gaps, databases, kinds, parse_sse},
};

/// Deadline for a shutdown. A shutdown takes much less time, but waiting for the runs to end would take much more.
const SOON: Duration = Duration::from_secs(12);

fn config(upstream: &Upstream, database: Option<&str>) -> String {
    let database = database.map_or_else(String::new, |url| format!("database_url = \"{url}\"\n"));
    let provider = format!(
        "[providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"sk-test\"\nmodel = \"scripted\"\n",
        upstream.base_url()
    );
    let tiers = OPEN.replace("runyard/demo", "kortix/minimax");
    format!("{database}{provider}{tiers}")
}

async fn start(program: &Program, prompt: &str) -> Value {
    let request = program.request("POST", "/agent/start").json(&json!({"prompt": prompt}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    answer.json().await.unwrap()
}

async fn stream_of(program: &Program, run: &Value, after: i64) -> Response {
    let path = format!(
        "/agent-run/{}/stream?last_id={after}",
        run["agent_run_id"].as_str().unwrap()
    );
    program.request("GET", &path).send().await.unwrap()
}

/// Returns the events of a stream that the server ended, without the final fault event.
fn cut_off(text: &str) -> Vec<SseEvent> {
    let mut seen = parse_sse(text);
    let last = seen.pop().unwrap();
    assert_eq!(last.event, "fault", "{last:?}");
    assert!(last.data["detail"].as_str().unwrap().contains("cursor"), "{last:?}");
    seen
}

async fn end_in_order(program: &mut Program) {
    let started = Instant::now();
    program.terminate();
    assert_eq!(program.ended().await, Some(0), "{}", program.log());
    assert!(started.elapsed() < SOON, "{:?}: {}", started.elapsed(), program.log());
}

#[tokio::test]
async fn ten_running_runs_resume_after_a_restart() {
    const RUNS: usize = 10;
    for database in databases() {
        let made = database.make().await;
        let gate = Gate::new();
        let held = gate.clone();
        let upstream = Upstream::start(Script::function(move |received| {
            if received.number < RUNS {
                Turn::words(10).gate_after(3, &held)
            } else {
                Turn::text("After all.")
            }
        }))
        .await;
        let folder = tempfile::tempdir().unwrap();
        let config = config(&upstream, made.as_ref().map(|made| made.url.as_str()));
        let mut program = Program::start(folder.path(), &config).await;

        let mut runs = Vec::new();
        for number in 0..RUNS {
            program.token = program.mint(&format!("caller {number}")).await;
            let run = start(&program, "Go.").await;
            let open = stream_of(&program, &run, 0).await;
            runs.push((program.token.clone(), run, open));
        }
        upstream.wait_for(RUNS).await;
        end_in_order(&mut program).await;
        program.start_again().await;

        for (token, run, open) in runs {
            let seen = cut_off(&open.text().await.unwrap());
            program.token = token;
            let cursor = seen.last().unwrap().id.parse().unwrap();
            let rest = stream_of(&program, &run, cursor).await.text().await.unwrap();
            let joined: Vec<_> = seen.into_iter().chain(parse_sse(&rest)).collect();
            assert_no_gaps(&joined, 1);
            assert_eq!(joined.last().unwrap().data["status"]["status"], "completed");
            assert!(
                joined.iter().any(|event| event.data["message"]["text"] == "After all."),
                "{:?}",
                kinds(&joined)
            );
        }
        // The server released each lease, so no run had to wait until its lease expired.
        let handed_over = program
            .lines()
            .iter()
            .filter(|line| says(line, "run handed over"))
            .count();
        assert_eq!(handed_over, RUNS, "{}", program.log());
        gate.open();
        drop(program);
        if let Some(made) = made {
            made.drop().await;
        }
    }
}

fn says(line: &Value, words: &str) -> bool {
    line["message"].as_str().unwrap().starts_with(words)
}

fn is_running(word: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|process| std::fs::read(process.path().join("cmdline")).ok())
        .any(|line| {
            line.split(|byte| *byte == 0)
                .any(|argument| argument == word.as_bytes())
        })
}

#[tokio::test]
async fn a_running_command_is_killed_and_its_outcome_is_reported_as_unknown() {
    for database in databases() {
        let made = database.make().await;
        let seconds = format!("{}.25", std::process::id());
        let command = format!("sleep {seconds}; echo late >late.txt");
        let upstream = Upstream::start(Script::function(move |received| match received.number {
            0 => Turn::calls([Call::new("bash", &json!({"command": command}))]),
            _ => Turn::text("I see."),
        }))
        .await;
        let folder = tempfile::tempdir().unwrap();
        let config = config(&upstream, made.as_ref().map(|made| made.url.as_str()));
        let mut program = Program::start(folder.path(), &config).await;
        let run = start(&program, "Go.").await;
        let open = stream_of(&program, &run, 0).await;
        let begun = async {
            while !is_running(&seconds) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(TEST_TIMEOUT, begun).await.unwrap();
        end_in_order(&mut program).await;
        assert!(!is_running(&seconds), "the command should end with its server");
        let seen = cut_off(&open.text().await.unwrap());

        program.start_again().await;
        let events = parse_sse(&stream_of(&program, &run, 0).await.text().await.unwrap());
        assert_no_gaps(&events, 1);
        assert_same_list(&events[..seen.len()], &seen, "recorded events should not change");
        assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
        let requests = upstream.requests();
        assert_eq!(requests.len(), 2, "the command should not run again");
        assert!(
            requests[1].last_text().contains("unknown"),
            "{}",
            requests[1].last_text()
        );
        drop(program);
        if let Some(made) = made {
            made.drop().await;
        }
    }
}

fn endless_upload(program: &Program) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
    let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"begun"))]);
    let content = Body::wrap_stream(begun.chain(stream::pending()));
    let form = Form::new()
        .text("prompt", "Look.")
        .part("files", Part::stream(content).file_name("big.bin"));
    tokio::spawn(program.request("POST", "/agent/start").multipart(form).send())
}

async fn staged(folder: &Path) {
    let uploads = folder.join("data/uploads");
    let arriving = async {
        while std::fs::read_dir(&uploads).map_or(0, Iterator::count) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, arriving).await.unwrap();
}

#[tokio::test]
async fn an_endless_request_does_not_delay_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), OPEN).await;
    let upload = endless_upload(&program);
    staged(folder.path()).await;
    end_in_order(&mut program).await;
    assert!(upload.await.unwrap().is_err());
    program.start_again().await;
    assert_eq!(start(&program, "Go.").await["status"], "running");
}

#[tokio::test]
async fn a_second_signal_stops_the_program_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!("[http]\nshutdown_grace_seconds = 600\n{OPEN}");
    let mut program = Program::start(folder.path(), &config).await;
    let upload = endless_upload(&program);
    staged(folder.path()).await;
    program.terminate();
    program.line("the first signal", |line| says(line, "stopping")).await;
    program.terminate();
    assert_eq!(program.ended().await, Some(130), "{}", program.log());
    assert!(upload.await.unwrap().is_err());
}

#[tokio::test]
async fn requests_received_before_the_signal_are_answered() {
    const STARTS: usize = 40;
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), OPEN).await;
    // The connections are opened before the signal, because the server closes its listening port after the signal.
    let warm = join_all((0..STARTS).map(|_| program.request("GET", "/healthz").send())).await;
    assert!(warm.into_iter().all(|answer| answer.is_ok()));
    let starts = (0..STARTS).map(|_| {
        let body = json!({"prompt": "hello", "mode": "chat"});
        program.request("POST", "/agent/start").json(&body).send()
    });
    let mut starts: FuturesUnordered<_> = starts.collect();
    let first = starts.next().await.unwrap().unwrap();
    program.terminate();
    let rest = tokio::spawn(starts.collect::<Vec<_>>());
    assert_eq!(program.ended().await, Some(0), "{}", program.log());
    let mut answered = vec![first.json::<Value>().await.unwrap()];
    // The server may refuse a connection that it had not accepted before the signal. It never sends a partial
    // response.
    for answer in rest.await.unwrap().into_iter().flatten() {
        assert_eq!(answer.status(), 200);
        answered.push(answer.json().await.unwrap());
    }
    program.start_again().await;
    for run in answered {
        let events = parse_sse(&stream_of(&program, &run, 0).await.text().await.unwrap());
        assert_no_gaps(&events, 1);
    }
}
