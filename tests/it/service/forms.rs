//! Tests that forms are refused if they are too large, malformed, inconsistent or slow. The server keeps no part of
//! them.

use reqwest::multipart::{Form, Part};
use runyard::config::Config;
use runyard_upstream::{Script, Turn};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::test_server::{Answer, Caller, TEST_TIMEOUT, TestServer, on_every_database_with};

fn small(config: &mut Config) {
    config.tiers[0].max_upload_bytes = 1000;
    config.http.max_form_bytes = 4000;
    config.tiers[0].threads = None;
}

fn script() -> Script {
    Script::function(|_| Turn::text("Yes."))
}

fn staged(server: &TestServer) -> usize {
    std::fs::read_dir(server.data_dir().join("uploads")).map_or(0, Iterator::count)
}

/// Waits until the folder for uploads is empty, because the server deletes an aborted upload only after its
/// connection has ended. Then checks that no object was created.
async fn assert_nothing_kept(server: &TestServer, caller: &Caller) {
    let swept = tokio::time::timeout(TEST_TIMEOUT, async {
        while staged(server) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    });
    swept.await.expect("an upload was left staged");
    for list in ["/threads", "/projects", "/agent-runs"] {
        let listed = caller.get(list).await.ok();
        let rows = listed.as_object().unwrap().values().find_map(|rows| rows.as_array());
        assert!(rows.unwrap().is_empty(), "{list}: {listed}");
    }
}

fn part(bytes: usize) -> Part {
    Part::bytes(vec![b'x'; bytes]).file_name("a.bin")
}

#[tokio::test]
async fn u04_the_size_limits_of_a_form_are_exact() {
    on_every_database_with(
        |_| script(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let form = |sizes: &[usize]| {
                let form = Form::new().text("prompt", "x");
                sizes.iter().fold(form, |form, size| form.part("files", part(*size)))
            };
            caller
                .form("/agent/start", form(&[1001]))
                .await
                .refused(413, "TOO_LARGE");
            caller
                .form("/agent/start", form(&[10, 1001]))
                .await
                .refused(413, "TOO_LARGE");
            caller
                .form("/agent/start", form(&[1000; 5]))
                .await
                .refused(413, "TOO_LARGE");
            caller
                .form("/agent/start", form(&[1; 300]))
                .await
                .refused(413, "TOO_LARGE");
            // This body uses chunked encoding and declares no length.
            let boundary = "b";
            let head = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a.bin\"\r\n\r\n{}",
                "x".repeat(1001)
            );
            let pieces = head
                .into_bytes()
                .chunks(100)
                .map(|piece| Ok::<_, std::io::Error>(piece.to_vec()))
                .collect::<Vec<_>>();
            let request = caller
                .request("POST", "/agent/start")
                .header("content-type", format!("multipart/form-data; boundary={boundary}"))
                .body(reqwest::Body::wrap_stream(futures::stream::iter(pieces)));
            Answer::of(request.send().await.unwrap())
                .await
                .refused(413, "TOO_LARGE");
            assert_nothing_kept(server, &caller).await;
            let run = caller.form("/agent/start", form(&[999, 1000])).await.ok();
            caller.ended(&run).await;
        },
    )
    .await;
}

#[tokio::test]
async fn u05_malformed_forms_are_refused() {
    on_every_database_with(
        |_| script(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let send = async |kind: &str, body: String| {
                let request = caller.request("POST", "/agent/start").header("content-type", kind).body(body);
                Answer::of(request.send().await.unwrap()).await
            };
            let file = "Content-Disposition: form-data; name=\"files\"; filename=\"a\"";
            let prompt = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n";
            let whole = format!("{prompt}--b\r\n{file}\r\n\r\nabc\r\n--b--\r\n");
            let form = "multipart/form-data; boundary=b";
            for (what, kind, body) in [
                ("no boundary", "multipart/form-data".to_owned(), whole.clone()),
                ("an empty boundary", "multipart/form-data; boundary=".to_owned(), whole.clone()),
                ("a boundary of 71 characters", format!("multipart/form-data; boundary={}", "b".repeat(71)), whole.clone()),
                ("a boundary of 4 KB", format!("multipart/form-data; boundary={}", "b".repeat(4096)), whole.clone()),
                ("a different boundary", "multipart/form-data; boundary=c".to_owned(), whole.clone()),
                ("no closing boundary", form.to_owned(), whole.replace("--b--", "")),
                ("truncated inside a file", form.to_owned(), format!("{prompt}--b\r\n{file}\r\n\r\nab")),
                ("bare line feeds", form.to_owned(), whole.replace("\r\n", "\n")),
                ("a part without a name", form.to_owned(), format!("{prompt}--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n")),
                ("a part without headers", form.to_owned(), format!("{prompt}--b\r\n\r\nx\r\n--b--\r\n")),
                ("an unknown field", form.to_owned(), whole.replace("name=\"prompt\"", "name=\"promt\"")),
                ("a field twice", form.to_owned(), format!("{prompt}{whole}")),
                ("an empty body", form.to_owned(), String::new()),
                ("a nested form", form.to_owned(), format!("--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n{file}\r\n\r\nabc\r\n--c--\r\n--b--\r\n")),
            ] {
                let answer = send(&kind, body).await;
                assert_eq!((answer.status, answer.header("x-error-code")), (400, "INVALID_REQUEST"), "{what}: {}", answer.text);
            }
            let endless = format!("{prompt}--b\r\nX-A: {}\r\n\r\nx\r\n--b--\r\n", "a".repeat(3500));
            assert!([400, 413].contains(&send(form, endless).await.status));
            assert_nothing_kept(server, &caller).await;
            let run = send(form, whole).await.ok();
            caller.ended(&run).await;
        },
    )
    .await;
}

#[tokio::test]
async fn u06_clients_that_disconnect_mid_form_leave_nothing_behind() {
    on_every_database_with(
        |_| script(),
        small,
        async |server| {
            let caller = server.caller("ann");
            let body = "--b\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nx\r\n--b\r\n\
                        Content-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\nabcdefgh\r\n--b--\r\n";
            let head = format!(
                "POST /agent/start HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\
                 Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n",
                caller.token,
                body.len() + 10
            );
            let mut open = Vec::new();
            for end in (0..body.len()).step_by(9) {
                let mut stream = TcpStream::connect(server.address).await.unwrap();
                stream.write_all(head.as_bytes()).await.unwrap();
                stream.write_all(&body.as_bytes()[..end]).await.unwrap();
                open.push(stream);
            }
            caller.get("/agents").await.ok();
            drop(open);
            assert_nothing_kept(server, &caller).await;
            let run = caller.post("/agent/start", json!({"prompt": "x"})).await.ok();
            caller.ended(&run).await;
        },
    )
    .await;
}
