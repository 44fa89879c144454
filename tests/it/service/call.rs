//! Calls any method of the contract over any protocol. For every protocol, a test passes the request in the JSON form
//! of the HTTP API.

use std::sync::LazyLock;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, uri::PathAndQuery};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use runyard::{
    contract::{DESCRIPTORS, google::api::HttpBody},
    wire::{codec, fault::http_status, status},
};
use runyard_transcode::{
    connect::Format,
    json::{Codec, Dialect},
    route::{BodyRule, Router, Rule, tree::Verb},
};
use serde_json::{Value, json};
use tonic::{
    Status,
    codec::{DecodeBuf, EncodeBuf},
};

use crate::test_server::{Caller, TEST_TIMEOUT, parse_sse};

mod connect;

pub struct Contract {
    pub pool: DescriptorPool,
    codec: Codec,
    router: Router,
}

pub static CONTRACT: LazyLock<Contract> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let codec = codec::json(&pool);
    let router = Router::new(&pool, &codec).unwrap();
    Contract { pool, codec, router }
});

pub fn methods() -> Vec<MethodDescriptor> {
    let services = CONTRACT
        .pool
        .services()
        .filter(|service| service.full_name().starts_with("runyard."));
    services
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect()
}

/// Returns the HTTP rules of a method. [`Way::Http`] contains an index into this list.
pub fn rules(method: &MethodDescriptor) -> Vec<&'static Rule> {
    let rules = CONTRACT.router.rules().iter();
    rules.filter(|rule| rule.method.descriptor == *method).collect()
}

#[derive(Clone, Copy, Debug)]
pub enum Way {
    Grpc,
    GrpcWeb,
    Connect(Format),
    /// HTTP/JSON, through the HTTP binding with this index.
    Http(usize),
}

pub fn ways(method: &MethodDescriptor) -> Vec<Way> {
    let bindings = rules(method).len();
    assert!(bindings > 0, "{} has no HTTP binding", method.full_name());
    [
        Way::Grpc,
        Way::GrpcWeb,
        Way::Connect(Format::Json),
        Way::Connect(Format::Proto),
    ]
    .into_iter()
    .chain((0..bindings).map(Way::Http))
    .collect()
}

/// The answer to a call, reduced to the parts that must be equal over all protocols.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Good(Vec<Value>),
    /// A refusal: the HTTP status of the error, its code and its `detail`.
    Refused(u16, String, Value),
}

impl Reply {
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good(_))
    }

    pub fn message(self) -> Value {
        match self {
            Self::Good(mut messages) if messages.len() == 1 => messages.remove(0),
            other => panic!("not one message: {other:?}"),
        }
    }

    pub fn lines(&self) -> Vec<String> {
        format!("{self:#?}").lines().map(str::to_owned).collect()
    }

    pub fn code(&self) -> &str {
        match self {
            Self::Good(_) => "OK",
            Self::Refused(_, code, _) => code,
        }
    }
}

pub async fn call(caller: &Caller, method: &MethodDescriptor, request: &Value, way: Way) -> Reply {
    let exchange = async {
        match way {
            Way::Grpc => grpc(caller, method, request).await,
            Way::GrpcWeb => grpc_web(caller, method, request).await,
            Way::Connect(format) => connect::call(caller, method, request, format).await,
            Way::Http(binding) => http(caller, rules(method)[binding], request).await,
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, exchange)
        .await
        .unwrap_or_else(|_| panic!("{} did not answer over {way:?}", method.full_name()))
}

pub fn path_of(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

fn encoded(method: &MethodDescriptor, request: &Value) -> Bytes {
    let input = CONTRACT.codec.message(method.input().full_name()).unwrap();
    let mut wire = Vec::new();
    let text = request.to_string();
    CONTRACT
        .codec
        .decode(input, Dialect::Plain, text.as_bytes(), &mut wire)
        .unwrap_or_else(|error| panic!("{}: {error}", method.full_name()));
    wire.into()
}

fn shown(method: &MethodDescriptor, messages: &[Bytes]) -> Vec<Value> {
    let output = method.output();
    if output.full_name() == "google.api.HttpBody" {
        let pieces = messages
            .iter()
            .map(|bytes| HttpBody::decode(bytes.clone()).unwrap().data);
        let whole: Vec<u8> = pieces.flatten().collect();
        return vec![String::from_utf8_lossy(&whole).into_owned().into()];
    }
    let id = CONTRACT.codec.message(output.full_name()).unwrap();
    let json = |bytes: &Bytes| {
        let mut text = Vec::new();
        CONTRACT.codec.encode(id, Dialect::Plain, bytes, &mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    messages.iter().map(json).collect()
}

fn refused(status: &Status) -> Reply {
    let fault = status::read(status);
    let detail = match &fault.refusal {
        None => json!(fault.message),
        Some(refusal) => {
            let id = CONTRACT.codec.message("runyard.v1.Refusal").unwrap();
            let mut text = Vec::new();
            let wire = refusal.encode_to_vec();
            CONTRACT.codec.encode(id, Dialect::Plain, &wire, &mut text).unwrap();
            // HTTP/JSON omits the null fields and the empty lists of a refusal, so they are removed here, too.
            let mut object: Value = serde_json::from_slice(&text).unwrap();
            let ours = |value: &Value| !value.is_null() && *value != json!([]);
            object.as_object_mut().unwrap().retain(|_, value| ours(value));
            object
        }
    };
    Reply::Refused(http_status(fault.kind).as_u16(), fault.reason.into_owned(), detail)
}

async fn grpc(caller: &Caller, method: &MethodDescriptor, request: &Value) -> Reply {
    let mut client = tonic::client::Grpc::new(caller.channel().await);
    client.ready().await.unwrap();
    let path: PathAndQuery = path_of(method).parse().unwrap();
    let request = caller.signed(encoded(method, request));
    let mut messages = Vec::new();
    let mut stream = match client.server_streaming(request, path, Raw).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return refused(&status),
    };
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => messages.push(message),
            Err(status) => return refused(&status),
        }
    }
    Reply::Good(shown(method, &messages))
}

/// Wraps a message in an uncompressed frame. gRPC and gRPC-Web use the same format.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap());
    frame.extend_from_slice(message);
    frame.to_vec()
}

async fn grpc_web(caller: &Caller, method: &MethodDescriptor, request: &Value) -> Reply {
    let response = caller
        .request("POST", &path_of(method))
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .body(framed(&encoded(method, request)))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    // If an answer has no message, the gRPC status is in the headers.
    let mut trailers = response.headers().clone();
    let mut body = response.bytes().await.unwrap();
    let mut messages = Vec::new();
    while body.len() >= 5 {
        let (flag, length) = (body.get_u8(), body.get_u32() as usize);
        let payload = body.split_to(length);
        if flag & 0x80 == 0 {
            messages.push(payload);
            continue;
        }
        trailers = HeaderMap::new();
        for line in std::str::from_utf8(&payload).unwrap().lines() {
            let (name, value) = line.split_once(':').unwrap();
            trailers.insert(
                HeaderName::from_bytes(name.trim().as_bytes()).unwrap(),
                HeaderValue::from_str(value.trim()).unwrap(),
            );
        }
    }
    let status = Status::from_header_map(&trailers).expect("a gRPC-Web answer should end with a status");
    if status.code() == tonic::Code::Ok {
        Reply::Good(shown(method, &messages))
    } else {
        refused(&status)
    }
}

async fn http(caller: &Caller, rule: &Rule, request: &Value) -> Reply {
    let mut rest = request.as_object().unwrap().clone();
    let mut path = String::new();
    let mut template = rule.path.as_str();
    while let Some((before, after)) = template.split_once('{') {
        let (field, behind) = after.split_once('}').unwrap();
        let value = rest
            .remove(field)
            .unwrap_or_else(|| panic!("{} needs {field}", rule.path));
        path.push_str(before);
        path.push_str(value.as_str().unwrap());
        template = behind;
    }
    path.push_str(template);
    let verb = match &rule.verb {
        Verb::Only(verb) => verb.as_str(),
        Verb::Any => "GET",
    };
    let send = match rule.body {
        BodyRule::None => {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let pair = |(name, value): (&String, &Value)| {
                format!("{name}={}", utf8_percent_encode(&text(value), NON_ALPHANUMERIC))
            };
            let query: Vec<String> = rest.iter().map(pair).collect();
            caller.request(verb, &format!("{path}?{}", query.join("&")))
        }
        _ => caller.request(verb, &path).json(&rest),
    };
    let answer = crate::test_server::Answer::of(send.send().await.unwrap()).await;
    if !(200..300).contains(&answer.status) {
        let code = answer.header("x-error-code").to_owned();
        return Reply::Refused(answer.status, code, answer.json()["detail"].clone());
    }
    let raw = rule.method.answers_raw;
    Reply::Good(if raw {
        vec![answer.text.into()]
    } else if rule.method.streams {
        parse_sse(&answer.text).into_iter().map(|event| event.data).collect()
    } else {
        vec![answer.json()]
    })
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

impl tonic::codec::Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl tonic::codec::Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
