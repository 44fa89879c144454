//! Searches the web with the configured provider. Each provider is one file, which knows the provider's API.

mod brave;
mod searxng;
mod tavily;

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use secrecy::SecretString;
use url::Url;

use super::client;
use crate::{
    config::{self, SearchProvider, WebSearch},
    error::{Error, Result},
};

/// Maximum size of an answer in bytes.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// A result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) excerpt: String,
}

/// The API of a provider.
trait Provider: Send + Sync {
    fn request(&self, client: &Client, query: &str) -> RequestBuilder;

    /// Reads the body of a successful answer.
    fn hits(&self, body: &[u8]) -> serde_json::Result<Vec<Hit>>;
}

pub(super) struct Searcher {
    client: Client,
    provider: Box<dyn Provider>,
    max_results: usize,
    idle: Duration,
}

impl Searcher {
    /// # Errors
    /// INTERNAL if the TLS library cannot be set up.
    pub(super) fn new(config: &config::Web, search: &WebSearch) -> Result<Self> {
        let broken = |error| Error::internal("could not build the HTTP client of web_search", error);
        let key = search.api_key.clone().unwrap_or_else(|| SecretString::from(""));
        let most = search.max_results;
        let endpoint = |public, path| endpoint(search.url.as_deref().unwrap_or(public), path);
        let provider: Box<dyn Provider> = match search.provider {
            SearchProvider::Brave => Box::new(brave::Brave {
                endpoint: endpoint("https://api.search.brave.com", "/res/v1/web/search")?,
                key,
                max_results: most,
            }),
            SearchProvider::Tavily => Box::new(tavily::Tavily {
                endpoint: endpoint("https://api.tavily.com", "/search")?,
                key,
                max_results: most,
            }),
            SearchProvider::Searxng => Box::new(searxng::Searxng {
                endpoint: endpoint("", "/search")?,
                key,
            }),
        };
        Ok(Self {
            client: client::client().build().map_err(broken)?,
            provider,
            max_results: most,
            idle: config.idle_timeout(),
        })
    }

    /// # Errors
    /// The reason for the model.
    pub(super) async fn search(&self, query: &str) -> Result<Vec<Hit>, String> {
        let failed = |why: String| {
            tracing::warn!(error = why, "the search provider failed");
            format!("the search failed: {why}")
        };
        let request = self.provider.request(&self.client, query);
        let response = client::send(request, self.idle).await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(failed(format!(
                    "the provider refused the request with status {status}; the operator of this server must check \
                     web.search"
                )));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(failed(
                    "the provider's rate limit is reached; try again later".to_owned(),
                ));
            }
            status => return Err(failed(format!("the provider answered with status {status}"))),
        }
        let body = client::read(response, MAX_ANSWER_BYTES, self.idle)
            .await
            .map_err(failed)?;
        let hits = self.provider.hits(&body.bytes);
        let mut hits = hits.map_err(|_| {
            failed(
                "the provider's response has an unexpected format; the operator of this server must check web.search"
                    .to_owned(),
            )
        })?;
        hits.truncate(self.max_results);
        Ok(hits)
    }
}

/// Appends the path of a method to the base URL of an API.
fn endpoint(base: &str, path: &str) -> Result<Url> {
    let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/')));
    url.map_err(|error| Error::internal("web.search.url is not a URL", error))
}

/// Adds parameters to a URL.
fn with_query(url: &Url, parameters: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    url.query_pairs_mut().extend_pairs(parameters);
    url
}
