//! The wall clock, in microseconds since 1970, and the beats of triggers.

use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::record::Micros;

/// From when on beats are counted.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
/// So long it may take at most until a beat is heard everywhere.
const HUSH_MAX: Duration = Duration::from_millis(100);

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

/// The next moment of a trigger of this interval. All in this process hear the same beats, whenever they begin to listen: what a
/// source gives between two of them is what is told at the second.
pub fn next_beat(interval: Duration, now: Instant) -> Instant {
    let interval = interval.max(Duration::from_millis(1));
    // Who asks first has looked at the clock before.
    let now = now.max(*BEGUN);
    now + (interval - into_beat(interval, now))
}

/// Just after a beat: until when a source that may give so much an interval gives nothing. What it gave sooner would go with the
/// batch before where that is told a little late.
pub fn hush(interval: Duration, now: Instant) -> Option<Instant> {
    let interval = interval.max(Duration::from_millis(1));
    let into = into_beat(interval, now);
    let first = now.saturating_duration_since(*BEGUN) < interval;
    let left = (interval / 10).min(HUSH_MAX).checked_sub(into)?;
    (!first && !left.is_zero()).then(|| now + left)
}

/// How long ago the last beat was.
fn into_beat(interval: Duration, now: Instant) -> Duration {
    let since = now.saturating_duration_since(*BEGUN).as_nanos();
    let into = since % interval.as_nanos();
    Duration::from_nanos(u64::try_from(into).unwrap_or(0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_are_the_same_for_all_and_after_each_there_is_a_hush() {
        let interval = Duration::from_secs(2);
        let first = next_beat(interval, *BEGUN);
        assert_eq!(first, *BEGUN + interval);
        assert_eq!(next_beat(interval, *BEGUN - interval / 2), first);
        let after = |millis| first + Duration::from_millis(millis);
        for millis in [0, 1, 700, 1_999] {
            assert_eq!(next_beat(interval, after(millis)), first + interval);
        }
        assert_eq!(hush(interval, *BEGUN), None, "no batch was before");
        assert_eq!(hush(interval, after(0)), Some(after(100)));
        assert_eq!(hush(interval, after(60)), Some(after(100)));
        assert_eq!(hush(interval, after(100)), None);
        let short = Duration::from_millis(50);
        let beat = next_beat(short, first);
        assert_eq!(hush(short, beat), Some(beat + short / 10));
    }
}
