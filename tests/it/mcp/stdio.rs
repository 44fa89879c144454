//! Tests that a stdio MCP server runs in the sandbox of the run's project, with the project's files.

use reqwest::multipart::{Form, Part};
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use super::{calls, notices, result};
use crate::{service::requests::text, test_server::on_every_database};

/// An MCP server in Python. Its first output line is not a protocol message.
const SERVER: &str = r#"
import json, os, sys
print("starting up", flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "id" not in request:
        continue
    method, result = request["method"], None
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "files", "version": "1"}}
    elif method == "tools/list":
        tool = {"name": "folder", "description": "Lists the folder.", "inputSchema": {"type": "object"}}
        result = {"tools": [tool]}
    elif method == "tools/call":
        words = f"{os.getcwd()} has {sorted(os.listdir())}, secret {os.environ.get('RUNYARD_JWT_SECRET')}"
        result = {"content": [{"type": "text", "text": words}]}
    answer = {"jsonrpc": "2.0", "id": request["id"]}
    if result is None:
        answer["error"] = {"code": -32601, "message": "unknown"}
    else:
        answer["result"] = result
    print(json.dumps(answer), flush=True)
"#;

fn stdio(command: &str, args: &[&str]) -> Value {
    json!({"name": "files", "type": "stdio", "command": command, "args": args})
}

#[tokio::test]
async fn a_stdio_server_works_on_the_files_of_the_project() {
    on_every_database(
        |_| calls("files__folder", json!({})),
        async |server| {
            let caller = server.caller("ann");
            let agent = json!({"name": "An agent", "custom_mcps": [stdio("python3", &["/workspace/server.py"])]});
            let agent = caller.post("/agents", agent).await.ok();
            let form = Form::new()
                .text("prompt", "What is in the folder?")
                .text("agent_id", text(&agent, "agent_id").to_owned())
                .part("files", Part::bytes(SERVER.as_bytes()).file_name("server.py"));
            let run = caller.form("/agent/start", form).await.ok();
            let events = caller.events(&run, 0).await;
            let answer = result(&events);
            assert_eq!(
                answer["text"], "/workspace has ['output', 'server.py'], secret None",
                "{events:#?}"
            );
            assert_eq!(notices(&events), Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test]
async fn a_command_that_fails_says_why() {
    on_every_database(
        |_| Script::function(|_| Turn::text("Done.")),
        async |server| {
            let caller = server.caller("ann");
            for (command, args, expected) in [
                ("no-such-program", vec!["a b"], "no-such-program"),
                (
                    "bash",
                    vec!["-c", "echo 'the port is taken' >&2; exit 3"],
                    "the port is taken",
                ),
            ] {
                let body = json!({"server": stdio(command, &args)});
                let tried = caller.post("/agents/test-mcp-server", body).await.ok();
                assert_eq!(tried["connected"], false);
                assert!(text(&tried, "reason").contains(expected), "{tried}");
                let agent = json!({"name": "An agent", "custom_mcps": [stdio(command, &args)]});
                let agent = caller.post("/agents", agent).await.ok();
                let body = json!({"prompt": "Hello", "agent_id": agent["agent_id"]});
                let run = caller.post("/agent/start", body).await.ok();
                let events = caller.events(&run, 0).await;
                assert!(notices(&events)[0].contains(expected), "{events:#?}");
                assert_eq!(events.last().unwrap().data["status"]["status"], "completed");
            }
        },
    )
    .await;
}
