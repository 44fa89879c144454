//! Brave Search: <https://api-dashboard.search.brave.com/documentation/services/web-search>.

use reqwest::{Client, RequestBuilder, header::ACCEPT};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::{Hit, Provider, with_query};

pub(super) struct Brave {
    pub(super) endpoint: Url,
    pub(super) key: SecretString,
    pub(super) max_results: usize,
}

#[derive(Deserialize)]
struct Answer {
    /// Missing if nothing was found.
    web: Option<Web>,
}

#[derive(Deserialize)]
struct Web {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    title: String,
    url: String,
    #[serde(default)]
    description: String,
}

impl Provider for Brave {
    fn request(&self, client: &Client, query: &str) -> RequestBuilder {
        let count = self.max_results.to_string();
        // Without the last parameter, the excerpts contain HTML that marks the words of the query.
        let parameters = [
            ("q", query),
            ("count", &count),
            ("result_filter", "web"),
            ("text_decorations", "false"),
        ];
        client
            .get(with_query(&self.endpoint, &parameters))
            .header("X-Subscription-Token", self.key.expose_secret())
            .header(ACCEPT, "application/json")
    }

    fn hits(&self, body: &[u8]) -> serde_json::Result<Vec<Hit>> {
        let answer: Answer = serde_json::from_slice(body)?;
        let results = answer.web.map(|web| web.results).unwrap_or_default();
        let hits = results.into_iter().map(|found| Hit {
            title: found.title,
            url: found.url,
            excerpt: found.description,
        });
        Ok(hits.collect())
    }
}
