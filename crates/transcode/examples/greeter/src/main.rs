//! Serves greeter.proto over gRPC, Connect and HTTP/JSON, on one port.
//!
//! ```sh
//! cargo run --package runyard-transcode-greeter
//! curl http://127.0.0.1:50051/hello/World
//! curl http://127.0.0.1:50051/count?to=3
//! curl http://127.0.0.1:50051/openapi.json
//! curl --json '{"name": "World"}' http://127.0.0.1:50051/greeter.v1.Greeter/SayHello
//! ```

use std::{error::Error, sync::Arc};

use axum::{
    Router,
    extract::Request,
    http::header,
    middleware::{Next, from_fn},
    routing::get,
};
use prost_reflect::DescriptorPool;
use runyard_transcode::{
    Options, Transcoder,
    connect::{CallKind, Connect},
    json::Codec,
    openapi::{self, Description},
};
use tokio::net::TcpListener;
use tonic::{Response, Status, service::Routes};

use greeter::{
    CountRequest, CountResponse, SayHelloRequest, SayHelloResponse,
    greeter_server::{Greeter, GreeterServer},
};

mod greeter {
    #![expect(
        clippy::pedantic,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        reason = "generated code"
    )]
    tonic::include_proto!("greeter.v1");
}

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// An ordinary gRPC service, without code for HTTP/JSON or Connect.
struct Friendly;

#[tonic::async_trait]
impl Greeter for Friendly {
    async fn say_hello(&self, request: tonic::Request<SayHelloRequest>) -> Result<Response<SayHelloResponse>, Status> {
        let name = request.into_inner().name;
        if name.is_empty() {
            return Err(Status::invalid_argument("name is required"));
        }
        let greeting = format!("Hello, {name}!");
        Ok(Response::new(SayHelloResponse { greeting }))
    }

    type CountStream = tokio_stream::Iter<std::vec::IntoIter<Result<CountResponse, Status>>>;

    async fn count(&self, request: tonic::Request<CountRequest>) -> Result<Response<Self::CountStream>, Status> {
        let CountRequest { to, after } = request.into_inner();
        if to > 1000 {
            return Err(Status::out_of_range("the last number is at most 1000"));
        }
        let numbers: Vec<_> = (after.max(0) + 1..=to)
            .map(|number| Ok(CountResponse { number }))
            .collect();
        Ok(Response::new(tokio_stream::iter(numbers)))
    }
}

/// Serves the service over all protocols. gRPC and Connect clients use the gRPC paths. All other paths except
/// `/openapi.json` go to the transcoder.
fn app() -> Result<Router, Box<dyn Error>> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let codec = Arc::new(Codec::new(&pool));
    let connect = Connect::new(&pool, Arc::clone(&codec), &Options::default());
    let transcoder = Transcoder::new(&pool, codec, Options::default())?;
    let document = openapi::document(transcoder.router(), &Description::new("Greeter", "1.0.0")).to_string();
    let json = [(header::CONTENT_TYPE, "application/json")];
    let grpc = Routes::new(GreeterServer::new(Friendly)).prepare();
    let service = grpc.clone();
    let calls = move |request: Request, next: Next| {
        let (connect, service) = (connect.clone(), service.clone());
        async move {
            match CallKind::of(request.method(), request.uri().path(), request.headers()) {
                Some(_) => connect.serve(service, request).await,
                None => next.run(request).await,
            }
        }
    };
    Ok(grpc
        .clone()
        .into_axum_router()
        .route("/openapi.json", get(move || async move { (json, document) }))
        .fallback_service(transcoder.over(grpc))
        .layer(from_fn(calls)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:50051").await?;
    axum::serve(listener, app()?).await?;
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::Body;
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;

    async fn send(method: &str, uri: &str, body: &str) -> (u16, String) {
        let request = axum::http::Request::builder().method(method).uri(uri);
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = app().unwrap().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn parsed((status, body): (u16, String)) -> (u16, Value) {
        (status, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn a_call_is_answered_as_json() {
        let greeting = json!({"greeting": "Hello, World!"});
        assert_eq!(parsed(send("GET", "/hello/World", "").await), (200, greeting.clone()));
        assert_eq!(
            parsed(send("POST", "/hello", r#"{"name": "World"}"#).await),
            (200, greeting)
        );
    }

    #[tokio::test]
    async fn a_connect_call_is_answered_on_the_grpc_path() {
        let request = Request::post("/greeter.v1.Greeter/SayHello").header("content-type", "application/json");
        let request = request.body(Body::from(r#"{"name": "World"}"#)).unwrap();
        let response = app().unwrap().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(bytes, r#"{"greeting":"Hello, World!"}"#);
    }

    #[tokio::test]
    async fn a_stream_is_answered_as_events_with_ids() {
        let events = "id: 2\ndata: {\"number\":2}\n\nid: 3\ndata: {\"number\":3}\n\n";
        assert_eq!(send("GET", "/count?to=3&after=1", "").await, (200, events.to_owned()));
    }

    #[tokio::test]
    async fn errors_have_the_standard_body() {
        let error = |code: u16, status: &str, message: &str| {
            let error = json!({"code": code, "status": status, "message": message});
            (code, json!({"error": error}))
        };
        assert_eq!(
            parsed(send("POST", "/hello", "{}").await),
            error(400, "INVALID_ARGUMENT", "name is required")
        );
        assert_eq!(
            parsed(send("GET", "/nowhere", "").await),
            error(404, "NOT_FOUND", "no method has this path")
        );
        assert_eq!(
            parsed(send("DELETE", "/count", "").await),
            error(405, "UNIMPLEMENTED", "this path does not support the HTTP method")
        );
        let (status, body) = parsed(send("GET", "/count?to=many", "").await);
        assert_eq!(
            (status, &body["error"]["details"][0]["fieldViolations"][0]["field"]),
            (400, &json!("to"))
        );
    }

    #[tokio::test]
    async fn the_document_has_every_binding() {
        let (_, document) = parsed(send("GET", "/openapi.json", "").await);
        let paths = document["paths"].as_object().unwrap();
        let paths: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/count", "/hello", "/hello/{name}"].into());
    }
}
