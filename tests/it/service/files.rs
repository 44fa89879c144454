//! Tests of uploads in chunks and forms, and of downloads of whole files and ranges. Files with hostile names stay
//! inside the workspace.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use futures::StreamExt;
use reqwest::multipart::{Form, Part};
use runyard_client::v1::{self, sandbox_service_client::SandboxServiceClient};
use runyard_upstream::{Call, Script, Turn};
use serde_json::json;

use crate::test_server::{Answer, on_every_database, on_every_database_with};

#[tokio::test]
async fn a_file_is_uploaded_in_chunks_and_a_created_file_is_downloaded() {
    let make = json!({"command": "mkdir -p output && tr a-z A-Z < notes.txt > output/loud.txt"});
    on_every_database(
        |_| {
            [
                Turn::calls([Call::new("bash", &make)]),
                Turn::text("Made output/loud.txt."),
            ]
        },
        async |server| {
            let caller = server.caller("ann");
            let upload = caller
                .post("/uploads", json!({"name": "notes.txt", "size": 10}))
                .await
                .ok();
            let path = format!("/uploads/{}", upload["upload_id"].as_str().unwrap());
            let put = |offset: i64, data: &str| {
                let body = json!({"offset": offset, "data": BASE64.encode(data)});
                let request = caller.request("PUT", &path).json(&body);
                async move { Answer::of(request.send().await.unwrap()).await }
            };
            put(5, "world").await.refused(409, "UPLOAD_INCOMPLETE");
            assert_eq!(put(0, "hello").await.ok()["received"], 5);
            let early = json!({"prompt": "Shout.", "files": [upload["upload_id"]]});
            caller
                .post("/agent/start", early.clone())
                .await
                .refused(409, "UPLOAD_INCOMPLETE");
            assert_eq!(put(0, "hello").await.ok()["complete"], false);
            assert_eq!(put(5, "world").await.ok()["complete"], true);
            let run = caller.post("/agent/start", early.clone()).await.ok();
            assert_eq!(caller.ended(&run).await["status"], "completed");
            caller
                .post("/agent/start", early)
                .await
                .refused(404, "UPLOAD_NOT_FOUND");

            let files = format!("/sandboxes/{}/files", run["sandbox_id"].as_str().unwrap());
            let listed = caller.get(&format!("{files}?path=output")).await.ok();
            assert_eq!(listed["files"][0]["path"], "output/loud.txt");
            assert_eq!(listed["files"][0]["content_type"], "text/plain");
            let content = format!("{files}/content?path=output/loud.txt");
            let whole = caller.get(&content).await;
            assert_eq!((whole.status, whole.text.as_str()), (200, "HELLOWORLD"));
            assert_eq!(whole.header("content-type"), "text/plain");
            assert_eq!(whole.header("x-content-type-options"), "nosniff");
            let with = |name: &'static str, value: String| {
                let request = caller.request("GET", &content).header(name, value);
                async move { Answer::of(request.send().await.unwrap()).await }
            };
            let part = with("range", "bytes=2-5".to_owned()).await;
            assert_eq!((part.status, part.text.as_str()), (206, "LLOW"));
            assert_eq!(part.header("content-range"), "bytes 2-5/10");
            assert_eq!(with("range", "bytes=20-".to_owned()).await.status, 416);
            assert_eq!(with("if-none-match", whole.header("etag").to_owned()).await.status, 304);
            let project = caller
                .get(&format!("/projects/{}", run["project_id"].as_str().unwrap()))
                .await
                .ok();
            assert_eq!(project["sandbox_id"], run["sandbox_id"]);
            caller
                .get(&format!("{files}/content?path=../../etc/passwd"))
                .await
                .refused(400, "INVALID_REQUEST");
            caller
                .get(&format!("{files}/content?path=nothing"))
                .await
                .refused(404, "FILE_NOT_FOUND");
            server
                .caller("bob")
                .get(&content)
                .await
                .refused(404, "SANDBOX_NOT_FOUND");
        },
    )
    .await;
}

/// Clients resume an interrupted download with `If-Range` (RFC 9110).
#[tokio::test]
async fn if_range_resumes_a_download_only_while_the_file_is_unchanged() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let part = Part::bytes(b"0123456789".to_vec()).file_name("digits.txt");
            let form = Form::new().text("prompt", "Look.").part("files", part);
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let sandbox_id = run["sandbox_id"].as_str().unwrap();
            let path = format!("/sandboxes/{sandbox_id}/files/content?path=digits.txt");
            let first = caller.get(&path).await;
            let etag = first.header("etag").to_owned();
            assert!(!etag.is_empty() && first.header("accept-ranges") == "bytes");
            // Downloads the range over HTTP and over gRPC, and checks that both answers are equal.
            let ask = async |if_range: &str| {
                let request = caller.request("GET", &path).header("range", "bytes=4-");
                let answer = Answer::of(request.header("if-range", if_range).send().await.unwrap()).await;
                let request = v1::ReadFileRequest {
                    sandbox_id: sandbox_id.to_owned(),
                    path: "digits.txt".to_owned(),
                    range: "bytes=4-".to_owned(),
                    if_range: if_range.to_owned(),
                    ..Default::default()
                };
                let mut grpc = SandboxServiceClient::new(caller.channel().await);
                let stream = grpc.read_file(caller.signed(request)).await.unwrap();
                let range = stream.metadata().get("content-range").cloned();
                let pieces: Vec<_> = stream.into_inner().map(|piece| piece.unwrap().data).collect().await;
                let range = range
                    .map(|range| range.to_str().unwrap().to_owned())
                    .unwrap_or_default();
                assert_eq!(answer.header("content-range"), range);
                assert_eq!(answer.text.as_bytes(), pieces.concat());
                (answer.status, range, answer.text)
            };
            let same = (206, "bytes 4-9/10".to_owned(), "456789".to_owned());
            assert_eq!(ask(&etag).await, same);
            let whole = (200, String::new(), "0123456789".to_owned());
            assert_eq!(ask("\"another\"").await, whole);
            let file = server
                .data_dir()
                .join("workspaces")
                .join(run["project_id"].as_str().unwrap());
            std::fs::write(file.join("digits.txt"), "abcdefghijkl").unwrap();
            let changed = (200, String::new(), "abcdefghijkl".to_owned());
            assert_eq!(ask(&etag).await, changed);
        },
    )
    .await;
}

#[tokio::test]
async fn u09_the_content_type_follows_the_name_and_active_content_never_runs() {
    let page: &[u8] = b"<html><script>alert(1)</script>";
    // Each row is a file: name, content, expected content type, and expected disposition.
    let files: [(&str, &[u8], &str, &str); 7] = [
        ("plain.txt", b"only text", "text/plain", "inline"),
        ("program.txt", b"MZ\x90\0", "text/plain", "inline"),
        ("page.png", page, "image/png", "inline"),
        ("page.html", page, "text/html", "attachment"),
        ("chart.svg", b"<svg onload='alert(1)'/>", "image/svg+xml", "attachment"),
        ("both.gif", b"GIF89a/*PK\x03\x04*/=1;alert(1)", "image/gif", "inline"),
        ("page", page, "application/octet-stream", "attachment"),
    ];
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let form = files.iter().fold(Form::new().text("prompt", "Look."), |form, file| {
                // The server ignores the client's content type.
                let part = Part::bytes(file.1.to_vec()).file_name(file.0.to_owned());
                form.part("files", part.mime_str("text/html").unwrap())
            });
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            for (name, content, content_type, disposition) in files {
                let sandbox_id = run["sandbox_id"].as_str().unwrap();
                let path = format!("/sandboxes/{sandbox_id}/files/content?path={name}");
                let answer = caller.request("GET", &path).send().await.unwrap();
                let header = |name: &str| answer.headers()[name].to_str().unwrap();
                assert_eq!(answer.status(), 200, "{name}");
                assert_eq!(header("content-type"), content_type, "{name}");
                assert!(header("content-disposition").starts_with(disposition), "{name}");
                assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
                assert_eq!(
                    header("content-security-policy"),
                    "sandbox; default-src 'none'",
                    "{name}"
                );
                assert_eq!(answer.bytes().await.unwrap(), content, "{name}");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn file_names_are_sanitized_and_never_reused() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            let part = |name: &str| Part::bytes(b"x".to_vec()).file_name(name.to_owned());
            let form = Form::new()
                .text("prompt", "Look.")
                .part("files", part("../../evil.sh"))
                .part("files", part("data.csv"))
                .part("files", part("data.csv"))
                .part("files", part(".bashrc"));
            let run = caller.form("/agent/start", form).await.ok();
            caller.ended(&run).await;
            let files = format!("/sandboxes/{}/files", run["sandbox_id"].as_str().unwrap());
            let names = |listed: serde_json::Value| -> Vec<String> {
                listed["files"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|file| file["path"].as_str().unwrap().to_owned())
                    .collect()
            };
            let expected = ["_bashrc", "data-2.csv", "data.csv", "evil.sh", "output"];
            assert_eq!(names(caller.get(&files).await.ok()), expected);
            let form = Form::new()
                .text("thread_id", run["thread_id"].as_str().unwrap().to_owned())
                .text("prompt", "Again.")
                .part("files", part("data.csv"));
            let again = caller.form("/agent/start", form).await.ok();
            caller.ended(&again).await;
            assert!(names(caller.get(&files).await.ok()).contains(&"data-3.csv".to_owned()));
        },
    )
    .await;
}

#[tokio::test]
async fn a_file_over_the_plans_limit_is_refused_and_nothing_is_kept() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.tiers[0].max_upload_bytes = 1000,
        async |server| {
            let caller = server.caller("ann");
            let form = |bytes: usize| {
                Form::new()
                    .text("prompt", "x")
                    .part("files", Part::bytes(vec![b'x'; bytes]).file_name("big.bin"))
            };
            caller.form("/agent/start", form(1001)).await.refused(413, "TOO_LARGE");
            caller
                .post("/uploads", json!({"name": "big.bin", "size": 1001}))
                .await
                .refused(413, "TOO_LARGE");
            assert!(
                caller.get("/threads").await.ok()["threads"]
                    .as_array()
                    .unwrap()
                    .is_empty()
            );
            assert_eq!(
                std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count),
                0
            );
            caller.ended(&caller.form("/agent/start", form(1000)).await.ok()).await;
        },
    )
    .await;
}

#[tokio::test]
async fn unused_uploads_are_limited_in_bytes_and_number() {
    on_every_database_with(
        |_| Script::function(|_| Turn::text("ok")),
        |config| config.tiers[0].max_upload_bytes = 100,
        async |server| {
            let caller = server.caller("ann");
            let announce = async |size: i64| caller.post("/uploads", json!({"name": "a", "size": size})).await;
            let with_file = async || {
                let part = Part::bytes(vec![b'x'; 50]).file_name("b");
                let form = Form::new().text("prompt", "x").text("mode", "chat").part("files", part);
                caller.form("/agent/start", form).await
            };
            // The maximum file size is 100 bytes. Unused uploads may have ten times this size in total: 1,000 bytes.
            // After these 951 bytes, 50 more bytes do not fit.
            for _ in 0..9 {
                announce(100).await.ok();
            }
            announce(51).await.ok();
            let refused = announce(50).await;
            let wait: u64 = refused.header("retry-after").parse().unwrap();
            assert!((1..=24 * 60 * 60).contains(&wait), "{wait}");
            refused.refused(429, "THROTTLED");
            with_file().await.refused(429, "THROTTLED");
            let threads = caller.get("/threads").await.ok();
            assert_eq!(
                threads["threads"],
                json!([]),
                "the refused start should create no thread"
            );
            let staged = || std::fs::read_dir(server.data_dir().join("uploads")).unwrap().count();
            assert_eq!(staged(), 10, "refused uploads should leave no files");
            // A file that still fits is accepted. Each account has its own limit. A file no longer counts once a run
            // uses it.
            let last = announce(0).await.ok();
            server
                .caller("bob")
                .post("/uploads", json!({"name": "a", "size": 100}))
                .await
                .ok();
            let run = json!({"prompt": "x", "mode": "chat", "files": [last["upload_id"]]});
            caller.post("/agent/start", run).await.ok();

            let eve = server.caller("eve");
            let mut answers = Vec::new();
            for _ in 0..8 {
                let some = (0..40).map(|_| eve.post("/uploads", json!({"name": "e", "size": 0})));
                answers.extend(futures::future::join_all(some).await);
            }
            let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
            assert_eq!((good.len(), bad.len()), (300, 20));
            for answer in bad {
                answer.refused(429, "THROTTLED");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_unused_upload_is_kept_for_a_day() {
    on_every_database(
        |_| Script::function(|_| Turn::text("ok")),
        async |server| {
            let caller = server.caller("ann");
            // Tokens expire after an hour on the test clock, so each upload uses a new token.
            let announce = async |name: &str| {
                let new = json!({"name": name, "size": 0});
                server.caller("ann").post("/uploads", new).await.ok()
            };
            let waiting = announce("waiting").await;
            let used = announce("used").await;
            let start = |upload: &serde_json::Value| json!({"prompt": "x", "files": [upload["upload_id"]]});
            let run = caller.post("/agent/start", start(&used)).await.ok();
            caller.ended(&run).await;
            let sweep = async || {
                let began = std::time::SystemTime::now();
                runyard::background::sweeper::sweep_once(server.app(), began)
                    .await
                    .unwrap();
                let staged = std::fs::read_dir(server.data_dir().join("uploads")).unwrap().count();
                (staged, server.number("SELECT COUNT(*) FROM uploads").await)
            };
            assert_eq!(sweep().await, (1, 2));
            server.clock.advance(Duration::from_hours(24) - Duration::from_mins(1));
            assert_eq!(sweep().await, (1, 2), "the upload should be kept until its last minute");
            let late = announce("late").await;
            server.clock.advance(Duration::from_mins(2));
            assert_eq!(sweep().await, (1, 2), "only the expired upload should be deleted");
            let caller = server.caller("ann");
            caller
                .post("/agent/start", start(&waiting))
                .await
                .refused(404, "UPLOAD_NOT_FOUND");
            caller
                .ended(&caller.post("/agent/start", start(&late)).await.ok())
                .await;
        },
    )
    .await;
}
