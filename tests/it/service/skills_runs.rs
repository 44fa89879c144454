//! Tests of skills in runs: the list in the prompt, the tool, the sandbox folder, settings, modes, versions and
//! deletion.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};

use super::archives::{self, file, skill_file, zip};
use crate::test_server::{Answer, Caller, SseEvent, on_every_database, on_every_database_with};

async fn upload(caller: &Caller, archive: Vec<u8>) -> Value {
    let body = json!({"archive": BASE64.encode(archive)});
    caller.post("/skills", body).await.ok()
}

fn csv(description: &str) -> Vec<u8> {
    let mut script = file("csv/scripts/run.sh", "echo ran the script\n");
    script.mode = 0o100_755;
    zip(&[
        skill_file("csv", description),
        script,
        file("csv/references/format.md", "Commas."),
        file("csv/raw.bin", vec![0xff, 0xfe]),
    ])
}

/// Creates an agent with skills and starts a run. Returns the events of the run.
async fn run(caller: &Caller, skills: Value, mode: &str) -> Vec<SseEvent> {
    let agent = caller
        .post("/agents", json!({"name": "An agent", "skills": skills}))
        .await
        .ok();
    let body = json!({"prompt": "x", "agent_id": agent["agent_id"], "mode": mode});
    let run = caller.post("/agent/start", body).await.ok();
    caller.events(&run, 0).await
}

fn results(events: &[SseEvent]) -> Vec<&Value> {
    let results = events.iter().filter(|event| event.event == "tool_result");
    results.map(|event| &event.data["tool_result"]).collect()
}

fn text(result: &Value) -> &str {
    result["text"].as_str().unwrap()
}

fn load(name: &str) -> Turn {
    Turn::calls([Call::new("skill", &json!({"name": name}))])
}

#[tokio::test]
async fn a_run_lists_loads_and_mounts_its_skills() {
    let script = |_: &_| {
        let bash = |command: &str| Turn::calls([Call::new("bash", &json!({"command": command}))]);
        let read = |file: &str| Call::new("skill", &json!({"name": "csv", "file": file}));
        Script::turns([
            load("csv"),
            bash("cd /skills/csv && ./scripts/run.sh && cat references/format.md && ls /skills"),
            bash(
                "echo x > /skills/csv/SKILL.md || echo x > /skills/csv/new || rm /skills/csv/SKILL.md || mkdir /skills/y",
            ),
            Turn::calls([
                read("references/format.md"),
                read("/skills/csv/references/format.md"),
                read("../csv/SKILL.md"),
                read("/etc/passwd"),
                read("missing.md"),
                read("raw.bin"),
                Call::new("skill", &json!({"name": "other"})),
            ]),
            Turn::text("Done."),
        ])
    };
    on_every_database(script, async |server| {
        let caller = server.caller("ann");
        upload(&caller, csv("Reads tables.")).await;
        upload(&caller, archives::skill("unused", "Not attached.")).await;
        let events = run(&caller, json!([{"name": "csv"}]), "code").await;
        let results = results(&events);
        let event = events.iter().find(|event| event.event == "tool_call").unwrap();
        assert_eq!(event.data["tool_call"]["arguments"], json!({"name": "csv"}));
        assert_eq!(
            (&results[0]["name"], &results[0]["is_error"]),
            (&json!("skill"), &json!(false))
        );
        let loaded = text(results[0]);
        assert!(loaded.starts_with("# How to use csv"), "{loaded}");
        assert!(
            loaded.contains("Files in /skills/csv:") && loaded.contains("- scripts/run.sh"),
            "{loaded}"
        );
        assert!(
            !loaded.contains("description:") && !loaded.contains("- SKILL.md"),
            "{loaded}"
        );
        assert!(
            text(results[1]).contains("ran the script\nCommas.csv"),
            "{}",
            results[1]
        );
        assert_eq!(results[2]["is_error"], true, "{}", results[2]);
        assert!(text(results[2]).contains("Read-only file system"), "{}", results[2]);
        assert_eq!((text(results[3]), text(results[4])), ("Commas.", "Commas."));
        for (result, what) in [
            (results[5], "not a path in the folder"),
            (results[6], "not a path in the folder"),
            (results[7], "no file missing.md"),
            (results[8], "not a text file"),
            (results[9], "the skills are: csv"),
        ] {
            assert_eq!(result["is_error"], true, "{result}");
            assert!(text(result).contains(what), "{result}");
        }
        let sent = &server.upstream.requests()[0];
        let prompt = sent.messages()[0].to_string();
        assert!(
            prompt.contains("- csv: Reads tables.") && prompt.contains("/skills/NAME"),
            "{prompt}"
        );
        assert!(
            !prompt.contains("unused") && !prompt.contains("How to use csv"),
            "{prompt}"
        );
        assert_eq!(sent.tool_names().len(), 9);
    })
    .await;
}

#[tokio::test]
async fn the_tool_exists_only_if_the_run_has_skills_and_may_use_them() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        |config| {
            config.limits = runyard::config::Limits::Off;
            config.modes = vec![runyard::config::Mode {
                name: "bare".to_owned(),
                description: "Commands only.".to_owned(),
                tools: vec!["bash".to_owned()],
                ..Default::default()
            }];
        },
        async |server| {
            let caller = server.caller("ann");
            upload(&caller, csv("Reads tables.")).await;
            let has = |server: &crate::test_server::TestServer| {
                let sent = server.upstream.requests();
                let last = sent.last().unwrap();
                let listed = last.messages()[0].to_string().contains("- csv: ");
                (listed, last.tool_names().contains(&"skill"))
            };
            for (skills, mode, expected) in [
                (json!([{"name": "csv"}]), "code", true),
                (json!([{"name": "csv"}]), "chat", true),
                (json!([{"name": "csv"}]), "plan", true),
                (json!([{"name": "csv"}]), "bare", false),
                (json!([]), "code", false),
            ] {
                run(&caller, skills.clone(), mode).await;
                assert_eq!(has(server), (expected, expected), "{skills} {mode}");
            }
            // The agent's setting for skills affects both its list of tools and its runs.
            let body = json!({"name": "An agent", "skills": [{"name": "csv"}]});
            let agent = caller.post("/agents", body).await.ok();
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            for enabled in [false, true] {
                let setting = json!({"agentpress_tools": {"skills": {"enabled": enabled}}});
                Answer::of(caller.request("PUT", &path).json(&setting).send().await.unwrap())
                    .await
                    .ok();
                let tools = caller.get(&format!("{path}/tools")).await.ok();
                let tools = tools["tools"].as_array().unwrap();
                let tool = tools.iter().find(|tool| tool["name"] == "skill").unwrap();
                assert_eq!(tool["enabled"], json!(enabled));
                let body = json!({"prompt": "x", "agent_id": agent["agent_id"]});
                caller.ended(&caller.post("/agent/start", body).await.ok()).await;
                assert_eq!(has(server), (enabled, enabled));
            }
        },
    )
    .await;
}

#[tokio::test]
async fn chat_loads_a_skill_without_a_sandbox() {
    on_every_database(
        |_| Script::turns([load("csv"), Turn::text("Done.")]),
        async |server| {
            let caller = server.caller("ann");
            upload(&caller, csv("Reads tables.")).await;
            let events = run(&caller, json!([{"name": "csv"}]), "chat").await;
            let loaded = text(results(&events)[0]).to_owned();
            assert!(
                loaded.contains("# How to use csv") && !loaded.contains("/skills"),
                "{loaded}"
            );
            let sent = server.upstream.requests();
            assert_eq!(sent[0].tool_names(), ["skill"]);
            let prompt = sent[0].messages()[0].to_string();
            assert!(
                prompt.contains("no sandbox") && !prompt.contains("/skills/NAME"),
                "{prompt}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_uses_the_named_version_or_the_current_one() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            let caller = server.caller("ann");
            let skill = upload(&caller, csv("Version one.")).await;
            upload(&caller, csv("Version two.")).await;
            let prompts = async |attached: Value| {
                let events = run(&caller, json!([attached]), "code").await;
                let sent = server.upstream.requests();
                let notices: Vec<String> = events
                    .iter()
                    .filter(|event| event.event == "notice")
                    .map(|event| event.data["notice"]["message"].to_string())
                    .collect();
                (sent.last().unwrap().messages()[0].to_string(), notices)
            };
            let (current, none) = prompts(json!({"name": "csv"})).await;
            assert!(current.contains("- csv: Version two.") && none.is_empty(), "{none:?}");
            assert!(
                prompts(json!({"name": "csv", "version": 1}))
                    .await
                    .0
                    .contains("- csv: Version one.")
            );
            // If the skill version that an agent uses is deleted, runs of the agent continue without the skill.
            let body = json!({"name": "Pinned", "skills": [{"name": "csv", "version": 1}]});
            let pinned = caller.post("/agents", body).await.ok();
            let path = format!("/skills/{}?version=1", skill["skill_id"].as_str().unwrap());
            Answer::of(caller.request("DELETE", &path).send().await.unwrap())
                .await
                .ok();
            let started = json!({"prompt": "x", "agent_id": pinned["agent_id"]});
            let run = caller.post("/agent/start", started).await.ok();
            let events = caller.events(&run, 0).await;
            let notice = events.iter().find(|event| event.event == "notice").unwrap();
            let message = notice.data["notice"]["message"].as_str().unwrap();
            assert!(message.contains("version 1 of the skill csv was deleted"), "{message}");
            assert_eq!(caller.ended(&run).await["status"], "completed");
            let last = server.upstream.requests().pop().unwrap();
            assert!(!last.tool_names().contains(&"skill"));
            let path = format!("/agents/{}", pinned["agent_id"].as_str().unwrap());
            let changed = caller
                .request("PUT", &path)
                .json(&json!({"system_prompt": "New."}))
                .send()
                .await;
            Answer::of(changed.unwrap()).await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn skills_survive_the_loss_of_their_unpacked_files() {
    on_every_database_with(
        |_| {
            let bash = Turn::calls([Call::new(
                "bash",
                &json!({"command": "cat /skills/csv/references/format.md"}),
            )]);
            Script::turns([bash.clone(), Turn::text("Done."), bash, Turn::text("Done.")])
        },
        |config| config.limits = runyard::config::Limits::Off,
        async |server| {
            upload(&server.caller("ann"), csv("Reads tables.")).await;
            for _ in 0..2 {
                let caller = server.caller("ann");
                let events = run(&caller, json!([{"name": "csv"}]), "code").await;
                assert!(text(results(&events)[0]).starts_with("Commas."), "{events:?}");
                server.stop().await;
                let folder = server.data_dir().join("skills");
                assert_eq!(
                    std::fs::read_dir(&folder).unwrap().count(),
                    1,
                    "one unpacked version, no leftovers"
                );
                std::fs::remove_dir_all(&folder).unwrap();
                server.restart().await;
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_skills_of_another_account_are_not_used() {
    on_every_database(
        |_| Script::turns([load("csv"), Turn::text("Done."), load("csv"), Turn::text("Done.")]),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            upload(
                &ann,
                zip(&[file("csv/SKILL.md", "---\nname: csv\ndescription: Ann's.\n---\nANN")]),
            )
            .await;
            upload(
                &bob,
                zip(&[file("csv/SKILL.md", "---\nname: csv\ndescription: Bob's.\n---\nBOB")]),
            )
            .await;
            for (caller, body) in [(&ann, "ANN"), (&bob, "BOB")] {
                let events = run(caller, json!([{"name": "csv"}]), "code").await;
                assert_eq!(text(results(&events)[0]), body);
            }
        },
    )
    .await;
}
