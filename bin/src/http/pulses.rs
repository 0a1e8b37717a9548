//! When each thread of the job last had its turn: what `/live` looks at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use actix::ArbiterHandle;

/// When each thread of the job last had its turn.
#[derive(Clone)]
pub(crate) struct Pulses {
    origin: Instant,
    /// Milliseconds since `origin`, by thread.
    beats: Arc<[AtomicU64]>,
}

impl Pulses {
    /// Lets this thread and those of the lanes beat once a second.
    pub(crate) fn start(threads: &[ArbiterHandle]) -> Self {
        let pulses = Self {
            origin: Instant::now(),
            beats: (0..=threads.len()).map(|_| AtomicU64::new(0)).collect(),
        };
        actix::spawn(pulses.clone().beat(0));
        for (index, thread) in threads.iter().enumerate() {
            thread.spawn(pulses.clone().beat(index + 1));
        }
        pulses
    }

    async fn beat(self, thread: usize) {
        loop {
            let now = self.now();
            self.beats[thread].store(now, Relaxed);
            actix::clock::sleep(Duration::from_secs(1)).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long ago the thread that waits longest had its turn.
    pub(super) fn oldest(&self) -> Duration {
        let now = self.now();
        let oldest = self.beats.iter().map(|beat| beat.load(Relaxed)).min();
        Duration::from_millis(now.saturating_sub(oldest.unwrap_or(now)))
    }
}
