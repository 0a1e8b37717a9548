//! What a start does with the checkpoints before it reads: it makes them its own, and removes what nothing names.
//!
//! A folder is locked, and no other process can have it. In an object store there are no locks, and nobody can tell a process
//! that was killed from one that is only slow. So the first run of a process commits what the newest checkpoint says as the
//! next epoch. Whoever had the checkpoints before meets that epoch when it commits, and ends.

use std::sync::Arc;

use crate::epoch::checkpoint::Checkpoint;
use crate::error::Failure;
use crate::flow::partition::now;
use crate::query::Query;

impl Query {
    /// Removes what no checkpoint names. Where others may still write, that is done after the claim; where processes share the
    /// partitions, each does it for the lanes that it owns.
    pub(crate) fn recover(&self) -> Result<(), Failure> {
        if self.group.is_some() || !self.log.store().locked() {
            return Ok(());
        }
        self.log.recover().map(drop)
    }

    /// Where no lock keeps other processes out: makes the checkpoints those of this process.
    ///
    /// # Errors
    /// `End` when another process has taken them over since the last run of this one.
    pub(crate) fn claim_all(&self, newest: &mut Checkpoint, run: &Arc<str>) -> Result<(), Failure> {
        if self.log.store().locked() {
            return Ok(());
        }
        if self.log.must_claim(newest)? {
            let mut claim = newest.clone();
            claim.epoch += 1;
            claim.run = run.to_string();
            claim.committed_at = now();
            // Where another has just committed, this is tried again from what that one says.
            self.log
                .commit(&claim)
                .map_err(|error| self.log.unwritable("the claim of this start", &error))?;
            *newest = claim;
        }
        self.log.recover().map(drop)
    }
}
