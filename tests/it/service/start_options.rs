//! Tests of the effect of each parameter of `StartRun`.

use std::time::Duration;

use futures::future::join_all;
use reqwest::multipart::Form;
use runyard::{config::Limits, llm::ReasoningEffort, v1};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};
use uuid::Uuid;

use super::requests::BUILT_IN;
use crate::{
    difference::assert_same_set,
    test_server::{Answer, Caller, TestServer, assert_no_gaps, on_every_database, on_every_database_with},
};

fn echo() -> Script {
    Script::function(|_| Turn::text("Yes."))
}

async fn shown(caller: &Caller, run: &Value) -> Value {
    caller
        .get(&format!("/agent-run/{}", run["agent_run_id"].as_str().unwrap()))
        .await
        .ok()
}

#[tokio::test]
async fn every_parameter_has_its_documented_default() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            // The first form has only the prompt. The second form also has all other parts, but empty, as a browser
            // sends them.
            let mut form = Form::new();
            for part in [
                "thread_id",
                "project_id",
                "agent_id",
                "model_name",
                "optimistic",
                "memory_enabled",
                "mode",
            ] {
                form = form.text(part, "");
            }
            for form in [Form::new(), form] {
                let run = caller.form("/agent/start", form.text("prompt", "hi")).await.ok();
                let run = caller.ended(&run).await;
                assert_eq!(run["mode"], "code");
                assert_eq!(run["memory_enabled"], Value::Null);
                assert_eq!(run["agent_id"], Value::Null);
                assert_eq!(run["model_requested"], Value::Null);
                assert_eq!(run["model_name"], "kortix/minimax");
                assert_eq!(run["status"], "completed");
            }
            for request in server.upstream.requests() {
                assert_same_set(&request.tool_names(), &BUILT_IN, "tools of a run");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_default_agent_is_used_unless_another_is_named() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let agent = async |name: &str, is_default: bool| {
                let body = json!({"name": name, "is_default": is_default, "system_prompt": format!("You are {name}.")});
                caller.post("/agents", body).await.ok()
            };
            let (usual, other) = (agent("the usual", true).await, agent("the other", false).await);
            let run = caller.start("x").await;
            let ended = caller.ended(&run).await;
            assert_eq!(ended["agent_id"], usual["agent_id"]);
            assert_eq!(ended["agent_version_id"], usual["current_version_id"]);
            let body = json!({"prompt": "x", "agent_id": other["agent_id"]});
            let run = caller.post("/agent/start", body).await.ok();
            assert_eq!(caller.ended(&run).await["agent_id"], other["agent_id"]);
            let bodies: Vec<String> = server.upstream.requests().iter().map(|r| r.body.to_string()).collect();
            assert!(bodies[0].contains("You are the usual.") && bodies[1].contains("You are the other."));
        },
    )
    .await;
}

#[tokio::test]
async fn a_requested_model_overrides_the_agents_model() {
    on_every_database_with(
        |_| echo(),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let body = json!({"name": "An agent", "model": "openai/gpt-5-nano"});
            let agent = caller.post("/agents", body).await.ok()["agent_id"].clone();
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "agent_id": agent}))
                .await;
            assert_eq!(caller.ended(&run.ok()).await["model_name"], "openai/gpt-5-nano");
            let request = json!({"prompt": "x", "agent_id": agent, "model_name": "anthropic/claude-3.5-sonnet"});
            let run = caller.post("/agent/start", request).await.ok();
            assert_eq!(caller.ended(&run).await["model_name"], "anthropic/claude-3.5-sonnet");
        },
    )
    .await;
}

#[tokio::test]
async fn memory_enabled_is_stored_with_the_run_and_returned() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            for (given, kept) in [("true", json!(true)), ("false", json!(false))] {
                let form = Form::new().text("prompt", "x").text("memory_enabled", given);
                let run = caller.form("/agent/start", form).await.ok();
                assert_eq!(shown(&caller, &run).await["memory_enabled"], kept);
                caller.ended(&run).await;
            }
            let form = Form::new().text("prompt", "x").text("memory_enabled", "perhaps");
            caller.form("/agent/start", form).await.refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn the_reasoning_effort_is_sent_to_the_model_and_returned() {
    on_every_database_with(
        |_| echo(),
        |config| config.models[0].reasoning_effort = Some(ReasoningEffort::High),
        async |server| {
            let caller = server.caller("ann");
            for (given, sent) in [("low", "low"), ("", "high")] {
                let form = Form::new().text("prompt", "x").text("reasoning_effort", given);
                let run = caller.form("/agent/start", form).await.ok();
                let shown = caller.ended(&run).await;
                let wanted = if given.is_empty() { Value::Null } else { json!(given) };
                assert_eq!(shown["reasoning_effort"], wanted);
                let requests = server.upstream.requests();
                assert_eq!(requests.last().unwrap().body["reasoning_effort"], sent);
            }
            let body = json!({"prompt": "x", "reasoning_effort": "enormous"});
            let refused = caller.post("/agent/start", body).await.refused(400, "INVALID_REQUEST");
            assert!(
                refused.to_string().contains("none, minimal, low, medium, high"),
                "{refused}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn chat_mode_has_no_tools_and_creates_no_sandbox() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "mode": "chat"}))
                .await
                .ok();
            let run = caller.ended(&run).await;
            assert_eq!((&run["mode"], &run["sandbox_id"]), (&json!("chat"), &Value::Null));
            assert!(server.upstream.requests()[0].tool_names().is_empty());
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "mode": "code"}))
                .await
                .ok();
            assert_eq!(caller.ended(&run).await["mode"], "code");
            assert_eq!(server.upstream.requests()[1].tool_names().len(), 8);
        },
    )
    .await;
}

/// Without the super admin role, the header `X-Emit-Timing` has no effect. A super admin gets an error for an invalid
/// value.
#[tokio::test]
async fn i11_the_timing_header_is_ignored_without_the_super_admin_role() {
    on_every_database(
        |_| echo(),
        async |server| {
            let ask = async |role: Option<&str>| {
                let caller = server.caller_as(role.unwrap_or("ann"), role);
                let request = caller.request("POST", "/agent/start").json(&json!({"prompt": "x"}));
                let answer = Answer::of(request.header("X-Emit-Timing", "1 please").send().await.unwrap()).await;
                (caller, answer)
            };
            let (caller, answer) = ask(None).await;
            let run = answer.ok();
            assert_eq!(run.get("timing_breakdown"), None);
            caller.ended(&run).await;
            ask(Some("super_admin")).await.1.refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

/// The test requests timings over HTTP with the header `X-Emit-Timing`, and over gRPC with the field `emit_timing`.
#[tokio::test]
async fn i11_only_a_super_admin_gets_timings() {
    on_every_database(
        |_| echo(),
        async |server| {
            for (role, shows) in [(None, false), (Some("admin"), false), (Some("super_admin"), true)] {
                let caller = server.caller_as(role.unwrap_or("ann"), role);
                for asks in [true, false] {
                    let request = caller.request("POST", "/agent/start").json(&json!({"prompt": "x"}));
                    let request = if asks {
                        request.header("X-Emit-Timing", "true")
                    } else {
                        request
                    };
                    let run = Answer::of(request.send().await.unwrap()).await.ok();
                    caller.ended(&run).await;
                    assert_eq!(run.get("timing_breakdown").is_some(), shows && asks, "{role:?}: {run}");
                    if shows && asks {
                        let timing = run["timing_breakdown"].as_object().unwrap();
                        assert!(timing["total_ms"].as_f64().unwrap() > 0.0);
                        assert!(timing.values().all(|part| part.as_f64().unwrap() >= 0.0));
                    }
                    let request = v1::StartRunRequest {
                        prompt: Some("x".to_owned()),
                        emit_timing: asks,
                        ..Default::default()
                    };
                    let mut grpc = caller.runs().await;
                    let run = grpc.start_run(caller.signed(request)).await.unwrap().into_inner();
                    assert_eq!(run.timing_breakdown.is_some(), shows && asks, "{role:?}");
                    caller.ended(&json!({"agent_run_id": run.agent_run_id})).await;
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_interrupting_start_stops_the_running_run_and_takes_its_slot() {
    on_every_database_with(
        |gate| [Turn::words(10).gate_after(5, gate), Turn::text("Second.")],
        |config| config.tiers[0].concurrent_runs = Some(1),
        async |server| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            server.upstream.wait_for(1).await;
            let body = json!({"prompt": "y", "thread_id": first["thread_id"], "if_busy": "enqueue"});
            caller
                .post("/agent/start", body.clone())
                .await
                .refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
            let mut interrupt = body;
            interrupt["if_busy"] = json!("interrupt");
            let second = caller.post("/agent/start", interrupt).await.ok();
            assert_eq!(shown(&caller, &first).await["status"], "stopped");
            assert_no_gaps(&caller.events(&first, 0).await, 1);
            let active = caller.get("/agent-runs/active").await.ok();
            let active: Vec<_> = active["active_runs"].as_array().unwrap().iter().collect();
            assert!(active.iter().all(|run| run["agent_run_id"] == second["agent_run_id"]));
            server.gate.open();
            assert_eq!(caller.ended(&second).await["status"], "completed");
            assert_eq!(shown(&caller, &first).await["status"], "stopped");
        },
    )
    .await;
}

#[tokio::test]
async fn l10_a_hundred_starts_with_one_key_create_one_run() {
    on_every_database(
        |gate| Turn::text("Once.").held_by(gate),
        async |server| {
            let caller = server.caller("ann");
            let send = async |_| {
                let request = caller.request("POST", "/agent/start").header("Idempotency-Key", "same");
                Answer::of(request.json(&json!({"prompt": "x"})).send().await.unwrap())
                    .await
                    .ok()
            };
            let answers = join_all((0..100).map(send)).await;
            for answer in &answers {
                assert_eq!(*answer, answers[0]);
            }
            let request = v1::StartRunRequest {
                prompt: Some("x".to_owned()),
                request_id: "same".to_owned(),
                ..Default::default()
            };
            let grpc = caller
                .runs()
                .await
                .start_run(caller.signed(request))
                .await
                .unwrap()
                .into_inner();
            assert_eq!(answers[0]["agent_run_id"], grpc.agent_run_id);
            let runs = caller.get("/agent-runs").await.ok();
            assert_eq!(runs["agent_runs"].as_array().unwrap().len(), 1);
            let threads = caller.get("/threads").await.ok();
            assert_eq!(threads["threads"].as_array().unwrap().len(), 1);
            server.gate.open();
            caller.ended(&answers[0]).await;
            assert_eq!(server.upstream.count(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn l10_a_key_has_up_to_255_characters_and_a_refused_start_does_not_use_it() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let start = async |body: Value| caller.post("/agent/start", body).await;
            let key = |length: usize| "\u{e9}".repeat(length);
            start(json!({"prompt": "x", "request_id": key(256)}))
                .await
                .refused(400, "INVALID_REQUEST");
            let body = json!({"prompt": "x", "request_id": key(255)});
            let first = start(body.clone()).await.ok();
            caller.ended(&first).await;
            assert_eq!(start(body).await.ok(), first);
            // A refused request does not use up its idempotency key, so a different request may use the key.
            start(json!({"request_id": "k"})).await.refused(400, "INVALID_REQUEST");
            start(json!({"prompt": "x", "request_id": "k", "thread_id": Uuid::new_v4()}))
                .await
                .refused(404, "THREAD_NOT_FOUND");
            let run = start(json!({"prompt": "x", "request_id": "k"})).await.ok();
            caller.ended(&run).await;
            start(json!({"prompt": "y", "request_id": "k"}))
                .await
                .refused(409, "REQUEST_KEY_REUSED");
        },
    )
    .await;
}

/// Two accounts concurrently send StartRun with the same new id. One account becomes the owner of the id, and the
/// other account learns nothing about the object.
#[tokio::test]
async fn i03_one_of_two_accounts_wins_the_race_for_a_new_id() {
    on_every_database_with(
        |_| echo(),
        |config| config.limits = Limits::Off,
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let mut owned = [0, 0];
            for round in 0..100 {
                let (thread_id, project_id) = (Uuid::new_v4(), Uuid::new_v4());
                // The requests of the two accounts share both ids, only the thread id, or only the project id.
                let (their_thread, their_project) = match round % 3 {
                    0 => (thread_id, project_id),
                    1 => (thread_id, Uuid::new_v4()),
                    _ => (Uuid::new_v4(), project_id),
                };
                let body = |thread: Uuid, project: Uuid| json!({"prompt": "x", "optimistic": true, "thread_id": thread, "project_id": project});
                let (mine, theirs) = (body(thread_id, project_id), body(their_thread, their_project));
                let (one, two) = tokio::join!(
                    ann.post("/agent/start", mine.clone()),
                    bob.post("/agent/start", theirs.clone())
                );
                assert_eq!(u8::from(one.status == 200) + u8::from(two.status == 200), 1, "{one:?} {two:?}");
                let (winner, loser, lost, again) =
                    if one.status == 200 { (&ann, &bob, two, mine) } else { (&bob, &ann, one, theirs) };
                owned[usize::from(winner.token == bob.token)] += 1;
                assert_eq!(lost.refused(404, "THREAD_NOT_FOUND"), json!({"detail": "Thread not found"}));
                // The owner's retry succeeds. The other account cannot read the thread.
                let retried = winner.post("/agent/start", again.clone()).await.ok();
                assert_eq!(retried["thread_id"], again["thread_id"]);
                let path = format!("/threads/{}", again["thread_id"].as_str().unwrap());
                loser.get(&path).await.refused(404, "THREAD_NOT_FOUND");
                loser
                    .get(&format!("/projects/{}", again["project_id"].as_str().unwrap()))
                    .await
                    .refused(404, "PROJECT_NOT_FOUND");
            }
            assert_eq!(owned[0] + owned[1], 100);
            for (caller, owned) in [(&ann, owned[0]), (&bob, owned[1])] {
                let threads = caller.get("/threads?page_size=200").await.ok();
                assert_eq!(threads["threads"].as_array().unwrap().len(), owned);
            }
        },
    )
    .await;
}

/// An id that a client chooses may be any UUID in any notation. The server stores the canonical notation.
#[tokio::test]
async fn i04_client_supplied_ids_are_uuids() {
    on_every_database_with(
        |_| echo(),
        |config| config.limits = Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let start = async |thread: &str, project: &str| {
                let form = Form::new()
                    .text("prompt", "x")
                    .text("optimistic", "true")
                    .text("thread_id", thread.to_owned())
                    .text("project_id", project.to_owned());
                caller.form("/agent/start", form).await
            };
            let id = || Uuid::new_v4().to_string();
            for (thread, project) in [
                (String::new(), id()),
                (id(), String::new()),
                (String::new(), String::new()),
            ] {
                let detail = start(&thread, &project).await.refused(400, "INVALID_REQUEST");
                let expected = json!({"detail": "thread_id and project_id required for optimistic mode"});
                assert_eq!(detail, expected);
            }
            let nil = Uuid::nil().to_string();
            for bad in [
                "770fa622-g4bd-63f6-c938-668877662222",
                "x",
                "../../etc/passwd",
                "' OR 1=1--",
                &nil,
            ] {
                start(bad, &id()).await.refused(400, "INVALID_REQUEST");
                start(&id(), bad).await.refused(400, "INVALID_REQUEST");
            }
            for made in [
                Uuid::now_v7(),
                Uuid::new_v4(),
                "c232ab00-9414-11ec-b3c8-9f6bdeced846".parse().unwrap(),
            ] {
                let upper = made.to_string().to_uppercase();
                let run = start(&upper, &id()).await.ok();
                assert_eq!(run["thread_id"], made.to_string());
                let again = json!({"prompt": "x", "thread_id": format!("{{{made}}}")});
                let again = caller.post("/agent/start", again).await.ok();
                assert_eq!(again["thread_id"], made.to_string());
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_start_does_not_wait_for_the_creation_of_a_sandbox() {
    let hold = |config: &mut runyard::config::Config| {
        // The fake `bwrap` runs with the uid of a project, so it needs a folder that this uid can write to.
        let folder = config.data_dir.parent().unwrap().join("held");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let script = folder.join("bwrap");
        let text = format!(
            "#!/bin/sh\n: > {0}/asked\nwhile [ ! -e {0}/go ]; do sleep 0.02; done\nexec bwrap \"$@\"\n",
            folder.display()
        );
        // Another process creates the script. If this process wrote it, a child process of another test might still
        // have it open for writing, and the service could not execute it.
        let draft = folder.join("draft");
        std::fs::write(&draft, text).unwrap();
        let installed = std::process::Command::new("install")
            .args(["-m", "755"])
            .args([&draft, &script])
            .status();
        assert!(installed.unwrap().success());
        config.sandbox.bwrap = script;
        config.tiers[0].concurrent_runs = Some(2);
    };
    on_every_database_with(
        |_| {
            Script::function(|request| match request.last_text() {
                "x" => Turn::calls([Call::new("bash", &json!({"command": "echo made"}))]),
                _ => Turn::text("Done."),
            })
        },
        hold,
        async |server: &mut TestServer| {
            let caller = server.caller("ann");
            let first = caller.start("x").await;
            let folder = server.data_dir().parent().unwrap().join("held");
            let started = tokio::time::timeout(crate::test_server::TEST_TIMEOUT, async {
                while !folder.join("asked").exists() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            });
            started.await.unwrap();
            // The fake `bwrap` still blocks the creation of the sandbox, but the server answers a second request.
            let second = caller.start("x").await;
            for run in [&first, &second] {
                assert_eq!(run["status"], "running");
                assert_eq!(shown(&caller, run).await["status"], "running");
            }
            std::fs::write(folder.join("go"), "").unwrap();
            for run in [&first, &second] {
                assert_eq!(caller.ended(run).await["status"], "completed");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_idempotency_key_expires_after_a_day() {
    on_every_database(
        |_| echo(),
        async |server| {
            let start = async |caller: Caller| {
                let request = caller
                    .request("POST", "/agent/start")
                    .header("Idempotency-Key", "daily");
                let answer = Answer::of(request.json(&json!({"prompt": "x"})).send().await.unwrap());
                let run = answer.await.ok();
                caller.ended(&run).await;
                run["agent_run_id"].clone()
            };
            let first = start(server.caller("ann")).await;
            server.clock.advance(Duration::from_hours(23));
            assert_eq!(start(server.caller("ann")).await, first);
            server.clock.advance(Duration::from_hours(1) + Duration::from_mins(1));
            let second = start(server.caller("ann")).await;
            assert_ne!(second, first);
            assert_eq!(start(server.caller("ann")).await, second);
        },
    )
    .await;
}
