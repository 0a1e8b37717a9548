//! Where the versions in force lie, for all threads that score, and what they count.
//!
//! A thread looks at the number of the line-up before each record; where it has changed it takes the new one, whose sessions
//! were made aside. So a record is scored by the old version or by the new one, and none waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use thalweg_engine::histogram::Histogram;

use super::edition::Edition;
use super::runtime::Scorer;
use super::shadow::Sample;

/// The versions in force.
#[derive(Clone)]
pub(crate) struct Lineup {
    /// The one that scores.
    pub(crate) active: Arc<Edition>,
    /// The one that scores a share instead.
    pub(crate) canary: Option<Arc<Edition>>,
    /// The one that scores too, and whose answers are only recorded.
    pub(crate) shadow: Option<Arc<Edition>>,
    /// Where what was scored goes to be scored by the shadow aside; None where rows ask it themselves.
    pub(crate) aside: Option<Sender<Sample>>,
}

/// The shelf.
#[derive(Default)]
pub(crate) struct Shelf {
    lineup: Mutex<Option<Arc<Lineup>>>,
    number: AtomicU64,
    /// How many threads score.
    pub(super) threads: AtomicUsize,
    /// Sessions that are done with: they end where no row waits for it.
    retired: Mutex<Vec<Scorer>>,
}

impl Shelf {
    /// Puts a line-up in the place of the one before.
    pub(super) fn put(&self, lineup: Lineup) {
        let mut place = self.lineup.lock();
        *place = Some(Arc::new(lineup));
        self.number.fetch_add(1, Ordering::Release);
    }

    /// The number of the line-up in force.
    #[inline]
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The line-up in force and its number; None before the first.
    pub(super) fn take(&self) -> Option<(Arc<Lineup>, u64)> {
        let place = self.lineup.lock();
        Some((place.clone()?, self.number()))
    }

    /// Gives back a session that is done with.
    pub(super) fn retire(&self, scorer: Scorer) {
        self.retired.lock().push(scorer);
    }

    /// Ends the sessions that are done with.
    pub(super) fn sweep(&self) {
        let retired = std::mem::take(&mut *self.retired.lock());
        drop(retired);
    }
}

/// What a model counts. Written by all threads.
#[derive(Default)]
pub struct Counters {
    /// Records that the active version scored.
    pub active: AtomicU64,
    /// Records that the canary scored.
    pub canary: AtomicU64,
    /// Runs that failed.
    pub errors: AtomicU64,
    /// Fallbacks that answered because the time left did not suffice.
    pub late: AtomicU64,
    /// Fallbacks that answered because the model failed.
    pub failed: AtomicU64,
    /// Versions that came into force while the job runs.
    pub swaps: AtomicU64,
    /// Versions that were refused.
    pub refused: AtomicU64,
    /// The time of a score.
    pub time: Histogram,
    /// The scores of the active version, in millionths.
    pub active_scores: Histogram,
    /// Those of the canary.
    pub canary_scores: Histogram,
    /// Records that the shadow scored.
    pub shadowed: AtomicU64,
    /// Records that the shadow left out, because it was behind, or the time left did not suffice.
    pub skipped: AtomicU64,
    /// Runs of the shadow that failed.
    pub shadow_errors: AtomicU64,
    /// The scores of the shadow, in millionths.
    pub shadow_scores: Histogram,
    /// The time of a score of the shadow.
    pub shadow_time: Histogram,
    /// How far the shadow's score was from the one that counts, in millionths.
    pub difference: Histogram,
}

impl Counters {
    /// The shadow has answered.
    pub(super) fn shadow_scored(&self, score: f64) {
        count(&self.shadowed);
        self.shadow_scores.observe(millionths(score));
    }

    /// What counts and what the shadow says of the same.
    pub(super) fn compared(&self, score: f64, shadow: f64) {
        self.difference.observe(millionths((shadow - score).abs()));
    }
}

/// As histograms take it; what is below 0 counts as 0.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn millionths(score: f64) -> u64 {
    (score * 1e6).round() as u64
}

/// One more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
