//! Tests of the chat completions adapter: requests, correct and faulty answers, and retries.

use std::time::Duration;

use futures::StreamExt;
use runyard::{
    config::{Provider, ProviderKind},
    llm::{
        ChatMessage, EndReason, Llm, LlmError, ModelEvent, ModelRequest, Retries, Timeouts, TokenUsage, ToolRequest,
        Upstream as Adapter,
    },
};
use runyard_upstream::{Call, Gate, Script, Step, Turn, Upstream};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Reply, ask, bash_tool, question};

const KEY: &str = "sk-secret-0123456789";

fn adapter_for(base_url: &str, total: Duration) -> Adapter {
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(2),
        gap: Duration::from_secs(1),
        total: None,
    };
    adapter_with(base_url, timeouts, total)
}

fn adapter_with(base_url: &str, timeouts: Timeouts, total: Duration) -> Adapter {
    let provider = Provider {
        base_url: Some(base_url.to_owned()),
        api_key: Some(KEY.to_owned().into()),
        ..Provider::new(ProviderKind::OpenAi)
    };
    let retries = Retries {
        first_pause: Duration::from_millis(4),
        longest_pause: Duration::from_millis(40),
        total,
    };
    Adapter::with_limits("test", &provider, timeouts, retries).unwrap()
}

fn adapter(server: &Upstream) -> Adapter {
    adapter_for(&server.base_url(), Duration::from_secs(15))
}

fn impatient(server: &Upstream) -> Adapter {
    adapter_for(&server.base_url(), Duration::from_millis(50))
}

async fn collect(turns: impl Into<Script>) -> (Reply, Upstream) {
    let server = Upstream::start(turns).await;
    let reply = ask(&adapter(&server), question("hello")).await;
    (reply, server)
}

fn sse(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn delta(delta: &Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn stop() -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

#[tokio::test]
async fn an_answer_is_streamed_with_reasoning_and_usage() {
    let turn = Turn::deltas(["Hel", "lo ", "wörld"]).reasoning("hm").usage(12, 34);
    let (reply, server) = collect(turn).await;
    assert_eq!(
        (reply.text.as_str(), reply.reasoning.as_str(), reply.deltas),
        ("Hello wörld", "hm", 3)
    );
    assert_eq!(
        reply.usage,
        Some(TokenUsage {
            input: 12,
            output: 34,
            cached_input: 0
        })
    );
    assert_eq!(
        (reply.end, reply.error.is_none(), reply.notices.len()),
        (Some(EndReason::Done), true, 0)
    );

    let request = &server.requests()[0];
    assert_eq!(request.authorization.as_deref(), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(request.body["model"], "scripted");
    assert_eq!(request.body["stream"], true);
    assert_eq!(request.body["stream_options"], json!({"include_usage": true}));
    assert_eq!(request.body["max_tokens"], 1000);
    assert_eq!(request.body.get("reasoning_effort"), None);
    assert_eq!(
        request.messages(),
        [
            json!({"role": "system", "content": "Be brief."}),
            json!({"role": "user", "content": "hello"})
        ]
    );
}

#[tokio::test]
async fn the_first_delta_is_passed_on_before_the_second_exists() {
    let gate = Gate::new();
    let server = Upstream::start(Turn::deltas(["one", "two"]).gate_after(1, &gate)).await;
    let mut stream = adapter(&server).stream(question("hello")).await;
    let first = timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("the first delta arrives at once");
    assert_eq!(first.unwrap().unwrap(), ModelEvent::Text("one".to_owned()));
    gate.open();
    assert_eq!(
        stream.next().await.unwrap().unwrap(),
        ModelEvent::Text("two".to_owned())
    );
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection() {
    let gate = Gate::new();
    let server = Upstream::start(Turn::deltas(["one", "two"]).gate_after(1, &gate)).await;
    let mut stream = adapter(&server).stream(question("hello")).await;
    assert!(stream.next().await.is_some());
    assert_eq!(server.dropped(), 0);
    drop(stream);
    timeout(Duration::from_secs(20), async {
        while server.dropped() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the server sees that the client disconnected");
}

#[tokio::test]
async fn the_whole_history_and_the_tools_are_sent() {
    let server = Upstream::start(Turn::text("done")).await;
    let call = |id: &str, arguments: &str| ToolRequest {
        id: id.to_owned(),
        name: "bash".to_owned(),
        arguments: arguments.to_owned(),
    };
    let answer = |id: &str, text: &str, is_error: bool| ChatMessage::Tool {
        tool_call_id: id.to_owned(),
        name: "bash".to_owned(),
        text: text.to_owned(),
        images: Vec::new(),
        is_error,
    };
    let request = ModelRequest {
        messages: vec![
            ChatMessage::user("go"),
            ChatMessage::Assistant {
                text: "Looking.".to_owned(),
                tool_calls: vec![call("c1", r#"{"command":"ls"}"#), call("c2", "not json")],
                carried: None,
            },
            answer("c1", "data.csv", false),
            answer("c2", "the arguments are not JSON", true),
            ChatMessage::Assistant {
                text: String::new(),
                tool_calls: Vec::new(),
                carried: None,
            },
            ChatMessage::user("and?"),
        ],
        tools: vec![bash_tool()],
        ..question("")
    };
    assert_eq!(ask(&adapter(&server), request).await.text, "done");
    let received = &server.requests()[0];
    assert_eq!(received.tool_names(), ["bash"]);
    assert_eq!(
        received.body["tools"][0]["function"]["parameters"],
        bash_tool().parameters
    );
    let messages = received.messages();
    let roles: Vec<&str> = messages
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["system", "user", "assistant", "tool", "tool", "user"]);
    assert_eq!(
        messages[2]["tool_calls"][0]["function"]["arguments"],
        r#"{"command":"ls"}"#
    );
    assert_eq!(
        messages[2]["tool_calls"][1]["function"]["arguments"],
        r#"{"invalid_arguments":"not json"}"#
    );
    assert_eq!(
        (&messages[3]["tool_call_id"], &messages[3]["content"]),
        (&json!("c1"), &json!("data.csv"))
    );
    assert_eq!(messages[4]["content"], "The call failed.\nthe arguments are not JSON");
}

#[tokio::test]
async fn model_names_reach_the_provider_unchanged() {
    let server = Upstream::start(Script::function(|_| Turn::text("ok"))).await;
    let names = [
        "some-model-low",
        "qwen-max",
        "vendor/model:free",
        "ns::model",
        "a::b-none",
    ];
    for name in names {
        let request = ModelRequest {
            model: name.to_owned(),
            ..question("hello")
        };
        assert_eq!(ask(&adapter(&server), request).await.text, "ok");
    }
    let sent = server.requests();
    let sent: Vec<&str> = sent
        .iter()
        .map(|request| request.body["model"].as_str().unwrap())
        .collect();
    assert_eq!(sent, names);
}

#[tokio::test]
async fn a_local_server_without_a_key_gets_no_authorization() {
    let server = Upstream::start(Turn::text("ok")).await;
    let provider = Provider {
        base_url: Some(server.base_url()),
        ..Provider::new(ProviderKind::OpenAi)
    };
    assert_eq!(
        ask(&Adapter::new("test", &provider).unwrap(), question("hello"))
            .await
            .text,
        "ok"
    );
    assert_eq!(server.requests()[0].authorization, None);
}

#[tokio::test]
async fn tool_calls_are_assembled_from_split_and_interleaved_chunks() {
    let calls = [
        Call::new("read", &json!({"path": "a.txt"})).id("one"),
        Call::new("bash", &json!({"command": "echo 'ü'"})).id("two"),
    ];
    let (reply, _server) = collect(Turn::text("Both.").and_calls(calls).argument_pieces(5)).await;
    assert_eq!(reply.text, "Both.");
    let expected = [
        ("one", "read", json!({"path": "a.txt"})),
        ("two", "bash", json!({"command": "echo 'ü'"})),
    ];
    assert_eq!(reply.calls.len(), 2);
    for (call, (id, name, arguments)) in reply.calls.iter().zip(expected) {
        assert_eq!((call.id.as_str(), call.name.as_str()), (id, name));
        assert_eq!(serde_json::from_str::<Value>(&call.arguments).unwrap(), arguments);
    }
    assert_eq!(reply.end, Some(EndReason::Done));
}

#[tokio::test]
async fn malformed_tool_calls_are_passed_on_unchanged() {
    let call = |call: Value| Step::Event(delta(&json!({"tool_calls": [call]})));
    let end = || Step::Bytes("data: [DONE]\n\n".into());
    let one = |id: &str, name: &str, arguments: &str| ToolRequest {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let table: Vec<(&str, Vec<Step>, Vec<ToolRequest>)> = vec![
        (
            "no index, no id",
            vec![
                call(json!({"function": {"name": "bash", "arguments": "{}"}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("call_0", "bash", "{}")],
        ),
        (
            "no index, two calls",
            vec![
                call(json!({"id": "a", "function": {"name": "bash", "arguments": "{\"x\":"}})),
                call(json!({"function": {"arguments": "1}"}})),
                call(json!({"id": "b", "function": {"name": "read", "arguments": "{}"}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("a", "bash", "{\"x\":1}"), one("b", "read", "{}")],
        ),
        (
            "the same index for two calls",
            vec![
                call(json!({"index": 0, "id": "a", "function": {"name": "bash", "arguments": "{}"}})),
                call(json!({"index": 0, "id": "b", "function": {"name": "read", "arguments": "{}"}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("a", "bash", "{}"), one("b", "read", "{}")],
        ),
        (
            "an index that would fill the memory",
            vec![
                call(json!({"index": 4_000_000_000_u64, "id": "a", "function": {"name": "bash", "arguments": "{}"}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("a", "bash", "{}")],
        ),
        (
            "arguments as an object, id and name repeated",
            vec![
                call(json!({"index": 0, "id": "a", "function": {"name": "bash", "arguments": {"command": "ls"}}})),
                call(json!({"index": 0, "id": "a", "function": {"name": "bash", "arguments": ""}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("a", "bash", "{\"command\":\"ls\"}")],
        ),
        (
            "duplicate ids, invalid JSON, unknown tool",
            vec![
                call(json!({"index": 0, "id": "a", "function": {"name": "bash", "arguments": "{\"comm\" 1}"}})),
                call(json!({"index": 1, "id": "a", "function": {"name": "fly", "arguments": "]"}})),
                Step::Event(stop()),
                end(),
            ],
            vec![one("a", "bash", "{\"comm\" 1}"), one("a", "fly", "]")],
        ),
    ];
    for (name, steps, expected) in table {
        let (reply, _server) = collect(Turn::raw(steps)).await;
        assert_eq!(reply.calls, expected, "{name}: {reply:?}");
        assert_eq!(reply.end, Some(EndReason::Done), "{name}");
    }
}

#[tokio::test]
async fn failures_before_the_first_token_are_retried_and_reported() {
    let table: Vec<(&str, Turn)> = vec![
        ("408", Turn::status(408)),
        ("409", Turn::status(409)),
        ("429", Turn::status(429).body(r#"{"error":{"message":"slow down"}}"#)),
        ("429 with seconds", Turn::status(429).header("retry-after", "0.01")),
        (
            "429 with a past date",
            Turn::status(429).header("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ),
        ("500", Turn::status(500)),
        (
            "502 with HTML",
            Turn::status(502)
                .header("content-type", "text/html")
                .body("<html>bad gateway</html>"),
        ),
        ("503", Turn::status(503)),
        (
            "529",
            Turn::status(529).body(r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
        ),
        ("silence before the headers", Turn::text("late").silent()),
        ("silence after the headers", Turn::raw([Step::Hang])),
        ("cut before the first token", Turn::raw([Step::Cut])),
        ("an empty body", Turn::stream("")),
        (
            "an error event",
            Turn::stream(sse(&json!({"error": {"message": "overloaded", "code": 503}}))),
        ),
        ("garbage", Turn::stream("data: {not json\n\n")),
        (
            "HTML with status 200",
            Turn::stream("<html><body>Welcome</body></html>"),
        ),
        ("nothing but [DONE]", Turn::stream("data: [DONE]\n\n")),
        (
            "empty choices",
            Turn::stream("data: {\"choices\":[]}\n\ndata: [DONE]\n\n"),
        ),
    ];
    for (name, bad) in table {
        let (reply, server) = collect([bad.clone(), Turn::text("fine")]).await;
        assert_eq!(
            (reply.text.as_str(), reply.end),
            ("fine", Some(EndReason::Done)),
            "{name}: {reply:?}"
        );
        assert_eq!((reply.notices.len(), server.count()), (1, 2), "{name}: {reply:?}");
        assert!(reply.notices[0].contains("retrying in"), "{name}: {reply:?}");

        let server = Upstream::start(Script::function(move |_| bad.clone())).await;
        let reply = ask(&impatient(&server), question("hello")).await;
        assert!(
            matches!(reply.error, Some(LlmError::Unavailable(_))),
            "{name}: {reply:?}"
        );
        assert_eq!(
            reply.notices.len() + 1,
            server.count(),
            "{name}: a notice for each retry"
        );
    }
}

#[tokio::test]
async fn a_tool_call_that_was_cut_is_requested_again_up_to_twice() {
    let call = |arguments: &str| {
        Turn::raw([
            Step::Event(delta(&json!({"tool_calls": [
                {"index": 0, "id": "x", "function": {"name": "bash", "arguments": arguments}}]}))),
            Step::Event(stop()),
        ])
    };
    let (reply, server) = collect([call("{\"comm"), call("{\"command\":\"ls\"}")]).await;
    assert_eq!(
        (reply.calls.len(), reply.end, server.count()),
        (1, Some(EndReason::Done), 2),
        "{reply:?}"
    );
    let (reply, server) = collect(Script::function(move |_| call("{\"comm"))).await;
    assert!(matches!(reply.error, Some(LlmError::Broken(_))), "{reply:?}");
    assert_eq!((reply.calls.len(), server.count()), (0, 3), "{reply:?}");
}

#[tokio::test]
async fn refusals_are_not_retried() {
    type Is = fn(&LlmError) -> bool;
    let credentials: Is = |error| matches!(error, LlmError::Credentials(_));
    let refused: Is = |error| matches!(error, LlmError::Refused(_));
    let too_long: Is = |error| matches!(error, LlmError::TooLong { .. });
    let unknown_model: Is = |error| matches!(error, LlmError::UnknownModel(_));
    let quota: Is = |error| matches!(error, LlmError::Quota(_));
    let unavailable: Is = |error| matches!(error, LlmError::Unavailable(_));
    let error = |message: &str, code: &str| json!({"error": {"message": message, "code": code}}).to_string();
    let context = error(
        "This model's maximum context length is 8192 tokens.",
        "context_length_exceeded",
    );
    let table: Vec<(&str, Turn, Is)> = vec![
        ("400", Turn::status(400).body(&error("bad tool", "invalid")), refused),
        (
            "401",
            Turn::status(401).body(&error("bad key", "invalid_api_key")),
            credentials,
        ),
        ("403", Turn::status(403), credentials),
        (
            "404",
            Turn::status(404).body(&error("no such model", "model_not_found")),
            unknown_model,
        ),
        ("413", Turn::status(413), refused),
        ("422", Turn::status(422), refused),
        (
            "302",
            Turn::status(302).header("location", "http://127.0.0.1:1/elsewhere"),
            refused,
        ),
        ("context length", Turn::status(400).body(&context), too_long),
        (
            "llama.cpp's context",
            Turn::status(400).body(&error("exceeds the available context size", "x")),
            too_long,
        ),
        (
            "context as an event",
            Turn::stream(sse(&serde_json::from_str(&context).unwrap())),
            too_long,
        ),
        (
            "401 as an event",
            Turn::stream(sse(&json!({"error": {"message": "no", "code": 401}}))),
            credentials,
        ),
        (
            "an exhausted balance",
            Turn::status(429).body(&error("no money", "insufficient_quota")),
            quota,
        ),
        (
            "a wait beyond the limit",
            Turn::status(429).header("retry-after", "3600"),
            unavailable,
        ),
        (
            "a wait until the year 2100",
            Turn::status(503).header("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT"),
            unavailable,
        ),
    ];
    for (name, turn, is_expected) in table {
        let (reply, server) = collect(turn).await;
        let error = reply.error.as_ref().unwrap_or_else(|| panic!("{name}: {reply:?}"));
        assert!(is_expected(error), "{name}: {error:?}");
        assert_eq!((reply.notices.len(), server.count()), (0, 1), "{name}: one attempt");
    }
}

#[tokio::test]
async fn the_error_names_an_unreachable_provider() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let soon = Duration::from_millis(50);
    // This time is enough for a retry on a busy machine.
    let later = Duration::from_millis(500);
    let reply = ask(&adapter_for(&format!("http://{address}/v1"), later), question("hello")).await;
    let error = reply.error.unwrap().to_string();
    assert!(error.contains(&format!("no connection to http://{address}")), "{error}");
    assert!(!reply.notices.is_empty());

    let reply = ask(&adapter_for("http://no-such-host.invalid/v1", soon), question("hello")).await;
    assert!(matches!(reply.error, Some(LlmError::Unavailable(_))), "{reply:?}");

    let server = Upstream::start(Turn::text("plain")).await;
    let reply = ask(
        &adapter_for(&server.base_url().replace("http:", "https:"), soon),
        question("hello"),
    )
    .await;
    assert!(
        matches!(reply.error, Some(LlmError::Unavailable(_))),
        "TLS to a plain server: {reply:?}"
    );
}

#[tokio::test]
async fn the_api_key_is_removed_from_provider_errors() {
    let long = format!("{}{KEY}", "x".repeat(495));
    let echoing = [
        Turn::status(401)
            .body(&json!({"error": {"message": format!("Incorrect API key provided: {KEY}")}}).to_string()),
        Turn::status(400).body(&format!("your header was Bearer {KEY}")),
        Turn::status(400).body(&long),
        Turn::stream(sse(&json!({"error": {"message": KEY, "code": 400}}))),
        Turn::status(302).header("location", &format!("http://elsewhere/{KEY}")),
    ];
    for turn in echoing {
        let (reply, _server) = collect(turn).await;
        let error = format!("{:?}", reply.error.unwrap());
        assert!(!error.contains("sk-sec"), "{error}");
        assert!(error.len() < 700, "cut: {error}");
    }
}

#[tokio::test]
async fn a_broken_answer_keeps_its_text_and_is_not_retried() {
    let text = |text: &str| Step::Event(delta(&json!({"content": text})));
    let half = |bytes: &'static [u8]| Step::Bytes(bytes::Bytes::from_static(bytes));
    let table: Vec<(&str, Turn)> = vec![
        ("cut", Turn::deltas(["a", "b", "c"]).cut_after(2)),
        (
            "cut in a chunk",
            Turn::raw([text("a"), text("b"), half(b"data: {\"choices\":[{\"del"), Step::Cut]),
        ),
        (
            "ended in a chunk",
            Turn::raw([text("a"), text("b"), half(b"data: {\"choices\":[{\"del")]),
        ),
        (
            "cut in a character",
            Turn::raw([text("a"), text("b"), half(b"data: {\"x\":\"\xc3"), Step::Cut]),
        ),
        (
            "ended in a character",
            Turn::raw([text("a"), text("b"), half(b"data: {\"x\":\"\xc3")]),
        ),
        (
            "not UTF-8",
            Turn::raw([text("a"), text("b"), half(b"data: \xff\xff\n\n")]),
        ),
        ("ended without a reason", Turn::raw([text("a"), text("b")])),
        (
            "[DONE] without a reason",
            Turn::raw([text("a"), text("b"), half(b"data: [DONE]\n\n")]),
        ),
        ("silence", Turn::deltas(["a", "b"]).hang_after(2)),
        (
            "an error event",
            Turn::raw([text("a"), text("b"), Step::Event(json!({"error": {"message": "gone"}}))]),
        ),
        ("garbage", Turn::raw([text("a"), text("b"), half(b"data: oops\n\n")])),
        (
            "cut in the arguments",
            Turn::raw([
                text("ab"),
                Step::Event(delta(&json!({"tool_calls": [
                    {"index": 0, "id": "x", "function": {"name": "bash", "arguments": "{\"comm"}}]}))),
                Step::Cut,
            ]),
        ),
    ];
    for (name, turn) in table {
        let (reply, server) = collect([turn, Turn::text("never")]).await;
        assert_eq!(reply.text, "ab", "{name}: {reply:?}");
        assert!(matches!(reply.error, Some(LlmError::Broken(_))), "{name}: {reply:?}");
        assert_eq!(
            (reply.calls.len(), reply.notices.len(), server.count()),
            (0, 0, 1),
            "{name}: {reply:?}"
        );
    }
}

#[tokio::test]
async fn end_reasons_are_read() {
    let table: Vec<(&str, Turn, EndReason)> = vec![
        ("stop", Turn::text("x"), EndReason::Done),
        ("length", Turn::text("x").finish("length"), EndReason::Length),
        ("a filter", Turn::text("x").finish("content_filter"), EndReason::Refused),
        ("an unknown reason", Turn::text("x").finish("the_moon"), EndReason::Done),
        (
            "no [DONE] after the reason",
            Turn::text("x").without_done(),
            EndReason::Done,
        ),
        (
            "silence after the reason",
            Turn::raw([
                Step::Event(delta(&json!({"content": "x"}))),
                Step::Event(stop()),
                Step::Hang,
            ]),
            EndReason::Done,
        ),
        (
            "a refusal",
            Turn::raw([
                Step::Event(delta(&json!({"refusal": "x"}))),
                Step::Event(stop()),
                Step::Bytes("data: [DONE]\n\n".into()),
            ]),
            EndReason::Refused,
        ),
    ];
    for (name, turn, end) in table {
        let (reply, server) = collect(turn).await;
        assert_eq!((reply.text.as_str(), reply.end), ("x", Some(end)), "{name}: {reply:?}");
        assert_eq!(server.count(), 1, "{name}");
    }
    let (reply, _server) = collect(Turn::deltas([])).await;
    assert_eq!(
        (reply.text.as_str(), reply.end),
        ("", Some(EndReason::Done)),
        "an empty answer is valid: {reply:?}"
    );
}

#[tokio::test]
async fn every_valid_form_of_an_event_stream_is_read() {
    let (one, two, end) = (
        delta(&json!({"content": "one "})),
        delta(&json!({"content": "twö"})),
        stop(),
    );
    let lf = format!(": hi\n\ndata: {one}\n\n: keep-alive\n\ndata:{two}\n\nevent: x\ndata: {end}\n\ndata: [DONE]\n\n");
    let role = delta(&json!({"role": "assistant"}));
    let pretty = serde_json::to_string_pretty(&one).unwrap().replace('\n', "\ndata: ");
    let table = [
        ("comments and LF", lf.clone()),
        ("CRLF", lf.replace('\n', "\r\n")),
        ("CR", lf.replace('\n', "\r")),
        ("a byte order mark", format!("\u{feff}data: {role}\n\n{lf}")),
        (
            "data in many lines",
            format!("data: {pretty}\n\ndata: {two}\n\ndata: {end}\n\ndata: [DONE]\n\n"),
        ),
        ("no blank line at the end", lf.trim_end().to_owned()),
    ];
    for (name, text) in table {
        let (reply, _server) = collect(Turn::stream(text.clone())).await;
        assert_eq!(
            (reply.text.as_str(), reply.end),
            ("one twö", Some(EndReason::Done)),
            "{name}: {reply:?}"
        );
        // The same bytes are sent one at a time, because chunk boundaries must not matter.
        let bytes: Vec<Step> = text
            .bytes()
            .map(|byte| Step::Bytes(bytes::Bytes::from(vec![byte])))
            .collect();
        let (reply, _server) = collect(Turn::raw(bytes)).await;
        assert_eq!(
            (reply.text.as_str(), reply.end),
            ("one twö", Some(EndReason::Done)),
            "{name}, in bytes: {reply:?}"
        );
    }
}

#[tokio::test]
async fn keep_alives_prevent_a_timeout_while_the_model_thinks() {
    let mut steps: Vec<Step> = Vec::new();
    for _ in 0..20 {
        steps.extend([
            Step::Bytes(": still here\n\n".into()),
            Step::Pause(Duration::from_millis(50)),
        ]);
    }
    steps.extend([Step::Event(delta(&json!({"content": "done"}))), Step::Event(stop())]);
    let server = Upstream::start(Turn::raw(steps)).await;
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_millis(600),
        gap: Duration::from_millis(300),
        total: None,
    };
    let adapter = adapter_with(&server.base_url(), timeouts, Duration::from_secs(15));
    let reply = ask(&adapter, question("hello")).await;
    assert_eq!(
        (reply.text.as_str(), server.count()),
        ("done", 1),
        "longer than all timeouts together: {reply:?}"
    );
}

#[tokio::test]
async fn valid_usage_is_read_and_invalid_usage_ignored() {
    let usage = |input, output, cached_input| {
        Some(TokenUsage {
            input,
            output,
            cached_input,
        })
    };
    let table = [
        (json!({"prompt_tokens": 5, "completion_tokens": 7}), usage(5, 7, 0)),
        (
            json!({"prompt_tokens": 5, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}}),
            usage(5, 7, 3),
        ),
        (json!({"prompt_tokens": 5}), usage(5, 0, 0)),
        (
            json!({"prompt_tokens": 5.0, "completion_tokens": 9_000_000_000_u64}),
            usage(5, 9_000_000_000, 0),
        ),
        (json!({"prompt_tokens": -5, "completion_tokens": "7"}), None),
        (json!({}), None),
        (json!("many"), None),
        (json!(null), None),
    ];
    for (raw, expected) in table {
        let (reply, _server) = collect(Turn::text("x").raw_usage(raw.clone())).await;
        assert_eq!((reply.usage, reply.end), (expected, Some(EndReason::Done)), "{raw}");
    }
    let (reply, _server) = collect(Turn::text("x").without_usage()).await;
    assert_eq!((reply.usage, reply.end), (None, Some(EndReason::Done)));
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    let piece = "endless ".repeat(512);
    let steps: Vec<Step> = (0..200)
        .map(|_| Step::Event(delta(&json!({"content": piece}))))
        .collect();
    let (reply, _server) = collect(Turn::raw(steps)).await;
    assert_eq!(reply.end, Some(EndReason::Length));
    assert!(
        reply.text.len() >= 64 * 1024 && reply.text.len() < 100 * 1024,
        "{} bytes",
        reply.text.len()
    );

    let argument = "x".repeat(64 * 1024);
    let call =
        delta(&json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "w", "arguments": argument}}]}));
    let steps: Vec<Step> = (0..80).map(|_| Step::Event(call.clone())).collect();
    let server = Upstream::start(Script::function(move |_| Turn::raw(steps.clone()))).await;
    let provider = Provider {
        base_url: Some(server.base_url()),
        ..Provider::new(ProviderKind::OpenAi)
    };
    let reply = ask(&Adapter::new("test", &provider).unwrap(), question("hello")).await;
    assert!(
        matches!(reply.error, Some(LlmError::Broken(_))),
        "5 MB of arguments: {:?}",
        reply.error
    );
    assert_eq!(server.count(), 3);
}
