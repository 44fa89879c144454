//! Pages of events. A page holds events that a follower (`events/follow.rs`) has read but not yet passed to its
//! client.
//!
//! If a client stops reading, its page stays in memory. Pages are therefore small, and the process limits their total
//! size.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use super::Stored;

/// Maximum size of a page in bytes, unless its first event is larger.
const PAGE: usize = 32 * 1024;
/// Soft limit for all pages together, in bytes. Above this limit, each new page holds only one event.
const ALL_PAGES: usize = 32 * 1024 * 1024;

/// Counts the bytes of all pages of a process.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    bytes: Arc<AtomicUsize>,
}

#[derive(Debug)]
pub struct Page {
    all: Pages,
    events: VecDeque<Stored>,
}

impl Pages {
    pub fn page(&self) -> Page {
        Page {
            all: self.clone(),
            events: VecDeque::new(),
        }
    }
}

impl Page {
    /// Maximum size of the next page in bytes; 0 if the page may hold only one event.
    pub fn budget(&self) -> usize {
        if self.all.bytes.load(Relaxed) < ALL_PAGES {
            PAGE
        } else {
            0
        }
    }

    pub fn extend(&mut self, events: impl IntoIterator<Item = Stored>) {
        for event in events {
            self.all.bytes.fetch_add(event.bytes.len(), Relaxed);
            self.events.push_back(event);
        }
    }

    pub fn pop(&mut self) -> Option<Stored> {
        let event = self.events.pop_front()?;
        self.all.bytes.fetch_sub(event.bytes.len(), Relaxed);
        if self.events.is_empty() {
            // Free the buffer, so that a follower without pending events keeps no memory allocated.
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

/// Counts the leading sizes whose sum fits into the budget. The first size always counts, even if it exceeds the
/// budget.
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
    fn a_page_holds_at_least_one_event_and_otherwise_only_what_fits() {
        assert_eq!(fitting([], 10), 0);
        assert_eq!(fitting([100, 1], 10), 1);
        assert_eq!(fitting([4, 6, 1], 10), 2);
        assert_eq!(fitting([4, 6, 1], 0), 1);
    }

    #[test]
    fn full_pages_limit_the_next_page_to_one_event() {
        let all = Pages::default();
        let mut pages: Vec<_> = (0..1024).map(|_| all.page()).collect();
        for page in &mut pages {
            assert_eq!(page.budget(), PAGE);
            page.extend([event(PAGE)]);
        }
        assert_eq!(all.page().budget(), 0);
        assert!(pages[0].pop().is_some());
        assert_eq!(all.page().budget(), PAGE, "taking an event frees its bytes");
        drop(pages);
        assert_eq!(all.bytes.load(Relaxed), 0);
    }
}
