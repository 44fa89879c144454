//! Renders errors as the JSON of Connect: `{"code": "not_found", "message": "…", "details": […]}`.

use axum_core::body::Body;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use http::{HeaderValue, Response, header};
use prost::Message;
use prost_types::Any;
use serde_json::{Value, json as object};
use tonic::{Code, Status};

use super::metadata;
use crate::{
    fault::{self, RpcStatus},
    json::{Codec, Dialect},
};

pub fn response(codec: &Codec, status: &Status) -> Response<Body> {
    let mut response = Response::new(Body::from(json(codec, status).to_string()));
    *response.status_mut() = fault::http_status(status.code());
    let headers = response.headers_mut();
    for (name, value) in metadata(status.metadata().as_ref()) {
        headers.append(name.clone(), value.clone());
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub fn json(codec: &Codec, status: &Status) -> Value {
    let message = match status.message() {
        "" => status.code().description(),
        text => text,
    };
    let mut error = object!({"code": name(status.code()), "message": message});
    let details = RpcStatus::decode(status.details()).unwrap_or_default().details;
    if !details.is_empty() {
        error["details"] = details.iter().map(|detail| describe(codec, detail)).collect();
    }
    error
}

/// Renders one detail. The key `debug` contains the detail as JSON if the codec knows its type.
fn describe(codec: &Codec, detail: &Any) -> Value {
    let name = detail.type_url.rsplit('/').next().unwrap_or_default();
    let mut described = object!({"type": name, "value": STANDARD_NO_PAD.encode(&detail.value)});
    let mut debug = Vec::new();
    let printed = codec
        .message(name)
        .is_some_and(|id| codec.encode(id, Dialect::Canonical, &detail.value, &mut debug).is_ok());
    if printed && let Ok(debug) = serde_json::from_slice::<Value>(&debug) {
        described["debug"] = debug;
    }
    described
}

/// Returns the Connect name of a code: the gRPC name in lower case, but `canceled` has only one `l`.
fn name(code: Code) -> String {
    match code {
        Code::Cancelled => "canceled".to_owned(),
        other => fault::name(other).to_ascii_lowercase(),
    }
}
