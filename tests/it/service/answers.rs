//! Snapshots of JSON answers: name, order and format of every field.

use std::fmt::Write;

use regex::Regex;
use runyard_upstream::{Call, Turn};
use serde_json::{Value, json};

use crate::test_server::{Answer, on_every_database};

/// Replaces the values that differ between runs of the test: ids, times, tokens and durations.
fn normalised(answer: &Answer) -> String {
    let pretty = serde_json::from_str::<Value>(&answer.text)
        .and_then(|json| serde_json::to_string_pretty(&json))
        .unwrap_or_else(|_| answer.text.clone());
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", "TIME"),
        (r#""duration_ms": "?\d+"?"#, r#""duration_ms": N"#),
        (r#""(page_token|next_page_token)": "[^"]+""#, r#""$1": "TOKEN""#),
    ];
    rules.iter().fold(pretty, |text, (rule, instead)| {
        Regex::new(rule).unwrap().replace_all(&text, *instead).into_owned()
    })
}

#[tokio::test]
async fn json_answers_are_the_reviewed_ones() {
    on_every_database(
        |_| {
            vec![
                Turn::calls([Call::new("bash", &json!({"command": "echo hello > output/a.txt"}))]),
                Turn::text("Done.").usage(10, 5),
            ]
        },
        async |server| {
            let ann = server.caller("ann");
            let agent = json!({"name": "Analyst", "system_prompt": "Be brief.", "tags": ["data"]});
            let created = ann.post("/agents", agent).await;
            let agent_id = created.json()["agent_id"].as_str().unwrap().to_owned();
            let started = ann
                .post("/agent/start", json!({"prompt": "Write a file.", "agent_id": agent_id}))
                .await;
            let run = started.json();
            ann.ended(&run).await;
            let [run_id, thread_id, project_id] =
                ["agent_run_id", "thread_id", "project_id"].map(|field| run[field].as_str().unwrap().to_owned());
            let mut seen = String::new();
            let mut note = |name: &str, answer: &Answer| {
                let _ = writeln!(seen, "## {name}: {}\n{}\n", answer.status, normalised(answer));
            };
            note("POST /agents", &created);
            note("POST /agent/start", &started);
            let ids = Regex::new("[0-9a-f]{8}-[0-9a-f-]{27}").unwrap();
            for path in [
                format!("/agents/{agent_id}"),
                format!("/agents/{agent_id}/versions"),
                format!("/agent-run/{run_id}"),
                "/agent-runs?page_size=1".to_owned(),
                format!("/threads/{thread_id}"),
                format!("/threads/{thread_id}/messages"),
                format!("/projects/{project_id}"),
                "/billing/account-state".to_owned(),
                "/billing/usage-history".to_owned(),
                "/agent-run/00000000-0000-7000-8000-000000000000".to_owned(),
                "/agents?page_size=-1".to_owned(),
            ] {
                let answer = ann.get(&path).await;
                let name = ids.replace_all(&path, "ID").into_owned();
                note(&format!("GET {name}"), &answer);
            }
            insta::with_settings!({prepend_module_to_snapshot => false}, {
                insta::assert_snapshot!("answers", seen);
            });
        },
    )
    .await;
}
