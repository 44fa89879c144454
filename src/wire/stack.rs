//! The tower stack for all protocols. Its layers, from the outermost to the innermost:
//!
//! 1. Limit the total size of the responses that clients do not read.
//! 2. Time out stalled request bodies, and handle the part of a body that no service reads.
//! 3. Assign a request id. Count and log the request.
//! 4. Catch panics, so that the other requests of the connection continue.
//! 5. Apply CORS. This layer comes before authentication, because preflight requests contain no token.
//! 6. Authenticate the caller before the body is read.
//! 7. End a call and its stream at the deadline.
//! 8. Select the protocol by content type. gRPC, gRPC-Web and Connect requests go to the services, all other requests
//!    to the triggers, the built-in pages, the console or the transcoder.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::IntoResponse,
    routing::get,
};
use futures::FutureExt;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use runyard_transcode::{Options, Transcoder, connect::Connect, route::Routed};
use tonic::service::Routes;
use tower::{Layer, ServiceExt, service_fn};

use super::{
    access::{self, AccessLog},
    answers::{Answered, Answers, Layered, layer, run},
    body_timeout::{self, BodyTimeout},
    caller::{self, Gate, METRICS},
    codec, compression, cors, deadline,
    fault::{self, HttpFaults},
    files::Forms,
    jwt::Verifier,
    metrics_page, openapi,
    permit::{self, Scopes},
    plan_log,
    protocol::Protocol,
    public::Public,
    readiness, refusal,
    site::{SignIn, Site},
    status,
    streams::{self, Streams},
    throttle::Throttle,
    triggers::fire::{Addresses, is_for_trigger},
    unread::{self, Ledger},
};
use crate::{
    accounts::{Caller, Role},
    app::App,
    error::{Code, Error, Result},
    telemetry::traces,
};

/// The pages that monitoring requests all the time.
pub(super) const PROBES: [&str; 3] = ["/healthz", "/readyz", METRICS];
const API_DESCRIPTION: &str = "/openapi.json";

fn is_page(path: &str) -> bool {
    PROBES.contains(&path) || path == API_DESCRIPTION
}

pub type Stack = Layered;

/// Builds the stack of all layers and services. `grpc` contains the gRPC services.
///
/// # Errors
/// Fails if the HTTP rules of the contract conflict, or if the console or the CORS settings are invalid.
pub fn build(app: &App, verifier: Arc<Verifier>, grpc: Routes) -> Result<Stack> {
    let pool = codec::descriptors()?;
    let callable = codec::connect_descriptors()?;
    // HTTP/JSON and Connect share one codec, because the codec's tables are large.
    let json = Arc::new(codec::json(&callable));
    let options = Options {
        max_body_bytes: app.config.http.max_message_bytes,
        max_form_bytes: app.config.http.max_form_bytes,
        heartbeat: Duration::from_secs(app.config.http.heartbeat_seconds),
        files: Some(Arc::new(Forms { app: app.clone() })),
        faults: Some(Arc::new(HttpFaults)),
    };
    let connect = Connect::new(&callable, Arc::clone(&json), &options);
    let transcoder = Transcoder::new(pool, json, options)?;
    // Adds the error code to the errors that tonic itself creates. Removes needless percent-encoding from all error
    // messages.
    let complete = |mut answer: Response<tonic::body::Body>| {
        status::complete(answer.headers_mut());
        status::show(answer.headers_mut());
        answer.map(|body| {
            tonic::body::Body::new(body.map_frame(|mut frame| {
                if let Some(trailers) = frame.trailers_mut() {
                    status::show(trailers);
                }
                frame
            }))
        })
    };
    let http = &app.config.http;
    let streams = Streams::new(pool, http.max_streams, http.max_streams_per_account);
    let grpc = plan_log::log(grpc.prepare(), app.clock.clone());
    let grpc = streams::count(deadline::end_streams(grpc), streams);
    let grpc = permit::enforce(grpc, Arc::new(Scopes::of(pool)));
    let grpc = ServiceExt::<Request<tonic::body::Body>>::map_response(grpc, complete);
    // Clients without a credential reach services outside the contract by any path, which names no span.
    let methods: Arc<HashSet<String>> = Arc::new(permit::methods(pool).map(|(path, _)| path).collect());
    let grpc = grpc.map_request(move |request: Request<tonic::body::Body>| {
        if methods.contains(request.uri().path()) {
            traces::name_method(request.uri().path());
        }
        request
    });
    let grpc = compression::compress_answers(grpc, pool);
    let web = tonic_web::GrpcWebLayer::new().layer(grpc.clone());
    // A method of the contract takes precedence over a console file with the same path.
    let is_method = |path: &str| !matches!(transcoder.router().find(&Method::GET, path), Routed::Nowhere);
    let sign_in = SignIn::new(app, Arc::clone(&verifier));
    let site = Site::open(app.config.http.console_dir.as_deref())?.without(is_method);
    let site = Arc::new(site.with_sign_in(sign_in));
    let public = Public::of(transcoder.router());
    let pages = pages(app, &transcoder);
    let contract = beside(Arc::clone(&site), transcoder.over(grpc.clone()));
    let calls = connect.over(grpc.clone());
    let throttle = Arc::new(Throttle::new(&app.config));
    let addresses = Addresses {
        app: app.clone(),
        throttle: Arc::clone(&throttle),
    };
    // Each request clones only the service of its protocol.
    let services = Arc::new((grpc, web, calls, pages, contract));
    let protocols = service_fn(move |request: Request<Body>| -> Answered {
        let services = Arc::clone(&services);
        let addresses = is_for_trigger(&request).then(|| addresses.clone());
        Box::pin(async move {
            if let Some(addresses) = addresses {
                return Ok(addresses.answer(request).await);
            }
            let (grpc, web, calls, pages, contract) = services.as_ref();
            let response = match Protocol::of(&request) {
                Protocol::Grpc => {
                    let answer = run(grpc.clone(), request.map(tonic::body::Body::new)).await;
                    answer.map(Body::new)
                }
                Protocol::GrpcWeb(_) => {
                    let answer = web.clone().oneshot(request.map(tonic::body::Body::new)).await;
                    let answer = answer.unwrap_or_else(|never| match never {});
                    unbuffered(answer.map(Body::new))
                }
                Protocol::Connect(_) => refusal::mark(run(calls.clone(), request).await),
                Protocol::Http if is_page(request.uri().path()) => run(pages.clone(), request).await,
                Protocol::Http => run(contract.clone(), request).await,
            };
            Ok(response)
        })
    });
    let gate = Gate::new(app.clone(), verifier, site, public, connect.clone(), throttle);
    let ledger = Arc::new(Ledger::new(http.max_unread_bytes));
    // Each call of `layer` wraps the stack in one more layer, so the innermost layer comes first.
    let stack = layer(protocols, connect, deadline::end_call);
    let stack = layer(stack, Arc::new(gate), caller::authenticate);
    let stack = layer(stack, Arc::new(cors::layer(http)?), cors::apply);
    let stack = layer(stack, (), catch_panics);
    let stack = layer(stack, Arc::new(AccessLog::new(app.config.log.access)), access::log);
    let stack = layer(stack, BodyTimeout::default(), body_timeout::limit);
    Ok(layer(stack, ledger, unread::limit))
}

async fn catch_panics((): (), request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    let answer = AssertUnwindSafe(run(next, request)).catch_unwind().await;
    answer.unwrap_or_else(|_| fault::refuse(Error::panicked()))
}

// Tells nginx not to buffer the messages of a stream.
fn unbuffered(mut answer: Response<Body>) -> Response<Body> {
    answer
        .headers_mut()
        .insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

#[derive(Clone)]
struct Pages {
    app: App,
    transcoder: Transcoder,
    openapi: Arc<OnceLock<Bytes>>,
}

fn pages(app: &App, transcoder: &Transcoder) -> Router {
    let state = Pages {
        app: app.clone(),
        transcoder: transcoder.clone(),
        openapi: Arc::default(),
    };
    let wrong_method = |request: Request<Body>| async move {
        let _ = request;
        fault::method_not_allowed("GET, HEAD")
    };
    let [healthz, readyz, metrics_path] = PROBES;
    Router::new()
        .route(healthz, get(|| async { "ok\n" }).fallback(wrong_method))
        .route(readyz, get(ready).fallback(wrong_method))
        .route(metrics_path, get(metrics).fallback(wrong_method))
        .route(API_DESCRIPTION, get(document).fallback(wrong_method))
        .with_state(state)
}

/// Serves the site's file at the request's path. Passes requests for all other paths to `contract`.
fn beside(site: Arc<Site>, contract: impl Answers<Body>) -> impl Answers<Body> {
    service_fn(move |request: Request<Body>| {
        let (site, contract) = (Arc::clone(&site), contract.clone());
        async move {
            // The request is split before the first await: a `Body` is not `Sync`, so the future must not borrow the
            // request across an await.
            let (parts, body) = request.into_parts();
            if let Some(answer) = site.answer(&parts.method, parts.uri.path(), &parts.headers).await {
                return Ok(answer);
            }
            contract.oneshot(Request::from_parts(parts, body)).await
        }
    })
}

async fn ready(State(pages): State<Pages>) -> Response<Body> {
    match readiness::check(&pages.app).await {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(pages): State<Pages>, request: Request<Body>) -> Response<Body> {
    // A request with the metrics token has no caller.
    if request
        .extensions()
        .get::<Caller>()
        .is_some_and(|caller| caller.role != Role::SuperAdmin)
    {
        return fault::refuse(Error::new(
            Code::PermissionDenied,
            "metrics require a super admin or the metrics token",
        ));
    }
    match metrics_page::render(&pages.app).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(fault) => fault::refuse(fault),
    }
}

async fn document(State(pages): State<Pages>) -> Response<Body> {
    let generate = || {
        let modes: Vec<&str> = pages.app.modes.iter().map(|mode| mode.name.as_str()).collect();
        let document = openapi::document(pages.transcoder.router(), &modes);
        document.to_string().into()
    };
    let openapi = pages.openapi.get_or_init(generate).clone();
    ([(header::CONTENT_TYPE, "application/json")], openapi).into_response()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn the_answer_to_a_panic_has_a_request_id() {
        let service = service_fn(|request: Request<Body>| async move {
            assert_ne!(request.uri().path(), "/panic");
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let service = layer(service, (), catch_panics);
        let lines = AccessLog::new(crate::config::LoggedRequests::Refused);
        let service = layer(service, Arc::new(lines), access::log);
        for (path, status) in [("/", 200), ("/panic", 500)] {
            let request = Request::get(path).header("x-request-id", "mine").body(Body::empty());
            let answer = run(service.clone(), request.unwrap_or_default()).await;
            assert_eq!(answer.status(), status);
            assert_eq!(answer.headers()["x-request-id"], "mine");
        }
    }
}
