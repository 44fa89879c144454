#!/usr/bin/env bash
# rmcp 3.11.0 treats the status 404 for a request with a session id as an expired session, as the MCP specification says. By default it
# then starts a new session and sends the request again, also a `tools/call`. If the 404 comes after the tool has run, for example
# because the server restarted during the call, the tool runs twice, and the caller sees one success. For tools with side effects, set
# `reinit_on_expired_session = false` and report the lost call.
#
# Observed with one call of a tool whose first answer is 404: the tool ran 2 times by default, and 1 time with the setting (the call fails).
# shellcheck source=findings/package.bash
source "$(dirname "$0")/package.bash"

cat >server.py <<'PYTHON'
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

runs = 0


class Server(BaseHTTPRequestHandler):
    """An MCP server with one tool, which counts its runs. The first call ends with 404, as after a restart of the server."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global runs
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, result = message["method"], None
        if method == "initialize":
            result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
        elif method == "tools/call":
            runs += 1
            if runs == 1:
                return self.answer(404, b"")
            result = {"content": [{"type": "text", "text": "done"}]}
        if result is None:
            return self.answer(202, b"")
        self.answer(200, json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode())

    def do_GET(self):
        if self.path == "/runs":
            return self.answer(200, str(runs).encode())
        self.answer(405, b"")

    def do_DELETE(self):
        self.answer(200, b"")

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Mcp-Session-Id", "session")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer.handle_error = lambda *_: None
server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
print(server.server_port, flush=True)
server.serve_forever()
PYTHON
dependencies <<'TOML'
rmcp = { version = "=3.11.0", default-features = false, features = ["client", "transport-streamable-http-client-reqwest", "reqwest"] }
tokio = { version = "1", features = ["macros", "rt"] }
TOML
cat >src/main.rs <<'RUST'
use rmcp::{
    model::CallToolRequestParams,
    transport::{streamable_http_client::StreamableHttpClientTransportConfig, StreamableHttpClientTransport},
    ServiceExt,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = StreamableHttpClientTransportConfig::with_uri(std::env::var("SERVER")?);
    config.reinit_on_expired_session = std::env::var("REINIT")? == "default";
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await?;
    let answer = client.call_tool(CallToolRequestParams::new("count")).await;
    print!("{}", if answer.is_ok() { "success" } else { "failure" });
    Ok(())
}
RUST
try() {
    coproc server { exec python3 server.py; }
    read -r port <&"${server[0]}"
    local answer runs
    answer=$(SERVER="http://127.0.0.1:$port/mcp" REINIT=$1 NO_PROXY=127.0.0.1 run)
    runs=$(python3 -c "import urllib.request as u; print(u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:$port/runs').read().decode())")
    kill "$server_PID"
    wait "$server_PID" 2>/dev/null || true
    echo "$answer, $runs"
}
seen="default: $(try default); without: $(try off)"
echo "$seen"
expect "$seen" 'default: success, 2; without: failure, 1'
