//! Fetches a JWKS or an OpenID Connect discovery document of an identity provider.
//!
//! The size and duration of a fetch are limited, and redirects are not followed. Invariant: http is used only for
//! loopback hosts and, with `auth.allow_private_http`, for private networks. For http, the resolved addresses are
//! checked on every connection.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use reqwest::{
    Client, ClientBuilder, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::net::lookup_host;
use url::Host;

use crate::{
    addresses::is_private,
    error::{Error, Result},
    wire::status::chain,
};

pub(super) const MAX_DOCUMENT_BYTES: u64 = 1024 * 1024;
/// Maximum duration of a fetch, including the connection setup.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Fetcher {
    https: Client,
    http: Client,
    allow_private_http: bool,
}

impl Fetcher {
    /// Creates the HTTP clients. `allow_private_http` permits http to hosts in private networks.
    pub(super) fn new(allow_private_http: bool) -> Result<Self> {
        let broken = |error| Error::internal("could not build the HTTP client for the identity provider", error);
        Ok(Self {
            https: client().build().map_err(broken)?,
            // Requests over http use no proxy: a proxy would resolve the host name itself, and this process could not
            // check the addresses.
            http: client().no_proxy().dns_resolver(PrivateHosts).build().map_err(broken)?,
            allow_private_http,
        })
    }

    /// Parses a URL and checks that it is permitted.
    pub(super) fn check(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| format!("{text:?} is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{text:?} must not contain a user name or password"));
        }
        let is_permitted = match (url.scheme(), url.host()) {
            ("https", Some(_)) => true,
            ("http", Some(host)) => match address(&host) {
                Some(address) => address.is_loopback() || (self.allow_private_http && is_private(address)),
                None => self.allow_private_http || host == Host::Domain("localhost"),
            },
            _ => false,
        };
        if is_permitted {
            return Ok(url);
        }
        Err(format!(
            "{text:?} must be an https URL, or http on loopback; auth.allow_private_http = true also permits http in a private \
             network"
        ))
    }

    /// Fetches the document at a URL that [`Fetcher::check`] returned.
    pub(super) async fn get(&self, url: &Url) -> Result<String, String> {
        let client = if url.scheme() == "http" {
            &self.http
        } else {
            &self.https
        };
        read(client, url).await.map_err(|why| format!("{url}: {why}"))
    }
}

fn client() -> ClientBuilder {
    runyard_http_client::builder()
        .redirect(Policy::none())
        .timeout(FETCH_TIMEOUT)
        .connect_timeout(FETCH_TIMEOUT)
        .user_agent(concat!("runyard/", env!("CARGO_PKG_VERSION")))
}

async fn read(client: &Client, url: &Url) -> Result<String, String> {
    let describe = |error: reqwest::Error| chain(&error.without_url());
    let mut response = client.get(url.clone()).send().await.map_err(describe)?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => {
            return Err(format!(
                "the response is a redirect ({status}), which is not followed; configure the final URL"
            ));
        }
        status => return Err(format!("the response has status {status}")),
    }
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if (text.len() + chunk.len()) as u64 > MAX_DOCUMENT_BYTES {
            return Err(format!("the response is larger than {MAX_DOCUMENT_BYTES} bytes"));
        }
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).map_err(|_| "the response is not UTF-8".to_owned())
}

/// Resolves host names for http, and omits addresses that are not private.
struct PrivateHosts;

impl Resolve for PrivateHosts {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = lookup_host((name.as_str(), 0)).await?;
            let private: Vec<SocketAddr> = found.filter(|address| is_private(address.ip())).collect();
            if private.is_empty() {
                let host = name.as_str();
                return Err(format!(
                    "http is permitted only to private networks, and {host} has no address in one; use https"
                )
                .into());
            }
            Ok(Box::new(private.into_iter()) as Addrs)
        })
    }
}

fn address(host: &Host<&str>) -> Option<IpAddr> {
    match host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    }
}
