//! Serves requests to triggers: `POST /triggers/{trigger_id}`. They need no token, but a proof that their sender knows
//! the trigger's secret.

use std::{error::Error as _, sync::Arc};

use axum::body::{Body, to_bytes};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::LengthLimitError;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;

use crate::{
    app::App,
    error::{Code, Error, Result},
    triggers::{self, Firing, Headers, MAX_KEY, Proof},
    wire::{access, fault, link::Link, protocol::Protocol, throttle::Throttle, write},
};

const PATHS: [&str; 2] = ["/triggers/", "/v1/triggers/"];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Serves all triggers.
#[derive(Clone)]
pub struct Addresses {
    pub app: App,
    pub throttle: Arc<Throttle>,
}

/// Returns the last segment of the path of a request to a trigger.
fn segment<B>(request: &Request<B>) -> Option<&str> {
    if request.method() != Method::POST || Protocol::of(request) != Protocol::Http {
        return None;
    }
    let path = request.uri().path();
    let segment = PATHS.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    (!segment.is_empty() && !segment.contains('/')).then_some(segment)
}

pub fn is_for_trigger<B>(request: &Request<B>) -> bool {
    segment(request).is_some()
}

impl Addresses {
    pub async fn answer(self, request: Request<Body>) -> Response<Body> {
        match self.fire(request).await {
            Ok(answer) => answer,
            Err(error) => fault::refuse(error),
        }
    }

    async fn fire(self, request: Request<Body>) -> Result<Response<Body>> {
        let trigger_id = segment(&request).and_then(|id| Uuid::parse_str(id).ok());
        let (parts, body) = request.into_parts();
        let proof = proof(&parts.headers)?;
        let key = key(&parts.headers, &proof)?;
        let most = self.app.config.triggers.max_body_bytes;
        let body = to_bytes(body, most).await.map_err(|error| unread(error, most))?;
        let firing = Firing {
            proof,
            key,
            body,
            headers: texts(&parts.headers),
        };
        // An id that is no UUID names no trigger.
        let trigger = triggers::authenticate(&self.app, trigger_id.unwrap_or_default(), &firing).await?;
        if let Some(link) = parts.extensions.get::<Arc<Link>>() {
            link.recognize();
        }
        access::note_account(trigger.account_id);
        self.throttle.check_account(trigger.account_id)?;
        let run = write(&self.app, triggers::caller(&trigger), move |app, _| {
            async move { triggers::fire(app, &trigger, &firing).await }.boxed()
        })
        .await?;
        let started = json!({"agent_run_id": run.id, "thread_id": run.thread_id});
        let answer = Response::builder()
            .status(StatusCode::ACCEPTED)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(started.to_string()));
        answer.map_err(|error| Error::internal("the answer could not be written", error))
    }
}

fn unread(error: axum::Error, most: usize) -> Error {
    if error
        .source()
        .is_some_and(<dyn std::error::Error>::is::<LengthLimitError>)
    {
        return Error::new(Code::TooLarge, format!("the body must have at most {most} bytes"));
    }
    Error::invalid_field("body", "the body could not be read").caused_by(error)
}

/// The headers that are UTF-8 text. Of repeated headers, the first counts.
fn texts(headers: &HeaderMap) -> Headers {
    let texts = headers.keys().filter_map(|name| {
        let value = std::str::from_utf8(headers.get(name)?.as_bytes()).ok()?;
        Some((name.as_str().to_owned(), value.to_owned()))
    });
    texts.collect()
}

fn not_authenticated() -> Error {
    Error::new(Code::NotAuthenticated, "Not authenticated")
}

/// Returns a header's value. A repeated header, or one that is no visible ASCII text, proves nothing.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| not_authenticated()),
        (Some(_), Some(_)) => Err(not_authenticated()),
    }
}

fn proof(headers: &HeaderMap) -> Result<Proof> {
    if let Some(signatures) = only(headers, &WEBHOOK_SIGNATURE)? {
        let id = only(headers, &WEBHOOK_ID)?.ok_or_else(not_authenticated)?;
        let timestamp = only(headers, &WEBHOOK_TIMESTAMP)?.and_then(|seconds| seconds.parse().ok());
        return Ok(Proof::Signature {
            id: id.to_owned(),
            timestamp: timestamp.ok_or_else(not_authenticated)?,
            signatures: signatures.to_owned(),
        });
    }
    let value = only(headers, &header::AUTHORIZATION)?.ok_or_else(not_authenticated)?;
    match value.split_once(' ') {
        Some((scheme, secret)) if scheme.eq_ignore_ascii_case("bearer") => {
            Ok(Proof::Bearer(SecretString::from(secret.trim())))
        }
        _ => Err(not_authenticated()),
    }
}

/// The idempotency key of a signed request is the id that it signs. Other requests choose it in a header.
fn key(headers: &HeaderMap, proof: &Proof) -> Result<Option<String>> {
    let key = match proof {
        Proof::Signature { id, .. } => Some(id.as_str()),
        Proof::Bearer(_) => match only(headers, &IDEMPOTENCY_KEY)? {
            Some(key) => Some(key),
            None => only(headers, &WEBHOOK_ID)?,
        },
    };
    match key {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            let message = format!("the idempotency key must have 1 to {MAX_KEY} characters");
            Err(Error::invalid_field("Idempotency-Key", message))
        }
        key => Ok(key.map(str::to_owned)),
    }
}
