//! An MCP server with the library `rmcp` whose tool asks questions in the middle of a call. It keeps no state between the
//! rounds of a call.

use std::sync::{Arc, Mutex};

use axum::Router;
use rmcp::{
    ErrorData, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, InputRequiredResult, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig,
    },
    service::{RequestContext, RoleServer},
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

type React = dyn Fn(&Value) -> Value + Send + Sync;

pub struct AskingServer {
    pub url: String,
    seen: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<()>,
}

impl Drop for AskingServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AskingServer {
    /// Starts a server with the tool `book`. `react` gets the parameters of each call and returns its result. With
    /// `refused`, the result is the reason of a protocol error.
    pub async fn start(react: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let tools = Tools {
            seen: Arc::clone(&seen),
            react: Arc::new(react),
        };
        let service = StreamableHttpService::new(
            move || Ok(tools.clone()),
            Arc::new(LocalSessionManager::default()),
            StreamableHttpServerConfig::default(),
        );
        let router = Router::new().nest_service("/mcp", service);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, task }
    }

    /// The parameters of the received calls, with the client's capabilities.
    pub fn calls(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }
}

#[derive(Clone)]
struct Tools {
    seen: Arc<Mutex<Vec<Value>>>,
    react: Arc<React>,
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
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let tools = json!([{"name": "book", "description": "Books a journey.", "inputSchema": schema}]);
        Ok(ListToolsResult::with_all_items(serde_json::from_value(tools).unwrap()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let call = json!({
            "arguments": request.arguments,
            "inputResponses": request.input_responses,
            "requestState": request.request_state,
            "capabilities": context.client_capabilities()
        });
        self.seen.lock().unwrap().push(call.clone());
        let result = (self.react)(&call);
        if let Some(why) = result["refused"].as_str() {
            return Err(ErrorData::invalid_params(why.to_owned(), None));
        }
        Ok(if result["resultType"] == "input_required" {
            let required: InputRequiredResult = serde_json::from_value(result).unwrap();
            required.into()
        } else {
            let result: CallToolResult = serde_json::from_value(result).unwrap();
            result.into()
        })
    }
}
