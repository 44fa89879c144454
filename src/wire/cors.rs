//! CORS: lets pages of the configured origins call the API from a browser. Runyard uses no cookies, so a page must
//! send a token with every call.
//!
//! Browsers send `Origin` with every POST, PUT, PATCH and DELETE request. Such a request without `Origin` comes from
//! no page, so its response needs no CORS headers. GET and HEAD responses always have CORS headers, because a cache
//! may return these responses to a page.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, header::ORIGIN};
use tower::Layer;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::answers::{Answers, run};
use crate::{
    config::Http,
    error::{Error, Result},
};

/// Request headers that pages may send. `traceparent` and all headers after it come from tracing libraries.
const ALLOWED_HEADERS: &[&str] = &[
    "authorization",
    "content-type",
    "idempotency-key",
    "last-event-id",
    "x-api-key",
    "x-request-id",
    "x-grpc-web",
    "grpc-timeout",
    "connect-protocol-version",
    "connect-timeout-ms",
    "connect-content-encoding",
    "connect-accept-encoding",
    "content-encoding",
    "x-user-agent",
    "range",
    "if-range",
    "if-none-match",
    "x-emit-timing",
    "accept",
    "accept-language",
    "cache-control",
    "pragma",
    "x-requested-with",
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-datadog-trace-id",
    "x-datadog-parent-id",
    "x-datadog-origin",
    "x-datadog-sampling-priority",
    "x-datadog-tags",
    "newrelic",
    "x-newrelic-id",
    "x-cloud-trace-context",
    "x-amzn-trace-id",
    "uber-trace-id",
    "elastic-apm-traceparent",
    "request-id",
    "request-context",
];

pub(super) async fn apply(cors: Arc<CorsLayer>, request: Request<Body>, next: impl Answers<Body>) -> Response<Body> {
    let is_plain = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_plain && !request.headers().contains_key(ORIGIN) {
        return run(next, request).await;
    }
    run(cors.layer(next), request).await
}

pub(super) fn layer(http: &Http) -> Result<CorsLayer> {
    let listed = http
        .cors_origins
        .iter()
        .map(|origin| {
            HeaderValue::from_str(origin)
                .ok()
                .filter(|_| origin.contains("://") && !origin.ends_with('/') && !origin.contains('*'))
                .ok_or_else(|| {
                    Error::invalid(format!(
                        "http.cors_origins: {origin:?} is not an origin such as https://app.example.com"
                    ))
                })
        })
        .collect::<Result<Vec<_>>>()?;
    let names = |names: &[&'static str]| {
        names
            .iter()
            .map(|name| HeaderName::from_static(name))
            .collect::<Vec<_>>()
    };
    let mut allowed = names(ALLOWED_HEADERS);
    for name in &http.cors_headers {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        allowed.push(parsed.map_err(|_| Error::invalid(format!("http.cors_headers: {name:?} is not a header name")))?);
    }
    Ok(CorsLayer::new()
        .allow_origin(AllowOrigin::list(listed))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(allowed)
        .expose_headers(names(&[
            "x-error-code",
            "x-request-id",
            "retry-after",
            "grpc-status",
            "grpc-message",
            "grpc-status-details-bin",
            "connect-content-encoding",
            "accept-ranges",
            "content-range",
            "etag",
            "content-disposition",
        ]))
        .max_age(Duration::from_mins(10)))
}
