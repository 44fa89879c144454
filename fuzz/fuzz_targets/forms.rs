//! Requests of the HTTP door, forms above all: any body is answered, and what a refused form had uploaded is discarded.
#![no_main]

use std::{
    convert::Infallible,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use http::{Extensions, Request};
use libfuzzer_sys::fuzz_target;
use prost_reflect::DescriptorPool;
use runyard::{
    Error,
    contract::DESCRIPTORS,
    wire::{
        http::{FormFiles, Options, Transcoder},
        json::Codec,
    },
};
use tower::{ServiceExt, service_fn};

/// Uploads that are there.
static KEPT: AtomicI64 = AtomicI64::new(0);

struct Store;

#[async_trait]
impl FormFiles for Store {
    async fn receive(
        &self,
        _: &Extensions,
        _: &str,
        mut content: BoxStream<'_, Result<Bytes, Error>>,
    ) -> Result<String, Error> {
        while let Some(piece) = content.next().await {
            piece?;
        }
        KEPT.fetch_add(1, Ordering::SeqCst);
        Ok("0190a0a0-0000-7000-8000-000000000001".to_owned())
    }

    async fn discard(&self, _: &Extensions, ids: Vec<String>) {
        KEPT.fetch_sub(ids.len() as i64, Ordering::SeqCst);
    }
}

static TRANSCODER: LazyLock<Transcoder> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let options = Options {
        max_body_bytes: 64 * 1024,
        max_form_bytes: 256 * 1024,
        heartbeat: Duration::from_secs(10),
        body_idle: Duration::from_secs(1),
    };
    Transcoder::new(&pool, Arc::new(Codec::new(&pool)), options, Some(Arc::new(Store))).unwrap()
});

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap());

fuzz_target!(|data: &[u8]| {
    let (kind, body) = match data.split_first() {
        Some((0, body)) => ("application/json", body),
        Some((_, body)) => ("multipart/form-data; boundary=b", body),
        None => return,
    };
    // In pieces of a length that the body decides.
    let size = usize::from(body.first().copied().unwrap_or(1)).max(1);
    let pieces: Vec<Result<Bytes, Infallible>> = body.chunks(size).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let request = Request::post("/agent/start")
        .header("content-type", kind)
        .body(Body::from_stream(futures::stream::iter(pieces)))
        .unwrap();
    let service = TRANSCODER.over(service_fn(|_: Request<tonic::body::Body>| async {
        Ok::<_, Infallible>(tonic::Status::not_found("nothing is here").into_http::<tonic::body::Body>())
    }));
    let answer = RUNTIME.block_on(service.oneshot(request)).unwrap();
    assert!((400..500).contains(&answer.status().as_u16()), "{}", answer.status());
    RUNTIME.block_on(async { tokio::task::yield_now().await });
    assert_eq!(KEPT.load(Ordering::SeqCst), 0, "a refused form left uploads behind");
});
