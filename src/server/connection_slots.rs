//! Limits the number of open connections. Each open connection uses one slot. If no slot is free, connections that
//! are idle or unauthenticated are closed.
//!
//! A connection is recognized as soon as one of its requests has a valid credential. Connections are closed in this
//! order:
//!
//! - unrecognized idle connections, longest idle first
//! - unrecognized connections with an open request, oldest first
//! - recognized idle connections, longest idle first
//!
//! A recognized connection with an open request is never closed. Unrecognized connections are closed first, because
//! clients can open any number of them without a credential.
//!
//! Unrecognized idle connections of one address may use only a part of the slots. Proxies are not affected: the
//! requests that a proxy forwards contain credentials, so its connections are recognized.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::wire::{link::Link, throttle::network_of};

/// Interval between attempts to free a slot while all slots are in use.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Idle time after which an unrecognized connection counts toward the limit of its address. Most clients send their
/// first request sooner.
const SETTLED: Duration = Duration::from_secs(1);
/// One search closes up to 1/128 of the connections, because a search for each new connection would be expensive.
const FREED_PART: usize = 128;

pub(super) struct ConnectionSlots {
    most: usize,
    most_unrecognized: usize,
    book: Mutex<Book>,
    freed: Notify,
}

#[derive(Default)]
struct Book {
    next: u64,
    links: HashMap<u64, Arc<Link>>,
    per_address: HashMap<IpAddr, usize>,
}

impl ConnectionSlots {
    /// `most` is the number of slots. `most_unrecognized` limits the unrecognized idle connections per address.
    pub fn new(most: usize, most_unrecognized: usize) -> Arc<Self> {
        Arc::new(Self {
            most: most.max(1),
            most_unrecognized: most_unrecognized.max(1),
            book: Mutex::default(),
            freed: Notify::new(),
        })
    }

    /// Waits until a slot is free. Closes connections if all slots are in use.
    pub async fn wait(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let book = self.book();
                if book.links.len() < self.most {
                    return;
                }
                make_room(book.links.values(), (self.most / FREED_PART).max(1));
            }
            // A connection that becomes idle sends no notification, so the wait has a timeout.
            let _ = timeout(LOOK_EVERY, freed).await;
        }
    }

    /// Closes connections although slots may be free. Called when the process has no file descriptors left.
    pub fn give_way(&self) {
        let book = self.book();
        make_room(book.links.values(), (book.links.len() / FREED_PART).max(1));
    }

    /// Assigns a slot to an accepted connection. Closes the unrecognized idle connections of the address that exceed
    /// its limit.
    pub fn take(self: &Arc<Self>, link: &Arc<Link>) -> ConnectionSlot {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        book.links.insert(number, Arc::clone(link));
        let network = link.address().map(network_of);
        if let Some(network) = network {
            let count = book.per_address.entry(network).or_default();
            *count += 1;
            // `count` includes recognized connections, such as those of a proxy. `relieve` counts only unrecognized
            // connections but is slow.
            if *count > self.most_unrecognized {
                self.relieve(&book, network);
            }
        }
        drop(book);
        ConnectionSlot {
            places: Arc::clone(self),
            number,
            network,
        }
    }

    fn relieve(&self, book: &Book, network: IpAddr) {
        let idle = |link: &&Arc<Link>| {
            !link.is_recognized()
                && !link.is_ending()
                && link.address().map(network_of) == Some(network)
                && link.idle_since().is_some_and(|since| since.elapsed() >= SETTLED)
        };
        let idle: Vec<_> = book.links.values().filter(idle).collect();
        if let Some(over) = idle.len().checked_sub(self.most_unrecognized) {
            make_room(idle.into_iter(), over);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes up to `count` connections. Connections that are already closing count toward `count`.
///
/// The list at the top of this file has three kinds of connections. One call closes only connections of one kind: the
/// first kind in the list that has any connections.
fn make_room<'a>(links: impl Iterator<Item = &'a Arc<Link>>, count: usize) {
    let mut ending = 0;
    let mut candidates: Vec<_> = links
        .filter_map(|link| {
            if link.is_ending() {
                ending += 1;
                return None;
            }
            let idle = link.idle_since();
            let rank = match (link.is_recognized(), idle) {
                (false, Some(_)) => 0,
                (false, None) => 1,
                (true, Some(_)) => 2,
                (true, None) => return None,
            };
            Some((rank, idle.unwrap_or_else(|| link.opened()), link))
        })
        .collect();
    candidates.sort_unstable_by_key(|(rank, since, _)| (*rank, *since));
    let first = candidates.first().map(|(rank, _, _)| *rank);
    for (rank, _, link) in candidates.into_iter().take(count.saturating_sub(ending)) {
        if Some(rank) == first {
            link.end();
        }
    }
}

pub(super) struct ConnectionSlot {
    places: Arc<ConnectionSlots>,
    number: u64,
    network: Option<IpAddr>,
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        let mut book = self.places.book();
        book.links.remove(&self.number);
        if let Some(network) = self.network
            && let Some(count) = book.per_address.get_mut(&network)
        {
            *count -= 1;
            if *count == 0 {
                book.per_address.remove(&network);
            }
        }
        drop(book);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failing test panics")]

    use super::*;

    fn link(address: &str) -> Arc<Link> {
        Arc::new(Link::new(Some(address.parse().unwrap())))
    }

    const MOMENT: Duration = Duration::from_millis(3);

    async fn is_full(places: &ConnectionSlots) -> bool {
        timeout(LOOK_EVERY, places.wait()).await.is_err()
    }

    #[tokio::test]
    async fn the_oldest_idle_connection_without_a_credential_is_closed_first() {
        let places = ConnectionSlots::new(4, 100);
        let links = ["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"].map(link);
        let _request = links[1].begin();
        let mut taken = Vec::new();
        for (position, link) in links.iter().enumerate() {
            if position < 2 {
                link.recognize();
            }
            taken.push(places.take(link));
            tokio::time::sleep(MOMENT).await;
        }
        let ended = || links.each_ref().map(|link| link.is_ending());
        assert!(is_full(&places).await);
        assert_eq!(ended(), [false, false, true, false]);
        drop(taken.remove(2));
        assert!(!is_full(&places).await);
        taken.push(places.take(&link("192.0.2.9")));
        assert!(is_full(&places).await);
        assert_eq!(ended(), [false, false, true, true]);
    }

    #[tokio::test]
    async fn a_recognized_client_with_an_open_request_keeps_its_connection() {
        let places = ConnectionSlots::new(1, 100);
        let busy = link("192.0.2.1");
        busy.recognize();
        let request = busy.begin();
        let _place = places.take(&busy);
        assert!(is_full(&places).await);
        assert!(!busy.is_ending());
        drop(request);
        assert!(is_full(&places).await);
        assert!(busy.is_ending(), "an idle connection is closed");
    }

    #[tokio::test]
    async fn a_new_connection_closes_an_old_one_of_the_same_address() {
        let places = ConnectionSlots::new(1000, 3);
        let recognized: Vec<_> = (0..10).map(|_| link("192.0.2.1")).collect();
        for link in &recognized {
            link.recognize();
        }
        let idle: Vec<_> = (0..5).map(|_| link("192.0.2.1")).collect();
        let other = link("192.0.2.2");
        let mut taken = Vec::new();
        for link in recognized.iter().chain(&idle).chain([&other]) {
            taken.push(places.take(link));
            tokio::time::sleep(MOMENT).await;
        }
        assert!(
            idle.iter().all(|link| !link.is_ending()),
            "a new connection may still send its first request"
        );
        tokio::time::sleep(SETTLED).await;
        taken.push(places.take(&link("192.0.2.1")));
        assert!(recognized.iter().all(|link| !link.is_ending()) && !other.is_ending());
        let ended: Vec<_> = idle.iter().map(|link| link.is_ending()).collect();
        assert_eq!(ended, [true, true, false, false, false]);
    }
}
