//! The contract of an input.
//!
//! One [`Source`] object serves one run of one query. The engine calls, in this order:
//! 1. [`Source::resolve`] once, off the row path: where does each partition start? At a first start with a warm-up then
//!    [`Source::back`].
//! 2. [`Source::restore`] where the checkpoint holds state of a partition, then [`Source::read`] once for each partition, on
//!    the thread of the lane that owns it. On that thread also [`Source::changes`], at each cut.
//! 3. While it runs, off the row path: [`Source::discover`] every few seconds, [`Source::forget`] after each committed
//!    epoch, [`Source::health`] and [`Source::lag`] for the probes and metrics.
//! 4. [`Source::close`] once, after all lanes have stopped.
//!
//! Where several processes share an input, [`Source::join`] takes the place of `resolve` and says from then on which
//! partitions this process is to read. Each that it gives is found by [`Source::start_of`], restored and read; one that it
//! takes back is given away by [`Source::release`], after the last epoch of its lane is committed. A process that goes for good
//! says so by [`Source::leave`], when all its lanes have ended.
//!
//! Methods may block (they are called on a thread for blocking work) except `restore`, `read`, `changes`, `health` and `lag`.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use smol_str::SmolStr;

use crate::error::Failure;
use crate::record::{Partition, Position, Record};
use crate::schema::Schema;
use crate::state::StateChanges;

/// What a partition's stream yields.
pub enum SourceEvent {
    /// The next record, in the partition's order.
    Record(Record),
    /// Everything that was in the partition a moment ago has been yielded: everything before this position, where the source
    /// tells it. It may be behind the last record's `next` (Kafka: the end of a transaction is an offset without a record).
    CaughtUp(Option<Position>),
    /// Nothing will ever come again. The stream must be over after it.
    Ended,
    /// Reading cannot go on. The stream must be over after it.
    Failed(Failure),
}

/// The records of one partition. Lives on the thread of its lane, so it need not be `Send`. It must register the waker
/// whenever it returns `Pending`, and should yield control after about 64 records in one poll burst (the engine polls 16
/// items between two looks at its mail).
pub type RecordStream = Pin<Box<dyn Stream<Item = SourceEvent>>>;

/// Where a partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The partition's name.
    pub partition: SmolStr,
    /// The first position to read.
    pub position: Position,
    /// Partitions that must have ended before this one may be read (the parents of a Kinesis shard).
    pub after: Vec<SmolStr>,
}

/// What the newest checkpoint says of this input.
#[derive(Clone, Debug)]
pub struct Resume<'a> {
    /// The checkpoint's id, made at epoch 0.
    pub checkpoint: &'a str,
    /// The newest committed epoch.
    pub epoch: u64,
    /// Whether that epoch was written by an explicit step back, so that a witness ahead of it is expected.
    pub rewound: bool,
    /// Position by partition name.
    pub positions: &'a BTreeMap<SmolStr, Position>,
    /// The source's own bytes, as `save` gave them.
    pub state: Option<&'a [u8]>,
}

/// What an epoch has committed of this input.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The checkpoint's id.
    pub checkpoint: Arc<str>,
    /// The epoch.
    pub epoch: u64,
    /// Everything before these positions is safe.
    pub positions: Vec<(SmolStr, Position)>,
}

/// Which partitions of a shared input this process is to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// These too.
    Given(Vec<SmolStr>),
    /// These no more; they wait for [`Source::release`]. One of them may belong to another process already.
    Taken(Vec<SmolStr>),
    /// Another process may have this one's name. Until the source has found out, and ends the run: what is read here is read
    /// on, and what another process goes on with is left to it.
    Doubted,
}

/// Those who share an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sharers {
    /// The name of this process among them.
    pub own: SmolStr,
    /// By the name of each of them, this process too, the partitions that it has.
    pub shares: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
}

/// Tells what changes in the ownership of partitions. Never waits.
pub type TellOwnership = Box<dyn Fn(Ownership) + Send + Sync>;

/// Whether the other side answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers.
    Up,
    /// It does not; the reason in words, with its address.
    Down(String),
    /// It answers, but what is read here may be another process's by now; why. Epochs go on: where it is, the first that another
    /// process has committed ends the lane here.
    Doubted(String),
}

/// An input with partitions. See the module for the order of calls.
pub trait Source: Send + Sync {
    /// The columns of each row it yields.
    fn schema(&self) -> &Schema;

    /// The partitions there are, each with its start: from the checkpoint where it names the partition, else from the
    /// options when there is no checkpoint at all, else the earliest. Checks the checkpoint against what the source's
    /// system still holds, and against the witness it keeps there.
    ///
    /// # Errors
    /// `Refuse` for what must be mended first (lost data, a witness ahead of the checkpoint), `Restart` where the
    /// system does not answer.
    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure>;

    /// Joins the processes that share this input. `state` is what [`Source::save`] gave at the first start of all.
    ///
    /// # Errors
    /// `Refuse` where the input cannot be shared; `Restart` where its system does not answer.
    fn join(&self, state: Option<&[u8]>, tell: TellOwnership) -> Result<(), Failure> {
        let _ = (state, tell);
        Err(Failure::refuse(
            "this input cannot be shared by several processes: leave `assignment = 'group'` out",
        ))
    }

    /// Prepares to read partitions of a shared input that nobody assigns: each is read by whoever has that of its number of another
    /// input. `state` is as for `join`, in whose place this is called.
    ///
    /// # Errors
    /// As [`Source::join`].
    fn accompany(&self, state: Option<&[u8]>) -> Result<(), Failure> {
        let _ = state;
        Err(Failure::refuse(
            "this input cannot be shared by several processes: leave `assignment = 'group'` out",
        ))
    }

    /// As [`Source::resolve`], of one partition of a shared input.
    ///
    /// # Errors
    /// As [`Source::resolve`].
    fn start_of(&self, partition: &str, resume: &Resume<'_>) -> Result<Start, Failure> {
        let starts = self.resolve(Some(resume))?;
        let mut starts = starts.into_iter();
        starts
            .find(|start| start.partition == partition)
            .ok_or_else(|| Failure::restart(format!("{partition} is not there")))
    }

    /// These partitions were taken, and nothing of them is read here any more.
    fn release(&self, partitions: &[SmolStr]) {
        let _ = partitions;
    }

    /// Those who share the input, as its system sees them now; None where it cannot be told. Asked now and then.
    fn sharers(&self) -> Option<Sharers> {
        None
    }

    /// This process leaves those that share the input, and others are to have its partitions at once. Called when all its lanes
    /// have ended, before [`Source::close`]. Returns when the others have been told, or cannot be; blocks for seconds at most.
    fn leave(&self) {}

    /// Called before [`Source::resolve`] where there is a checkpoint: partitions that it calls ended for good. Nothing of
    /// them is to be read any more, and [`Source::resolve`] leaves them out.
    fn leave_out(&self, ended: BTreeSet<SmolStr>) {
        let _ = ended;
    }

    /// Partitions that appeared since; `known` are the names already read.
    ///
    /// # Errors
    /// As [`Source::resolve`]. A system that is away is not an error here: nothing is found.
    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let _ = known;
        Ok(Vec::new())
    }

    /// Of these partitions, which have ended for good and are committed so, those that can never be found again (a shard that
    /// its stream does not list any more): the checkpoint need not name them. Asked in each epoch, so it asks nobody.
    fn gone(&self, ended: &BTreeSet<SmolStr>) -> BTreeSet<SmolStr> {
        let _ = ended;
        BTreeSet::new()
    }

    /// How often [`Source::discover`] is called, where the source has its own mind.
    fn discover_interval(&self) -> Option<Duration> {
        None
    }

    /// Whether partitions may appear while it runs. A query of inputs that do not grow ends when all partitions have.
    fn grows(&self) -> bool {
        true
    }

    /// Where each partition ends at this moment; a bounded run (`once`, `available now`) reads up to there. A partition
    /// that is closed, so that it ends by itself, is left out: it has then ended for good, and those after it start.
    ///
    /// # Errors
    /// `Restart` where the system does not answer; `Refuse` where the source has no end.
    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure>;

    /// For each of these starts the position from which records reach so far back before it in time; at or before it, in
    /// the same order. None where what stands before a start cannot be read.
    ///
    /// # Errors
    /// As [`Source::resolve`].
    fn back(&self, starts: &[Start], by: Duration) -> Result<Option<Vec<Position>>, Failure> {
        let _ = (starts, by);
        Ok(None)
    }

    /// Takes back what [`Source::changes`] gave of this partition, oldest first.
    ///
    /// # Errors
    /// `Refuse` when the bytes are not of this source or of an unknown version.
    fn restore(&self, partition: &Partition, changes: &[StateChanges]) -> Result<(), Failure> {
        let _ = (partition, changes);
        Ok(())
    }

    /// Opens one partition from `from`. With `until`, yields [`SourceEvent::Ended`] once everything before it is read.
    ///
    /// # Errors
    /// Where reading cannot begin.
    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure>;

    /// Everything is written that will be: the streams of this run yield [`SourceEvent::Ended`] once they have read to
    /// where the log ends now. Called for an exchange alone, when the lanes before it have ended. May block.
    ///
    /// # Errors
    /// Where the end cannot be told.
    fn finish(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// What changed since the last call in state that belongs to this partition and grows with what was read (files already
    /// seen), as it is at `position`, where the lane stands. Saved like the state of a step, in the same cut. The time it
    /// takes delays records.
    fn changes(&self, partition: &Partition, position: &Position) -> Option<StateChanges> {
        let _ = (partition, position);
        None
    }

    /// A few bytes of the source's own that all its runs have in common (when it began); written again with every epoch,
    /// whatever the positions in it are.
    fn save(&self) -> Option<Vec<u8>> {
        None
    }

    /// Where a query goes on that steps over the record at this position; None where the position alone does not tell, so
    /// that a stopped query cannot be moved over it.
    fn behind(&self, record: &Position) -> Option<Position> {
        record.next_number()
    }

    /// A hint: an epoch is committed, everything before these positions is safe. May be late, may be skipped.
    fn forget(&self, committed: &Committed) {
        let _ = committed;
    }

    /// Whether the source's system answers.
    fn health(&self) -> Health {
        Health::Up
    }

    /// Records behind the end, by partition, where the source knows.
    fn lag(&self) -> Vec<(SmolStr, i64)> {
        Vec::new()
    }

    /// Milliseconds behind the end, by partition, where the source's system tells it in time and not in records.
    fn delay(&self) -> Vec<(SmolStr, i64)> {
        Vec::new()
    }

    /// Lets go of clients and threads. Blocks until they are gone.
    fn close(&self) {}
}
