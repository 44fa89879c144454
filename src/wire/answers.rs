//! The services that the layers of `wire/stack.rs` wrap.

use std::convert::Infallible;

use http::{Request, Response};
use tower::Service;

/// A service that answers every request and never fails. `B` is the body of its requests and responses.
pub(super) trait Answers<B>:
    Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<B, S> Answers<B> for S where
    S: Service<Request<B>, Response = Response<B>, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}
