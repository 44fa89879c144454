//! Tests of built-in modes, of configured modes, and of their effects on a run.

use runyard::{
    config::{Config, Mode},
    v1,
};
use runyard_upstream::{Call, Script, Turn};
use serde_json::{Value, json};

use crate::{
    difference::assert_same_set,
    test_server::{on_every_database, on_every_database_with},
};

fn review() -> Mode {
    Mode {
        name: "review".to_owned(),
        description: "Reads and comments.".to_owned(),
        tools: vec!["re*".to_owned(), "g*".to_owned()],
        prompt: "You are in review mode. CANARY-REVIEW.".to_owned(),
        max_steps: Some(1),
        ..Mode::default()
    }
}

#[tokio::test]
async fn the_modes_are_listed_over_grpc_and_json() {
    on_every_database_with(
        |_| Turn::text("Yes."),
        |config| config.modes = vec![review()],
        async |server| {
            let caller = server.caller("ann");
            let listed = caller.get("/modes").await.ok();
            let names: Vec<&str> = listed["modes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|mode| mode["name"].as_str().unwrap())
                .collect();
            assert_eq!(names, ["code", "chat", "plan", "review"]);
            assert_eq!(listed["modes"][0]["is_default"], true);
            assert_eq!(listed["modes"][1]["is_default"], false);
            assert_eq!(listed["modes"][3]["max_steps"], 1);
            assert_eq!(listed["modes"][3]["tools"], json!(["re*", "g*"]));
            let request = caller.signed(v1::ListModesRequest {});
            let modes = caller
                .runs()
                .await
                .list_modes(request)
                .await
                .unwrap()
                .into_inner()
                .modes;
            assert_eq!(modes.len(), 4);
            assert_eq!((modes[3].name.as_str(), modes[3].max_tokens), ("review", None));
            assert!(modes[3].prompt.contains("CANARY-REVIEW"));
        },
    )
    .await;
}

#[tokio::test]
async fn an_unknown_mode_is_refused_with_the_list() {
    on_every_database(
        |_| Turn::text("Yes."),
        async |server| {
            let caller = server.caller("ann");
            let body = json!({"prompt": "x", "mode": "Code"});
            let refused = caller.post("/agent/start", body).await.refused(400, "INVALID_REQUEST");
            assert!(refused.to_string().contains("code, chat, plan"), "{refused}");
            let request = v1::StartRunRequest {
                prompt: Some("x".to_owned()),
                mode: "none".to_owned(),
                ..Default::default()
            };
            let refused = caller.runs().await.start_run(caller.signed(request)).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
            assert!(refused.message().contains("code, chat, plan"), "{refused}");
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "mode": "plan"}))
                .await
                .ok();
            assert_eq!(caller.ended(&run).await["mode"], "plan");
        },
    )
    .await;
}

#[tokio::test]
async fn plan_mode_reads_and_changes_nothing() {
    let script = |_: &_| {
        Script::turns([
            Turn::calls([
                Call::new("write", &json!({"path": "a.txt", "content": "changed"})),
                Call::new("bash", &json!({"command": "echo changed > b.txt"})),
                Call::new("glob", &json!({"pattern": "**/*"})),
            ]),
            Turn::text("1. Do it."),
        ])
    };
    on_every_database(script, async |server| {
        let caller = server.caller("ann");
        let run = caller
            .post("/agent/start", json!({"prompt": "x", "mode": "plan"}))
            .await
            .ok();
        let events = caller.events(&run, 0).await;
        let results: Vec<&Value> = events
            .iter()
            .filter(|event| event.event == "tool_result")
            .map(|event| &event.data["tool_result"])
            .collect();
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(result["is_error"], result["name"] != "glob", "{result}");
        }
        let run = caller.ended(&run).await;
        let path = format!(
            "/sandboxes/{}/files?recursive=true",
            run["sandbox_id"].as_str().unwrap()
        );
        let files = caller.get(&path).await.text;
        assert!(!files.contains("a.txt") && !files.contains("b.txt"), "{files}");
        let sent = &server.upstream.requests()[0];
        assert_same_set(&sent.tool_names(), &["read", "glob", "grep"], "tools of a plan");
        assert!(sent.messages()[0].to_string().contains("End with a plan"));
    })
    .await;
}

#[tokio::test]
async fn a_configured_mode_sets_tools_prompt_and_budget() {
    let script = |_: &_| {
        Script::function(|request| match request.tool_names().len() {
            0 => Turn::text("Out of steps."),
            _ => Turn::calls([Call::new("glob", &json!({"pattern": "*"}))]),
        })
    };
    on_every_database_with(
        script,
        |config| config.modes = vec![review()],
        async |server| {
            let caller = server.caller("ann");
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "mode": "review"}))
                .await
                .ok();
            let events = caller.events(&run, 0).await;
            let notice = events.iter().find(|event| event.event == "notice").unwrap();
            assert_eq!(notice.data["notice"]["kind"], "budget_exhausted");
            let sent = server.upstream.requests();
            assert_eq!(sent.len(), 2, "one step with tools, and the summary");
            assert_same_set(&sent[0].tool_names(), &["read", "grep", "glob"], "tools of the mode");
            assert!(sent[0].messages()[0].to_string().contains("CANARY-REVIEW"));
        },
    )
    .await;
}

#[tokio::test]
async fn the_tools_for_background_processes_follow_bash() {
    let shell = Mode {
        name: "shell".to_owned(),
        tools: vec!["bash".to_owned()],
        ..review()
    };
    let others = Mode {
        name: "others".to_owned(),
        tools: vec!["read".to_owned(), "bash_*".to_owned()],
        ..review()
    };
    on_every_database_with(
        |_| Turn::text("Yes."),
        |config| config.modes = vec![shell.clone(), others.clone()],
        async |server| {
            let caller = server.caller("ann");
            for mode in ["shell", "others"] {
                let body = json!({"prompt": "x", "mode": mode});
                caller.ended(&caller.post("/agent/start", body).await.ok()).await;
            }
            let sent = server.upstream.requests();
            assert_same_set(
                &sent[0].tool_names(),
                &["bash", "bash_output", "bash_kill"],
                "tools with bash",
            );
            assert_same_set(&sent[1].tool_names(), &["read"], "tools without bash");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_whose_mode_was_removed_fails_and_gets_no_tools() {
    on_every_database_with(
        |gate| Script::turns([Turn::text("Held.").held_by(gate)]),
        |config| config.modes = vec![review()],
        async |server| {
            let caller = server.caller("ann");
            let run = caller
                .post("/agent/start", json!({"prompt": "x", "mode": "review"}))
                .await
                .ok();
            while server.upstream.count() == 0 {
                tokio::task::yield_now().await;
            }
            server.stop().await;
            server.config.modes.clear();
            server.restart().await;
            let caller = server.caller("ann");
            let run = caller.ended(&run).await;
            assert_eq!((&run["status"], &run["mode"]), (&json!("failed"), &json!("review")));
            assert_eq!(run["error"]["error_code"], "INVALID_REQUEST");
            assert!(
                run["error"]["message"].as_str().unwrap().contains("code, chat, plan"),
                "{run}"
            );
            assert_eq!(server.upstream.count(), 1, "the model is not called again");
            let listed = caller.get("/modes").await.ok();
            assert_eq!(listed["modes"].as_array().unwrap().len(), 3);
            server.gate.open();
        },
    )
    .await;
}

#[tokio::test]
async fn only_a_tool_that_uses_the_sandbox_creates_it() {
    let script = |_: &_| {
        Script::function(|request| match request.messages().last() {
            Some(last) if last["role"] == "tool" => Turn::text("Done."),
            _ if request.tool_names().contains(&"bash") => {
                Turn::calls([Call::new("bash", &json!({"command": "true"}))])
            }
            _ => Turn::calls([Call::new("remember", &json!({"text": "Ann likes blue."}))]),
        })
    };
    on_every_database(script, async |server| {
        let caller = server.caller("ann");
        for (mode, has_sandbox) in [("chat", false), ("code", true)] {
            let body = json!({"prompt": "x", "mode": mode, "memory_enabled": true});
            let run = caller.post("/agent/start", body).await.ok();
            let events = caller.events(&run, 0).await;
            let result = events.iter().find(|event| event.event == "tool_result").unwrap();
            assert_eq!(result.data["tool_result"]["is_error"], false, "{result:?}");
            let project_id = run["project_id"].as_str().unwrap();
            let folder = server.data_dir().join("workspaces").join(project_id);
            assert_eq!(folder.exists(), has_sandbox, "{mode}");
            let rows = server.number("SELECT COUNT(*) FROM sandboxes").await;
            assert_eq!(rows, i64::from(has_sandbox), "{mode}");
        }
    })
    .await;
}

#[test]
fn a_configured_mode_replaces_the_built_in_mode_and_mistakes_name_their_line() {
    let parse = |text: &str| Config::parse("runyard.toml", text);
    let config = parse("[[modes]]\nname = \"code\"\ndescription = \"Reads.\"\ntools = [\"read\"]\n").unwrap();
    let modes = config.mode_table();
    let code = modes.load("").unwrap();
    assert!(code.allows("read") && !code.allows("bash"));
    assert!(modes.load("plan").unwrap().allows("grep"));
    for (text, what) in [
        ("name = \"a b\"\ndescription = \"x\"\ntools = []", "letters, digits"),
        (
            "name = \"a\"\ndescription = \"x\"\ntools = [\"a b\"]",
            "not a valid tool name",
        ),
        (
            "name = \"a\"\ndescription = \"x\"\ntools = []\nmax_steps = 0",
            "1 or more",
        ),
        (
            "name = \"a\"\ndescription = \"x\"\ntools = []\nmax_stepz = 1",
            "max_stepz",
        ),
        ("name = \"a\"\ntools = []", "description"),
    ] {
        let refused = parse(&format!("[[modes]]\n{text}\n")).unwrap_err();
        assert!(
            refused.message().contains(what) && refused.message().contains("line "),
            "{refused}"
        );
    }
    let twice = "[[modes]]\nname = \"a\"\ndescription = \"x\"\ntools = []\n".repeat(2);
    assert!(parse(&twice).unwrap_err().message().contains("twice"));
}
