//! Tavily: <https://docs.tavily.com/documentation/api-reference/endpoint/search>.

use reqwest::{Client, RequestBuilder};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::{Hit, Provider};

pub(super) struct Tavily {
    pub(super) endpoint: Url,
    pub(super) key: SecretString,
    pub(super) max_results: usize,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    title: String,
    url: String,
    #[serde(default)]
    content: String,
}

impl Provider for Tavily {
    fn request(&self, client: &Client, query: &str) -> RequestBuilder {
        client
            .post(self.endpoint.clone())
            .bearer_auth(self.key.expose_secret())
            .json(&json!({"query": query, "max_results": self.max_results}))
    }

    fn hits(&self, body: &[u8]) -> serde_json::Result<Vec<Hit>> {
        let answer: Answer = serde_json::from_slice(body)?;
        let hits = answer.results.into_iter().map(|found| Hit {
            title: found.title,
            url: found.url,
            excerpt: found.content,
        });
        Ok(hits.collect())
    }
}
