//! The list of hosts that commands may reach (`sandbox.allowed_hosts`).

/// Ports of an entry without a port.
const PORTS: [u16; 2] = [80, 443];

/// The allowed hosts.
#[derive(Clone, Debug, Default)]
pub struct HostList(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    /// Name in lower case. With `is_suffix`, the end of a name, starting with a dot.
    name: String,
    is_suffix: bool,
    /// `None` for the ports 80 and 443.
    port: Option<u16>,
}

impl HostList {
    /// Parses entries such as `pypi.org`, `*.example.org` (every name below example.org, but not example.org itself),
    /// `localhost:8000` and `[::1]:80`.
    ///
    /// # Errors
    /// The first entry that is not valid.
    pub fn parse(entries: &[String]) -> Result<Self, &str> {
        let parsed = entries.iter().map(|text| Entry::parse(text).ok_or(text.as_str()));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether commands may connect to this host and port. `host` is in lower case.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        self.0
            .iter()
            .any(|entry| entry.is_for(host) && entry.port.map_or(PORTS.contains(&port), |allowed| allowed == port))
    }

    /// Returns the host with the port at which commands may reach it over TLS, such as `a.org` or `a.org:8443`. `host` is in
    /// lower case.
    pub fn over_tls(&self, host: &str) -> Option<String> {
        let mut found = self.0.iter().filter(|entry| entry.is_for(host));
        found.find_map(|entry| match entry.port {
            None | Some(443) => Some(host.to_owned()),
            Some(80) => None,
            Some(port) => Some(format!("{host}:{port}")),
        })
    }
}

impl Entry {
    fn is_for(&self, host: &str) -> bool {
        if self.is_suffix {
            host.len() > self.name.len() && host.ends_with(&self.name)
        } else {
            host == self.name
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (is_suffix, rest) = match text.strip_prefix('*') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        // The suffix starts with a dot. The rest must be a host.
        let plain = if is_suffix { rest.strip_prefix('.')? } else { rest };
        let (host, port) = authority(plain)?;
        if !is_suffix {
            return Some(Self {
                name: host,
                is_suffix,
                port,
            });
        }
        // A star for a whole top-level domain is a mistake.
        if !host.contains('.') || host.parse::<std::net::Ipv4Addr>().is_ok() {
            return None;
        }
        let name = format!(".{host}");
        Some(Self { name, is_suffix, port })
    }
}

/// Splits `host` or `host:port`. Returns the host in lower case and without a final dot; an IPv6 address keeps its
/// brackets. Returns `None` if the text is not a host name or an IP address.
pub(super) fn authority(text: &str) -> Option<(String, Option<u16>)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, port) = text.split_at(end);
    let port = if port.is_empty() {
        None
    } else {
        let digits = port.strip_prefix(':')?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        Some(digits.parse().ok().filter(|port| is_number && *port > 0)?)
    };
    let is_valid = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(host.strip_suffix('.').unwrap_or(host)),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    is_valid.then(|| (host.to_ascii_lowercase(), port))
}

/// Returns whether the text has the form of a host name (RFC 1123) or an IPv4 address. Underscores are accepted.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> HostList {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        HostList::parse(&entries).unwrap()
    }

    #[test]
    fn names_patterns_and_ports_are_matched() {
        let hosts = list(&["pypi.org", "*.Example.org", "localhost:8000", "[::1]:80", "10.0.0.1"]);
        for (host, port) in [
            ("pypi.org", 443),
            ("pypi.org", 80),
            ("a.example.org", 443),
            ("a.b.example.org", 80),
            ("localhost", 8000),
            ("[::1]", 80),
            ("10.0.0.1", 443),
        ] {
            assert!(hosts.allows(host, port), "{host}:{port}");
        }
        for (host, port) in [
            ("pypi.org", 22),
            ("a.pypi.org", 443),
            ("notpypi.org", 443),
            ("example.org", 443),
            (".example.org", 443),
            ("aexample.org", 443),
            ("localhost", 80),
            ("[::1]", 443),
            ("10.0.0.2", 80),
            ("", 443),
        ] {
            assert!(!hosts.allows(host, port), "{host}:{port}");
        }
        assert!(!list(&[]).allows("pypi.org", 443));
    }

    #[test]
    fn a_host_is_named_with_its_port_for_tls() {
        let hosts = list(&["a.org", "b.org:80", "b.org:8443", "*.c.org:443", "d.org:80"]);
        for (host, expected) in [
            ("a.org", Some("a.org")),
            ("b.org", Some("b.org:8443")),
            ("x.c.org", Some("x.c.org")),
            ("c.org", None),
            ("d.org", None),
        ] {
            assert_eq!(hosts.over_tls(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn invalid_entries_are_named() {
        for entry in [
            "",
            "*",
            "*.org",
            "*.1.2.3.4",
            "a b",
            "http://a.org",
            "a.org/x",
            "a:b",
            "a.org:0",
            "a.org:70000",
            "[::1",
            "a..b",
            "*a.org",
        ] {
            assert_eq!(HostList::parse(&[entry.to_owned()]).unwrap_err(), entry);
        }
    }

    #[test]
    fn authorities_are_normalized() {
        assert_eq!(authority("PyPI.org."), Some(("pypi.org".to_owned(), None)));
        assert_eq!(authority("[::1]:443"), Some(("[::1]".to_owned(), Some(443))));
        for text in ["user@a.org", "a.org:", "a.org:+1", "a\0b", "a.org:1:2", "[x]:1"] {
            assert_eq!(authority(text), None, "{text}");
        }
    }
}
