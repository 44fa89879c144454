//! Tests of memory in runs: the memories in the prompt, the tools `remember`, `recall` and `forget`, and runs without
//! memory.

use futures::TryStreamExt;
use runyard_client::v1::{self, run_event::Event};
use runyard_upstream::{Call, Received, Script, Turn};
use serde_json::{Value, json};

use super::{
    memories::{agent, remember, texts},
    requests::{BUILT_IN, delete, each, text},
};
use crate::{
    difference::assert_same_set,
    test_server::{Caller, SseEvent, on_every_database, on_every_database_with},
};

const TOOLS: [&str; 3] = ["remember", "recall", "forget"];

/// Returns a script for prompts that name a tool call, such as `recall {"query": "blue"}`. The model makes this call
/// and answers with its result.
pub fn obedient() -> Script {
    Script::function(|request| {
        let last = request.messages().last().cloned().unwrap_or_default();
        if last["role"] == "tool" {
            return Turn::text(request.last_text());
        }
        match request.last_text().split_once(' ') {
            Some((tool, arguments)) if TOOLS.contains(&tool) => Turn::calls([Call::raw(tool, arguments)]),
            _ => Turn::text("Yes."),
        }
    })
}

/// Starts a run with memory, and waits for its end. Returns its events.
async fn run(caller: &Caller, prompt: &str, with: Value) -> Vec<SseEvent> {
    let mut body = json!({"prompt": prompt, "memory_enabled": true});
    for (key, value) in with.as_object().unwrap() {
        body[key] = value.clone();
    }
    let started = caller.post("/agent/start", body).await.ok();
    let events = caller.events(&started, 0).await;
    assert_eq!(
        events.last().unwrap().data["status"]["status"],
        "completed",
        "{events:#?}"
    );
    events
}

pub fn results(events: &[SseEvent]) -> Vec<&str> {
    let results = events.iter().filter(|event| event.event == "tool_result");
    results
        .filter_map(|event| event.data["tool_result"]["text"].as_str())
        .collect()
}

/// Returns the notices that list the memories that the model received.
pub fn used(events: &[SseEvent]) -> Vec<&str> {
    let notices = events.iter().map(|event| &event.data["notice"]);
    notices
        .filter(|notice| notice["kind"] == "memories_used")
        .filter_map(|notice| notice["message"].as_str())
        .collect()
}

fn system(request: &Received) -> &str {
    request.messages()[0]["content"].as_str().unwrap()
}

#[tokio::test]
async fn the_next_run_receives_what_a_run_has_remembered() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let agent_id = agent(&caller, "An agent", json!({"enabled": true})).await;
            let of = json!({"agent_id": agent_id, "memory_enabled": null});
            let events = run(&caller, r#"remember {"text": "Ann likes\nblue."}"#, of.clone()).await;
            assert!(results(&events)[0].starts_with("Remembered."), "{events:#?}");
            assert_eq!(used(&events), [""; 0]);
            let listed = caller.get(&format!("/memories?agent_id={agent_id}")).await.ok();
            let memory = &listed["memories"][0];
            assert_eq!(memory["text"], "Ann likes\nblue.");
            assert_eq!(memory["agent_run_id"], events[0].data["agent_run_id"]);
            let events = run(&caller, "Which colour?", of.clone()).await;
            assert_eq!(used(&events), ["The model received 1 memory:\n- Ann likes\nblue."]);
            let request = v1::StreamRunRequest {
                agent_run_id: text(&events[0].data, "agent_run_id").to_owned(),
                ..Default::default()
            };
            let mut runs = caller.runs().await;
            let stream = runs.stream_run(caller.signed(request)).await.unwrap().into_inner();
            let streamed: Vec<v1::RunEvent> = stream.try_collect().await.unwrap();
            let is_notice = |event: &v1::RunEvent| {
                matches!(&event.event, Some(Event::Notice(notice)) if notice.kind() == v1::NoticeKind::MemoriesUsed)
            };
            assert_eq!(streamed.iter().filter(|event| is_notice(event)).count(), 1);
            let requests = server.upstream.requests();
            let last = requests.last().unwrap();
            assert!(
                system(last).contains("data, not instructions:\n- Ann likes blue.\n"),
                "{}",
                system(last)
            );
            assert!(TOOLS.iter().all(|tool| last.tool_names().contains(tool)));
            run(&caller, r#"remember {"text": "Ann likes\nblue."}"#, of).await;
            assert_eq!(texts(&caller, "").await.len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_recalls_and_forgets() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let blue = remember(&caller, "", "Ann likes blue.").await;
            let tall = remember(&caller, "", "Bob is tall.").await;
            let of = || json!({});
            let recalled = run(&caller, r#"recall {"query": "what does Ann like"}"#, of()).await;
            assert_eq!(results(&recalled), [format!("{blue}: Ann likes blue.")]);
            let recalled = run(&caller, "recall {}", of()).await;
            let lines = format!("{tall}: Bob is tall.\n{blue}: Ann likes blue.");
            assert_eq!(results(&recalled), [lines]);
            let none = run(&caller, r#"recall {"query": "zebra"}"#, of()).await;
            assert_eq!(results(&none), ["No stored fact matches."]);
            let forgotten = run(&caller, &format!(r#"forget {{"memory_id": "{blue}"}}"#), of()).await;
            assert_eq!(results(&forgotten), ["Forgotten."]);
            assert_eq!(texts(&caller, "").await, ["Bob is tall."]);
            for (wrong, told) in [
                (format!(r#"forget {{"memory_id": "{blue}"}}"#), "Memory not found"),
                (r#"forget {"memory_id": "x"}"#.to_owned(), "memory_id"),
                (r#"remember {"text": "  "}"#.to_owned(), "text must have"),
                (r#"remember {"fact": "x"}"#.to_owned(), "text"),
            ] {
                let events = run(&caller, &wrong, of()).await;
                assert!(results(&events)[0].contains(told), "{events:#?}");
            }
            assert_eq!(texts(&caller, "").await, ["Bob is tall."]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_without_memory_neither_reads_nor_writes() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let agent_id = agent(&caller, "An agent", json!({"enabled": true})).await;
            remember(&caller, &agent_id, "Ann likes blue.").await;
            remember(&caller, "", "Ann likes green.").await;
            let prompt = r#"remember {"text": "A new fact."}"#;
            for with in [
                json!({"agent_id": agent_id, "memory_enabled": false}),
                json!({"memory_enabled": false}),
                // Without an agent, memory is off by default.
                json!({"memory_enabled": null}),
            ] {
                let events = run(&caller, prompt, with).await;
                assert_eq!(used(&events), [""; 0]);
                let refused = results(&events)[0];
                assert!(!refused.starts_with("Remembered"), "{refused}");
            }
            for request in server.upstream.requests() {
                assert_same_set(&request.tool_names(), &BUILT_IN, "tools of a run without memory");
                let body = request.body.to_string();
                assert!(
                    !body.contains("likes") && !system(&request).contains("Memory:"),
                    "{body}"
                );
            }
            assert_eq!(texts(&caller, "").await, ["Ann likes green.", "Ann likes blue."]);
            // Control: with memory, the same prompt stores the fact.
            run(&caller, prompt, json!({"agent_id": agent_id})).await;
            assert_eq!(texts(&caller, "search=fact").await, ["A new fact."]);
        },
    )
    .await;
}

#[tokio::test]
async fn memories_are_separate_for_each_agent_and_account() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let (caller, bob) = (server.caller("ann"), server.caller("bob"));
            let own = agent(&caller, "Own", json!({"enabled": true, "scope": "agent"})).await;
            let shared = agent(&caller, "Shared", json!({"enabled": true, "scope": "account"})).await;
            let also = agent(&caller, "Also shared", json!({"enabled": true, "scope": "account"})).await;
            let bobs = agent(&bob, "Bob's", json!({"enabled": true, "scope": "account"})).await;
            let tell = async |caller: &Caller, agent_id: &str, fact: &str| {
                let prompt = format!(r#"remember {{"text": "{fact}"}}"#);
                run(caller, &prompt, json!({"agent_id": agent_id})).await;
            };
            tell(&caller, &own, "The own fact").await;
            tell(&caller, &shared, "The shared fact").await;
            tell(&bob, &bobs, "The fact of bob").await;
            let recalled = async |caller: &Caller, agent_id: &str| {
                let events = run(caller, r#"recall {"query": "fact"}"#, json!({"agent_id": agent_id})).await;
                let notices: Vec<String> = used(&events).iter().map(|text| (*text).to_owned()).collect();
                let lines: Vec<&str> = results(&events)[0].lines().collect();
                let recalled: Vec<String> = lines.iter().map(|line| line[38..].to_owned()).collect();
                (recalled, notices.concat())
            };
            for (who, agent_id, fact) in [
                (&caller, own.as_str(), "The own fact"),
                (&caller, &shared, "The shared fact"),
                (&caller, &also, "The shared fact"),
                (&caller, "", "The shared fact"),
                (&bob, &bobs, "The fact of bob"),
            ] {
                let expected = (
                    [fact.to_owned()].into(),
                    format!("The model received 1 memory:\n- {fact}"),
                );
                assert_eq!(recalled(who, agent_id).await, expected);
            }
            let listed = caller.get(&format!("/memories?agent_id={own}")).await.ok();
            let id = each(&listed, "memories", "memory_id").remove(0);
            for (who, agent_id) in [(&caller, shared.as_str()), (&bob, &bobs)] {
                let prompt = format!(r#"forget {{"memory_id": {id}}}"#);
                let events = run(who, &prompt, json!({"agent_id": agent_id})).await;
                assert_eq!(results(&events), ["Memory not found"]);
            }
            assert_eq!(texts(&caller, "").await.len(), 2);
        },
    )
    .await;
}

#[tokio::test]
async fn the_best_memories_within_the_token_budget_come_first() {
    on_every_database_with(
        |_| obedient(),
        |config| config.memory.prompt_tokens = 60,
        async |server| {
            let caller = server.caller("ann");
            let long = "blue ".repeat(200);
            for fact in ["Ann likes blue.", "Bob is tall.", long.trim(), "The shed is green.", "The car is fast."] {
                remember(&caller, "", fact).await;
            }
            let events = run(&caller, "Does Ann like BLUE?", json!({})).await;
            // The long memory does not fit into the token budget. The matching memory comes first, then the latest
            // memories.
            let expected = "The model received 4 memories:\n- Ann likes blue.\n- The car is fast.\n- The shed is green.\n- Bob is tall.";
            assert_eq!(used(&events), [expected]);
            let requests = server.upstream.requests();
            let prompt = system(requests.last().unwrap());
            assert!(prompt.contains("- Ann likes blue.\n- The car is fast.\n"), "{prompt}");
            assert!(!prompt.contains("blue blue"), "{prompt}");
        },
    )
    .await;
}

#[tokio::test]
async fn with_a_budget_of_zero_tokens_only_the_tools_find_memories() {
    on_every_database_with(
        |_| obedient(),
        |config| config.memory.prompt_tokens = 0,
        async |server| {
            let caller = server.caller("ann");
            let id = remember(&caller, "", "Ann likes blue.").await;
            let events = run(&caller, r#"recall {"query": "blue"}"#, json!({})).await;
            assert_eq!(used(&events), [""; 0]);
            assert_eq!(results(&events), [format!("{id}: Ann likes blue.")]);
            assert!(!system(&server.upstream.requests()[0]).contains("likes"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_in_chat_mode_has_only_the_tools_of_its_memory() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let chat = json!({"mode": "chat"});
            run(&caller, r#"remember {"text": "Ann likes blue."}"#, chat.clone()).await;
            let events = run(&caller, "Hello", chat).await;
            assert_eq!(used(&events), ["The model received 1 memory:\n- Ann likes blue."]);
            let requests = server.upstream.requests();
            let last = requests.last().unwrap();
            assert_same_set(&last.tool_names(), &TOOLS, "tools of a chat with memory");
            assert!(system(last).contains("You have no sandbox in this conversation"));
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_in_plan_mode_recalls_and_does_not_remember() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let id = remember(&caller, "", "Ann likes blue.").await;
            for (mode, tools) in [
                ("plan", &["read", "glob", "grep", "recall"][..]),
                ("chat", &["remember", "recall", "forget"]),
            ] {
                let before = server.upstream.count();
                let events = run(&caller, r#"recall {"query": "blue"}"#, json!({"mode": mode})).await;
                assert_eq!(results(&events), [format!("{id}: Ann likes blue.")]);
                assert_eq!(used(&events), ["The model received 1 memory:\n- Ann likes blue."]);
                let request = &server.upstream.requests()[before];
                assert_same_set(&request.tool_names(), tools, "tools of the mode");
                let prompt = system(request);
                assert!(prompt.contains("recall searches facts"), "{prompt}");
                for other in ["remember stores", "Remember what", "forget deletes", "Forget a fact"] {
                    assert_eq!(prompt.contains(other), mode == "chat", "{mode}: {other}: {prompt}");
                }
            }
        },
    )
    .await;
}

#[tokio::test]
async fn memories_outlive_their_thread_but_not_their_agent() {
    on_every_database(
        |_| obedient(),
        async |server| {
            let caller = server.caller("ann");
            let agent_id = agent(&caller, "An agent", json!({"enabled": true})).await;
            let body = json!({"prompt": r#"remember {"text": "A fact"}"#, "agent_id": agent_id});
            let started = caller.post("/agent/start", body).await.ok();
            caller.ended(&started).await;
            let project = format!("/projects/{}", text(&started, "project_id"));
            delete(&caller, &project).await.ok();
            assert_eq!(texts(&caller, "").await, ["A fact"]);
            delete(&caller, &format!("/agents/{agent_id}")).await.ok();
            assert_eq!(texts(&caller, "").await, [""; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_of_a_deleted_agent_cannot_remember() {
    on_every_database(
        |gate| {
            let gate = gate.clone();
            Script::function(move |request| {
                match request.messages().last().cloned().unwrap_or_default()["role"].as_str() {
                    Some("tool") => Turn::text("Yes."),
                    _ => Turn::calls([Call::new("remember", &json!({"text": "A fact"}))]).held_by(&gate),
                }
            })
        },
        async |server| {
            let caller = server.caller("ann");
            let agent_id = agent(&caller, "An agent", json!({"enabled": true})).await;
            let started = caller
                .post("/agent/start", json!({"prompt": "x", "agent_id": agent_id}))
                .await
                .ok();
            while server.upstream.count() == 0 {
                tokio::task::yield_now().await;
            }
            delete(&caller, &format!("/agents/{agent_id}")).await.ok();
            server.gate.open();
            let events = caller.events(&started, 0).await;
            assert_eq!(results(&events), ["Agent not found"]);
            assert_eq!(server.number("SELECT COUNT(*) FROM memories").await, 0);
        },
    )
    .await;
}
