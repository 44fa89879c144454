//! Tests of traces: one trace from the caller through the request, the run, the model calls and the tools.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value as Held},
    trace::v1::{ResourceSpans, Span},
};
use prost::Message;
use reqwest::{
    RequestBuilder,
    multipart::{Form, Part},
};
use runyard_upstream::{Call, Script, Turn, Upstream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status};

use super::{program::Program, requests::text};
use crate::{
    mcp::{http, server::McpServer},
    test_server::{Answer, TEST_TIMEOUT},
};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER_SPAN: &str = "b7ad6b7169203331";

/// A collector that keeps everything that it receives.
#[derive(Clone, Default)]
struct Collector {
    received: Arc<Mutex<Vec<ResourceSpans>>>,
    /// Values of the header `x-team`.
    teams: Arc<Mutex<Vec<String>>>,
}

impl Collector {
    fn take(&self, team: Option<&str>, request: ExportTraceServiceRequest) {
        self.teams.lock().unwrap().extend(team.map(str::to_owned));
        self.received.lock().unwrap().extend(request.resource_spans);
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Serves OTLP over HTTP. Returns the endpoint.
    async fn serve_http(&self) -> String {
        let collector = self.clone();
        let take = move |headers: HeaderMap, body: Bytes| async move {
            let team = headers.get("x-team").map(|team| team.to_str().unwrap().to_owned());
            collector.take(team.as_deref(), ExportTraceServiceRequest::decode(body).unwrap());
            ExportTraceServiceResponse::default().encode_to_vec()
        };
        let router = Router::new().route("/v1/traces", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        endpoint
    }

    /// Serves OTLP over gRPC. Returns the endpoint.
    async fn serve_grpc(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let routes = tonic::service::Routes::new(TraceServiceServer::new(self.clone())).into_axum_router();
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        endpoint
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let team = request
            .metadata()
            .get("x-team")
            .map(|team| team.to_str().unwrap().to_owned());
        self.take(team.as_deref(), request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn eventually(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, waiting).await.unwrap();
}

fn hex(bytes: &[u8]) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap());
    bytes.iter().flat_map(digits).collect()
}

fn attribute(attributes: &[KeyValue], name: &str) -> Value {
    let found = attributes.iter().find(|attribute| attribute.key == name);
    let held = found.and_then(|attribute| attribute.value.clone()?.value);
    match held {
        None => Value::Null,
        Some(Held::StringValue(text)) => json!(text),
        Some(Held::IntValue(number)) => json!(number),
        Some(Held::DoubleValue(number)) => json!(number),
        Some(Held::BoolValue(is_set)) => json!(is_set),
        Some(other) => json!(format!("{other:?}")),
    }
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn one<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = named(spans, name);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(found.len(), 1, "{name} in {names:?}");
    found[0]
}

/// A program whose model calls a tool of an MCP server once, and then answers.
struct Traced {
    program: Program,
    upstream: Upstream,
    remote: McpServer,
    agent_id: Value,
    _folder: TempDir,
}

impl Traced {
    async fn start(variables: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let call = Call::new("box__echo", &json!({"text": "a canary in the arguments"}));
        let turns = [
            Turn::calls([call]).usage(11, 7),
            Turn::text("a canary in the answer").usage(13, 5),
        ];
        let upstream = Upstream::start(Script::turns(turns)).await;
        let config = format!(
            "[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"kortix/minimax\"\nmax_upload_bytes = 1000000\ncredits_granted = 300\n\
             [providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key = \"x\"\n\
             [mcp]\nallow_private_addresses = true\nlist_tools_when_saved = false\n",
            upstream.base_url()
        );
        let line = format!("{variables} exec \"$@\"");
        let program = Program::start_in(folder.path(), &config, &line).await;
        let remote = McpServer::start(None).await;
        let body = json!({"name": "An agent", "custom_mcps": [http("box", &remote.url)]});
        let created = program.request("POST", "/agents").json(&body).send().await.unwrap();
        let agent_id = Answer::of(created).await.ok()["agent_id"].clone();
        Self {
            program,
            upstream,
            remote,
            agent_id,
            _folder: folder,
        }
    }

    async fn run(&self) -> Value {
        let body = json!({"prompt": "a canary in the prompt", "agent_id": self.agent_id});
        self.start_run(|request| request.json(&body)).await
    }

    /// Starts a run with a form and a file.
    async fn run_form(&self) -> Value {
        let agent_id = self.agent_id.as_str().unwrap().to_owned();
        let file = Part::bytes(b"a canary in a file".as_slice()).file_name("data.txt");
        let form = Form::new()
            .text("prompt", "a canary in the prompt")
            .text("agent_id", agent_id);
        self.start_run(|request| request.multipart(form.part("files", file)))
            .await
    }

    /// Starts a run as a caller with a trace, and reads its stream to the end.
    async fn start_run(&self, with_body: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Value {
        let request = self
            .program
            .request("POST", "/agent/start")
            .header("traceparent", CALLER)
            .header("tracestate", "vendor=1");
        let started = with_body(request);
        let run = Answer::of(started.send().await.unwrap()).await.ok();
        let path = format!("/agent-run/{}/stream", text(&run, "agent_run_id"));
        let stream = self.program.request("GET", &path).timeout(TEST_TIMEOUT);
        let events = stream.send().await.unwrap().text().await.unwrap();
        assert!(events.contains("\"completed\""), "{events}");
        run
    }

    /// The trace contexts that the model provider and the MCP server received.
    fn passed_on(&self) -> (Vec<Option<String>>, Vec<Option<String>>) {
        let requests = self.upstream.requests();
        let to_model = requests
            .iter()
            .map(|request| request.headers.get("traceparent").cloned());
        (to_model.collect(), self.remote.seen.traces.lock().unwrap().clone())
    }
}

fn parent_of(traceparent: Option<&String>) -> (String, String) {
    let parts: Vec<&str> = traceparent.unwrap().split('-').collect();
    (parts[1].to_owned(), parts[2].to_owned())
}

async fn check_one_trace(collector: Collector, variables: &str, is_form: bool) {
    let traced = Traced::start(variables).await;
    let run = if is_form {
        traced.run_form().await
    } else {
        traced.run().await
    };
    traced.program.terminate();
    eventually(|| named(&collector.spans(), "invoke_agent").len() == 1).await;
    let spans: Vec<Span> = collector.spans();
    let spans: Vec<Span> = spans.into_iter().filter(|span| hex(&span.trace_id) == TRACE).collect();
    let started = one(&spans, "runyard.v1.RunService/StartRun");
    assert_eq!(hex(&started.parent_span_id), CALLER_SPAN);
    assert_eq!(started.trace_state, "vendor=1");
    let of_start = |name| attribute(&started.attributes, name);
    assert_eq!(of_start("http.response.status_code"), 200);
    assert_eq!(of_start("url.path"), "/agent/start");
    let work = one(&spans, "invoke_agent");
    assert_eq!(work.parent_span_id, started.span_id);
    let of_work = |name| attribute(&work.attributes, name);
    assert_eq!(of_work("runyard.run.id"), run["agent_run_id"]);
    assert_eq!(of_work("runyard.run.status"), "completed");
    assert_eq!(of_work("gen_ai.conversation.id"), run["thread_id"]);
    assert_eq!(of_work("gen_ai.agent.id"), traced.agent_id);
    assert_eq!(of_work("runyard.account.id"), of_start("runyard.account.id"));
    let mut calls = named(&spans, "chat kortix/minimax");
    calls.sort_by_key(|span| span.start_time_unix_nano);
    assert_eq!(calls.len(), 2);
    let used = calls.iter().map(|call| {
        assert_eq!(call.parent_span_id, work.span_id);
        assert_eq!(attribute(&call.attributes, "gen_ai.provider.name"), "openai");
        assert!(attribute(&call.attributes, "gen_ai.response.time_to_first_chunk").is_number());
        let count = |name| attribute(&call.attributes, name).as_i64().unwrap();
        (count("gen_ai.usage.input_tokens"), count("gen_ai.usage.output_tokens"))
    });
    assert_eq!(used.collect::<Vec<_>>(), [(11, 7), (13, 5)]);
    let tool = one(&spans, "execute_tool box__echo");
    assert_eq!(tool.parent_span_id, work.span_id);
    assert_eq!(attribute(&tool.attributes, "mcp.method.name"), "tools/call");
    assert!(tool.status.as_ref().is_none_or(|status| status.code == 0));

    let (to_model, to_server) = traced.passed_on();
    let of_model: Vec<_> = to_model.iter().map(|trace| parent_of(trace.as_ref())).collect();
    let expected: Vec<_> = calls
        .iter()
        .map(|call| (TRACE.to_owned(), hex(&call.span_id)))
        .collect();
    assert_eq!(of_model, expected);
    assert_eq!(
        to_server
            .iter()
            .map(|trace| parent_of(trace.as_ref()))
            .collect::<Vec<_>>(),
        [(TRACE.to_owned(), hex(&tool.span_id))]
    );

    let received = format!("{:?}", collector.received.lock().unwrap());
    assert!(
        received.contains("box__echo") && !received.contains("canary"),
        "{received}"
    );
    let resource = collector.received.lock().unwrap()[0].resource.clone().unwrap();
    assert_eq!(attribute(&resource.attributes, "service.name"), "agents");
    assert!(collector.teams.lock().unwrap().iter().all(|team| team == "blue"));
    assert!(!collector.teams.lock().unwrap().is_empty());
    let ended = traced
        .program
        .lines()
        .into_iter()
        .find(|line| line["message"] == "run ended")
        .unwrap();
    assert!(ended.to_string().contains(TRACE), "{ended}");
}

#[tokio::test]
async fn a_run_is_one_trace_over_http() {
    let collector = Collector::default();
    let endpoint = collector.serve_http().await;
    let variables = format!(
        "export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_HEADERS=x-team=blue OTEL_SERVICE_NAME=agents;"
    );
    check_one_trace(collector, &variables, true).await;
}

#[tokio::test]
async fn a_run_is_one_trace_over_grpc() {
    let collector = Collector::default();
    let endpoint = collector.serve_grpc().await;
    let variables = format!(
        "export OTEL_EXPORTER_OTLP_ENDPOINT={endpoint} OTEL_EXPORTER_OTLP_PROTOCOL=grpc \
         OTEL_EXPORTER_OTLP_HEADERS=x-team=blue OTEL_RESOURCE_ATTRIBUTES=service.name=agents OTEL_BSP_SCHEDULE_DELAY=100;"
    );
    check_one_trace(collector, &variables, false).await;
}

#[tokio::test]
async fn without_an_endpoint_no_trace_is_passed_on() {
    let traced = Traced::start("").await;
    traced.run().await;
    let (to_model, to_server) = traced.passed_on();
    assert_eq!((to_model, to_server), (vec![None, None], vec![None]));
}

#[tokio::test]
async fn a_collector_that_is_down_delays_nothing() {
    let variables = "export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9 OTEL_BSP_SCHEDULE_DELAY=50;";
    let mut traced = Traced::start(variables).await;
    traced.run().await;
    let (to_model, _) = traced.passed_on();
    assert_eq!(to_model.iter().flatten().count(), 2);
    let began = std::time::Instant::now();
    traced.program.terminate();
    assert_eq!(traced.program.ended().await, Some(0));
    assert!(began.elapsed() < TEST_TIMEOUT / 2, "{:?}", began.elapsed());
}

/// A failed call and a failed run are errors in their spans. Probes have no spans.
#[tokio::test]
async fn failures_are_in_the_trace() {
    let collector = Collector::default();
    let endpoint = collector.serve_http().await;
    let variables =
        format!("export OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={endpoint}/v1/traces OTEL_BSP_SCHEDULE_DELAY=50;");
    let traced = Traced::start(&variables).await;
    let missing = traced
        .program
        .request("GET", "/agent-run/6f2a1c8e-0d4b-4c7a-9e35-1b2c3d4e5f60");
    assert_eq!(missing.send().await.unwrap().status(), 404);
    eventually(|| named(&collector.spans(), "runyard.v1.RunService/GetRun").len() == 1).await;
    let spans = collector.spans();
    let call = one(&spans, "runyard.v1.RunService/GetRun");
    assert_eq!(attribute(&call.attributes, "error.type"), "RUN_NOT_FOUND");
    // The caller made the mistake, so the status of the server's span is not an error.
    assert!(call.status.as_ref().is_none_or(|status| status.code == 0));
    assert!(named(&spans, "GET").is_empty(), "{spans:?}");
    // A client without a credential determines neither the size nor the name of a span.
    let long = format!("{}/{}", traced.program.url, "x".repeat(30_000));
    let refused = traced.program.http.request("BREW".parse().unwrap(), long).send().await;
    assert_eq!(refused.unwrap().status(), 401);
    eventually(|| !named(&collector.spans(), "_OTHER").is_empty()).await;
    let spans = collector.spans();
    let path = attribute(&one(&spans, "_OTHER").attributes, "url.path");
    assert_eq!(path.as_str().unwrap().len(), 256, "{path}");
    traced.run().await;
    traced.upstream.push([Turn::status(401)]);
    let body = json!({"prompt": "x", "agent_id": traced.agent_id});
    let started = traced
        .program
        .request("POST", "/agent/start")
        .json(&body)
        .send()
        .await
        .unwrap();
    Answer::of(started).await.ok();
    eventually(|| named(&collector.spans(), "invoke_agent").len() == 2).await;
    let spans = collector.spans();
    let failed: Vec<_> = spans
        .iter()
        .filter(|span| attribute(&span.attributes, "runyard.run.status") == "failed")
        .collect();
    assert_eq!(failed.len(), 1, "{spans:?}");
    assert_eq!(
        attribute(&failed[0].attributes, "error.type"),
        "MODEL_CREDENTIALS_REFUSED"
    );
    assert_eq!(failed[0].status.as_ref().unwrap().code, 2);
    let call = spans
        .iter()
        .find(|span| span.parent_span_id == failed[0].span_id)
        .unwrap();
    assert_eq!(call.status.as_ref().unwrap().code, 2);
}
