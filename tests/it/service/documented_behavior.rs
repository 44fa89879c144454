//! Tests of sentences in the API documentation that no other test covers. docs/seeds.md lists all sentences.

use reqwest::multipart::{Form, Part};
use runyard::config::Config;
use runyard_upstream::{Call, Gate, Script, Turn};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::test_server::{TestServer, on_every_database, on_every_database_with};

/// Moves the tier with this name to the first position, so that new accounts get it.
fn in_tier(name: &'static str) -> impl Fn(&mut Config) {
    move |config| {
        let position = config.tiers.iter().position(|tier| tier.name == name).unwrap();
        config.tiers.swap(0, position);
        config.tiers[0].credits_granted = 100_000;
    }
}

fn held(gate: &Gate) -> Script {
    let gate = gate.clone();
    Script::function(move |_| Turn::text("Held.").held_by(&gate))
}

fn echo() -> Script {
    Script::function(|_| Turn::text("Yes."))
}

#[tokio::test]
async fn every_tier_limits_concurrent_runs() {
    for (tier, slots) in [("free", 1), ("pro", 3), ("enterprise", 10)] {
        on_every_database_with(held, in_tier(tier), async |server| {
            let caller = server.caller("ann");
            for _ in 0..slots {
                caller.start("x").await;
            }
            let refused = caller.post("/agent/start", json!({"prompt": "x"})).await;
            let body = refused.refused(402, "AGENT_RUN_LIMIT_EXCEEDED");
            assert_eq!(
                (&body["detail"]["limit"], &body["detail"]["running_count"]),
                (&json!(slots), &json!(slots))
            );
            server.gate.open();
        })
        .await;
    }
}

#[tokio::test]
async fn every_tier_allows_its_own_models() {
    let pro = [
        "kortix/minimax",
        "kortix/basic",
        "openai/gpt-5-nano",
        "anthropic/claude-3.5-sonnet",
    ];
    let dated = "openai/gpt-5-nano-2025-08-07";
    for (tier, allowed, refused) in [
        (
            "free",
            &pro[..1],
            &[dated, "openai/gpt-5-nano", "anthropic/claude-3.5-sonnet"][..],
        ),
        ("pro", &pro[..], &[][..]),
        ("enterprise", &pro[..], &[][..]),
    ] {
        on_every_database_with(|_| echo(), in_tier(tier), async |server| {
            let caller = server.caller("ann");
            for model in allowed {
                let run = caller.post("/agent/start", json!({"prompt": "x", "model_name": model})).await.ok();
                assert_eq!(caller.ended(&run).await["model_name"], *model, "{tier}");
            }
            for model in refused {
                let answer = caller.post("/agent/start", json!({"prompt": "x", "model_name": model})).await;
                let expected = json!({"detail": {
                    "message": format!(
                        "Your current subscription plan does not include access to {model}. Please upgrade your subscription."
                    ),
                    "tier_name": tier, "error_code": "MODEL_ACCESS_DENIED",
                }});
                assert_eq!(answer.refused(402, "MODEL_ACCESS_DENIED"), expected);
            }
            if tier != "free" {
                let run = caller.post("/agent/start", json!({"prompt": "x", "model_name": dated})).await.ok();
                assert_eq!(caller.ended(&run).await["model_name"], "openai/gpt-5-nano");
            }
        })
        .await;
    }
}

#[tokio::test]
async fn every_tier_limits_the_number_of_agents() {
    for (tier, most) in [("free", Some(3)), ("pro", Some(10)), ("enterprise", None)] {
        on_every_database_with(|_| echo(), in_tier(tier), async |server| {
            let caller = server.caller("ann");
            for _ in 0..most.unwrap_or(30) {
                caller.post("/agents", json!({"name": "An agent"})).await.ok();
            }
            let one_more = caller.post("/agents", json!({"name": "An agent"})).await;
            let Some(most) = most else {
                one_more.ok();
                return;
            };
            let expected = json!({"detail": {
                "message": format!("Maximum of {most} agents allowed for your current plan. You have {most} agents."),
                "current_count": most, "limit": most, "tier_name": tier, "error_code": "AGENT_LIMIT_EXCEEDED",
            }});
            assert_eq!(one_more.refused(402, "AGENT_LIMIT_EXCEEDED"), expected);
        })
        .await;
    }
}

#[tokio::test]
async fn files_of_any_format_arrive_unchanged() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let every_byte: Vec<u8> = (0..=255).cycle().take(70_000).collect();
            let files: [(&str, Vec<u8>); 6] = [
                ("notes.txt", b"plain\r\ntext\n".to_vec()),
                ("main.rs", b"fn main() {}\n".to_vec()),
                (
                    "paper.pdf",
                    [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", &every_byte[..]].concat(),
                ),
                ("photo.png", [b"\x89PNG\r\n\x1a\n", &every_byte[..]].concat()),
                ("letter.docx", [b"PK\x03\x04", &every_byte[..]].concat()),
                ("empty.bin", Vec::new()),
            ];
            let mut form = Form::new().text("prompt", "Look.");
            for (name, bytes) in &files {
                form = form.part("files", Part::bytes(bytes.clone()).file_name(*name));
            }
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let request = server.upstream.requests().remove(0);
            for (name, bytes) in &files {
                assert!(request.last_text().contains(name), "{}", request.last_text());
                let path = format!(
                    "/sandboxes/{}/files/content?path={name}",
                    run["sandbox_id"].as_str().unwrap()
                );
                let answer = caller.request("GET", &path).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{name}");
                assert!(
                    answer.bytes().await.unwrap() == *bytes,
                    "{name} should come back unchanged"
                );
            }
        },
    )
    .await;
}

#[tokio::test]
async fn the_agent_reads_and_writes_files_in_the_workspace() {
    let command = "cat /workspace/data.csv && cp /workspace/data.csv /workspace/output/charts.png";
    on_every_database(
        |_| {
            [
                Turn::calls([Call::new("bash", &json!({"command": command}))]),
                Turn::text("Done."),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let form = Form::new()
                .text("prompt", "Analyze data.csv and create visualizations")
                .part("files", Part::bytes(b"a,b\n1,2\n".to_vec()).file_name("data.csv"));
            let run = caller.form("/agent/start", form).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            assert!(server.upstream.requests()[1].last_text().contains("1,2"));
            let path = format!(
                "/sandboxes/{}/files/content?path=output/charts.png",
                run["sandbox_id"].as_str().unwrap()
            );
            let made = caller.get(&path).await;
            assert_eq!((made.status, made.text.as_str()), (200, "a,b\n1,2\n"));
        },
    )
    .await;
}

async fn take_away(server: &TestServer, table: &str) {
    let db = server.outside().await;
    db.execute_unprepared(&format!("ALTER TABLE {table} RENAME TO taken_away"))
        .await
        .unwrap();
    db.close().await.unwrap();
}

#[tokio::test]
async fn an_internal_error_has_the_documented_wording() {
    for (table, path, body, words) in [
        (
            "messages",
            "/agent/start",
            json!({"prompt": "x"}),
            "Failed to start agent: ",
        ),
        (
            "agent_versions",
            "/agents",
            json!({"name": "An agent"}),
            "Failed to create agent: ",
        ),
    ] {
        on_every_database(
            |_| echo(),
            async |server| {
                let caller = server.caller("ann");
                let good = caller.post(path, body.clone()).await.ok();
                if good.get("agent_run_id").is_some() {
                    caller.ended(&good).await;
                }
                take_away(server, table).await;
                let detail = caller.post(path, body.clone()).await.refused(500, "INTERNAL")["detail"].clone();
                let detail = detail.as_str().unwrap();
                assert!(detail.starts_with(words), "{detail}");
                // The error text does not reveal the cause: it contains no table name and no SQL.
                assert!(
                    !detail.contains(table) && !detail.to_lowercase().contains("sql"),
                    "{detail}"
                );
            },
        )
        .await;
    }
}

#[tokio::test]
async fn a_new_agent_has_the_documented_defaults() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let agent = caller.post("/agents", json!({"name": "An agent"})).await.ok();
            let core = json!({
                "bash": {"enabled": true}, "read": {"enabled": true}, "write": {"enabled": true},
                "edit": {"enabled": true}, "glob": {"enabled": true}, "grep": {"enabled": true},
            });
            for (key, value) in [
                ("description", Value::Null),
                ("icon_name", json!("bot")),
                ("icon_color", json!("#000000")),
                ("icon_background", json!("#F3F4F6")),
                ("is_default", json!(false)),
                ("is_public", json!(false)),
                ("tags", json!([])),
                ("version_count", json!(1)),
                ("configured_mcps", json!([])),
                ("custom_mcps", json!([])),
                ("agentpress_tools", core),
            ] {
                assert_eq!(agent[key], value, "{key}");
            }
            assert!(Uuid::parse_str(agent["agent_id"].as_str().unwrap()).is_ok());
            let prompt = agent["current_version"]["system_prompt"].as_str().unwrap();
            assert!(prompt.len() > 20, "{prompt}");
            for at in ["created_at", "updated_at"] {
                let time = agent[at].as_str().unwrap();
                // Times are in RFC 3339, in UTC and with fractional seconds, such as 2025-08-15T10:30:00.000Z.
                assert!(
                    time.len() >= 24 && time.ends_with('Z') && time.as_bytes()[19] == b'.',
                    "{time}"
                );
            }
        },
    )
    .await;
}

#[tokio::test]
async fn a_new_default_unsets_the_old_one() {
    on_every_database(
        |_| echo(),
        async |server| {
            let (ann, bob) = (server.caller("ann"), server.caller("bob"));
            let make = async |caller: &crate::test_server::Caller, name: &str| {
                caller
                    .post("/agents", json!({"name": name, "is_default": true}))
                    .await
                    .ok()["agent_id"]
                    .clone()
            };
            let theirs = make(&bob, "Bob's").await;
            let first = make(&ann, "First").await;
            let second = make(&ann, "Second").await;
            let is_default = async |caller: &crate::test_server::Caller, id: &Value| {
                caller.get(&format!("/agents/{}", id.as_str().unwrap())).await.ok()["is_default"].clone()
            };
            assert_eq!(is_default(&ann, &first).await, false);
            assert_eq!(is_default(&ann, &second).await, true);
            assert_eq!(is_default(&bob, &theirs).await, true);
            assert_eq!(ann.ended(&ann.start("x").await).await["agent_id"], second);
        },
    )
    .await;
}

#[tokio::test]
async fn core_tools_cannot_be_disabled() {
    on_every_database(
        |_| echo(),
        async |server| {
            let caller = server.caller("ann");
            let off: Value = ["bash", "read", "write", "edit", "glob", "grep"]
                .into_iter()
                .map(|tool| (tool.to_owned(), json!({"enabled": false})))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let body = json!({"name": "An agent", "is_default": true, "agentpress_tools": off});
            let agent = caller.post("/agents", body).await.ok();
            for (tool, setting) in agent["agentpress_tools"].as_object().unwrap() {
                assert_eq!(*setting, json!({"enabled": true}), "{tool}");
            }
            caller.ended(&caller.start("x").await).await;
            assert_eq!(server.upstream.requests()[0].tool_names().len(), 8);
        },
    )
    .await;
}
