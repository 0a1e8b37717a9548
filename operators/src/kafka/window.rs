//! Batching by itself: what may be handed to the client now, and what waits for an acknowledgement.
//!
//! One gate stands before each output partition. While nothing of the partition is on its way a row goes at once, so an
//! idle output adds no delay. While something is, rows are held and go together when it has landed: the slower the
//! broker, the larger the batch. A batch of [`RELEASE_BYTES`] does not wait, so that throughput is not bound to the
//! round trip.

/// Held bytes that go without waiting for an acknowledgement.
pub(crate) const RELEASE_BYTES: usize = 128 * 1024;

/// What to do with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Hand it over at once.
    Send,
    /// Keep it.
    Hold,
    /// Keep it, and then hand over all that is kept.
    Release,
}

/// The gate of one output partition. Counts rows and bytes; knows neither clock nor client.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    flying_rows: usize,
    held_rows: usize,
    held_bytes: usize,
}

impl Gate {
    /// A row of so many bytes wants to go.
    pub(crate) fn offer(&mut self, bytes: usize) -> Step {
        if self.flying_rows == 0 && self.held_rows == 0 {
            self.flying_rows = 1;
            return Step::Send;
        }
        self.held_rows += 1;
        self.held_bytes += bytes;
        if self.flying_rows == 0 || self.held_bytes >= RELEASE_BYTES {
            self.release();
            Step::Release
        } else {
            Step::Hold
        }
    }

    /// So many rows were acknowledged. Says whether all that is held must be handed over now.
    pub(crate) fn landed(&mut self, rows: usize) -> bool {
        self.flying_rows = self.flying_rows.saturating_sub(rows);
        let release = self.flying_rows == 0 && self.held_rows > 0;
        if release {
            self.release();
        }
        release
    }

    fn release(&mut self) {
        self.flying_rows += self.held_rows;
        self.held_rows = 0;
        self.held_bytes = 0;
    }

    /// Whether anything is on its way.
    pub(crate) fn busy(&self) -> bool {
        self.flying_rows > 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_idle_partition_sends_at_once() {
        let mut gate = Gate::default();
        for _ in 0..3 {
            assert_eq!(gate.offer(100), Step::Send);
            assert!(!gate.landed(1));
        }
    }

    #[test]
    fn rows_wait_for_the_one_on_its_way_and_then_go_together() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(100), Step::Send);
        assert_eq!(gate.offer(100), Step::Hold);
        assert_eq!(gate.offer(100), Step::Hold);
        assert!(gate.landed(1));
        assert_eq!(gate.offer(100), Step::Hold);
        assert!(!gate.landed(1));
        assert!(gate.landed(1));
        assert!(!gate.landed(1));
        assert!(!gate.busy());
    }

    #[test]
    fn a_large_batch_does_not_wait() {
        let mut gate = Gate::default();
        assert_eq!(gate.offer(100), Step::Send);
        assert_eq!(gate.offer(RELEASE_BYTES - 1), Step::Hold);
        assert_eq!(gate.offer(1), Step::Release);
        assert_eq!(gate.offer(1), Step::Hold);
    }

    proptest! {
        /// Whatever comes and lands: rows go in order, none is forgotten, and none waits when nothing is on its way.
        #[test]
        fn no_row_is_left_behind(events in prop::collection::vec((any::<bool>(), 1_usize..90_000), 1..300)) {
            let mut gate = Gate::default();
            let (mut held, mut flying, mut offered, mut sent) = (0_usize, 0_usize, 0_usize, 0_usize);
            for (offers, number) in events {
                if offers {
                    offered += 1;
                    match gate.offer(number) {
                        Step::Send => {
                            prop_assert_eq!(held, 0);
                            sent += 1;
                            flying += 1;
                        }
                        Step::Hold => held += 1,
                        Step::Release => {
                            sent += held + 1;
                            flying += held + 1;
                            held = 0;
                        }
                    }
                } else if flying > 0 {
                    let rows = 1 + number % flying;
                    flying -= rows;
                    if gate.landed(rows) {
                        sent += held;
                        flying += held;
                        held = 0;
                    }
                }
                prop_assert_eq!(sent + held, offered);
                prop_assert!(held == 0 || flying > 0);
                prop_assert_eq!(gate.busy(), flying > 0);
            }
        }
    }
}
