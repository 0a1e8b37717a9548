//! Every control message of the engine, on one screen.
//!
//! ```text
//!   coordinator ── Order ──► lane          lane ── News ──► coordinator
//! ```
//!
//! One life of a run, seen from a lane: `Cut` any number of times, each answered by one `Report` (in any order, and only
//! after delivery); `Read` and `Await` any number of times in a gathered query; `Begin` once where it builds steps, before any
//! `Cut`; `StopReading` at most once; `Finish` or
//! `Stop` last, or one after the other. A lane sends `Gone` as its very last word, however it ends. Both sides hold only the other's `Recipient`.

use actix::Message;
use smol_str::SmolStr;

use crate::epoch::checkpoint::{ObjectRef, PartitionCut};
use crate::epoch::ledger::{Epoch, LaneId};
use crate::error::Failure;
use crate::flow::lane::Reading;
use crate::sink::Prepared;

/// From the coordinator to a lane.
#[derive(Message)]
#[rtype(result = "()")]
pub enum Order {
    /// The marker: end the epoch here.
    Cut {
        /// Its number.
        epoch: Epoch,
        /// Whether none comes after it in this run.
        last: bool,
    },
    /// Read one more partition.
    Read(Box<Reading>),
    /// Whether others wait for the end of partitions that it reads: then their end is not the end of its input.
    Await(bool),
    /// All lanes have built what is new beside their kept state: go on with both.
    Begin,
    /// The epoch is committed: make visible what the writer had prepared in it.
    Committed(Vec<u8>),
    /// Take no further record; markers are still answered.
    StopReading,
    /// End once the writer has made visible what is committed.
    Finish,
    /// End at once.
    Stop,
}

/// From a lane to the coordinator.
#[derive(Message)]
#[rtype(result = "()")]
pub enum News {
    /// A cut that is safe: everything before it is delivered, its state is on disk.
    Report {
        /// Who.
        lane: LaneId,
        /// Which epoch.
        epoch: Epoch,
        /// What.
        cut: Cut,
    },
    /// What is new beside its kept state is built.
    Built(LaneId),
    /// A partition has ended.
    Ended,
    /// All partitions of the lane have ended.
    Exhausted(LaneId),
    /// A record failed and the job says `fail`: the lane has stopped before it.
    Refused {
        /// Who.
        lane: LaneId,
        /// What to tell the user.
        failure: Failure,
    },
    /// The store of state answers again (None), or does not (why).
    Store(Option<String>),
    /// The lane is no more.
    Gone {
        /// Who.
        lane: LaneId,
        /// Why; None when it was told to stop.
        failure: Option<Failure>,
        /// The record it was at when it fell, as `partition@position`.
        at: Option<String>,
    },
}

/// What a lane hands over at a marker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cut {
    /// Where its partitions stand.
    pub partitions: Vec<PartitionCut>,
    /// What its writer prepared.
    pub writer: Option<Prepared>,
    /// The objects written for this epoch.
    pub state: Vec<StateObject>,
}

/// One object of state that an epoch has written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateObject {
    /// The step's name.
    pub step: SmolStr,
    /// Its name and size.
    pub object: ObjectRef,
    /// Whether it holds the whole state.
    pub whole: bool,
}
