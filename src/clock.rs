//! The clock of the process. Tests can advance it.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::id;

#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift_ms: Arc<AtomicI64>,
    ids: Arc<Mutex<ContextV7>>,
}

impl Clock {
    /// The current time, truncated to microseconds, the resolution of the databases.
    pub fn now(&self) -> DateTime<Utc> {
        let now = Utc::now() + TimeDelta::milliseconds(self.shift_ms.load(Ordering::Relaxed));
        DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now)
    }

    /// Returns a new UUIDv7 and its timestamp. Both ascend even if the system clock is set back.
    pub fn stamp(&self) -> (Uuid, DateTime<Utc>) {
        let now = self.now();
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        let id = Uuid::new_v7(Timestamp::from_unix(&*self.ids, seconds, now.timestamp_subsec_nanos()));
        (id, now.max(id::time_of(id)))
    }

    /// Moves this clock and all its clones forward. Only tests call this method.
    pub fn advance(&self, by: Duration) {
        self.shift_ms
            .fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_and_carry_the_time_of_their_row() {
        let clock = Clock::default();
        let mut before = clock.stamp();
        for round in 0..10_000 {
            if round == 5_000 {
                clock.shift_ms.store(-3_600_000, Ordering::Relaxed);
            }
            let (id, at) = clock.stamp();
            assert!(id > before.0);
            assert!(at.timestamp_millis() >= before.1.timestamp_millis());
            assert_eq!(id::time_of(id).timestamp_millis(), at.timestamp_millis());
            before = (id, at);
        }
        let control = clock.now();
        assert!(control < before.1, "the clock was set back");
    }
}
