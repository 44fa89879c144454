//! Tells the user of a run which hosts its commands request.
//!
//! A run gets one notice when a host is first requested, and further ones after 10, 100, 1000 … requests. The number of
//! hosts with notices is bounded.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Maximum number of hosts, counted once for each verdict, for which a run gets notices.
const MAX_HOSTS: usize = 100;

/// Receives a sentence for the user. The callback must not block.
pub type Reporter = Arc<dyn Fn(String) + Send + Sync>;

/// The proxy's decision about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Allowed,
    /// The service adds a secret to the request.
    WithSecret,
    NotListed,
    /// The host has only addresses that are not public.
    Private,
    /// The secret does not exist or may not be sent to the host.
    NoSecret,
    Failed(&'static str),
}

impl Verdict {
    pub fn describe(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::WithSecret => "allowed, with a secret",
            Self::NotListed => "refused, because the host is not on this server's list (sandbox.allowed_hosts)",
            Self::Private => "refused, because the address is not public",
            Self::NoSecret => "refused, because the secret cannot be sent there",
            Self::Failed(why) => why,
        }
    }
}

pub struct Notices {
    report: Reporter,
    counts: Mutex<HashMap<(String, u16, Verdict), u64>>,
}

impl Notices {
    pub fn new(report: Reporter) -> Self {
        Self {
            report,
            counts: Mutex::default(),
        }
    }

    /// Counts a request, and reports it if it is the first, the tenth, the hundredth … with this verdict.
    pub fn add(&self, (host, port): (&str, u16), verdict: Verdict) {
        let key = (host.to_owned(), port, verdict);
        let message = {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let hosts = counts.len();
            if hosts > MAX_HOSTS && !counts.contains_key(&key) {
                return;
            }
            if hosts == MAX_HOSTS && !counts.contains_key(&key) {
                // This entry only records that the limit was reported.
                counts.insert(key, 1);
                format!(
                    "Commands have requested more than {MAX_HOSTS} hosts; requests to further hosts are not reported."
                )
            } else {
                let count = counts.entry(key).or_default();
                *count += 1;
                match *count {
                    1 => format!("Network request to {host}:{port}: {}.", verdict.describe()),
                    count if is_power_of_ten(count) => {
                        format!(
                            "Network request to {host}:{port}: {} ({count} requests so far).",
                            verdict.describe()
                        )
                    }
                    _ => return,
                }
            }
        };
        (self.report)(message);
    }
}

fn is_power_of_ten(count: u64) -> bool {
    10_u64.checked_pow(count.ilog10()).is_some_and(|power| power == count)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn notices() -> (Notices, Arc<Mutex<Vec<String>>>) {
        let told = Arc::<Mutex<Vec<String>>>::default();
        let reporter = Arc::clone(&told);
        (
            Notices::new(Arc::new(move |text| reporter.lock().unwrap().push(text))),
            told,
        )
    }

    #[test]
    fn repeated_requests_are_counted() {
        let (notices, told) = notices();
        for _ in 0..150 {
            notices.add(("a.org", 443), Verdict::Allowed);
        }
        notices.add(("a.org", 443), Verdict::NotListed);
        assert_eq!(
            *told.lock().unwrap(),
            [
                "Network request to a.org:443: allowed.",
                "Network request to a.org:443: allowed (10 requests so far).",
                "Network request to a.org:443: allowed (100 requests so far).",
                "Network request to a.org:443: refused, because the host is not on this server's list (sandbox.allowed_hosts).",
            ]
        );
    }

    #[test]
    fn the_number_of_hosts_is_bounded() {
        let (notices, told) = notices();
        for number in 0..1000 {
            notices.add((&format!("h{number}"), 443), Verdict::NotListed);
        }
        let told = told.lock().unwrap();
        assert_eq!(told.len(), MAX_HOSTS + 1);
        assert!(told.last().unwrap().contains("more than 100 hosts"));
        assert_eq!(notices.counts.lock().unwrap().len(), MAX_HOSTS + 1);
    }
}
