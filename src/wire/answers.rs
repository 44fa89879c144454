//! Defines a trait for HTTP services that never fail, and a function that wraps such services in layers.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use tower::{Service, ServiceExt};

pub trait Answers<B>:
    Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<B, S> Answers<B> for S where
    S: Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

pub type Answered = BoxFuture<'static, Result<Response<Body>, Infallible>>;

#[derive(Clone)]
pub struct Layered {
    serve: Arc<dyn Fn(Request<Body>) -> Answered + Send + Sync>,
}

impl Service<Request<Body>> for Layered {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answered;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The service is always ready, because each request waits for its own clone of the inner service.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answered {
        (self.serve)(request)
    }
}

/// Wraps a service in a layer. For each request, `handle` receives the state, the request and the service.
///
/// The future of each layer is boxed. Otherwise the future of a layer would contain the futures of all inner layers,
/// and each layer would copy this large future.
pub fn layer<A, S, H, F>(service: A, state: S, handle: H) -> Layered
where
    A: Answers<Body>,
    S: Clone + Send + Sync + 'static,
    H: Fn(S, Request<Body>, A) -> F + Send + Sync + 'static,
    F: Future<Output = Response<Body>> + Send + 'static,
{
    let serve =
        move |request: Request<Body>| -> Answered { Box::pin(handle(state.clone(), request, service.clone()).map(Ok)) };
    Layered { serve: Arc::new(serve) }
}

pub async fn run<B>(service: impl Answers<B>, request: Request<B>) -> Response<B> {
    service.oneshot(request).await.unwrap_or_else(|never| match never {})
}
