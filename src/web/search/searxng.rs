//! SearXNG, a search server that you run yourself: <https://docs.searxng.org/dev/search_api.html>. Its settings must
//! permit the format JSON; otherwise it answers with status 403.

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Hit, Provider, with_query};

pub(super) struct Searxng {
    pub(super) endpoint: Url,
    /// Bearer token for a proxy in front of the server; SearXNG itself has no keys. Empty if no token is needed.
    pub(super) key: SecretString,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    url: Option<String>,
    title: Option<String>,
    content: Option<String>,
}

impl Provider for Searxng {
    fn request(&self, client: &Client, query: &str) -> RequestBuilder {
        let request = client.get(with_query(&self.endpoint, &[("q", query), ("format", "json")]));
        match self.key.expose_secret() {
            "" => request,
            key => request.bearer_auth(key),
        }
    }

    fn hits(&self, body: &[u8]) -> serde_json::Result<Vec<Hit>> {
        let answer: Answer = serde_json::from_slice(body)?;
        // Results of some engines, such as calculators, have no URL.
        let hits = answer.results.into_iter().filter_map(|found| {
            Some(Hit {
                title: found.title.unwrap_or_default(),
                url: found.url.filter(|url| !url.is_empty())?,
                excerpt: found.content.unwrap_or_default(),
            })
        });
        Ok(hits.collect())
    }
}
