//! `/console.json`: tells the console whether and how its user signs in at the identity provider.
//!
//! The document needs no credential and contains no secret. The endpoints come from the discovery document that the
//! verifier of tokens loads, so the browser itself calls only the token endpoint.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{HeaderValue, Response, header};
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use crate::{
    app::App,
    clock::Clock,
    config,
    wire::jwt::{Endpoints, Verifier},
};

/// `Cache-Control` of the settings.
const BRIEFLY: &str = "public, max-age=60";
/// `Cache-Control` while the endpoints are unknown. The next request tries to load them again.
const NEVER: &str = "no-store";

/// Maximum time for which a page waits for the endpoints.
const PAGE_WAIT: Duration = Duration::from_secs(2);

/// The sign-in at the identity provider, if the configuration switches it on.
pub struct SignIn {
    client_id: String,
    issuer: String,
    settings: config::SignIn,
    verifier: Arc<Verifier>,
    clock: Clock,
}

impl SignIn {
    /// `None` if no client is configured.
    pub fn new(app: &App, verifier: Arc<Verifier>) -> Option<Self> {
        let auth = &app.config.auth;
        Some(Self {
            client_id: auth.sign_in.client_id.clone()?,
            issuer: auth.issuer_url.clone()?,
            settings: auth.sign_in.clone(),
            verifier,
            clock: app.clock.clone(),
        })
    }

    /// The origin to which the console sends requests besides its own. If the endpoints are unknown, tries to load them:
    /// a console with the policy of a page without this origin could not renew its token. `None` if the identity provider
    /// cannot be reached.
    pub(super) async fn token_origin(&self) -> Option<String> {
        let endpoints = if let Some(known) = self.verifier.known_endpoints() {
            known
        } else {
            let load = self.verifier.load_endpoints(self.clock.now());
            timeout(PAGE_WAIT, load).await.ok()??
        };
        Some(endpoints.token.origin().ascii_serialization())
    }

    fn describe(&self, endpoints: Option<&Endpoints>) -> Value {
        let settings = &self.settings;
        let mut document = json!({
            "client_id": self.client_id,
            "issuer": self.issuer,
            "scope": settings.scopes.join(" "),
            "token": settings.token.as_str(),
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let (Some(object), Some(value)) = (document.as_object_mut(), value) {
                object.insert(name.to_owned(), value);
            }
        };
        add("audience", settings.audience.clone().map(Value::from));
        add("resource", settings.resource.clone().map(Value::from));
        add("prompt", settings.prompt.clone().map(Value::from));
        add("button", settings.button.clone().map(Value::from));
        add("server", endpoints.map(|endpoints| metadata(&self.issuer, endpoints)));
        document
    }
}

/// The authorization server's metadata, with the names of OpenID Connect Discovery 1.0.
fn metadata(issuer: &str, endpoints: &Endpoints) -> Value {
    let mut metadata = Map::new();
    let mut add = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    add("issuer", issuer.into());
    add("authorization_endpoint", endpoints.authorization.as_str().into());
    add("token_endpoint", endpoints.token.as_str().into());
    if let Some(url) = &endpoints.end_session {
        add("end_session_endpoint", url.as_str().into());
    }
    if let Some(url) = &endpoints.revocation {
        add("revocation_endpoint", url.as_str().into());
    }
    if !endpoints.signing_algorithms.is_empty() {
        add(
            "id_token_signing_alg_values_supported",
            endpoints.signing_algorithms.clone().into(),
        );
    }
    add(
        "authorization_response_iss_parameter_supported",
        endpoints.names_issuer.into(),
    );
    metadata.into()
}

/// Returns the response to GET. If the endpoints are unknown, tries to load them.
pub(super) async fn settings(sign_in: Option<&SignIn>) -> Response<Body> {
    let (sign_in, keeping) = match sign_in {
        Some(sign_in) => {
            let endpoints = sign_in.verifier.load_endpoints(sign_in.clock.now()).await;
            let keeping = if endpoints.is_some() { BRIEFLY } else { NEVER };
            (sign_in.describe(endpoints.as_deref()), keeping)
        }
        None => (Value::Null, BRIEFLY),
    };
    let text = json!({ "sign_in": sign_in }).to_string();
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, keeping),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_LENGTH, length);
    response
}
