//! Checks the parsing of request bodies, mainly of multipart forms. The split into chunks must not change the result.
//! A refused form must leave no uploads. A valid form must arrive unchanged.
//!
//! The first byte of the input selects the check: 0 for a JSON body, 1 for an arbitrary form, 2 for a valid form. For
//! the valid form, the remaining bytes are split at 0xff: each part becomes the text field or a file.

use std::{
    convert::Infallible,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::{Extensions, Request, StatusCode};
use http_body_util::BodyExt;
use prost_reflect::{DescriptorPool, prost::Message as _};
use runyard::{
    contract::DESCRIPTORS,
    v1::StartRunRequest,
    wire::{codec, fault::HttpFaults},
};
use runyard_transcode::{self as transcode, FormFiles, Options, Refused, Transcoder};
use tower::{ServiceExt, service_fn};

/// Maximum size in bytes of a JSON body, and of all text in a form.
const MAX_TEXT: usize = 64 * 1024;

const UPLOAD: &str = "0190a0a0-0000-7000-8000-000000000001";

/// Stored files, number of uploads that were not discarded, and the request that the service received, if any.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    files: Vec<(String, Vec<u8>)>,
    kept: usize,
    asked: Option<StartRunRequest>,
}

#[derive(Clone, Default)]
struct Store(Arc<Mutex<Seen>>);

#[async_trait]
impl FormFiles for Store {
    async fn receive(
        &self,
        _: &Extensions,
        name: &str,
        mut content: BoxStream<'_, transcode::Result<Bytes>>,
    ) -> Result<String, Refused> {
        let mut bytes = Vec::new();
        while let Some(piece) = content.next().await {
            bytes.extend_from_slice(&piece?);
        }
        let mut seen = self.0.lock().unwrap();
        seen.files.push((name.to_owned(), bytes));
        seen.kept += 1;
        Ok(UPLOAD.to_owned())
    }

    async fn discard(&self, _: &Extensions, ids: Vec<String>) {
        self.0.lock().unwrap().kept -= ids.len();
    }
}

static DOOR: LazyLock<(Transcoder, Store)> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let codec = Arc::new(codec::json(&pool));
    let store = Store::default();
    let options = Options {
        max_body_bytes: MAX_TEXT,
        max_form_bytes: 256 * 1024,
        heartbeat: Duration::from_secs(10),
        files: Some(Arc::new(store.clone())),
        faults: Some(Arc::new(HttpFaults)),
    };
    (Transcoder::new(&pool, codec, options).unwrap(), store)
});

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
});

pub fn check(data: &[u8]) {
    match data.split_first() {
        Some((0, body)) => as_it_is("application/json", body),
        Some((1, body)) => as_it_is("multipart/form-data; boundary=b", body),
        Some((2, parts)) => well_made(parts),
        _ => {}
    }
}

/// Sends a body in one chunk and in small chunks, and checks that the responses are equal. The last byte of the body
/// determines the size of the small chunks.
fn as_it_is(kind: &str, body: &[u8]) {
    let size = usize::from(body.last().copied().unwrap_or(1) % 32) + 1;
    let (whole, in_pieces) = (ask(kind, body, body.len().max(1)), ask(kind, body, size));
    assert_eq!(whole, in_pieces, "chunks of {size} bytes change the response");
    let (status, _, seen) = whole;
    match seen.asked {
        Some(_) => assert_eq!(status, StatusCode::NOT_FOUND, "the service's response was replaced"),
        None => assert!(
            (400..500).contains(&status.as_u16()),
            "{status} without a call to the service"
        ),
    }
    assert_eq!(seen.kept, 0, "a refused form left uploads behind");
}

/// Checks a valid form: a text field, followed by files.
fn well_made(parts: &[u8]) {
    const BOUNDARY: &str = "----a-boundary-that-is-in-no-part";
    let mut parts = parts.split(|byte| *byte == 0xff);
    let prompt = parts
        .next()
        .and_then(|text| std::str::from_utf8(text).ok())
        .unwrap_or("x");
    let files: Vec<&[u8]> = parts.take(8).collect();
    if prompt.len() > MAX_TEXT
        || files
            .iter()
            .any(|file| file.windows(12).any(|bytes| bytes == b"----a-bounda"))
    {
        return;
    }
    if prompt.contains("----a-bounda") {
        return;
    }
    let mut body =
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n").into_bytes();
    for (index, file) in files.iter().enumerate() {
        let head =
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"{index}.bin\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let size = prompt.len() % 64 + 1;
    let (_, _, seen) = ask(&format!("multipart/form-data; boundary={BOUNDARY}"), &body, size);
    let asked = seen.asked.expect("a valid form is accepted");
    assert_eq!(asked.prompt.as_deref().unwrap_or_default(), prompt);
    assert_eq!(asked.files, vec![UPLOAD; files.len()]);
    let arrived: Vec<&[u8]> = seen.files.iter().map(|(_, content)| content.as_slice()).collect();
    assert_eq!(arrived, files, "a file was changed");
}

/// Sends a body in chunks of `size` bytes to a service that answers `NOT_FOUND`. Returns status, body and the store's
/// records.
fn ask(kind: &str, body: &[u8], size: usize) -> (StatusCode, Bytes, Seen) {
    let (transcoder, store) = &*DOOR;
    *store.0.lock().unwrap() = Seen::default();
    let pieces: Vec<Result<Bytes, Infallible>> = body
        .chunks(size)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let request = Request::post("/agent/start")
        .header("content-type", kind)
        .body(Body::from_stream(futures::stream::iter(pieces)))
        .unwrap();
    let heard = store.clone();
    let service = transcoder.over(service_fn(move |request: Request<tonic::body::Body>| {
        let heard = heard.clone();
        async move {
            let message = request.into_body().collect().await.unwrap().to_bytes();
            let asked = StartRunRequest::decode(&message[5..]).expect("the transcoder produces valid messages");
            heard.0.lock().unwrap().asked = Some(asked);
            Ok::<_, Infallible>(tonic::Status::not_found("nothing is here").into_http::<tonic::body::Body>())
        }
    }));
    RUNTIME.block_on(async {
        let answer = service.oneshot(request).await.unwrap();
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        // Lets a task that discards uploads finish before the records are read.
        tokio::task::yield_now().await;
        let seen = store.0.lock().unwrap().clone();
        (status, text, seen)
    })
}
