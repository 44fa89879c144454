//! HTTP/JSON for any tonic service, converted to gRPC calls at run time.
//!
//! A [`TranscoderService`] calls the gRPC services in the same process. The `google.api.http` annotations define all
//! routes. The gRPC service receives the headers and extensions of the HTTP request, so a layer in front can
//! authenticate the caller. The module [`connect`] serves the Connect protocol.

#![warn(missing_docs)]

mod alias;
mod body;
pub mod compression;
pub mod connect;
mod disposition;
mod error;
mod fault;
mod frames;
pub mod json;
mod multipart;
pub mod openapi;
mod options;
mod over_grpc;
mod request;
pub mod response;
pub mod route;
mod stream;

use std::{sync::Arc, time::Duration};

use axum_core::body::Body;
use http::{HeaderValue, Method, Request, Response, header};
use http_body::Body as _;
use http_body_util::Full;
use opentelemetry::context::FutureExt as _;
use prost_reflect::DescriptorPool;
use tonic::Status;
use tower::BoxError;
use tracing::Instrument;

pub use self::{
    error::{Error, ErrorKind, Refused, Result},
    fault::{Faults, StandardFaults},
    multipart::{FormFiles, MAX_PARTS},
    over_grpc::Grpc,
};
use self::{
    json::Codec,
    multipart::{FormLimits, Uploads},
    over_grpc::Front,
    request::Draft,
    route::{Routed, Router},
    stream::Format,
};

/// Settings of a [`Transcoder`] and of a [`connect::Connect`] server.
#[derive(Clone)]
pub struct Options {
    /// Maximum size in bytes of a JSON body, a Connect message, and all text fields of a form together.
    pub max_body_bytes: usize,
    /// Maximum size of a multipart form with its files, in bytes.
    pub max_form_bytes: u64,
    /// Time without data after which an event stream sends a heartbeat.
    pub heartbeat: Duration,
    /// Stores the files of multipart forms. Without a store, multipart forms are refused with 415.
    pub files: Option<Arc<dyn FormFiles>>,
    /// Renders errors. The default is [`StandardFaults`].
    pub faults: Option<Arc<dyn Faults>>,
}

impl Default for Options {
    /// Bodies up to 4 MiB, forms up to 64 MiB, heartbeats after 15 seconds, no file store, [`StandardFaults`].
    fn default() -> Self {
        Self {
            max_body_bytes: 4 * 1024 * 1024,
            max_form_bytes: 64 * 1024 * 1024,
            heartbeat: Duration::from_secs(15),
            files: None,
            faults: None,
        }
    }
}

/// Answers HTTP requests for the services of a descriptor pool. Clones share their state.
#[derive(Clone)]
pub struct Transcoder {
    shared: Arc<Shared>,
}

struct Shared {
    codec: Arc<Codec>,
    router: Router,
    options: Options,
    faults: Arc<dyn Faults>,
}

impl Shared {
    fn fail(&self, status: &Status) -> Response<Body> {
        self.faults.status(status).map(Body::from)
    }

    fn refuse(&self, error: Error) -> Response<Body> {
        self.faults.error(error).map(Body::from)
    }

    /// Returns a 405 response. `methods` are the HTTP methods of the path.
    fn method_not_allowed(&self, methods: &[Method]) -> Response<Body> {
        let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
        let mut response = self.refuse(Error::new(
            ErrorKind::MethodNotAllowed,
            "this path does not support the HTTP method",
        ));
        if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
            response.headers_mut().insert(header::ALLOW, value);
        }
        response
    }
}

impl Transcoder {
    /// Creates a transcoder from the rules in a descriptor pool. The codec must be compiled from this pool, or from a
    /// larger pool that contains it.
    ///
    /// # Errors
    /// `Invalid` if a rule is invalid or two rules conflict. The message names the methods.
    pub fn new(pool: &DescriptorPool, codec: Arc<Codec>, options: Options) -> Result<Self> {
        let router = Router::new(pool, &codec)?;
        let standard = || Arc::new(StandardFaults::new(Arc::clone(&codec))) as Arc<dyn Faults>;
        let shared = Arc::new(Shared {
            faults: options.faults.clone().unwrap_or_else(standard),
            codec,
            router,
            options,
        });
        Ok(Self { shared })
    }

    /// Returns the router, whose rules also define the `OpenAPI` document.
    pub fn router(&self) -> &Router {
        &self.shared.router
    }

    /// Returns a tower service that answers HTTP requests through the gRPC service `grpc`.
    pub fn over<S>(&self, grpc: S) -> TranscoderService<S> {
        let front = self.clone();
        TranscoderService { front, grpc }
    }

    /// Answers one HTTP request through the gRPC service `grpc`.
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
            Routed::OtherMethods(methods) => self.shared.method_not_allowed(&methods),
            Routed::Nowhere => self
                .shared
                .refuse(Error::new(ErrorKind::NoSuchPath, "no method has this path")),
            Routed::Malformed => self
                .shared
                .refuse(Error::invalid("the percent-encoding of the path is invalid")),
        };
        if is_head { without_body(response) } else { response }
    }
}

/// A request that matches the router's rule with the index `rule`. `captures` contains the fields that the path sets,
/// with their values.
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
            Err(Refused::Error(error)) => return self.shared.refuse(error),
            Err(Refused::Status(status)) => return self.shared.fail(&status),
        };
        let Some(uploads) = uploads else {
            return call(Arc::clone(self.shared), self.rule, format, grpc, request).await;
        };
        // The call runs in its own task, so it continues if the client disconnects. The uploads of a failed call are
        // discarded.
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
        tokio::spawn(work.in_current_span().with_current_context())
            .await
            .unwrap_or_else(|error| {
                self.shared.refuse(Error::internal(
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
        let takes_form = rule.method.form_files.is_some() && rule.body == route::BodyRule::Whole;
        let is = |kind: &str| {
            takes_form && body::essence(&parts.headers).is_some_and(|essence| essence.eq_ignore_ascii_case(kind))
        };
        let uploads = match (&rule.method.form_files, &shared.options.files) {
            (Some(field), Some(store)) if is("multipart/form-data") => {
                let limits = FormLimits {
                    form_bytes: shared.options.max_form_bytes,
                    text_bytes: shared.options.max_body_bytes,
                };
                Some(multipart::read(&mut draft, field, &parts, content, store, limits).await?)
            }
            _ if is("application/x-www-form-urlencoded") => {
                draft.urlencoded(&parts, content, shared.options.max_body_bytes).await?;
                None
            }
            _ => {
                draft.body(&parts, content, shared.options.max_body_bytes).await?;
                None
            }
        };
        let finished = draft.rest(&parts).and_then(|()| draft.finish());
        match (finished, uploads) {
            (Ok(message), uploads) => {
                let body = tonic::body::Body::new(Full::new(message));
                Ok((request::wrap(rule.method.path.clone(), parts, body), uploads))
            }
            (Err(error), None) => Err(error.into()),
            (Err(error), Some(uploads)) => {
                uploads.discard().await;
                Err(error.into())
            }
        }
    }
}

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
    let answer = match over_grpc::call(grpc, request).await {
        Ok(answer) => answer,
        Err(status) => return shared.fail(&status),
    };
    let bound = &shared.router.rules()[rule];
    match (bound.method.streams, bound.method.answers_raw) {
        (false, _) => response::unary(&shared, bound, answer).await,
        (true, true) => response::raw(&shared, answer).await,
        (true, false) => stream::begin(Arc::clone(&shared), rule, format, answer).await,
    }
}

/// Removes the body of the response to a HEAD request. The headers stay those of GET.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact()
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
    {
        parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// A tower service that answers HTTP requests through a gRPC service.
pub type TranscoderService<S> = over_grpc::Over<Transcoder, S>;

impl Front for Transcoder {
    async fn answer<S>(&self, grpc: S, request: Request<Body>) -> Response<Body>
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        self.serve(grpc, request).await
    }
}
