//! Validation of an agent's MCP server entries.

use runyard_upstream::Turn;
use serde_json::{Value, json};

use super::requests::{patch, text};
use crate::test_server::on_every_database_with;

fn http(name: &str, url: &str) -> Value {
    json!({"name": name, "type": "http", "url": url})
}

fn with(mut entry: Value, key: &str, value: Value) -> Value {
    entry[key] = value;
    entry
}

#[tokio::test]
async fn an_mcp_entry_must_match_its_transport() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| {
            config.tiers[0].agents = None;
            config.mcp.allow_private_addresses = true;
        },
        async |server| {
            let caller = server.caller("ann");
            let create = async |entry: &Value| {
                caller
                    .post("/agents", json!({"name": "ok", "custom_mcps": [entry]}))
                    .await
            };
            let stdio = json!({"name": "a", "type": "stdio", "command": "serve"});
            for good in [
                http("a", "https://example.com"),
                http("a", "http://127.0.0.1:8080/mcp?key=value"),
                http("a", "https://[::1]:1/x"),
                http("a", "https://b\u{fc}cher.example/"),
                with(http("a", "https://x.example/"), "headers", json!({"X-Key": "value"})),
                with(http("a", "https://x.example/"), "enabled_tools", json!(["one", "two"])),
                json!({"name": "a", "type": "sse", "url": "https://x.example/sse"}),
                stdio.clone(),
                with(stdio.clone(), "args", json!(["--flag", "", "--flag"])),
            ] {
                let made = create(&good).await.ok();
                let kept = &made["current_version"]["custom_mcps"][0];
                for (key, value) in good.as_object().unwrap() {
                    let hidden = json!({"X-Key": "***"});
                    let value = if key == "headers" { &hidden } else { value };
                    assert_eq!(&kept[key], value, "{good}");
                }
            }
            for wrong in [
                http("a", ""),
                http("a", "https://"),
                http("a", "https://@"),
                http("a", "http://:"),
                http("a", "http://:80"),
                http("a", "https:///path"),
                http("a", "https:example.com"),
                http("a", "https://a\nb"),
                http("a", "https://a b/"),
                http("a", "https://a/\u{7f}"),
                http("a", "https://user:word@host/"),
                http("a", "https://user@host/"),
                http("a", "https://host:99999/"),
                http("a", "ftp://host/"),
                http("a", "file:///etc/passwd"),
                with(http("a", "https://x"), "command", json!("serve")),
                with(http("a", "https://x"), "args", json!(["--flag"])),
                with(http("a", "https://x"), "enabled_tools", json!([""])),
                with(http("a", "https://x"), "enabled_tools", json!(["one", "two", "one"])),
                with(http("a", "https://x"), "headers", json!({"X Key": "value"})),
                with(http("a", "https://x"), "headers", json!({"Mcp-Session-Id": "value"})),
                with(http("a", "https://x"), "headers", json!({"host": "value"})),
                with(stdio.clone(), "headers", json!({"X-Key": "value"})),
                with(stdio.clone(), "url", json!("https://x")),
                with(stdio.clone(), "command", json!(" ")),
            ] {
                let refused = create(&wrong).await.refused(400, "INVALID_REQUEST");
                assert!(
                    text(&refused, "detail").starts_with("custom_mcps[0]: "),
                    "{wrong}: {refused}"
                );
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_mcp_name_is_unique_across_both_lists() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.tiers[0].agents = None,
        async |server| {
            let caller = server.caller("ann");
            let (one, two) = (http("one", "https://x"), http("two", "https://x"));
            let both = json!({"name": "ok", "configured_mcps": [one], "custom_mcps": [one]});
            caller.post("/agents", both).await.refused(400, "INVALID_REQUEST");
            let apart = json!({"name": "ok", "configured_mcps": [one], "custom_mcps": [two]});
            let agent = caller.post("/agents", apart).await.ok();
            let path = format!("/agents/{}", text(&agent, "agent_id"));
            // Names must be unique across `configured_mcps` and `custom_mcps`, even if a request updates only one
            // list.
            let again = json!({"custom_mcps": [one]});
            let refused = patch(&caller, &path, again.clone())
                .await
                .refused(400, "INVALID_REQUEST");
            assert!(text(&refused, "detail").contains("\"one\""), "{refused}");
            let versions = format!("{path}/versions");
            caller.post(&versions, again).await.refused(400, "INVALID_REQUEST");
            assert_eq!(
                caller.get(&path).await.ok(),
                agent,
                "a refused change should leave nothing behind"
            );
            // One update can swap the entries of the two lists.
            let swapped = json!({"configured_mcps": [two], "custom_mcps": [one]});
            assert_eq!(patch(&caller, &path, swapped).await.ok()["version_count"], 2);
        },
    )
    .await;
}

#[tokio::test]
async fn the_mcp_lists_of_a_version_share_a_size_limit() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.tiers[0].agents = None,
        async |server| {
            let caller = server.caller("ann");
            let entry = |name: &str| with(http(name, "https://x"), "headers", json!({"X-Long": "x".repeat(4_000)}));
            let entries = |letter: &str, count: usize| -> Vec<Value> {
                (0..count).map(|number| entry(&format!("{letter}{number}"))).collect()
            };
            let body = |configured: usize, custom: usize| {
                json!({"name": "ok", "configured_mcps": entries("a", configured), "custom_mcps": entries("b", custom)})
            };
            // Each entry has slightly more than 4,000 bytes. 15 entries fit into 64 KiB, and 17 entries do not,
            // regardless of their distribution over the two lists.
            let agent = caller.post("/agents", body(8, 7)).await.ok();
            caller.post("/agents", body(8, 9)).await.refused(400, "INVALID_REQUEST");
            caller.post("/agents", body(17, 0)).await.refused(400, "INVALID_REQUEST");
            let path = format!("/agents/{}", text(&agent, "agent_id"));
            let more = json!({"custom_mcps": entries("b", 9)});
            patch(&caller, &path, more).await.refused(400, "INVALID_REQUEST");
            let other = json!({"configured_mcps": null, "custom_mcps": entries("b", 15)});
            patch(&caller, &path, other).await.ok();
        },
    )
    .await;
}
