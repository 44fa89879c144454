//! Tests of the Rust client and of `runyard run` against a real server, over connections that break.

mod commands;
mod example;
mod golden;
mod line;
mod model;
pub mod tls;

use std::{process::Stdio, time::Duration};

use runyard::{
    error::Code,
    v1::{RunStatus, StartRunRequest, run_event::Event},
};
use runyard_client::Client;
use runyard_upstream::{Script, Turn};
use secrecy::SecretString;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, sleep_until, timeout},
};

use crate::{
    difference::assert_same_list,
    test_server::{TEST_TIMEOUT, TestServer, on_every_database, on_every_database_with},
};
use line::Line;

fn prompt(text: &str) -> StartRunRequest {
    StartRunRequest {
        prompt: Some(text.to_owned()),
        mode: "chat".to_owned(),
        ..StartRunRequest::default()
    }
}

#[tokio::test]
async fn a_watch_survives_broken_connections() {
    on_every_database(
        |_| Turn::words(400).delay(Duration::from_millis(2)),
        async |server| {
            let line = Line::to(server.address).await;
            let token = SecretString::from(server.caller("ann").token);
            let client = Client::connect(&line.url(), token.clone()).await.unwrap();
            let run = client.start_run(prompt("count")).await.unwrap();
            let mut watch = client.watch_run(&run.agent_run_id, 0);
            let mut events = Vec::new();
            // Three of four cuts interrupt a client that connects, waits or reads. Every fourth cut waits for more
            // events, so that the run makes progress even on a slow machine.
            let pauses = [5, 20, 70].map(Duration::from_millis);
            let mut cuts = 0;
            let mut seen_at_cut = 0;
            let mut cut_at = Instant::now() + pauses[0];
            loop {
                let has_come_far = cuts % 4 < 3 || events.len() >= seen_at_cut + 5;
                tokio::select! {
                    () = sleep_until(cut_at), if has_come_far => {
                        line.cut();
                        cuts += 1;
                        seen_at_cut = events.len();
                        cut_at = Instant::now() + pauses[cuts % pauses.len()];
                    }
                    event = timeout(TEST_TIMEOUT, watch.next()) => match event.expect("the next event").unwrap() {
                        Some(event) => events.push(event),
                        None => break,
                    },
                }
            }
            assert!(line.cuts() >= 3, "the connection was cut while in use: {}", line.cuts());
            let expected: Vec<i64> = (1..).take(events.len()).collect();
            let sequences: Vec<_> = events.iter().map(|event| event.sequence).collect();
            assert_same_list(&sequences, &expected, "sequences of a watched run");
            let direct = Client::connect(&server.url(""), token.clone()).await.unwrap();
            let mut again = direct.watch_run(&run.agent_run_id, 0);
            for event in events {
                assert_eq!(again.next().await.unwrap(), Some(event));
            }
            assert_eq!(again.next().await.unwrap(), None);
            assert_eq!(watch.next().await.unwrap(), None, "a finished watch stays finished");
        },
    )
    .await;
}

#[tokio::test]
async fn a_watch_ends_with_the_final_status_or_the_server_error() {
    on_every_database(
        |_| Turn::words(3),
        async |server| {
            let token = SecretString::from(server.caller("ann").token);
            let client = Client::connect(&server.url(""), token.clone()).await.unwrap();
            let unknown = client
                .watch_run("0196f7a2-0000-7000-8000-000000000001", 0)
                .next()
                .await
                .unwrap_err();
            assert_eq!(unknown.code().as_str(), "RUN_NOT_FOUND");
            let run = client.start_run(prompt("count")).await.unwrap();
            let mut watch = client.watch_run(&run.agent_run_id, 0);
            let mut last = None;
            while let Some(event) = watch.next().await.unwrap() {
                last = event.event;
            }
            let Some(Event::Status(status)) = last else {
                panic!("the last event is {last:?}")
            };
            assert_eq!(status.status(), RunStatus::Completed);
        },
    )
    .await;
}

#[tokio::test]
async fn the_example_of_the_documentation_works() {
    on_every_database_with(
        |_| Script::function(|_| Turn::status(500)),
        |config| config.providers.clear(),
        async |server| {
            // No provider is configured, so the built-in model answers. Its tools write real files.
            let made = tempfile::tempdir().unwrap();
            let token = server.caller("ann").token;
            let answer = example::analyze(&server.url("/"), &token, made.path()).await.unwrap();
            assert!(answer.contains("[bash]"), "{answer}");
            let charts = std::fs::read_dir(made.path()).unwrap().count();
            assert!(charts > 0, "{answer}");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_can_be_retrieved_stopped_and_awaited() {
    on_every_database(
        |gate| Turn::words(20).gate_after(5, gate),
        async |server| {
            let client = Client::connect(&server.url(""), server.caller("ann").token)
                .await
                .unwrap();
            let mut run = client.task("count").chat().start().await.unwrap();
            timeout(TEST_TIMEOUT, server.upstream.wait_for(1))
                .await
                .expect("the model is called");
            run.next().await.unwrap().expect("an event");
            let mut again = client.attach(run.agent_run_id(), run.cursor()).await.unwrap();
            assert_eq!(
                (again.agent_run_id(), again.thread_id(), again.project_id()),
                (run.agent_run_id(), run.thread_id(), run.project_id())
            );
            assert_eq!(again.cursor(), 1);
            run.stop().await.unwrap();
            assert_eq!(again.wait().await.unwrap().status(), RunStatus::Stopped);
            assert_eq!(run.wait().await.unwrap().status(), RunStatus::Stopped);
            assert!(run.cursor() > 1 && run.cursor() == again.cursor());
            assert!(run.files("output").await.unwrap().is_empty());
            let unknown = client.attach("0196f7a2-0000-7000-8000-000000000001", 0).await;
            assert_eq!(unknown.unwrap_err().code(), Code::RunNotFound);
        },
    )
    .await;
}

#[tokio::test]
async fn an_error_carries_the_server_error() {
    on_every_database(
        |gate| Turn::words(20).gate_after(5, gate),
        async |server| {
            let client = Client::connect(&server.url(""), server.caller("ann").token)
                .await
                .unwrap();
            let run = client.task("count").chat().start().await.unwrap();
            let refused = client.task("count").chat().start().await.unwrap_err();
            assert_eq!(refused.code(), Code::AgentRunLimitExceeded);
            let facts = refused.details().unwrap();
            assert_eq!((facts.running_count, facts.limit), (Some(1), Some(1)));
            assert_eq!(facts.running_thread_ids, [run.thread_id()]);
            let wrong = client.task("count").thread("x").start().await.unwrap_err();
            assert_eq!((wrong.code(), wrong.field()), (Code::InvalidRequest, Some("thread_id")));
            let nobody = Client::connect(&server.url(""), "").await.unwrap();
            let nobody = nobody.list_agents().await.unwrap_err();
            assert_eq!(nobody.code(), Code::NotAuthenticated);
            server.gate.open();
        },
    )
    .await;
}

fn run(server: &TestServer, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_runyard"))
        .arg("run")
        .args(arguments)
        .env_clear()
        .env("RUNYARD_SERVER", server.url(""))
        .env("RUNYARD_TOKEN", server.caller("ann").token)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn ending(mut child: Child) -> (Option<i32>, String, String) {
    let (mut out, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).await.unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    let status = timeout(TEST_TIMEOUT, child.wait())
        .await
        .expect("the command ends")
        .unwrap();
    (status.code(), out, errors)
}

#[tokio::test]
async fn ctrl_c_stops_the_run() {
    on_every_database(
        |gate| Turn::words(20).gate_after(5, gate),
        async |server| {
            let mut child = run(server, &["count", "--mode", "chat"]);
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let first = timeout(TEST_TIMEOUT, lines.next_line())
                .await
                .expect("a first line")
                .unwrap()
                .unwrap();
            assert!(first.starts_with("run "), "{first}");
            timeout(TEST_TIMEOUT, server.upstream.wait_for(1))
                .await
                .expect("the model is called");
            let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
            let status = timeout(TEST_TIMEOUT, child.wait())
                .await
                .expect("the command ends")
                .unwrap();
            assert_eq!(status.code(), Some(130));
            let mut rest = Vec::new();
            while let Some(line) = lines.next_line().await.unwrap() {
                rest.push(line);
            }
            assert!(rest.iter().any(|line| line.starts_with("stopping the run")), "{rest:?}");
            assert!(rest.iter().any(|line| line.starts_with("stopped")), "{rest:?}");
            let runs = server.caller("ann").get("/agent-runs").await.ok();
            assert_eq!(runs["agent_runs"][0]["status"], "stopped");
        },
    )
    .await;
}

#[tokio::test]
async fn the_command_fails_when_its_run_fails() {
    on_every_database(
        |_| Turn::status(401),
        async |server| {
            let (code, out, errors) = ending(run(server, &["count", "--mode", "chat"])).await;
            assert_eq!(code, Some(1), "{out}{errors}");
            assert!(out.contains("\nfailed (MODEL_CREDENTIALS_REFUSED)"), "{out}");
        },
    )
    .await;
}

#[tokio::test]
async fn control_characters_from_a_model_do_not_reach_the_terminal() {
    on_every_database(
        |_| Turn::text("a\u{1b}]0;title\u{7}b\u{1b}[2Jc\rd\u{202e}e\u{9b}31mf"),
        async |server| {
            let (code, out, errors) = ending(run(server, &["x", "--mode", "chat"])).await;
            assert_eq!(code, Some(0), "{out}{errors}");
            let hostile = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
            assert!(!out.contains(hostile) && !out.contains('\u{202e}'), "{out:?}");
            assert!(
                out.lines().any(|line| line.starts_with('a') && line.ends_with('f')),
                "{out:?}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_refusal_is_one_line_on_standard_error() {
    on_every_database(
        |_| Turn::words(1),
        async |server| {
            let (code, out, errors) =
                ending(run(server, &["x", "--thread", "0196f7a2-0000-7000-8000-000000000001"])).await;
            assert_eq!(
                (code, out.as_str(), errors.as_str()),
                (Some(1), "", "runyard: Thread not found\n")
            );
        },
    )
    .await;
}
