//! Tests of strings that other programs could interpret, such as SQL, HTML and templates. The server stores these
//! strings verbatim or refuses them.

use runyard::config::Limits;
use runyard_upstream::{Script, Turn};
use serde_json::{Value, json};

use crate::{
    difference::assert_same_list,
    test_server::{Answer, Caller, TestServer, on_every_database_with},
};

async fn without_limits(test: impl AsyncFn(&mut TestServer)) {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("Yes.")),
        |config| config.limits = Limits::Off,
        test,
    )
    .await;
}

const INJECTIONS: &[&str] = &[
    "'; DROP TABLE agents; --",
    "\" OR \"\"=\"",
    "1' OR '1'='1",
    "%' AND 1=1 UNION SELECT * FROM accounts --",
    "$1 $2 ?1 :name @p",
    "runyard.events.> *.* > *",
    "KEYS *\r\nFLUSHALL\r\n",
    "{\"$gt\": \"\"}",
    "${jndi:ldap://127.0.0.1/a}",
    "{{7*7}} <%= 7*7 %>",
    "<script>alert(1)</script><img onerror=alert(1)>",
    "line\nline\u{1b}[31mred",
    "back\\slash \\' \\\" \\u0000 \\x00",
    "100% _under_ %s %n",
];

async fn raw(caller: &Caller, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = caller
        .request("POST", path)
        .header("content-type", "application/json")
        .body(body);
    Answer::of(request.send().await.unwrap()).await
}

#[tokio::test]
async fn h14_injection_strings_are_stored_verbatim() {
    without_limits(async |server| {
        let caller = server.caller("ann");
        for text in INJECTIONS {
            let body = json!({
                "name": text, "description": text, "system_prompt": text, "tags": [text],
                "custom_mcps": [{"name": "mcp", "type": "http", "url": "https://mcp.example.com", "headers": {"x-a": "b"}}],
            });
            let agent = caller.post("/agents", body).await.ok();
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            let read = caller.get(&path).await.ok();
            assert_eq!((&read["name"], &read["description"]), (&json!(text), &json!(text)));
            assert_eq!((&read["tags"], &read["current_version"]["system_prompt"]), (&json!([text]), &json!(text)));
            // A search takes every character literally, so a search for the text finds only this agent.
            let query = percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC);
            for by in ["search", "tag"] {
                let found = caller.get(&format!("/agents?{by}={query}")).await.ok();
                let names: Vec<_> = found["agents"].as_array().unwrap().iter().map(|agent| &agent["name"]).collect();
                assert_eq!(names, [text], "{by}");
            }
            let run = caller
                .post("/agent/start", json!({"prompt": text, "request_id": text, "agent_id": agent["agent_id"]}))
                .await
                .ok();
            caller.ended(&run).await;
            let path = format!("/threads/{}/messages", run["thread_id"].as_str().unwrap());
            assert_eq!(caller.get(&path).await.ok()["messages"][0]["content"], *text);
        }
        let prompts = server.upstream.requests();
        let received: Vec<_> = prompts.iter().map(runyard_upstream::Received::last_text).collect();
        assert_same_list(&received, INJECTIONS, "prompts that the model received");
        let order = "/agents?order_by=name%3B%20DROP%20TABLE%20agents";
        caller.get(order).await.refused(400, "INVALID_REQUEST");
        let listed = caller.get("/agents?order_by=name").await.ok();
        assert_eq!(listed["agents"].as_array().unwrap().len(), INJECTIONS.len());
    })
    .await;
}

#[tokio::test]
async fn l14_names_are_measured_in_characters_and_stored_verbatim() {
    without_limits(async |server| {
        let caller = server.caller("ann");
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let long = |letter: &str, times: usize| letter.repeat(times);
        for name in [
            "ab".to_owned(),
            long("x", 100),
            long("\u{1f980}", 100),
            long("\u{e9}", 100),
            format!("{family} agent"),
            "\u{202e}txet desrever".to_owned(),
            "e\u{301}e".to_owned(),
            "  a b  ".to_owned(),
        ] {
            let agent = caller.post("/agents", json!({"name": name})).await.ok();
            let path = format!("/agents/{}", agent["agent_id"].as_str().unwrap());
            assert_eq!(caller.get(&path).await.ok()["name"], name);
        }
        for name in [
            "",
            "a",
            "\u{1f980}",
            "   ",
            "a\u{0}b",
            &long("x", 101),
            &long("\u{1f980}", 101),
        ] {
            caller
                .post("/agents", json!({"name": name}))
                .await
                .refused(400, "INVALID_REQUEST");
        }
        for lone in [
            r#"{"name": "ab\ud800"}"#,
            r#"{"name": "\udc00ab"}"#,
            r#"{"name": "\ud800\ud800"}"#,
        ] {
            raw(&caller, "/agents", lone).await.refused(400, "INVALID_REQUEST");
        }
        for (field, values) in [
            (
                "icon_color",
                &["#GGG", "red", "#12345", "#1234567", "#12345\u{e9}", "", "6366F1"][..],
            ),
            ("icon_background", &["#GGGGGG", "rgb(0,0,0)", "#fff"][..]),
            (
                "icon_name",
                &["", "<svg onload=alert(1)>", "../bot", "bot\n", "\u{1f980}"][..],
            ),
        ] {
            for value in values {
                let body = json!({"name": "An agent", field: value});
                caller.post("/agents", body).await.refused(400, "INVALID_REQUEST");
            }
        }
        let body =
            json!({"name": "An agent", "icon_color": "#aAbBcC", "icon_background": "#000000", "icon_name": "code"});
        assert_eq!(caller.post("/agents", body).await.ok()["icon_color"], "#aAbBcC");
    })
    .await;
}

#[tokio::test]
async fn h09_text_with_a_nul_is_refused() {
    without_limits(async |server| {
        let caller = server.caller("ann");
        let mcp = |mcp_server: Value| json!({"name": "An agent", "custom_mcps": [mcp_server]});
        let bodies = [
            ("/agents", json!({"name": "a\u{0}b"}), "name"),
            ("/agents", json!({"name": "An agent", "tags": ["a\u{0}"]}), "tags"),
            ("/agents", json!({"name": "An agent", "model": "a\u{0}"}), "model"),
            (
                "/agents",
                json!({"name": "An agent", "agentpress_tools": {"a\u{0}": {"enabled": true}}}),
                "agentpress_tools",
            ),
            (
                "/agents",
                mcp(json!({"name": "a\u{0}", "type": "http", "url": "https://a.example"})),
                "name",
            ),
            (
                "/agents",
                mcp(json!({"name": "a", "type": "http", "url": "https://a.example", "headers": {"a": "\u{0}"}})),
                "headers",
            ),
            (
                "/agents",
                mcp(json!({"name": "a", "type": "http", "url": "https://a.example", "enabled_tools": ["\u{0}"]})),
                "enabled_tools",
            ),
            ("/agent/start", json!({"prompt": "\u{0}"}), "prompt"),
            (
                "/agent/start",
                json!({"prompt": "x", "request_id": "a\u{0}"}),
                "request_id",
            ),
            ("/uploads", json!({"name": "a\u{0}.txt", "size": 1}), "name"),
        ];
        for (path, body, field) in bodies {
            let detail = caller.post(path, body).await.refused(400, "INVALID_REQUEST")["detail"].clone();
            assert_eq!(detail, format!("{field} must not contain the character NUL"), "{path}");
        }
        caller.get("/agents?search=%00").await.refused(400, "INVALID_REQUEST");
        let form = reqwest::multipart::Form::new().text("prompt", "a\u{0}b");
        caller.form("/agent/start", form).await.refused(400, "INVALID_REQUEST");
        let upload = caller.post("/uploads", json!({"name": "a.bin", "size": 3})).await.ok();
        let path = format!("/uploads/{}", upload["upload_id"].as_str().unwrap());
        let request = caller.request("PUT", &path).json(&json!({"offset": 0, "data": "AAAA"}));
        assert_eq!(Answer::of(request.send().await.unwrap()).await.ok()["complete"], true);
        let listed = caller.get("/agents").await.ok();
        assert_eq!(listed["agents"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn h09_malformed_json_is_refused() {
    without_limits(async |server| {
        let caller = server.caller("ann");
        let deep = format!("{{\"name\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let number = format!("{{\"name\": \"An agent\", \"is_default\": {}}}", "9".repeat(3_000_000));
        let utf16: Vec<u8> = "{\"name\": \"An agent\"}"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let bad: Vec<Vec<u8>> = vec![
            deep.into_bytes(),
            number.into_bytes(),
            utf16,
            b"\xef\xbb\xbf{\"name\": \"An agent\"}".to_vec(),
            b"{\"name\": \"An agent\"} x".to_vec(),
            b"{\"name\": \"An agent\"}{}".to_vec(),
            b"{\"name\": \"An agent\", \"name\": \"Another\"}".to_vec(),
            b"{\"name\": \"An agent\", \"isDefault\": true, \"is_default\": true}".to_vec(),
            b"{\"name\": NaN}".to_vec(),
            b"{\"name\": \"\xff\xfe\"}".to_vec(),
            b"{'name': 'An agent'}".to_vec(),
            b"{\"name\": \"An agent\",}".to_vec(),
            b"{\"name\": \"An\tagent\"}".to_vec(),
            b"".to_vec(),
        ];
        for body in bad {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let answer = raw(&caller, "/agents", body).await;
            assert_eq!(
                (answer.status, answer.header("x-error-code")),
                (400, "INVALID_REQUEST"),
                "{shown}"
            );
        }
        let large = format!("{{\"name\": \"{}\"}}", "x".repeat(5_000_000));
        raw(&caller, "/agents", large).await.refused(413, "TOO_LARGE");
        raw(&caller, "/agents", "{\"name\": \"An agent\"}").await.ok();
    })
    .await;
}

/// The subject of a token may be any printable string.
#[tokio::test]
async fn j17_unusual_subjects_have_their_own_accounts() {
    without_limits(async |server| {
        server
            .caller("ann")
            .post("/agents", json!({"name": "Ann's"}))
            .await
            .ok();
        for subject in ["Ann", "ann ", "\u{430}nn", "ann'--", "%", "*", "ann\u{200b}"] {
            let answer = server.caller(subject).get("/agents").await;
            if answer.status == 401 {
                continue;
            }
            assert_eq!(answer.ok()["agents"], json!([]), "{subject}");
        }
        for subject in ["", "a\u{0}b"] {
            server
                .caller(subject)
                .get("/agents")
                .await
                .refused(401, "NOT_AUTHENTICATED");
        }
    })
    .await;
}
