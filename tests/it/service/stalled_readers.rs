//! Tests of clients that stop reading. For every kind of stream, the server bounds the memory that they use, and
//! serves other clients.

use prost::Message;
use reqwest::multipart::{Form, Part};
use runyard::{config::Http, v1};
use runyard_upstream::{Script, Turn, Upstream};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{ServerReflectionRequest, server_reflection_request::MessageRequest};

use super::{
    call::framed,
    floods::{
        DATA, END_HEADERS, END_STREAM, GET, HEADERS, POST, RST_STREAM, SETTINGS, assert_served, block, find, frame,
    },
    program::Program,
};
use crate::test_server::{Answer, TEST_TIMEOUT, on_every_database_with};

const MIB: u64 = 1024 * 1024;
/// Size in bytes of the model's answer and of the file `large.bin`. The largest event has about the same size.
const LARGE: usize = 400_000;
const STREAMS: u32 = 300;

/// Opens a connection with a flow-control window of one byte per stream.
async fn open(program: &Program) -> TcpStream {
    let mut stream = TcpStream::connect(program.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // This frame sets SETTINGS_INITIAL_WINDOW_SIZE to 1.
    stream
        .write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 1]))
        .await
        .unwrap();
    stream
}

/// Completes a run with large events and the file `large.bin`. Returns the ids of the run and of its sandbox.
async fn finished_run(program: &Program) -> (String, String) {
    let file = Part::bytes(vec![b'z'; LARGE]).file_name("large.bin");
    let form = Form::new().text("prompt", "x").part("files", file);
    let request = program.request("POST", "/agent/start").multipart(form);
    let run: Value = Answer::of(request.send().await.unwrap()).await.ok();
    let run_id = run["agent_run_id"].as_str().unwrap().to_owned();
    let stream = program.request("GET", &format!("/agent-run/{run_id}/stream"));
    let events = stream.timeout(TEST_TIMEOUT).send().await.unwrap().text().await.unwrap();
    assert!(events.len() > LARGE && events.contains("\"completed\""));
    let run = program.request("GET", &format!("/agent-run/{run_id}"));
    let run: Value = Answer::of(run.send().await.unwrap()).await.ok();
    (run_id, run["sandbox_id"].as_str().unwrap().to_owned())
}

/// A request whose response the client does not read.
struct Request {
    what: &'static str,
    method: u8,
    path: String,
    /// The content type of the request; empty for a GET request.
    content_type: &'static str,
    body: Vec<u8>,
}

fn requests(run_id: &str, sandbox_id: &str) -> Vec<Request> {
    let stream_run = v1::StreamRunRequest {
        agent_run_id: run_id.to_owned(),
        after_sequence: 0,
        ..Default::default()
    };
    let stream_runs = v1::StreamRunsRequest {
        runs: vec![v1::RunCursor {
            agent_run_id: run_id.to_owned(),
            after_sequence: 0,
        }],
    };
    let read_file = v1::ReadFileRequest {
        sandbox_id: sandbox_id.to_owned(),
        path: "large.bin".to_owned(),
        ..Default::default()
    };
    let reflect = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol("runyard.v1.RunService".to_owned())),
    };
    let content = format!("/sandboxes/{sandbox_id}/files/content");
    let get = |what, path| Request {
        what,
        method: GET,
        path,
        content_type: "",
        body: Vec::new(),
    };
    let post = |what, path: &str, content_type, message: Vec<u8>| Request {
        what,
        method: POST,
        path: path.to_owned(),
        content_type,
        body: framed(&message),
    };
    let grpc = "application/grpc";
    let stream_run = stream_run.encode_to_vec();
    vec![
        get("server-sent events", format!("/agent-run/{run_id}/stream")),
        post("gRPC", "/runyard.v1.RunService/StreamRun", grpc, stream_run.clone()),
        post(
            "gRPC, many runs",
            "/runyard.v1.RunService/StreamRuns",
            grpc,
            stream_runs.encode_to_vec(),
        ),
        post(
            "gRPC-Web",
            "/runyard.v1.RunService/StreamRun",
            "application/grpc-web+proto",
            stream_run.clone(),
        ),
        post(
            "binary Connect",
            "/runyard.v1.RunService/StreamRun",
            "application/connect+proto",
            stream_run,
        ),
        post(
            "Connect with JSON",
            "/runyard.v1.RunService/StreamRun",
            "application/connect+json",
            format!(r#"{{"agentRunId": "{run_id}"}}"#).into_bytes(),
        ),
        get("one answer", "/openapi.json".to_owned()),
        get("a file", format!("{content}?path=large.bin")),
        get("an archive", format!("{content}?path=.")),
        post(
            "a file over gRPC",
            "/runyard.v1.SandboxService/ReadFile",
            grpc,
            read_file.encode_to_vec(),
        ),
        post(
            "reflection",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            grpc,
            reflect.encode_to_vec(),
        ),
    ]
}

/// Sends a request many times over one connection, and reads no response. Returns when every response has begun or
/// was reset.
async fn stall(program: &Program, request: &Request) -> TcpStream {
    let mut stream = open(program).await;
    let token = format!("Bearer {}", program.token);
    let mut headers = vec![("authorization", token.as_str())];
    if !request.content_type.is_empty() {
        headers.extend([("content-type", request.content_type), ("te", "trailers")]);
    }
    let end = if request.body.is_empty() { END_STREAM } else { 0 };
    let ask = block(request.method, &request.path, &headers);
    for number in 0..STREAMS {
        let id = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS | end, id, &ask);
        if !request.body.is_empty() {
            bytes.extend(frame(DATA, END_STREAM, id, &request.body));
        }
        stream.write_all(&bytes).await.unwrap();
    }
    let mut begun = std::collections::HashSet::new();
    let all = find(&mut stream, |kind, id, _| {
        if kind == HEADERS || kind == RST_STREAM {
            begun.insert(id);
        }
        (begun.len() == STREAMS as usize).then_some(())
    });
    timeout(TEST_TIMEOUT, all)
        .await
        .unwrap()
        .expect("all streams should begin");
    assert_served(program).await;
    stream
}

#[tokio::test]
async fn unread_streams_take_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(Script::function(|_| Turn::text(&"y".repeat(LARGE)))).await;
    let config = format!(
        "[http]\nmax_unread_bytes = {}\n[[tiers]]\nname = \"free\"\nmodels = [\"*\"]\ndefault_model = \"kortix/minimax\"\n\
         max_upload_bytes = 1000000\ncredits_granted = 300\n\
         [providers.default]\nkind = \"openai\"\nbase_url = \"{}\"\n",
        8 * MIB,
        upstream.base_url()
    );
    let program = Program::start(folder.path(), &config).await;
    let (run_id, sandbox_id) = finished_run(&program).await;
    for request in requests(&run_id, &sandbox_id) {
        let before = program.memory();
        let (stream, most) = program.most(stall(&program, &request)).await;
        let growth = most.saturating_sub(before) / MIB;
        let what = request.what;
        assert!(growth < 64, "{what}: {STREAMS} stalled readers took {growth} MiB");
        drop(stream);
    }
    let file = program.request("GET", &format!("/sandboxes/{sandbox_id}/files/content?path=large.bin"));
    assert_eq!(file.send().await.unwrap().bytes().await.unwrap().len(), LARGE);
    let whole = program.request("GET", &format!("/agent-run/{run_id}/stream"));
    let whole = whole.timeout(TEST_TIMEOUT).send().await.unwrap().text().await.unwrap();
    assert!(whole.contains("\"completed\""));
}

#[tokio::test]
async fn an_account_has_a_maximum_number_of_streams() {
    let few = |http: &mut Http| http.max_streams_per_account = 3;
    on_every_database_with(
        |gate| {
            let gate = gate.clone();
            Script::function(move |_| Turn::text("At last.").held_by(&gate))
        },
        |config| few(&mut config.http),
        async |server| {
            let ann = server.caller("ann");
            let run = ann.start("Wait.").await;
            let run_id = run["agent_run_id"].as_str().unwrap();
            let path = format!("/agent-run/{run_id}/stream");
            let mut open = Vec::new();
            for _ in 0..3 {
                let stream = ann.request("GET", &path).send().await.unwrap();
                assert_eq!(stream.status(), 200);
                open.push(stream);
            }
            let refused = ann.get(&path).await;
            assert_eq!(refused.header("retry-after"), "5");
            let body = refused.refused(429, "THROTTLED");
            assert_eq!(
                body["detail"],
                "this account has 3 open streams, which is the maximum; close some of them"
            );
            let ask = v1::StreamRunRequest {
                agent_run_id: run_id.to_owned(),
                after_sequence: 0,
                ..Default::default()
            };
            let status = ann.runs().await.stream_run(ann.signed(ask.clone())).await.unwrap_err();
            assert_eq!(status.code(), tonic::Code::ResourceExhausted);
            let web = ann.request("POST", "/runyard.v1.RunService/StreamRun");
            let web = web.header("content-type", "application/grpc-web+proto");
            let web = web.body(framed(&ask.encode_to_vec())).send().await.unwrap();
            assert_eq!(web.headers()["grpc-status"], "8");
            assert_eq!(ann.get("/agents").await.status, 200);
            let bob = server.caller("bob");
            assert_eq!(bob.get(&path).await.status, 404);
            drop(open.pop());
            let room = async {
                loop {
                    let stream = ann.request("GET", &path).send().await.unwrap();
                    if stream.status() == 200 {
                        return stream;
                    }
                }
            };
            let stream = timeout(TEST_TIMEOUT, room)
                .await
                .expect("a closed stream should make room");
            server.gate.open();
            assert!(stream.text().await.unwrap().contains("At last."));
        },
    )
    .await;
}

#[tokio::test]
async fn an_address_without_a_credential_has_a_maximum_number_of_streams() {
    on_every_database_with(
        |_| Turn::text("x"),
        |_| {},
        async |server| {
            let ann = server.caller("ann");
            let mut health = HealthClient::new(ann.channel().await);
            let watch = HealthCheckRequest { service: String::new() };
            let mut open = Vec::new();
            let refused = loop {
                match health.watch(watch.clone()).await {
                    Ok(stream) => open.push(stream),
                    Err(status) => break status,
                }
                assert!(open.len() < 1000, "the number of streams should be limited");
            };
            assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
            assert!(open.len() >= 100);
            health.check(watch).await.unwrap();
        },
    )
    .await;
}
