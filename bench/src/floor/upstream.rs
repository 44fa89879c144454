//! An HTTP client for the scripted models, used by the minimal comparison server (`floor.rs`).

use bytes::Bytes;
use http::{Request, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::json;

use crate::{Result, children};

#[derive(Clone)]
pub(super) struct Models {
    http: Client<HttpConnector, Full<Bytes>>,
    urls: Vec<(String, Uri)>,
}

pub(super) struct Answer {
    body: hyper::body::Incoming,
    unread: Vec<u8>,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
}

#[derive(Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

impl Models {
    pub(super) fn read(line: &str) -> Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let urls = children::models(line)?
            .into_iter()
            .map(|(name, url)| Ok((format!("bench/{name}"), format!("{url}chat/completions").parse()?)))
            .collect::<Result<_>>()?;
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, urls })
    }

    pub(super) fn url(&self, name: &str) -> Result<Uri> {
        let found = self.urls.iter().find(|(model, _)| model == name);
        Ok(found.ok_or("an unknown model")?.1.clone())
    }

    /// Returns as soon as the response headers have arrived.
    pub(super) async fn call(&self, url: Uri, prompt: &str) -> Result<Answer> {
        let body = json!({"model": "scripted", "stream": true, "messages": [{"role": "user", "content": prompt}]});
        let request = Request::post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))?;
        let body = self.http.request(request).await?.into_body();
        Ok(Answer {
            body,
            unread: Vec::new(),
        })
    }
}

impl Answer {
    /// Returns the next chunks of text, or `None` at the end. The list is empty if no complete line with text has
    /// arrived.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<String>>> {
        let Some(frame) = self.body.frame().await else {
            return Ok(None);
        };
        let Ok(data) = frame?.into_data() else {
            return Ok(Some(Vec::new()));
        };
        self.unread.extend_from_slice(&data);
        Ok(Some(take_text(&mut self.unread)?))
    }
}

/// Removes the complete lines from `unread`, and returns their text.
fn take_text(unread: &mut Vec<u8>) -> Result<Vec<String>> {
    let whole = unread.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut found = Vec::new();
    for line in unread[..whole].split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data: ").filter(|data| *data != b"[DONE]") else {
            continue;
        };
        let chunk: Chunk = serde_json::from_slice(data)?;
        let texts = chunk.choices.into_iter().filter_map(|choice| choice.delta.content);
        found.extend(texts.filter(|text| !text.is_empty()));
    }
    unread.drain(..whole);
    Ok(found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::take_text;

    #[test]
    fn a_line_is_read_once_it_is_whole() {
        let mut unread = br#"data: {"choices":[{"delta":{"content":"one "}}]}

data: {"choices":[{"delta":{"content":"tw"#
            .to_vec();
        assert_eq!(take_text(&mut unread).unwrap(), ["one "]);
        unread.extend_from_slice(b"o\"}}]}\n\ndata: {\"choices\":[]}\n\ndata: [DONE]\n\n");
        assert_eq!(take_text(&mut unread).unwrap(), ["two"]);
        assert!(unread.is_empty());
    }
}
