//! Settings of the tools `web_fetch` and `web_search`.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de::Error as _};
use url::{Host, Url};

use super::place::Mistake;

/// Maximum configurable size of a page in bytes: 32 MiB.
const MAX_BYTES: u64 = 32 << 20;
/// Maximum configurable timeout in seconds.
const MAX_TIMEOUT: u64 = 600;
/// Maximum configurable number of search results. The providers return up to 20 results.
const MAX_RESULTS: usize = 20;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// If true, runs have the tool `web_fetch`.
    pub fetch: bool,
    /// Hosts that `web_fetch` may read. If the list is empty, it may read all hosts.
    pub fetch_hosts: Vec<HostPattern>,
    /// Hosts that `web_fetch` must not read, even if `fetch_hosts` contains them.
    pub fetch_blocked_hosts: Vec<HostPattern>,
    /// If true, `web_fetch` may connect to private, loopback and link-local addresses. Every account can then read the
    /// internal network of this process.
    pub allow_private_addresses: bool,
    /// Maximum size of a page in bytes. Only the beginning of a larger page is read.
    pub max_bytes: u64,
    /// Maximum time in seconds of a fetch or a search, including redirects.
    pub timeout_seconds: u64,
    /// Maximum time in seconds without data from a server.
    pub idle_timeout_seconds: u64,
    /// The search provider. If it is absent, runs do not have the tool `web_search`.
    pub search: Option<WebSearch>,
}

/// The provider of `web_search`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebSearch {
    pub provider: SearchProvider,
    /// Base URL of the provider's API; `None` for the public URL. Required for `searxng`.
    pub url: Option<String>,
    /// Key of the provider's API. Required for all providers except `searxng`.
    pub api_key: Option<SecretString>,
    /// Maximum number of results of a search.
    #[serde(default = "default_results")]
    pub max_results: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum SearchProvider {
    Brave,
    Tavily,
    Searxng,
}

fn default_results() -> usize {
    8
}

/// A host, such as `example.com`, or all subdomains of a host, such as `*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// The host in the form that URLs have after parsing: lower case, and Punycode for other letters.
    host: String,
    is_subdomains: bool,
}

impl HostPattern {
    /// # Errors
    /// The reason why the text is not a pattern.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (is_subdomains, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        match Host::parse(host) {
            Ok(Host::Domain(domain)) if !domain.contains('*') => Ok(Self {
                host: plain(&domain).to_owned(),
                is_subdomains,
            }),
            Ok(address @ (Host::Ipv4(_) | Host::Ipv6(_))) if !is_subdomains => Ok(Self {
                host: address.to_string(),
                is_subdomains,
            }),
            _ => Err(format!(
                "{text:?} must be a host such as example.com, or *.example.com for all subdomains"
            )),
        }
    }

    /// `host` is the host of a parsed URL.
    pub fn matches(&self, host: &str) -> bool {
        let host = plain(host);
        if !self.is_subdomains {
            return host == self.host;
        }
        host.strip_suffix(&self.host)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|rest| !rest.is_empty())
    }
}

/// Removes the dot that may end a domain. `example.com.` and `example.com` are the same host.
fn plain(domain: &str) -> &str {
    domain.strip_suffix('.').unwrap_or(domain)
}

impl<'de> Deserialize<'de> for HostPattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

impl Web {
    /// Returns whether `web_fetch` may read the host of a parsed URL.
    pub fn permits(&self, host: &str) -> bool {
        let any = |patterns: &[HostPattern]| patterns.iter().any(|pattern| pattern.matches(host));
        (self.fetch_hosts.is_empty() || any(&self.fetch_hosts)) && !any(&self.fetch_blocked_hosts)
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }
}

/// Refuses numbers out of range, and a search provider without its URL or key.
pub(super) fn check(web: &Web) -> Result<(), Mistake<'_>> {
    for (key, number, most) in [
        ("max_bytes", web.max_bytes, MAX_BYTES),
        ("timeout_seconds", web.timeout_seconds, MAX_TIMEOUT),
        ("idle_timeout_seconds", web.idle_timeout_seconds, MAX_TIMEOUT),
    ] {
        if !(1..=most).contains(&number) {
            return Err(Mistake::at(["web", key], format!("must be 1 to {most}")));
        }
    }
    let Some(search) = &web.search else { return Ok(()) };
    let wrong = |key, what: String| Err(Mistake::at(["web", "search", key], what));
    if !(1..=MAX_RESULTS).contains(&search.max_results) {
        return wrong("max_results", format!("must be 1 to {MAX_RESULTS}"));
    }
    if let Some(url) = &search.url
        && !Url::parse(url).is_ok_and(|url| ["http", "https"].contains(&url.scheme()))
    {
        return wrong("url", "must be a URL that begins with http:// or https://".to_owned());
    }
    match search.provider {
        SearchProvider::Searxng if search.url.is_none() => {
            wrong("url", "is missing: set the URL of your SearXNG server".to_owned())
        }
        SearchProvider::Brave | SearchProvider::Tavily if search.api_key.is_none() => wrong(
            "api_key",
            "is missing: set it here or in RUNYARD_SEARCH_API_KEY".to_owned(),
        ),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_one_host_or_all_its_subdomains() {
        for (pattern, host, matches) in [
            ("example.com", "example.com", true),
            ("Example.COM", "example.com", true),
            ("example.com", "example.com.", true),
            ("example.com.", "example.com", true),
            ("example.com", "www.example.com", false),
            ("example.com", "notexample.com", false),
            ("*.example.com", "www.example.com", true),
            ("*.example.com", "a.b.example.com.", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "notexample.com", false),
            ("*.example.com", ".example.com", false),
            ("bücher.example", "xn--bcher-kva.example", true),
            ("192.0.2.1", "192.0.2.1", true),
            ("[2001:DB8::1]", "[2001:db8::1]", true),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(host), matches, "{pattern} {host}");
        }
        for pattern in [
            "",
            "*",
            "*.",
            "www.*.com",
            "*example.com",
            "*.192.0.2.1",
            "https://example.com",
            "example.com:443",
            "example.com/",
        ] {
            assert!(HostPattern::parse(pattern).is_err(), "{pattern}");
        }
    }
}
