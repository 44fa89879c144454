//! A page of events that a follower has read and its reader has not taken yet.
//!
//! Used by `events/follow.rs`. A reader that stops reading keeps its page in memory, so a page is small, and all pages of the
//! process are counted: when together they hold too much, a page has one event only, which goes out at once.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::Stored;

/// Size of a page in bytes, unless its first event is larger.
const PAGE: usize = 32 * 1024;
/// Size of all pages of the process in bytes, above which a new page has one event.
const ALL_PAGES: usize = 32 * 1024 * 1024;

/// The bytes of all pages of a process.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    bytes: Arc<AtomicUsize>,
}

/// The events that a follower hands out next.
#[derive(Debug)]
pub struct Page {
    all: Pages,
    events: VecDeque<Stored>,
}

impl Pages {
    /// A page without events.
    pub fn page(&self) -> Page {
        Page {
            all: self.clone(),
            events: VecDeque::new(),
        }
    }
}

impl Page {
    /// How many bytes the next page may have; a page always has one event.
    pub fn budget(&self) -> usize {
        if self.all.bytes.load(Relaxed) < ALL_PAGES {
            PAGE
        } else {
            0
        }
    }

    /// Adds events behind those that are there.
    pub fn extend(&mut self, events: impl IntoIterator<Item = Stored>) {
        for event in events {
            self.all.bytes.fetch_add(event.bytes.len(), Relaxed);
            self.events.push_back(event);
        }
    }

    /// Takes the next event.
    pub fn pop(&mut self) -> Option<Stored> {
        let event = self.events.pop_front()?;
        self.all.bytes.fetch_sub(event.bytes.len(), Relaxed);
        if self.events.is_empty() {
            // A reader that waits for the next event keeps no memory for it.
            self.events = VecDeque::new();
        }
        Some(event)
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// How many of these sizes fit into a budget; at least one, if there is one.
pub fn fitting(sizes: impl IntoIterator<Item = usize>, budget: usize) -> usize {
    let mut sum: usize = 0;
    let fits = sizes.into_iter().enumerate().take_while(|(position, size)| {
        sum = sum.saturating_add(*size);
        *position == 0 || sum <= budget
    });
    fits.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(size: usize) -> Stored {
        Stored {
            sequence: 1,
            terminal: false,
            bytes: vec![0; size].into(),
        }
    }

    #[test]
    fn a_page_has_one_event_at_least_and_no_more_than_fits() {
        assert_eq!(fitting([], 10), 0);
        assert_eq!(fitting([100, 1], 10), 1);
        assert_eq!(fitting([4, 6, 1], 10), 2);
        assert_eq!(fitting([4, 6, 1], 0), 1);
    }

    #[test]
    fn many_full_pages_make_the_next_one_small() {
        let all = Pages::default();
        let mut pages: Vec<_> = (0..1024).map(|_| all.page()).collect();
        for page in &mut pages {
            assert_eq!(page.budget(), PAGE);
            page.extend([event(PAGE)]);
        }
        assert_eq!(all.page().budget(), 0);
        assert!(pages[0].pop().is_some());
        assert_eq!(all.page().budget(), PAGE, "what is taken makes room");
        drop(pages);
        assert_eq!(all.bytes.load(Relaxed), 0);
    }
}
