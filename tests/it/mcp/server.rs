//! An MCP server that uses the library `rmcp`. It serves all protocol revisions at one URL.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Router, extract::Request, middleware::Next};
use base64::{Engine, engine::general_purpose::STANDARD};
use rmcp::{
    ErrorData, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
    },
    service::{RequestContext, RoleServer},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::pictures::png;

#[derive(Default)]
pub struct Seen {
    pub requests: AtomicUsize,
    pub lists: AtomicUsize,
    pub calls: AtomicUsize,
    /// Values of the header `x-key` in the received requests.
    pub keys: Mutex<Vec<String>>,
    /// The trace contexts of the received calls.
    pub traces: Mutex<Vec<Option<String>>>,
}

pub struct McpServer {
    pub url: String,
    pub seen: Arc<Seen>,
    task: JoinHandle<()>,
}

impl Drop for McpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl McpServer {
    /// Starts the server. Clients may cache its list of tools for `ttl_ms` milliseconds.
    pub async fn start(ttl_ms: Option<u64>) -> Self {
        let seen = Arc::<Seen>::default();
        let tools = Tools {
            seen: Arc::clone(&seen),
            ttl_ms,
        };
        let service = StreamableHttpService::new(
            move || Ok(tools.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let recorded = Arc::clone(&seen);
        let record = move |request: Request, next: Next| {
            recorded.requests.fetch_add(1, Ordering::Relaxed);
            if let Some(key) = request.headers().get("x-key") {
                recorded.keys.lock().unwrap().push(key.to_str().unwrap().to_owned());
            }
            next.run(request)
        };
        let router = Router::new()
            .nest_service("/mcp", service)
            .layer(axum::middleware::from_fn(record));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, task }
    }
}

#[derive(Clone)]
struct Tools {
    seen: Arc<Seen>,
    ttl_ms: Option<u64>,
}

fn listed() -> Vec<Tool> {
    let object = json!({"type": "object"});
    let text = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let either = json!({
        "$defs": {"Text": {"type": "string"}},
        "anyOf": [
            {"type": "object", "properties": {"text": {"$ref": "#/$defs/Text"}}, "required": ["text"]},
            {"type": "object", "properties": {"number": {"type": "integer"}}, "required": ["number"]}
        ],
        "type": "object"
    });
    let tools = json!([
        {"name": "echo", "description": "Repeats a text.", "inputSchema": text},
        {"name": "say hello/grüßen", "description": "Says hello.", "inputSchema": either},
        {"name": "progress", "description": "Shows progress.", "inputSchema": object},
        {"name": "fail", "description": "Fails.", "inputSchema": object},
        {"name": "nothing", "description": "Returns nothing.", "inputSchema": object},
        {"name": "picture", "description": "Returns an image.", "inputSchema": object},
        {"name": "table", "description": "Returns structured content.", "inputSchema": object}
    ]);
    serde_json::from_value(tools).unwrap()
}

/// Returns the image of the tool `picture`, in Base64.
pub fn picture() -> String {
    STANDARD.encode(png(3, 2))
}

impl Tools {
    async fn result(&self, request: &CallToolRequestParams, context: &RequestContext<RoleServer>) -> Value {
        let argument = |name: &str| request.arguments.as_ref().and_then(|map| map.get(name).cloned());
        match &*request.name {
            "echo" => json!({"content": [{"type": "text", "text": argument("text")}]}),
            "say hello/grüßen" => {
                json!({"content": [{"type": "text", "text": format!("hello {:?}", argument("number"))}]})
            }
            "progress" => {
                let token = context.meta.get_progress_token().unwrap();
                let step = ProgressNotificationParam::new(token, 1.0)
                    .with_total(2.0)
                    .with_message("half");
                context.peer.notify_progress(step).await.unwrap();
                json!({"content": [{"type": "text", "text": "done"}]})
            }
            "fail" => json!({"content": [{"type": "text", "text": "no such city"}], "isError": true}),
            "picture" => json!({"content": [{"type": "image", "mimeType": "image/png", "data": picture()}]}),
            "table" => json!({"content": [{"type": "text", "text": "a table"}], "structuredContent": {"rows": [1, 2]}}),
            _ => json!({"content": []}),
        }
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        self.seen.lists.fetch_add(1, Ordering::Relaxed);
        let mut list = ListToolsResult::with_all_items(listed());
        list.ttl_ms = self.ttl_ms;
        Ok(list)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.seen.calls.fetch_add(1, Ordering::Relaxed);
        let trace = context.meta.get_traceparent().map(str::to_owned);
        self.seen.traces.lock().unwrap().push(trace);
        let result = self.result(&request, &context).await;
        let result: CallToolResult = serde_json::from_value(result).unwrap();
        Ok(result.into())
    }
}
