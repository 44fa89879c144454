//! The tower service that HTTP/JSON and Connect share, and how it calls the gRPC service.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use axum_core::body::Body;
use http::{Request, Response};
use tonic::Status;
use tower::{BoxError, Service, ServiceExt};

/// A tower service that answers gRPC requests, such as `tonic::service::Routes`.
pub trait Grpc:
    Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static
{
}

impl<S> Grpc for S where
    S: Service<Request<tonic::body::Body>, Response = Response<tonic::body::Body>> + Clone + Send + 'static
{
}

/// Calls the gRPC service when it is ready.
///
/// # Errors
/// The tower service failed before it returned a response. Errors of the called method are part of the response.
pub async fn call<S>(grpc: S, request: Request<tonic::body::Body>) -> Result<Response<tonic::body::Body>, Status>
where
    S: Grpc,
    S::Error: Into<BoxError>,
{
    grpc.oneshot(request)
        .await
        .map_err(|error| Status::from_error(error.into()))
}

/// A protocol whose requests are converted to gRPC calls.
pub trait Front: Clone + Send + Sync + 'static {
    fn answer<S>(&self, grpc: S, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send;
}

/// A tower service that answers the requests of one protocol through a gRPC service.
#[derive(Clone)]
pub struct Over<F, S> {
    pub(crate) front: F,
    pub(crate) grpc: S,
}

impl<F, S> Service<Request<Body>> for Over<F, S>
where
    F: Front,
    S: Grpc,
    S::Future: Send,
    S::Error: Into<BoxError> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Always ready, because each call waits for its own clone of the gRPC service.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let front = self.front.clone();
        let grpc = self.grpc.clone();
        Box::pin(async move { Ok(front.answer(grpc, request).await) })
    }
}
