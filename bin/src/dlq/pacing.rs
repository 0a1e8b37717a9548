//! How fast records are sent again: so many a second, and no burst after a stretch in which none could be sent. Pure: time is
//! an argument.

use std::time::Duration;

/// What may be caught up with of a stretch in which nothing was sent: a sleep ends late, a commit takes a while.
const SLACK: Duration = Duration::from_millis(100);

/// The pace.
pub(super) struct Pacing {
    apart: Duration,
    /// When the next one is due, since the begin.
    next: Duration,
}

impl Pacing {
    /// So many records a second.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            apart: Duration::from_secs(1) / rate.max(1),
            next: Duration::ZERO,
        }
    }

    /// A record was sent now, so long since the begin. How long the next one waits.
    pub(super) fn sent(&mut self, now: Duration) -> Duration {
        self.next = self.next.max(now.saturating_sub(SLACK)) + self.apart;
        self.next.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each of so many records is sent: `takes` is how long the sending of each takes by itself.
    fn sent(rate: u32, count: usize, takes: impl Fn(usize) -> Duration) -> Vec<Duration> {
        let (mut pacing, mut now) = (Pacing::new(rate), Duration::ZERO);
        (0..count)
            .map(|number| {
                now += takes(number);
                let at = now;
                now += pacing.sent(now);
                at
            })
            .collect()
    }

    /// The most that are sent within a second, wherever it begins.
    fn most(times: &[Duration]) -> usize {
        let within = |from: &Duration| {
            let second = *from..*from + Duration::from_secs(1);
            times.iter().filter(|at| second.contains(*at)).count()
        };
        times.iter().map(within).max().unwrap_or(0)
    }

    #[test]
    fn records_go_at_the_rate_that_was_asked_for() {
        let times = sent(50, 500, |_| Duration::from_micros(100));
        assert!(most(&times) <= 55, "{}", most(&times));
        let last = *times.last().unwrap();
        let expected = Duration::from_secs(10);
        assert!(last > expected * 9 / 10 && last <= expected, "{last:?}");
    }

    #[test]
    fn a_broker_that_stood_still_is_not_flooded_afterwards() {
        // Half a minute in the middle of it, and now and then a commit.
        let takes = |number: usize| match number {
            200 => Duration::from_secs(30),
            number if number % 50 == 0 => Duration::from_millis(40),
            _ => Duration::ZERO,
        };
        let times = sent(50, 500, takes);
        assert!(most(&times) <= 57, "{}", most(&times));
        // The commits are made up for.
        let last = *times.last().unwrap();
        let expected = Duration::from_secs(40);
        assert!(last < expected + Duration::from_millis(500), "{last:?}");
    }
}
