//! Whether a lane is this process's still: an answer that holds for a moment.
//!
//! Nothing in a bucket can be made to appear on condition that a lane is one's own, so whoever makes a part visible asks first.
//! One answer does for all parts of that moment. It is as old as its question: whoever was held up asks again, also where
//! the answer was on its way meanwhile.

use std::io;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long it holds. An heir comes when this process has let go, or was silent for a session, which is longer.
pub(super) const HOLDS: Duration = Duration::from_secs(2);
/// How often a store is asked whose answer takes longer than that.
const ASKED_MAX: u32 = 3;

/// The answer.
pub(super) struct Lease<'l> {
    owned: Box<dyn Fn() -> io::Result<bool> + Send + Sync + 'l>,
    /// When it was asked for that said yes last.
    since: Mutex<Option<Instant>>,
}

impl<'l> Lease<'l> {
    /// `owned` looks at the checkpoints.
    pub(super) fn new(owned: impl Fn() -> io::Result<bool> + Send + Sync + 'l) -> Self {
        Self {
            owned: Box::new(owned),
            since: Mutex::default(),
        }
    }

    /// Looks whether the lane is this process's now.
    pub(super) fn look(&self) -> io::Result<bool> {
        (self.owned)()
    }

    /// Whether it was just now.
    pub(super) fn holds(&self) -> io::Result<bool> {
        // Whoever asks meanwhile waits for the same answer.
        let mut since = self.since.lock();
        let fresh = |since: Option<Instant>| since.is_some_and(|since| since.elapsed() < HOLDS);
        for _ in 0..ASKED_MAX {
            if fresh(*since) {
                return Ok(true);
            }
            let asked = Instant::now();
            *since = None;
            if !self.look()? {
                return Ok(false);
            }
            *since = Some(asked);
        }
        if fresh(*since) {
            return Ok(true);
        }
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            format!(
                "the store of the checkpoints takes longer than {HOLDS:?} to say whose they are"
            ),
        ))
    }
}
