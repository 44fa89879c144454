//! The transport of 2024, HTTP with server-sent events, which the protocol library no longer supports.
//!
//! A GET request opens a stream of events. The first event, `endpoint`, names the URL to which the client posts
//! messages. Invariant: this URL has the same origin as the stream, because the client sends the configured headers
//! to it.

use std::sync::Arc;

use futures::{StreamExt, stream::BoxStream};
use reqwest::{Client, Url};
use rmcp::{
    RoleClient,
    model::{ClientJsonRpcMessage, ServerJsonRpcMessage},
    transport::{
        Transport,
        streamable_http_client::{SseError, StreamableHttpClient, StreamableHttpError},
    },
};
use sse_stream::Sse;

use crate::{
    error::{Error, Result, root},
    http::Target,
};

pub(crate) struct SseTransport {
    client: Client,
    /// URL and headers of posted messages.
    endpoint: Target,
    events: BoxStream<'static, Result<Sse, SseError>>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PostError {
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the server answered with HTTP status {0}")]
    Status(u16),
}

impl SseTransport {
    pub(crate) async fn open(client: Client, target: &Target, max_event_bytes: usize) -> Result<Self> {
        let opened = client.get_stream_with_max_sse_event_size(
            Arc::clone(&target.url),
            None,
            None,
            None,
            target.headers.clone(),
            max_event_bytes,
        );
        let mut events = opened
            .await
            .map_err(|error: StreamableHttpError<reqwest::Error>| Error::Failed(root(&error)))?;
        let closed = || Error::Failed("the server closed the stream before it named an endpoint".to_owned());
        loop {
            let event = events.next().await.ok_or_else(closed)?;
            let event = event.map_err(|error| Error::Failed(root(&error)))?;
            if event.event.as_deref() == Some("endpoint") {
                let url = endpoint(&target.url, event.data.as_deref().unwrap_or_default())?;
                let endpoint = Target {
                    url,
                    headers: target.headers.clone(),
                };
                return Ok(Self {
                    client,
                    endpoint,
                    events,
                });
            }
        }
    }
}

fn endpoint(stream: &str, named: &str) -> Result<Arc<str>> {
    let refused = || Error::Failed("the server named an endpoint of another origin".to_owned());
    let stream = Url::parse(stream).map_err(|_| refused())?;
    let url = stream.join(named.trim()).map_err(|_| refused())?;
    let origin = |url: &Url| {
        (
            url.scheme().to_owned(),
            url.host_str().map(str::to_owned),
            url.port_or_known_default(),
        )
    };
    if origin(&url) == origin(&stream) {
        Ok(url.as_str().into())
    } else {
        Err(refused())
    }
}

impl Transport<RoleClient> for SseTransport {
    type Error = PostError;

    fn send(&mut self, item: ClientJsonRpcMessage) -> impl Future<Output = Result<(), PostError>> + Send + 'static {
        let Target { url, headers } = self.endpoint.clone();
        let request = self.client.post(url.as_ref()).headers(headers.into_iter().collect());
        let request = request.json(&item);
        async move {
            let response = request.send().await.map_err(PostError::Request)?;
            match response.status() {
                status if status.is_success() => Ok(()),
                status => Err(PostError::Status(status.as_u16())),
            }
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let event = self.events.next().await?.ok()?;
            let is_message = event.event.as_deref().is_none_or(|kind| kind == "message");
            let data = event.data.unwrap_or_default();
            // An unreadable message is skipped. A call that waits for this message then times out.
            if is_message && let Ok(message) = serde_json::from_str(&data) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), PostError> {
        self.events = futures::stream::empty().boxed();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_of_another_origin_is_refused() {
        let stream = "https://mcp.example/sse?key=1";
        let named = |text: &str| endpoint(stream, text).ok().map(|url| url.to_string());
        assert_eq!(
            named("/messages?id=2").as_deref(),
            Some("https://mcp.example/messages?id=2")
        );
        assert_eq!(
            named("https://mcp.example:443/m").as_deref(),
            Some("https://mcp.example/m")
        );
        for other in [
            "https://attacker.example/m",
            "http://mcp.example/m",
            "https://mcp.example:444/m",
            "//x/m",
        ] {
            assert_eq!(named(other), None, "{other}");
        }
    }
}
