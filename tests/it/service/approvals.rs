//! Tests of approvals: rules about tool calls, and their answers.

use runyard_upstream::Script;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{
    requests::{each, text},
    waiting::{answer, last_message, obedient, waiting},
};
use crate::test_server::{Caller, kinds, on_every_database};

async fn agent(caller: &Caller, approvals: Value) -> Value {
    let memory = json!({"enabled": true});
    let agent = json!({"name": "Careful", "approvals": approvals, "memory": memory});
    caller.post("/agents", agent).await.ok()
}

fn rules(rules: &[(&str, &str)]) -> Value {
    let rules = rules
        .iter()
        .map(|(tool, decision)| json!({"tool": tool, "decision": decision}));
    json!({"rules": rules.collect::<Vec<_>>()})
}

async fn start(caller: &Caller, agent: &Value, prompt: &str, thread_id: Option<&Value>) -> Value {
    let body = json!({"prompt": prompt, "agent_id": agent["agent_id"], "thread_id": thread_id.unwrap_or(&json!(""))});
    caller.post("/agent/start", body).await.ok()
}

fn decision(input: &Value, decision: &str, more: &Value) -> Value {
    let mut answer = json!({"input_id": input["input_id"], "decision": decision});
    for (field, value) in more.as_object().unwrap() {
        answer[field] = value.clone();
    }
    answer
}

async fn memories(caller: &Caller) -> Vec<String> {
    let listed = caller.get("/memories").await.ok();
    each(&listed, "memories", "text")
        .iter()
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

const REMEMBER: &str = r#"remember {"text": "Ann likes blue."}"#;

fn script() -> Script {
    obedient()
}

#[tokio::test]
async fn an_approved_call_runs_once_and_a_denied_call_does_not() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let agent = agent(&caller, rules(&[("remember", "ask")])).await;
            let run = start(&caller, &agent, REMEMBER, None).await;
            let inputs = waiting(&caller, &run).await;
            assert_eq!(inputs[0]["kind"], "approval");
            assert_eq!(inputs[0]["message"], "The agent wants to call the tool remember.");
            assert_eq!(inputs[0]["arguments"], json!({"text": "Ann likes blue."}));
            assert_eq!(memories(&caller).await, [""; 0]);
            answer(&caller, &run, &[decision(&inputs[0], "approve", &json!({}))]).await;
            let events = caller.events(&run, 0).await;
            assert!(last_message(&events).starts_with("Remembered."), "{events:#?}");
            assert!(!kinds(&events).contains(&"notice"), "{events:#?}");
            assert_eq!(memories(&caller).await, ["Ann likes blue."]);

            let run = start(&caller, &agent, r#"remember {"text": "Ann likes red."}"#, None).await;
            let inputs = waiting(&caller, &run).await;
            let denied = decision(&inputs[0], "deny", &json!({"text": "not true"}));
            answer(&caller, &run, &[denied]).await;
            let events = caller.events(&run, 0).await;
            let told = "The call failed.\nnot run: the user denied this call: not true";
            assert_eq!(last_message(&events), told);
            assert_eq!(memories(&caller).await, ["Ann likes blue."]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_call_runs_with_edited_arguments_that_match_the_schema() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let agent = agent(&caller, rules(&[("*", "ask")])).await;
            let run = start(&caller, &agent, REMEMBER, None).await;
            let inputs = waiting(&caller, &run).await;
            let path = format!("/agent-run/{}/answer", text(&run, "agent_run_id"));
            let wrong = decision(&inputs[0], "approve", &json!({"arguments": {"fact": "x"}}));
            let refused = caller.post(&path, json!({"answers": [wrong]})).await;
            refused.refused(400, "INVALID_REQUEST");
            let edited = decision(
                &inputs[0],
                "approve",
                &json!({"arguments": {"text": "Ann likes green."}}),
            );
            let answered = answer(&caller, &run, &[edited]).await;
            assert_eq!(
                answered["inputs"][0]["edited_arguments"],
                json!({"text": "Ann likes green."})
            );
            let events = caller.events(&run, 0).await;
            let told = "The user changed the arguments of this call to {\"text\":\"Ann likes green.\"}.\n\nRemembered.";
            assert!(last_message(&events).starts_with(told), "{events:#?}");
            assert_eq!(memories(&caller).await, ["Ann likes green."]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_call_that_was_allowed_for_the_thread_no_longer_asks() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let agent = agent(&caller, rules(&[("remember", "ask")])).await;
            let run = start(&caller, &agent, REMEMBER, None).await;
            let inputs = waiting(&caller, &run).await;
            let path = format!("/agent-run/{}/answer", text(&run, "agent_run_id"));
            let wrong = decision(&inputs[0], "deny", &json!({"always": true}));
            let refused = caller.post(&path, json!({"answers": [wrong]})).await;
            refused.refused(400, "INVALID_REQUEST");
            answer(
                &caller,
                &run,
                &[decision(&inputs[0], "approve", &json!({"always": true}))],
            )
            .await;
            caller.ended(&run).await;
            let other = r#"remember {"text": "Ann likes trees."}"#;
            let again = start(&caller, &agent, other, Some(&run["thread_id"])).await;
            let events = caller.events(&again, 0).await;
            assert!(!kinds(&events).contains(&"input_requested"), "{events:#?}");
            assert_eq!(memories(&caller).await.len(), 2);
            // Another thread still asks.
            let elsewhere = start(&caller, &agent, other, None).await;
            assert_eq!(waiting(&caller, &elsewhere).await.len(), 1);
        },
    )
    .await;
}

#[tokio::test]
async fn a_denied_tool_is_not_offered_and_a_denied_command_is_not_run() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let approvals = json!({"rules": [
                {"tool": "remember", "decision": "deny"},
                {"tool": "bash", "decision": "deny", "commands": ["rm *"]},
                {"tool": "bash", "decision": "ask"},
            ]});
            let agent = agent(&caller, approvals).await;
            let run = start(&caller, &agent, REMEMBER, None).await;
            let events = caller.events(&run, 0).await;
            assert!(
                last_message(&events).contains("there is no tool named \"remember\""),
                "{events:#?}"
            );
            let run = start(&caller, &agent, r#"bash {"command": "cd x && rm -r y"}"#, None).await;
            let events = caller.events(&run, 0).await;
            assert!(
                last_message(&events).contains("the settings of this agent deny this call"),
                "{events:#?}"
            );
            let run = start(&caller, &agent, r#"bash {"command": "ls"}"#, None).await;
            let inputs = waiting(&caller, &run).await;
            assert_eq!(inputs[0]["message"], "The agent wants to run: ls");
        },
    )
    .await;
}

#[tokio::test]
async fn a_run_fails_when_its_input_expires_if_the_agent_says_so() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let mut approvals = rules(&[("remember", "ask")]);
            approvals["expires_after_seconds"] = json!(60);
            approvals["fail_on_expiry"] = json!(true);
            let agent = agent(&caller, approvals).await;
            let run = start(&caller, &agent, REMEMBER, None).await;
            waiting(&caller, &run).await;
            let sql = "UPDATE inputs SET expires_at = created_at";
            server.outside().await.execute_unprepared(sql).await.unwrap();
            let events = caller.events(&run, 0).await;
            let last = &events.last().unwrap().data["status"];
            assert_eq!(
                (&last["status"], &last["error_code"]),
                (&json!("failed"), &json!("INPUT_EXPIRED"))
            );
            let ended = caller.ended(&run).await;
            assert_eq!(ended["error"]["error_code"], "INPUT_EXPIRED");
            assert_eq!(memories(&caller).await, [""; 0]);
        },
    )
    .await;
}

#[tokio::test]
async fn approvals_belong_to_a_version_and_are_checked() {
    on_every_database(
        |_| script(),
        async |server| {
            let caller = server.caller("ann");
            let many: Vec<Value> = (0..65).map(|_| json!({"tool": "bash", "decision": "ask"})).collect();
            for wrong in [
                json!({"rules": many}),
                json!({"rules": [{"tool": "", "decision": "ask"}]}),
                json!({"rules": [{"tool": "bash"}]}),
                json!({"rules": [{"tool": "bash", "decision": "ask", "commands": [""]}]}),
                json!({"rules": [{"tool": "write", "decision": "ask", "commands": ["ls"]}]}),
                json!({"expires_after_seconds": 59}),
                json!({"expires_after_seconds": -1}),
                json!({"expires_after_seconds": 2_592_001}),
            ] {
                let refused = caller
                    .post("/agents", json!({"name": "Careful", "approvals": wrong}))
                    .await;
                refused.refused(400, "INVALID_REQUEST");
            }
            let asks = rules(&[("bash", "ask")]);
            let agent = agent(&caller, asks.clone()).await;
            let shown = &agent["current_version"]["approvals"];
            assert_eq!(
                shown["rules"],
                json!([{"tool": "bash", "decision": "ask", "commands": []}])
            );
            let path = format!("/agents/{}", text(&agent, "agent_id"));
            let renamed = caller.request("PATCH", &path).json(&json!({"name": "Renamed"}));
            let renamed: Value = renamed.send().await.unwrap().json().await.unwrap();
            assert_eq!(renamed["version_count"], 1);
            let cleared = caller.request("PATCH", &path).json(&json!({"approvals": null}));
            let cleared: Value = cleared.send().await.unwrap().json().await.unwrap();
            assert_eq!(cleared["version_count"], 2);
            assert_eq!(cleared["current_version"]["approvals"]["rules"], json!([]));
        },
    )
    .await;
}
