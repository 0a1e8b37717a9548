//! When positions are committed to the consumer group: one commit under way, the newest one kept, at most two a second.
//!
//! The checkpoint alone says where a restart begins. The group's position serves lag charts and as a witness, and neither
//! gains from more: with epochs of 100 ms the broker's log of positions would be written ten times a second.

use std::time::{Duration, Instant};

/// The least time between two commits: below the usual checkpoint interval, so that each of its epochs is committed at once.
const PACE: Duration = Duration::from_millis(500);

/// What is to be committed. Knows no client; time is an argument.
#[derive(Debug)]
pub(super) struct Commits<P> {
    in_flight: bool,
    next: Option<P>,
    sent: Option<Instant>,
    closing: bool,
}

impl<P> Default for Commits<P> {
    fn default() -> Self {
        Self {
            in_flight: false,
            next: None,
            sent: None,
            closing: false,
        }
    }
}

impl<P> Commits<P> {
    /// Takes newer positions; `newest` makes one of those that were kept and of these.
    pub(super) fn keep(&mut self, positions: P, newest: impl FnOnce(P, P) -> P) {
        self.next = Some(match self.next.take() {
            Some(kept) => newest(kept, positions),
            None => positions,
        });
    }

    /// The positions whose commit is due. The caller says with [`Commits::sent`] whether an answer will come.
    pub(super) fn due(&mut self, now: Instant) -> Option<P> {
        let rests = !self.closing
            && self
                .sent
                .is_some_and(|sent| now.saturating_duration_since(sent) < PACE);
        if self.in_flight || rests {
            return None;
        }
        self.next.take()
    }

    /// A commit was sent, and whether its answer will come.
    pub(super) fn sent(&mut self, answer_comes: bool, now: Instant) {
        self.in_flight = answer_comes;
        self.sent = Some(now);
    }

    /// The answer has come.
    pub(super) fn answered(&mut self) {
        self.in_flight = false;
    }

    /// From now on what is kept does not wait for its time.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Whether everything was sent and answered.
    pub(super) fn settled(&self) -> bool {
        !self.in_flight && self.next.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(commits: &mut Commits<u32>, now: Instant) -> Option<u32> {
        let due = commits.due(now);
        if due.is_some() {
            commits.sent(true, now);
        }
        due
    }

    #[test]
    fn two_commits_a_second_take_the_newest_positions() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut commits = Commits::default();
        commits.keep(1, |_, newest| newest);
        assert_eq!(send(&mut commits, at(0)), Some(1));
        commits.keep(2, |_, newest| newest);
        assert_eq!(send(&mut commits, at(100)), None, "the first is under way");
        commits.answered();
        assert_eq!(send(&mut commits, at(400)), None, "the first was just now");
        commits.keep(3, |_, newest| newest);
        assert_eq!(send(&mut commits, at(500)), Some(3));
        commits.answered();
        assert_eq!(send(&mut commits, at(9_000)), None);
        assert!(commits.settled());
    }

    #[test]
    fn an_answer_that_is_late_is_waited_for() {
        let start = Instant::now();
        let mut commits = Commits::default();
        commits.keep(1, |_, newest| newest);
        assert_eq!(send(&mut commits, start), Some(1));
        commits.keep(2, |_, newest| newest);
        let later = start + Duration::from_secs(30);
        assert_eq!(send(&mut commits, later), None);
        commits.answered();
        assert_eq!(send(&mut commits, later), Some(2));
    }

    #[test]
    fn at_the_end_the_last_positions_are_committed_at_once() {
        let now = Instant::now();
        let mut commits = Commits::default();
        commits.keep(1, |_, newest| newest);
        assert_eq!(send(&mut commits, now), Some(1));
        commits.keep(2, |_, newest| newest);
        commits.close();
        assert_eq!(send(&mut commits, now), None, "one answer is open");
        commits.answered();
        assert_eq!(send(&mut commits, now), Some(2));
        assert!(!commits.settled());
        commits.answered();
        assert!(commits.settled());
    }
}
