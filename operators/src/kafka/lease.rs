//! How long a process may stand still before what it reads may be another's.
//!
//! Who is stopped (a debugger, a frozen machine) for longer than its session in the group is taken for gone, and others go on with its
//! partitions. When it wakes, it does not know that yet, and has records in hand: none of them may come out behind those of
//! the others. Time is an argument.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use thalweg_engine::error::Failure;

/// Renewed again and again by a thread that waits for nobody. Times are milliseconds from one beginning.
#[derive(Debug)]
pub(super) struct Lease {
    session: u64,
    renewed: AtomicU64,
    over: AtomicBool,
}

impl Lease {
    /// For a session of this length, from now on.
    pub(super) fn new(session: Duration, now: u64) -> Self {
        Self {
            session: u64::try_from(session.as_millis()).unwrap_or(u64::MAX),
            renewed: AtomicU64::new(now),
            over: AtomicBool::new(false),
        }
    }

    /// The process runs. False, and nothing else, where it has stood still for too long.
    pub(super) fn renew(&self, now: u64) -> bool {
        let holds = self.holds(now);
        if holds {
            self.renewed.store(now, Ordering::Relaxed);
        } else {
            self.over.store(true, Ordering::Relaxed);
        }
        holds
    }

    /// Whether the process has not stood still for as long as a session.
    pub(super) fn holds(&self, now: u64) -> bool {
        let since = now.saturating_sub(self.renewed.load(Ordering::Relaxed));
        since < self.session && !self.over.load(Ordering::Relaxed)
    }
}

/// How a run ends whose lease is over.
pub(super) fn stood_still() -> Failure {
    Failure::restart(
        "this process has stood still for longer than its session in the group: others may go on with what it read",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_stood_still_for_a_session_has_nothing_any_more_whoever_looks_first() {
        let lease = Lease::new(Duration::from_secs(6), 100);
        for now in [600, 3_000, 8_999] {
            assert!(lease.renew(now));
            assert!(lease.holds(now + 5_999));
        }
        assert!(!lease.holds(14_999));
        assert!(!lease.renew(14_999));
        assert!(!lease.holds(15_000), "what renews it comes too late");
        assert!(!lease.renew(15_001));
        assert!(!lease.holds(15_001));
    }
}
