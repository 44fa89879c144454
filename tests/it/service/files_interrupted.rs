//! Tests of uploads that a full disk or a crash interrupts. The server keeps no part of a form, but a client can
//! resume a chunked upload.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use reqwest::{
    Body,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::program::{OPEN, Program};
use crate::test_server::TEST_TIMEOUT;

const PIECE: usize = 64 * 1024;

fn staged(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder.join("data/uploads")).map_or(0, Iterator::count)
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(TEST_TIMEOUT, waiting).await.is_ok(), "{what}");
}

fn form(content: Body) -> Form {
    Form::new()
        .text("prompt", "Look.")
        .text("mode", "chat")
        .part("files", Part::stream(content).file_name("big.bin"))
}

async fn start(program: &Program, key: &str, content: Vec<u8>) -> reqwest::Response {
    // Each request uses its own connection, because the server closes the connection of a refused upload.
    let request = reqwest::Client::new().post(format!("{}/agent/start", program.url));
    let request = request.bearer_auth(&program.token).header("idempotency-key", key);
    request.multipart(form(content.into())).send().await.unwrap()
}

async fn threads(program: &Program) -> usize {
    let answer = program.request("GET", "/threads").send().await.unwrap();
    let listed: Value = answer.json().await.unwrap();
    listed["threads"].as_array().unwrap().len()
}

#[tokio::test]
async fn u11_a_crash_during_an_upload_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Program::start(folder.path(), OPEN).await;
    // Two uploads are in progress: a form whose body is still arriving, and a chunked upload with half of its bytes.
    let announced = program
        .request("POST", "/uploads")
        .json(&json!({"name": "half.bin", "size": 10}))
        .send()
        .await
        .unwrap();
    let announced: Value = announced.json().await.unwrap();
    let path = format!("/uploads/{}", announced["upload_id"].as_str().unwrap());
    let put = async |program: &Program, offset: usize| {
        let chunk = json!({"offset": offset, "data": "aGVsbG8="});
        let answer = program.request("PUT", &path).json(&chunk).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()
    };
    assert_eq!(put(&program, 0).await["received"], 5);
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; PIECE]))).then(async |piece| {
        tokio::time::sleep(Duration::from_millis(5)).await;
        piece
    });
    let request = program.request("POST", "/agent/start").header("idempotency-key", "one");
    let sending = tokio::spawn(request.multipart(form(Body::wrap_stream(endless))).send());
    until("the form never arrived", || {
        let files = std::fs::read_dir(folder.path().join("data/uploads")).unwrap();
        files
            .flatten()
            .any(|file| file.metadata().unwrap().len() > PIECE as u64)
    })
    .await;
    program.kill().await;
    assert!(sending.await.unwrap().is_err());
    assert_eq!(staged(folder.path()), 2, "both uploads should be staged at the crash");

    program.start_again().await;
    // The server deletes the partial form, and the chunked upload resumes.
    until("the partial form was not deleted", || staged(folder.path()) == 1).await;
    assert_eq!(threads(&program).await, 0);
    assert_eq!(put(&program, 5).await["complete"], true);
    let answer = start(&program, "one", vec![b'x'; PIECE]).await;
    assert_eq!(
        answer.status(),
        200,
        "the same key should start a run, because the first start never committed"
    );
    assert_eq!(threads(&program).await, 1);
}

#[tokio::test]
async fn u11_a_full_disk_refuses_only_the_upload() {
    let folder = tempfile::tempdir().unwrap();
    // The folder for uploads is on a disk of 1 MiB, in the program's own mount namespace.
    let line = "mkdir -p data/uploads && exec unshare --mount sh -c \
                'mount -t tmpfs -o size=1m tmpfs data/uploads && exec \"$@\"' sh \"$@\"";
    let program = Program::start_in(folder.path(), OPEN, line).await;
    let answer = start(&program, "one", vec![b'x'; 4 * 1024 * 1024]).await;
    let (status, code) = (
        answer.status(),
        answer.headers()["x-error-code"].to_str().unwrap().to_owned(),
    );
    assert_eq!(
        (status.as_u16(), code.as_str()),
        (503, "UNAVAILABLE"),
        "{}",
        answer.text().await.unwrap()
    );
    assert_eq!(threads(&program).await, 0);
    // The server has deleted the file of the refused request, so smaller files fit. The idempotency key of the
    // refused request can be used again.
    for key in ["one", "two", "three"] {
        let request = program.request("POST", "/uploads");
        let new = json!({"name": "fits.bin", "size": 5});
        let answer: Value = request.json(&new).send().await.unwrap().json().await.unwrap();
        let path = format!("/uploads/{}", answer["upload_id"].as_str().unwrap());
        let chunk = json!({"offset": 0, "data": "aGVsbG8="});
        let answer = program.request("PUT", &path).json(&chunk).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["complete"], true, "{key}");
    }
    let chat = json!({"prompt": "Hello.", "mode": "chat", "request_id": "one"});
    let answer = program
        .request("POST", "/agent/start")
        .json(&chat)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
}
