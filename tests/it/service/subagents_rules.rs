//! Tests of subagents with the limits of plans, with approvals, and with stops.

use serde_json::json;

use super::{
    requests::{each, text},
    subagents::{agent, agent_with, children, obedient, start, task, until_started},
    waiting::{answer, last_message, waiting},
};
use crate::test_server::{assert_no_gaps, on_every_database, on_every_database_with};

#[tokio::test]
async fn the_threads_of_subagents_do_not_count_towards_the_limit_of_threads() {
    on_every_database_with(
        obedient,
        |config| config.tiers[0].threads = Some(2),
        async |server| {
            let caller = server.caller("ann");
            let lead = agent(&caller, "Lead").await;
            caller.ended(&start(&caller, &lead, "First.", json!({})).await).await;
            // The thread of this run is the last one that the plan allows.
            let prompt = format!("{}\n{}", task("Lead", "Second."), task("Lead", &task("Lead", "Third.")));
            let run = start(&caller, &lead, &prompt, json!({})).await;
            let events = caller.events(&run, 0).await;
            assert_eq!(last_message(&events), "Done: Second. | Done: Third.");
            let count = async || caller.get("/billing/account-state").await.ok()["threads"].clone();
            assert_eq!(count().await, json!({"used": 2, "limit": 2}));
            let refused = caller.post("/agent/start", json!({"prompt": "x"})).await;
            let detail = refused.refused(402, "THREAD_LIMIT_EXCEEDED")["detail"].clone();
            assert_eq!(detail["current_count"], 2);
            // Nor do they count when they are deleted.
            let children = children(&caller, &run).await;
            for (deleted, left) in [(&children[0], 2), (&run, 1)] {
                let path = format!("/threads/{}", text(deleted, "thread_id"));
                let answer = caller.request("DELETE", &path).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{path}");
                assert_eq!(count().await["used"], left);
            }
            caller.ended(&caller.start("x").await).await;
        },
    )
    .await;
}

#[tokio::test]
async fn a_subagent_starts_after_the_approval_that_its_rule_asks_for() {
    on_every_database(obedient, async |server| {
        let caller = server.caller("ann");
        let lead = agent_with(&caller, "Lead", &[json!({"tool": "task", "decision": "ask"})]).await;
        agent(&caller, "Helper").await;
        let calls = [
            task("Helper", "First."),
            task("Helper", "Second."),
            task("Helper", "Third."),
        ];
        let run = start(&caller, &lead, &calls.join("\n"), json!({})).await;
        let inputs = waiting(&caller, &run).await;
        assert_eq!(
            each(&json!({"inputs": inputs}), "inputs", "kind"),
            ["approval", "approval", "approval"]
        );
        assert_eq!(children(&caller, &run).await.len(), 0);
        let [first, second, third] = [0, 1, 2].map(|number| inputs[number]["input_id"].clone());
        let edited = json!({"agent": "Helper", "prompt": "Other."});
        let answers = [
            json!({"input_id": first, "decision": "approve"}),
            json!({"input_id": second, "decision": "deny"}),
            json!({"input_id": third, "decision": "approve", "arguments": edited}),
        ];
        answer(&caller, &run, &answers).await;
        let events = caller.events(&run, 0).await;
        assert_no_gaps(&events, 1);
        let results = events.iter().filter(|event| event.event == "tool_result");
        let results: Vec<&str> = results
            .map(|event| event.data["tool_result"]["text"].as_str().unwrap())
            .collect();
        assert_eq!(results[..2], ["Done: First.", "not run: the user denied this call"]);
        let told = format!("The user changed the arguments of this call to {edited}.\n\nDone: Other.");
        assert_eq!(results[2], told);
        assert_eq!(children(&caller, &run).await.len(), 2);
        // A rule can deny the tool.
        let denied = agent_with(&caller, "Alone", &[json!({"tool": "task", "decision": "deny"})]).await;
        let run = start(&caller, &denied, &task("Helper", "First."), json!({})).await;
        let events = caller.events(&run, 0).await;
        assert!(last_message(&events).contains("there is no tool named"), "{events:#?}");
        assert_eq!(children(&caller, &run).await.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_stop_of_the_parent_reaches_grandchildren_at_once_and_cancels_their_inputs() {
    on_every_database_with(
        obedient,
        // Workers would read the stop after minutes, when they renew their leases.
        |config| config.worker.lease_seconds = 900,
        async |server| {
            let caller = server.caller("ann");
            let lead = agent(&caller, "Lead").await;
            agent_with(&caller, "Careful", &[json!({"tool": "remember", "decision": "ask"})]).await;
            let asks = task("Lead", &task("Careful", r#"remember {"text": "A fact."}"#));
            let prompt = format!("{}\n{asks}", task("Lead", &task("Lead", "Hold.")));
            let run = start(&caller, &lead, &prompt, json!({})).await;
            // The parent, two children and two grandchildren call the model.
            server.upstream.wait_for(5).await;
            until_started(&caller, &run, 2).await;
            let mut grandchildren = Vec::new();
            for child in children(&caller, &run).await {
                until_started(&caller, &child, 1).await;
                grandchildren.extend(children(&caller, &child).await);
            }
            assert_eq!(grandchildren.len(), 2);
            let asking = &grandchildren[1];
            let inputs = waiting(&caller, asking).await;
            assert_eq!(inputs.len(), 1);
            let path = format!("/agent-run/{}/stop", text(&run, "agent_run_id"));
            caller.post(&path, json!({})).await.ok();
            assert_eq!(caller.get("/inputs").await.ok()["inputs"], json!([]));
            let path = format!("/inputs/{}", text(&inputs[0], "input_id"));
            assert_eq!(caller.get(&path).await.ok()["decision"], "cancelled");
            for grandchild in &grandchildren {
                assert_eq!(caller.ended(grandchild).await["status"], "stopped");
            }
            for child in children(&caller, &run).await {
                assert_eq!(caller.ended(&child).await["status"], "stopped");
            }
            server.gate.open();
        },
    )
    .await;
}
