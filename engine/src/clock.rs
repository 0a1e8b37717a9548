//! The wall clock, in microseconds since 1970.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::record::Micros;

/// The time now.
pub fn now() -> Micros {
    micros(SystemTime::now())
}

/// A time of the system; 0 where it is before 1970.
pub fn micros(time: SystemTime) -> Micros {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        Micros::try_from(since.as_micros()).unwrap_or(Micros::MAX)
    })
}

/// One reading of the wall clock that the monotonic clock carries on: it costs as much as that one, and never goes back.
#[derive(Clone, Copy)]
pub struct Clock {
    wall: Micros,
    anchor: Instant,
}

impl Clock {
    /// Reads the wall clock.
    pub fn read() -> Self {
        Self {
            wall: now(),
            anchor: Instant::now(),
        }
    }

    /// The wall clock at a moment of the monotonic one.
    pub fn at(&self, now: Instant) -> Micros {
        let since = now.saturating_duration_since(self.anchor).as_micros();
        self.wall
            .saturating_add(Micros::try_from(since).unwrap_or(Micros::MAX))
    }
}
