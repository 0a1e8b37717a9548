//! How long the readers of files wait for an object store that is away.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::walker::Shared;
use crate::objects::Patience;

/// The first wait, and the longest.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How long to wait after so many tries in a row that went wrong.
pub(super) fn wait_after(times: u32) -> Duration {
    let doubled = WAIT_MIN.saturating_mul(1 << times.saturating_sub(1).min(8));
    doubled.min(WAIT_MAX)
}

/// A stream waits as long as it runs, and says so; a bounded run ends instead.
pub(super) struct Waits {
    pub(super) shared: Arc<Shared>,
    pub(super) shown: String,
    pub(super) bounded: bool,
}

impl Patience for Waits {
    fn wait(&self, times: u32, why: &io::Error) -> bool {
        if self.bounded {
            return false;
        }
        let why = format!("{} cannot be read: {why}", self.shown);
        self.shared.missing(Some(why), &self.shown);
        self.shared.post.pause(Instant::now() + wait_after(times))
    }

    fn answers(&self) {
        self.shared.missing(None, &self.shown);
    }
}

/// A static table keeps the rows that it has.
pub(super) struct Never;

impl Patience for Never {
    fn wait(&self, _: u32, _: &io::Error) -> bool {
        false
    }

    fn answers(&self) {}
}
