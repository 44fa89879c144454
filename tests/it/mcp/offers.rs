//! Tests of an agent's list of tools, of trying out an MCP server, and of the permitted addresses.

use runyard_upstream::Turn;
use serde_json::{Value, json};

use super::{http, permit_loopback, server::McpServer};
use crate::test_server::on_every_database_with;

fn names(tools: &Value) -> Vec<(&str, &str)> {
    let tools = tools.as_array().unwrap();
    tools
        .iter()
        .map(|tool| {
            (
                tool["server"].as_str().unwrap_or_default(),
                tool["name"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn the_list_of_an_agents_tools_names_the_server_of_each_tool() {
    on_every_database_with(
        |_| Turn::text("x"),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let mut entry = http("box", &remote.url);
            entry["enabled_tools"] = json!(["echo", "fail"]);
            let servers = json!([entry, http("gone", "http://127.0.0.1:1/mcp")]);
            let agent = caller
                .post("/agents", json!({"name": "An agent", "custom_mcps": servers}))
                .await
                .ok();
            let listed = caller
                .get(&format!("/agents/{}/tools", agent["agent_id"].as_str().unwrap()))
                .await
                .ok();
            let tools = names(&listed["tools"]);
            let of_servers = tools.iter().position(|(server, _)| !server.is_empty()).unwrap();
            assert_eq!(tools[of_servers..], [("box", "box__echo"), ("box", "box__fail")]);
            assert!(tools[..of_servers].contains(&("", "bash")), "{tools:?}");
            let unavailable = &listed["unavailable_mcp_servers"];
            assert_eq!(unavailable[0]["name"], "gone");
            assert!(
                unavailable[0]["reason"].as_str().unwrap().contains("refused"),
                "{unavailable}"
            );
            // Another account cannot make the service connect to the agent's MCP servers.
            let path = format!("/agents/{}/tools", agent["agent_id"].as_str().unwrap());
            server.caller("bob").get(&path).await.refused(404, "AGENT_NOT_FOUND");
        },
    )
    .await;
}

#[tokio::test]
async fn a_trial_says_what_the_server_offers_or_why_not() {
    on_every_database_with(
        |_| Turn::text("x"),
        permit_loopback,
        async |server| {
            let remote = McpServer::start(None).await;
            let caller = server.caller("ann");
            let test = async |entry: Value| caller.post("/agents/test-mcp-server", json!({"server": entry})).await;
            let good = test(http("box", &remote.url)).await.ok();
            assert_eq!(
                (&good["connected"], &good["reason"]),
                (&json!(true), &json!("")),
                "{good}"
            );
            assert_eq!(names(&good["tools"])[0], ("box", "box__echo"));
            assert_eq!(good["tools"].as_array().unwrap().len(), 7);
            let bad = test(http("box", "http://127.0.0.1:1/mcp")).await.ok();
            assert_eq!((&bad["connected"], &bad["tools"]), (&json!(false), &json!([])));
            assert!(bad["reason"].as_str().unwrap().contains("refused"), "{bad}");
            test(json!({"name": "box", "type": "http"}))
                .await
                .refused(400, "INVALID_REQUEST");
            caller
                .post("/agents/test-mcp-server", json!({}))
                .await
                .refused(400, "INVALID_REQUEST");
        },
    )
    .await;
}

#[tokio::test]
async fn private_addresses_are_refused_when_saved_and_when_connected() {
    on_every_database_with(
        |_| Turn::text("x"),
        |config| config.tiers[0].agents = None,
        async |server| {
            let caller = server.caller("ann");
            let create = async |url: &str| {
                let body = json!({"name": "An agent", "custom_mcps": [http("box", url)]});
                caller.post("/agents", body).await
            };
            for private in [
                "http://127.0.0.1/mcp",
                "http://127.1/mcp",
                "http://2130706433/mcp",
                "http://0x7f.1/mcp",
                "http://localhost:8080/mcp",
                "http://LOCALHOST./mcp",
                "http://a.localhost/mcp",
                "http://[::1]/mcp",
                "http://[::ffff:127.0.0.1]/mcp",
                "http://10.0.0.1/mcp",
                "http://169.254.169.254/latest/meta-data",
                "http://[fd00:ec2::254]/",
                "http://0.0.0.0/",
            ] {
                let refused = create(private).await.refused(400, "INVALID_REQUEST");
                assert!(
                    refused["detail"].as_str().unwrap().contains("private address"),
                    "{refused}"
                );
            }
            create("https://mcp.example.com/mcp").await.ok();
            create("http://93.184.216.34/mcp").await.ok();
        },
    )
    .await;
}

#[tokio::test]
async fn the_resolved_addresses_of_a_name_are_checked() {
    let remote = McpServer::start(None).await;
    let address = runyard_mcp::Address {
        url: remote.url.replace("127.0.0.1", "localhost"),
        headers: Vec::new(),
        may_be_sse: false,
    };
    let limits = runyard::config::Config::parse("test", "").unwrap().mcp.limits();
    let strict = runyard_mcp::Http::new(runyard::addresses::is_public).unwrap();
    let Err(error) = runyard_mcp::Connection::http(&strict, &address, &limits).await else {
        panic!("a private address was connected");
    };
    assert!(error.to_string().contains("the address is private"), "{error}");
    let open = runyard_mcp::Http::new(|_| true).unwrap();
    let connection = runyard_mcp::Connection::http(&open, &address, &limits).await.unwrap();
    assert_eq!(connection.list_tools().await.unwrap().tools.len(), 7);
}
