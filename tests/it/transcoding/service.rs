//! A scripted gRPC service that serves any method of a descriptor set and records the requests. The test server
//! offers it over HTTP/JSON and Connect.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes};
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use http::{HeaderMap, Request, Response};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use runyard::wire::{
    answers,
    body_timeout::{self, BodyTimeout},
    codec,
    fault::HttpFaults,
};
use runyard_transcode::{
    FormFiles, Options, Transcoder, TranscoderService,
    connect::{CallKind, Connect},
};
use serde_json::Value;
use tonic::{
    Status,
    codec::{CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder},
    server::Grpc,
};
use tower::ServiceExt;

pub fn library() -> DescriptorPool {
    compile(&["library.proto"], "tests/it/transcoding")
}

/// Compiles proto files of a folder. They may import files in `proto/`.
pub fn compile(files: &[&str], folder: &str) -> DescriptorPool {
    let mut compiler = protox::Compiler::new(["proto", folder]).unwrap();
    compiler.include_imports(true).open_files(files).unwrap();
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap()
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Canonical JSON with proto field names. prost-reflect prints this JSON, not the codec under test.
    pub message: Value,
    pub metadata: HeaderMap,
    pub caller: Option<Caller>,
}

/// The authenticated caller. A layer in front of the transcoder adds the caller to the extensions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub &'static str);

pub struct Answer {
    pub metadata: Vec<(&'static str, &'static str)>,
    pub messages: BoxStream<'static, Result<Bytes, Status>>,
}

type Script = Arc<dyn Fn(&Asked) -> BoxFuture<'static, Result<Answer, Status>> + Send + Sync>;

#[derive(Clone)]
pub struct Scripted {
    pool: DescriptorPool,
    script: Script,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Scripted {
    fn method(&self, path: &str) -> Option<MethodDescriptor> {
        let (service, name) = path.strip_prefix('/')?.split_once('/')?;
        self.pool
            .get_service_by_name(service)?
            .methods()
            .find(|method| method.name() == name)
    }

    fn ask(
        &self,
        method: &MethodDescriptor,
        request: &tonic::Request<Bytes>,
    ) -> BoxFuture<'static, Result<Answer, Status>> {
        let message = DynamicMessage::decode(method.input(), request.get_ref().clone()).unwrap();
        let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
        let asked = Asked {
            method: method.name().to_owned(),
            message: message
                .serialize_with_options(serde_json::value::Serializer, &options)
                .unwrap(),
            metadata: request.metadata().clone().into_headers(),
            caller: request.extensions().get().copied(),
        };
        let answer = (self.script)(&asked);
        self.asked.lock().unwrap().push(asked);
        answer
    }
}

impl tower::Service<Request<tonic::body::Body>> for Scripted {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let this = self.clone();
        async move {
            let Some(method) = this.method(request.uri().path()) else {
                return Ok(Status::unimplemented("").into_http());
            };
            let mut grpc = Grpc::new(Raw)
                .max_decoding_message_size(64 * 1024 * 1024)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd);
            let streams = method.is_server_streaming();
            let ask = tower::service_fn(move |request: tonic::Request<Bytes>| {
                let answer = this.ask(&method, &request);
                async move {
                    let answer = answer.await?;
                    let mut response = tonic::Response::new(answer.messages);
                    for (name, value) in answer.metadata {
                        response.metadata_mut().insert(name, value.parse().unwrap());
                    }
                    Ok::<_, Status>(response)
                }
            });
            if streams {
                return Ok(grpc.server_streaming(ask, request).await);
            }
            let one = tower::service_fn(move |request| {
                let mut ask = ask.clone();
                async move {
                    let (metadata, mut messages, extensions) =
                        tower::Service::call(&mut ask, request).await?.into_parts();
                    let message = messages.next().await.unwrap()?;
                    Ok::<_, Status>(tonic::Response::from_parts(metadata, message, extensions))
                }
            });
            Ok(grpc.unary(one, request).await)
        }
        .boxed()
    }
}

pub struct TranscoderServer {
    pub address: SocketAddr,
    /// The transcoder in front of the scripted service. A test can call it without a socket.
    pub door: TranscoderService<Scripted>,
    pub client: reqwest::Client,
    asked: Arc<Mutex<Vec<Asked>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for TranscoderServer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub const MAX_BODY: usize = 64 * 1024;
pub const MAX_FORM: u64 = 4 * 1024 * 1024;

impl TranscoderServer {
    /// Starts a test server whose service always answers with one message, given as canonical JSON.
    pub async fn answering(answer: Value) -> Self {
        let pool = library();
        let known = pool.clone();
        Self::open(pool, None, move |asked| {
            let answer = message(&known, &asked.method, &answer);
            async move { Ok(one(answer)) }.boxed()
        })
        .await
    }

    /// Starts a test server on which a request to `/by-id/<number>` fails with `status(number)`.
    pub async fn failing_with(status: impl Fn(usize) -> Status + Send + Sync + 'static) -> Self {
        Self::open(library(), None, move |asked| {
            let number = asked.message["book_id"].as_str().unwrap().parse().unwrap();
            let status = status(number);
            async move { Err(status) }.boxed()
        })
        .await
    }

    pub async fn failing(status: impl Fn() -> Status + Send + Sync + 'static) -> Self {
        Self::open(library(), None, move |_| {
            let status = status();
            async move { Err(status) }.boxed()
        })
        .await
    }

    pub async fn open(
        pool: DescriptorPool,
        files: Option<Arc<dyn FormFiles>>,
        script: impl Fn(&Asked) -> BoxFuture<'static, Result<Answer, Status>> + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let grpc = Scripted {
            pool: pool.clone(),
            script: Arc::new(script),
            asked: Arc::clone(&asked),
        };
        let options = Options {
            max_body_bytes: MAX_BODY,
            max_form_bytes: MAX_FORM,
            heartbeat: Duration::from_millis(200),
            files,
            faults: Some(Arc::new(HttpFaults)),
        };
        let codec = Arc::new(codec::json(&pool));
        let connect = Connect::new(&pool, Arc::clone(&codec), &options).over(grpc.clone());
        let transcoder = Transcoder::new(&pool, codec, options).unwrap();
        let door = transcoder.over(grpc);
        let http = door.clone();
        let protocols = tower::service_fn(move |request: Request<axum::body::Body>| {
            let (connect, http) = (connect.clone(), http.clone());
            async move {
                match CallKind::of(request.method(), request.uri().path(), request.headers()) {
                    Some(_) => connect.oneshot(request).await,
                    None => http.oneshot(request).await,
                }
            }
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let patience = BodyTimeout {
            idle: Duration::from_secs(1),
            ..BodyTimeout::default()
        };
        let router = axum::Router::new()
            .fallback_service(answers::layer(protocols, patience, body_timeout::limit))
            .layer(axum::Extension(Caller("alice")));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            door,
            // The client loads no root certificates, because loading is slow and the tests use no TLS.
            client: reqwest::Client::builder()
                .tls_certs_only([])
                .no_proxy()
                .build()
                .unwrap(),
            asked,
            server,
        }
    }

    /// Builds a request to the server. `path` starts with a slash and may contain a query.
    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Told {
        let response = request.send().await.unwrap();
        Told {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Told {
        self.send(self.request("GET", path)).await
    }

    pub async fn json(&self, method: &str, path: &str, body: &str) -> Told {
        let request = self.request(method, path).header("content-type", "application/json");
        self.send(request.body(body.to_owned())).await
    }

    /// Returns the requests that the service received since the last call of this function.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Returns the message of the only request that the service received since the last call of this function.
    #[track_caller]
    pub fn asked_message(&self) -> Value {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "the service received {asked:?}");
        asked[0].message.clone()
    }
}

#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Told {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn refusal(&self) -> (u16, &str, &str) {
        (self.status, self.header("x-error-code"), &self.body)
    }
}

/// Converts canonical JSON to the response message of a method, encoded as protobuf.
pub fn message(pool: &DescriptorPool, method: &str, json: &Value) -> Bytes {
    let method = pool
        .services()
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .find(|known| known.name() == method)
        .unwrap();
    DynamicMessage::deserialize(method.output(), json)
        .unwrap()
        .encode_to_vec()
        .into()
}

pub fn one(message: Bytes) -> Answer {
    stream(futures::stream::iter([Ok(message)]))
}

pub fn stream(messages: impl futures::Stream<Item = Result<Bytes, Status>> + Send + 'static) -> Answer {
    Answer {
        metadata: Vec::new(),
        messages: messages.boxed(),
    }
}

pub async fn until(what: &str, mut true_now: impl FnMut() -> bool) {
    let waiting = async {
        while !true_now() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within 20 seconds"));
}

#[derive(Clone, Copy)]
struct Raw;

impl tonic::codec::Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
