//! Renders an error in the protocol of the request, for layers that refuse requests before they reach a service.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use runyard_transcode::connect::Connect;
use tonic::Status;

use super::{fault, protocol::Protocol, status};
use crate::error::Error;

pub(super) fn render(connect: &Connect, protocol: Protocol, error: Error) -> Response<Body> {
    match protocol {
        Protocol::Http => fault::refuse(error),
        Protocol::Grpc => status::refuse(Status::from(error)),
        Protocol::GrpcWeb(content_type) => {
            let mut response: Response<Body> = status::refuse(Status::from(error));
            let content_type = HeaderValue::from_static(content_type);
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
        }
        Protocol::Connect(kind) => mark(connect.refuse(kind, Status::from(error))),
    }
}

/// Adds the headers that describe an error to a Connect response, if the response extensions contain a [`Status`].
pub(super) fn mark(mut response: Response<Body>) -> Response<Body> {
    if let Some(status) = response.extensions().get::<Status>() {
        let fault = status::read(status);
        fault::describe(&fault, response.headers_mut());
    }
    response
}
