//! HTTP/JSON. HTTP requests are transcoded to calls of the gRPC services, according to the proto descriptors at run
//! time.
//!
//! `wire/stack.rs` mounts a [`TranscoderService`], which receives every request that no fixed page and no file of the
//! site answers. It calls the gRPC services in the same process. There is no code per method: the HTTP annotations in
//! the contract define every route. The request is already authenticated, and its extensions contain the caller.

mod alias;
mod body;
pub mod fault;
mod frames;
mod multipart;
pub mod openapi;
mod request;
pub mod response;
pub mod route;
mod stream;

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use prost_reflect::DescriptorPool;
use tonic::Status;
use tower::{BoxError, Service, ServiceExt};
use tracing::Instrument;

pub use self::multipart::{FormFiles, MAX_PARTS};
use self::{
    multipart::{FormLimits, Uploads},
    request::{Draft, Refused},
    route::{Routed, Router},
    stream::Format,
};
use crate::{
    error::{Error, Result},
    wire::json::Codec,
};

/// Settings of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Maximum size of a JSON body, and of all text in a form, in bytes.
    pub max_body_bytes: usize,
    /// Maximum size of a form, files included, in bytes.
    pub max_form_bytes: u64,
    /// Time without data on an event stream after which a heartbeat is sent.
    pub heartbeat: Duration,
}

/// The transcoder of one contract; cheap to clone.
#[derive(Clone)]
pub struct Transcoder {
    shared: Arc<Shared>,
}

/// State shared by all requests.
struct Shared {
    codec: Arc<Codec>,
    router: Router,
    options: Options,
    files: Option<Arc<dyn FormFiles>>,
}

impl Transcoder {
    /// Compiles the rules of a contract. `files` stores the files of forms. If `files` is `None`, forms are refused
    /// with 415.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, with the names of the methods whose rules are wrong or conflict.
    pub fn new(
        pool: &DescriptorPool,
        codec: Arc<Codec>,
        options: Options,
        files: Option<Arc<dyn FormFiles>>,
    ) -> Result<Self> {
        let router = Router::new(pool, &codec)?;
        let shared = Arc::new(Shared {
            codec,
            router,
            options,
            files,
        });
        Ok(Self { shared })
    }

    /// The routes of the contract, from which the `OpenAPI` document is generated.
    pub fn router(&self) -> &Router {
        &self.shared.router
    }

    /// Wraps a gRPC service in a tower service that answers HTTP.
    pub fn over<S>(&self, grpc: S) -> TranscoderService<S> {
        let transcoder = self.clone();
        TranscoderService { transcoder, grpc }
    }

    /// Answers one HTTP request. `grpc` is the gRPC service to call.
    pub async fn serve<S>(&self, grpc: S, request: Request<Body>) -> Response<Body>
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        let is_head = *request.method() == Method::HEAD;
        let uri = request.uri().clone();
        let response = match self.shared.router.find(request.method(), uri.path()) {
            Routed::To(rule, captures) => {
                let call = Call {
                    shared: &self.shared,
                    rule,
                    captures,
                };
                call.answer(grpc, request).await
            }
            Routed::OtherMethods(methods) => {
                let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
                fault::method_not_allowed(&names.join(", "))
            }
            Routed::Nowhere => fault::no_such_path(),
            Routed::Malformed => fault::refuse(Error::invalid("the percent-encoding of the path is invalid")),
        };
        if is_head { without_body(response) } else { response }
    }
}

/// The gRPC services, as one tower service.
pub trait Grpc:
    Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static
{
}

impl<S> Grpc for S where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static
{
}

/// A request that matched a rule.
struct Call<'r> {
    shared: &'r Arc<Shared>,
    rule: usize,
    captures: Vec<(&'r str, std::borrow::Cow<'r, str>)>,
}

impl Call<'_> {
    async fn answer<S>(self, grpc: S, request: Request<Body>) -> Response<Body>
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        let format = Format::asked_by(request.headers());
        let (request, uploads) = match self.translate(request).await {
            Ok(translated) => translated,
            Err(refused) => return refused.respond(),
        };
        let Some(uploads) = uploads else {
            return call(Arc::clone(self.shared), self.rule, format, grpc, request).await;
        };
        // The call runs in its own task, so that it continues when the client disconnects. Only the response shows
        // whether the service has accepted the files.
        let shared = Arc::clone(self.shared);
        let rule = self.rule;
        let work = async move {
            let response = call(shared, rule, format, grpc, request).await;
            if response.status().is_client_error() || response.status().is_server_error() {
                uploads.discard().await;
            } else {
                uploads.keep();
            }
            response
        };
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
            fault::refuse(Error::internal(
                "the request failed because of an internal error; see the server's log",
                error,
            ))
        })
    }

    async fn translate(
        &self,
        request: Request<Body>,
    ) -> Result<(Request<tonic::body::Body>, Option<Uploads>), Refused> {
        let shared = self.shared;
        let rule = &shared.router.rules()[self.rule];
        let (parts, content) = request.into_parts();
        let mut draft = Draft::new(&shared.codec, rule, &self.captures);
        let is_form =
            body::essence(&parts.headers).is_some_and(|essence| essence.eq_ignore_ascii_case("multipart/form-data"));
        let uploads = match (&rule.method.form_files, &shared.files) {
            (Some(field), Some(store)) if is_form && rule.body == route::BodyRule::Whole => {
                let limits = FormLimits {
                    form_bytes: shared.options.max_form_bytes,
                    text_bytes: shared.options.max_body_bytes,
                };
                Some(multipart::read(&mut draft, field, &parts, content, store, limits).await?)
            }
            _ => {
                draft.body(&parts, content, shared.options.max_body_bytes).await?;
                None
            }
        };
        let finished = draft.rest(&parts).and_then(|()| draft.finish());
        match (finished, uploads) {
            (Ok(message), uploads) => Ok((request::wrap(&rule.method, parts, message), uploads)),
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(uploads)) => {
                uploads.discard().await;
                Err(error.into())
            }
        }
    }
}

/// Calls the gRPC service in the same process, and renders its response.
async fn call<S>(
    shared: Arc<Shared>,
    rule: usize,
    format: Format,
    grpc: S,
    request: Request<tonic::body::Body>,
) -> Response<Body>
where
    S: Grpc,
    S::Error: Into<BoxError>,
{
    let answer = match grpc.oneshot(request).await {
        Ok(answer) => answer,
        Err(error) => return fault::respond(&Status::from_error(error.into())),
    };
    let bound = &shared.router.rules()[rule];
    match (bound.method.streams, bound.method.answers_raw) {
        (false, _) => response::unary(&shared.codec, bound, answer).await,
        (true, true) => response::raw(answer).await,
        (true, false) => stream::begin(Arc::clone(&shared), rule, format, answer).await,
    }
}

/// Removes the body from the response to HEAD. The headers are those of the response to GET.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
    {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// A tower service that answers HTTP requests by calling a gRPC service.
#[derive(Clone)]
pub struct TranscoderService<S> {
    transcoder: Transcoder,
    grpc: S,
}

impl<S> Service<Request<Body>> for TranscoderService<S>
where
    S: Grpc,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // This service is always ready, because each call waits for its own clone of the gRPC service.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let transcoder = self.transcoder.clone();
        let grpc = self.grpc.clone();
        Box::pin(async move { Ok(transcoder.serve(grpc, request).await) })
    }
}
