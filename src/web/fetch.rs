//! Fetches a page: checks each URL on the way, follows redirects, and converts the body to text.

use std::{net::IpAddr, sync::Arc};

use reqwest::{
    Client, Response, StatusCode,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, LOCATION},
};
use runyard_mcp::AddressRule;
use tokio::{sync::Semaphore, task::spawn_blocking};
use url::{Host, Url};

use super::{
    client::{self, NOT_PERMITTED},
    page::{self, Kind, Media, Page},
};
use crate::{
    addresses, config,
    error::{Error, Result},
};

/// Maximum number of redirects that are followed.
const MAX_REDIRECTS: usize = 5;
/// Maximum number of pages that are converted at the same time, because conversion uses a processor.
const MAX_CONVERSIONS: usize = 2;
const ACCEPTED: &str = "text/markdown, text/html;q=0.9, application/xhtml+xml;q=0.9, text/plain;q=0.8, application/json;q=0.8, \
                        */*;q=0.5";

pub(super) struct Fetcher {
    client: Client,
    config: config::Web,
    permits: AddressRule,
    conversions: Arc<Semaphore>,
}

/// The outcome of a fetch.
pub(super) struct Fetched {
    /// The URL of the page, after all redirects.
    pub(super) url: Url,
    pub(super) media: String,
    pub(super) content: Content,
}

pub(super) enum Content {
    Page(Page),
    /// The bytes of a PDF file.
    Pdf(Vec<u8>),
    /// A file that is not text, and its size in bytes, if the server states the size.
    Other(Option<u64>),
}

impl Fetcher {
    /// # Errors
    /// INTERNAL if the TLS library cannot be set up.
    pub(super) fn new(config: &config::Web) -> Result<Self> {
        let permits: AddressRule = if config.allow_private_addresses {
            |_| true
        } else {
            addresses::is_public
        };
        let broken = |error| Error::internal("could not build the HTTP client of web_fetch", error);
        Ok(Self {
            client: client::checking(permits).build().map_err(broken)?,
            config: config.clone(),
            permits,
            conversions: Arc::new(Semaphore::new(MAX_CONVERSIONS)),
        })
    }

    /// # Errors
    /// The reason for the model.
    pub(super) async fn fetch(&self, url: &str) -> Result<Fetched, String> {
        let mut url = Url::parse(url).map_err(|error| format!("{url:?} is not a complete URL: {error}"))?;
        for _ in 0..=MAX_REDIRECTS {
            self.check(&url)?;
            let request = self.client.get(url.clone());
            let request = request.header(ACCEPT, ACCEPTED).header(ACCEPT_ENCODING, "gzip");
            let response = client::send(request, self.config.idle_timeout()).await;
            let response = response.map_err(|why| about(&url, &why))?;
            let Some(next) = redirect(&response, &url)? else {
                return self.receive(url, response).await;
            };
            url = next;
        }
        Err(format!(
            "more than {MAX_REDIRECTS} redirects; the last one leads to {url}"
        ))
    }

    fn check(&self, url: &Url) -> Result<(), String> {
        if !["http", "https"].contains(&url.scheme()) {
            return Err(about(url, "only http and https URLs can be fetched"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or a password cannot be fetched".to_owned());
        }
        let Some(host) = url.host_str() else {
            return Err(about(url, "the URL has no host"));
        };
        if !self.config.permits(host) {
            return Err(format!("the operator of this server does not permit the host {host}"));
        }
        // The resolver checks only host names, so an IP address in the URL is checked here.
        let address: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        if address.is_some_and(|address| !(self.permits)(address)) {
            return Err(about(url, NOT_PERMITTED));
        }
        Ok(())
    }

    async fn receive(&self, url: Url, response: Response) -> Result<Fetched, String> {
        let status = response.status();
        if !status.is_success() {
            return Err(about(&url, &format!("the server answered with status {status}")));
        }
        let header = |name| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().trim().to_owned()
        };
        let mut media = Media::parse(&header(CONTENT_TYPE));
        let encoding = header(CONTENT_ENCODING).to_ascii_lowercase();
        let length = response.content_length();
        if media.kind == Some(Kind::Other) {
            return Ok(other(url, media, length));
        }
        let max_bytes = usize::try_from(self.config.max_bytes).unwrap_or(usize::MAX);
        let body = client::read(response, max_bytes, self.config.idle_timeout()).await;
        let mut body = body.map_err(|why| about(&url, &why))?;
        let is_packed = match encoding.as_str() {
            "" | "identity" => false,
            "gzip" | "x-gzip" => true,
            other => {
                let why = format!("the page is compressed with {other:?}, which is not supported");
                return Err(about(&url, &why));
            }
        };
        let base = url.clone();
        let converted = on_blocking_thread(&self.conversions, move || {
            if is_packed {
                body = page::unpacked(&body, max_bytes);
            }
            if media.kind.is_none() {
                media.guess(&body.bytes);
            }
            let content = match media.kind {
                Some(Kind::Other) => Content::Other(length),
                Some(Kind::Pdf) if body.is_cut => {
                    return Err(format!(
                        "the PDF file is incomplete, or has more than {max_bytes} bytes, which is the limit of this server"
                    ));
                }
                Some(Kind::Pdf) => Content::Pdf(body.bytes),
                _ => Content::Page(page::convert(&body, &media, &base)),
            };
            Ok((content, media))
        })
        .await;
        let (content, media) = converted.flatten().map_err(|why| about(&url, &why))?;
        Ok(Fetched {
            url,
            media: media.name,
            content,
        })
    }
}

/// Runs `work` on a thread that may block. The permit stays with that thread even if the caller gives up.
async fn on_blocking_thread<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let permit = Arc::clone(permits).acquire_owned().await;
    let permit = permit.map_err(|_| super::BUSY.to_owned())?;
    let done = spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    done.await.map_err(|error| {
        tracing::error!(%error, "a page could not be converted to text");
        "the page could not be converted to text".to_owned()
    })
}

fn other(url: Url, media: Media, length: Option<u64>) -> Fetched {
    Fetched {
        url,
        media: media.name,
        content: Content::Other(length),
    }
}

/// Returns the target of a redirect; `None` if the response is no redirect.
fn redirect(response: &Response, url: &Url) -> Result<Option<Url>, String> {
    let is_redirect = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_redirect) else {
        return Ok(None);
    };
    let next = std::str::from_utf8(location.as_bytes()).ok();
    let next = next.and_then(|next| url.join(next).ok());
    next.map(Some)
        .ok_or_else(|| about(url, "the target of the redirect is not a URL"))
}

/// Puts the URL in front of a reason. After a redirect, it is not the URL of the call.
fn about(url: &Url, why: &str) -> String {
    format!("{url}: {why}")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use tokio::{
        io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
        net::TcpListener,
    };

    use super::*;
    use crate::config::Config;

    /// Starts a server on all loopback addresses; returns its port. `/to?URL` redirects to the URL.
    async fn site() -> u16 {
        let listener = TcpListener::bind("[::]:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut stream = BufReader::new(stream);
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") && stream.read_line(&mut request).await.unwrap() > 0 {}
                let target = request.split(' ').nth(1).unwrap();
                let head = match target.strip_prefix("/to?") {
                    Some(url) => format!("302 Found\r\nlocation: {url}"),
                    None => "200 OK\r\ncontent-type: text/plain".to_owned(),
                };
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 7\r\nconnection: close\r\n\r\narrived");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        port
    }

    /// Returns a fetcher for which 127.0.0.2 is the only public address.
    fn fetcher() -> Fetcher {
        let mut config = Config::parse("test", "").unwrap().web;
        config.fetch = true;
        let permits: AddressRule = |address| address == IpAddr::from([127, 0, 0, 2]);
        Fetcher {
            client: client::checking(permits).build().unwrap(),
            permits,
            ..Fetcher::new(&config).unwrap()
        }
    }

    #[tokio::test]
    async fn a_redirect_to_a_private_address_is_refused() {
        let (fetcher, port) = (fetcher(), site().await);
        let outcome = async |target: &str| {
            let url = format!("http://127.0.0.2:{port}/to?http://{target}:{port}/page");
            match fetcher.fetch(&url).await.map(|fetched| fetched.content) {
                Ok(Content::Page(page)) => Ok(page.text),
                Ok(Content::Pdf(_) | Content::Other(_)) => Ok(String::new()),
                Err(why) => Err(why),
            }
        };
        assert_eq!(outcome("127.0.0.2").await.unwrap(), "arrived");
        for private in ["127.0.0.1", "localhost", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"] {
            let why = outcome(private).await.unwrap_err();
            assert!(why.ends_with(NOT_PERMITTED), "{private}: {why}");
        }
    }

    #[tokio::test]
    async fn a_panic_of_the_conversion_is_an_error() {
        let permits = Arc::new(Semaphore::new(1));
        let broken = on_blocking_thread(&permits, || "no number".parse::<u8>().unwrap()).await;
        assert!(broken.unwrap_err().contains("could not be converted"));
        assert_eq!(
            on_blocking_thread(&permits, || 1).await,
            Ok(1),
            "the permit is returned"
        );
    }
}
