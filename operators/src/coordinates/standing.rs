//! The rows of an earlier run that stand in the output behind the newest checkpoint: their records come again, they are not
//! written again.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use smol_str::SmolStr;

use super::{Coordinate, Seen};

/// What stands there, shared by the writers of a run. Each takes what is of its own input partitions.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    /// By what the coordinates of an input partition begin with.
    ways: Mutex<HashMap<SmolStr, Seen>>,
    /// How many have not come again yet.
    left: AtomicU64,
    /// How many there were.
    found: u64,
    skipped: AtomicU64,
}

impl Standing {
    pub(crate) fn new(ways: HashMap<SmolStr, Seen>) -> Self {
        let found = ways.values().map(Seen::len).sum();
        Self {
            ways: Mutex::new(ways),
            left: AtomicU64::new(found),
            found,
            skipped: AtomicU64::new(0),
        }
    }

    /// How many there were.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// Whether some have not come again yet.
    pub(crate) fn waits(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }

    /// Takes what stands there of an input partition.
    pub(crate) fn take(&self, way: &str) -> Option<Seen> {
        if !self.waits() {
            return None;
        }
        self.ways.lock().remove(way)
    }

    fn gone(&self, rows: u64, skipped: u64) {
        if rows == 0 {
            return;
        }
        let skipped = self.skipped.fetch_add(skipped, Ordering::Relaxed) + skipped;
        if self.left.fetch_sub(rows, Ordering::Relaxed) == rows {
            tracing::info!(
                found = self.found,
                skipped,
                "what an earlier run had written behind the newest checkpoint has come again, and was not written again"
            );
        }
    }
}

/// What stands in the output of one input partition, as its writer looks at it.
pub(crate) struct Mine {
    standing: Arc<Standing>,
    seen: Seen,
}

impl Mine {
    /// None where nothing stands there.
    pub(crate) fn of(standing: &Arc<Standing>, way: &str) -> Option<Self> {
        Some(Self {
            seen: standing.take(way)?,
            standing: Arc::clone(standing),
        })
    }

    /// Whether this row stands there. It is asked for once.
    pub(crate) fn stands(&mut self, at: Coordinate) -> bool {
        let skipped = u64::from(self.seen.remove(at));
        // The records of a partition come in order.
        let passed = self.seen.drop_blocks_before(at.offset);
        self.standing.gone(skipped + passed, skipped);
        skipped > 0
    }

    /// Whether nothing is left to ask for.
    pub(crate) fn is_over(&self) -> bool {
        self.seen.is_empty()
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        self.standing.gone(self.seen.len(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64, index: u32) -> Coordinate {
        Coordinate { offset, index }
    }

    #[test]
    fn a_row_that_stands_there_is_skipped_once_and_one_that_never_comes_again_is_passed() {
        let mut seen = Seen::default();
        for row in [at(10, 0), at(10, 1), at(11, 0), at(12, 0)] {
            seen.insert(row);
        }
        let standing = Arc::new(Standing::new(HashMap::from([(
            "v1;j;q;in;0;".into(),
            seen,
        )])));
        assert!(Mine::of(&standing, "v1;j;q;in;1;").is_none());
        let mut mine = Mine::of(&standing, "v1;j;q;in;0;").unwrap();
        assert!(mine.stands(at(10, 0)) && mine.stands(at(10, 1)) && !mine.stands(at(10, 2)));
        assert!(mine.stands(at(12, 0)) && !mine.stands(at(12, 0)));
        assert!(standing.waits());
        assert!(!mine.stands(at(9_000, 0)));
        assert!(!standing.waits() && mine.is_over());
    }
}
