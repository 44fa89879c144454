//! The trait of the services in `wire/stack.rs`.

use std::convert::Infallible;

use http::{Request, Response};
use tower::Service;

/// A service that answers every request and never fails. `B` is the body type of its requests and responses.
pub(super) trait Answers<B>:
    Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<B, S> Answers<B> for S where
    S: Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}
