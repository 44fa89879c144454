//! Classifies network addresses as private or public.
//!
//! `wire/jwt/remote` fetches token keys over plain http only from private addresses. Connections to MCP servers
//! (`mcp`) go only to public addresses, unless the operator permits private ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address at which Azure serves data to its virtual machines. No reserved range contains this address, so
/// [`is_public`] excludes it explicitly.
const AZURE_PLATFORM: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Returns true for loopback addresses, for addresses of private networks (RFC 1918, RFC 4193), and for the shared
/// range 100.64.0.0/10 (RFC 6598), which some clusters and VPNs use.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_loopback() || address.is_private() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Private, link-local, multicast and reserved addresses are not public. Neither are the metadata addresses of clouds.
pub fn is_public(address: IpAddr) -> bool {
    if is_private(address) {
        return false;
    }
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let is_reserved = match octets {
        [0, ..] | [192, 0, 0, _] | [198, 18..=19, ..] => true,
        [first, ..] => first >= 240,
    };
    !is_reserved
        && !address.is_link_local()
        && !address.is_multicast()
        && !address.is_documentation()
        && address != AZURE_PLATFORM
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [.., high, low] = segments;
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public(Ipv4Addr::new(a, b, c, d).into())
    };
    match segments {
        // These IPv6 addresses contain an IPv4 address: IPv4-compatible, translated (RFC 6052) and 6to4 (RFC 3056).
        // They are public if their IPv4 address is public.
        [0, 0, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => inner(high, low),
        [0x2002, high, low, ..] => inner(high, low),
        // Not public: local translation (RFC 8215), discard-only (RFC 6666), Teredo and documentation.
        [0x64, 0xff9b, ..] | [0x100, 0, 0, 0, ..] | [0x2001, 0 | 0xdb8, ..] | [0x3fff, ..] => false,
        _ => !address.is_multicast() && !address.is_unicast_link_local() && (segments[0] & 0xffc0) != 0xfec0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "2606:4700::1111",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert_eq!(public.parse().map(is_public), Ok(true), "{public}");
        }
        for other in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:1::",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert_eq!(other.parse().map(is_public), Ok(false), "{other}");
        }
    }
}
