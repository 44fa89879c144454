//! Finds the address of a client behind trusted proxies.
//!
//! Each proxy appends the address of its peer to `X-Forwarded-For`. The last address that belongs to no trusted proxy
//! is the client. Earlier addresses are ignored, because the client may have forged them.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::config::rates::Network;

const HEADER: &str = "x-forwarded-for";

/// `peer` is the remote address of the connection.
pub(super) fn client(headers: &HeaderMap, peer: Option<IpAddr>, trusted: &[Network]) -> Option<IpAddr> {
    let mut address = peer?;
    let lines = headers.get_all(HEADER).iter().rev();
    let mut hops = lines.flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
    while trusted.iter().any(|network| network.contains(address)) {
        match hops.next().and_then(parse) {
            Some(next) => address = next,
            None => break,
        }
    }
    Some(address)
}

fn parse(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let address = bare
        .parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use super::*;

    #[test]
    fn only_headers_of_trusted_proxies_are_used() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "::1", "127.0.0.1"]
            .map(|text| text.to_owned().try_into().unwrap())
            .into();
        let seen = |peer: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(HEADER, line.parse().unwrap());
            }
            client(&headers, Some(peer.parse().unwrap()), &trusted)
                .unwrap()
                .to_string()
        };
        assert_eq!(
            seen("192.0.2.1", &["198.51.100.7"]),
            "192.0.2.1",
            "a client that claims to be a proxy"
        );
        assert_eq!(seen("10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            seen("10.1.2.3", &["203.0.113.9, 198.51.100.7"]),
            "198.51.100.7",
            "an address that the client wrote itself"
        );
        assert_eq!(
            seen("10.1.2.3", &["203.0.113.9", "198.51.100.7, 10.9.9.9"]),
            "198.51.100.7",
            "two proxies"
        );
        assert_eq!(seen("::ffff:10.1.2.3", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(seen("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(seen("127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
    }
}
