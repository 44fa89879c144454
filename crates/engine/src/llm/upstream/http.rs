//! HTTP access to one provider.

use std::time::Duration;

use opentelemetry::global;
use opentelemetry_http::HeaderInjector;
use reqwest::{
    Client, Proxy, Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::{
    fault::{Fault, Scrubber},
    profile::Profile,
    protocol::{Protocol, WireRequest},
};
use crate::{
    config::{KeyHeader, Provider, ProviderKind},
    error::{Error, Result},
};

/// Maximum bytes of an error response or a list of models.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Maximum time to read an error response or to request data about models.
const BODY_TIME: Duration = Duration::from_secs(5);

pub(super) struct Endpoint {
    client: Client,
    base_url: Url,
    api_key: Option<SecretString>,
    headers: HeaderMap,
    query: Vec<(String, String)>,
    extra_body: Map<String, Value>,
}

impl Endpoint {
    /// Fails if the proxy, the base URL or a header is invalid.
    pub(super) fn new(provider: &Provider, connect_time: Duration) -> Result<Self> {
        let mut client = runyard_http_client::builder()
            .connect_timeout(connect_time)
            .tcp_nodelay(true)
            // A redirect could send the API key to another server.
            .redirect(reqwest::redirect::Policy::none());
        if let Some(proxy) = &provider.proxy {
            let proxy = Proxy::all(proxy.expose_secret())
                .map_err(|_| Error::invalid("the model provider's proxy is not a URL"))?;
            client = client.proxy(proxy);
        }
        let client = client
            .build()
            .map_err(|error| Error::internal("cannot create an HTTP client for the model provider", error))?;
        Ok(Self {
            client,
            base_url: base_url(provider)?,
            api_key: provider.api_key.clone(),
            headers: headers(provider)?,
            query: provider.query.clone().into_iter().collect(),
            extra_body: provider.extra_body.clone(),
        })
    }

    pub(super) fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Sends a request and returns the response. A response with an error status becomes a failure.
    pub(super) async fn send(
        &self,
        protocol: &dyn Protocol,
        profile: &Profile,
        wire: WireRequest,
        extra_body: &Map<String, Value>,
    ) -> std::result::Result<Response, Fault> {
        let mut body = wire.body;
        if let Value::Object(fields) = &mut body {
            for (name, value) in self.extra_body.iter().chain(extra_body) {
                fields.insert(name.clone(), value.clone());
            }
        }
        let body = serde_json::to_vec(&body)
            .map_err(|error| Fault::passing(format!("cannot encode the request as JSON: {error}")))?;
        let mut headers = wire.headers;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream, application/json"));
        self.authorize(protocol, profile, &mut headers);
        global::get_text_map_propagator(|trace| trace.inject(&mut HeaderInjector(&mut headers)));
        let response = self
            .client
            .post(self.url(&wire.path, &wire.query))
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| Fault::of_transport(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read(response).await;
        Err(Fault::of_status(status, &headers, &String::from_utf8_lossy(&body)))
    }

    /// Requests a JSON document. With `is_root`, `path` starts at the server's root instead of the base URL. Returns
    /// `None` on any failure.
    pub(super) async fn get(
        &self,
        protocol: &dyn Protocol,
        profile: &Profile,
        path: &str,
        is_root: bool,
    ) -> Option<Value> {
        let mut headers = HeaderMap::new();
        self.authorize(protocol, profile, &mut headers);
        let mut url = self.url(path, &[]);
        if is_root {
            url.set_path(path);
        }
        let request = self.client.get(url).headers(headers).send();
        let response = tokio::time::timeout(BODY_TIME, request).await.ok()?.ok()?;
        if response.status() != StatusCode::OK {
            return None;
        }
        serde_json::from_slice(&read(response).await).ok()
    }

    fn authorize(&self, protocol: &dyn Protocol, profile: &Profile, headers: &mut HeaderMap) {
        if let Some(key) = &self.api_key {
            let name = match profile.key_header {
                None => protocol.key_header(),
                Some(KeyHeader::Authorization) => AUTHORIZATION,
                Some(KeyHeader::ApiKey) => HeaderName::from_static("api-key"),
                Some(KeyHeader::XApiKey) => HeaderName::from_static("x-api-key"),
            };
            let bare = key.expose_secret().trim();
            let value = if name == AUTHORIZATION {
                HeaderValue::from_str(&format!("Bearer {bare}"))
            } else {
                HeaderValue::from_str(bare)
            };
            if let Ok(mut value) = value {
                value.set_sensitive(true);
                headers.insert(name, value);
            }
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
    }

    /// Adds `path` and `query` to the base URL, and keeps its own query. Configured parameters override `query`.
    fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.base_url.clone();
        let below = url.path().trim_end_matches('/').to_owned();
        // The configured base URL may already end with this path.
        if !below.ends_with(&format!("/{path}")) {
            url.set_path(&format!("{below}/{path}"));
        }
        let own = self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let required = query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .filter(|(name, _)| !self.query.iter().any(|(own, _)| own == name));
        let added: Vec<(&str, &str)> = own.chain(required).collect();
        if !added.is_empty() {
            url.query_pairs_mut().extend_pairs(added);
        }
        url
    }
}

pub(super) fn scrubber(provider: &Provider) -> Scrubber {
    Scrubber::new(
        provider
            .api_key
            .iter()
            .chain(provider.headers.values())
            .chain(&provider.proxy),
    )
}

async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let room = MAX_BODY_BYTES - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() >= MAX_BODY_BYTES {
                break;
            }
        }
    };
    // After a timeout, the received bytes probably contain the error message.
    let _ = tokio::time::timeout(BODY_TIME, reading).await;
    body
}

fn headers(provider: &Provider) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &provider.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid(format!("the model provider's header {name:?} has an invalid name")))?;
        let mut value = HeaderValue::from_str(value.expose_secret())
            .map_err(|_| Error::invalid(format!("the model provider's header {name} has an invalid value")))?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn base_url(provider: &Provider) -> Result<Url> {
    let default = match provider.kind {
        ProviderKind::OpenAi | ProviderKind::Responses => "https://api.openai.com/v1/",
        ProviderKind::Anthropic => "https://api.anthropic.com/v1/",
        ProviderKind::Gemini => "https://generativelanguage.googleapis.com/v1beta/",
    };
    let text = provider.base_url.as_deref().unwrap_or(default).trim();
    let url = Url::parse(text)
        .map_err(|error| Error::invalid(format!("the model provider's base URL {text} is not a URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error::invalid(format!(
            "the model provider's base URL {text} must start with http:// or https://"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::invalid(
            "the model provider's base URL must not contain a user name or password; set the provider's API key instead",
        ));
    }
    if url.fragment().is_some() {
        return Err(Error::invalid(
            "the model provider's base URL must not contain a fragment (`#`)",
        ));
    }
    Ok(url)
}
