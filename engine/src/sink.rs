//! The contract of an output.
//!
//! A [`Sink`] serves one run of one query; it opens one [`Writer`] per lane. For each record the engine calls `write`
//! for each of its output rows, then exactly one of `accept` (hand them over) or `reject` (forget them), so that all
//! outputs of a record appear or none. A writer never waits: when it has taken more than it likes it says
//! [`Readiness::Full`], and the engine takes no further record until `drained` resolves.
//!
//! An output that becomes visible with its epoch: `prepare` at each cut gives bytes that name what is to become visible,
//! `commit` makes that visible once the checkpoint with these bytes is on disk, and [`Sink::recover`] at the start of a
//! run does what was left to do for the newest checkpoint, and removes what it does not name; [`Sink::take_over`] does that lane
//! by lane where processes share them. Several epochs may be open:
//! an epoch's bytes name all that no `commit` has finished yet, because only the newest are there at a start. What such an output
//! has no place for until it is visible it may keep [`Beside`] the checkpoints, as objects that its epochs name.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::epoch::checkpoint::ObjectRef;
use crate::epoch::store::Store;
use crate::error::{Failure, RecordError};
use crate::record::{Micros, Partition, Position, RecordMeta};
use crate::recorder::Trace;
use crate::row::Value;
use crate::source::Health;
use crate::spans::Carried;

/// A future that lives on the thread of its lane.
pub type LocalFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// Where an output row comes from: the coordinate.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The record: its place and times.
    pub meta: &'a RecordMeta,
    /// The number of this row among the outputs of that record, from 0.
    pub index: u32,
    /// No record alone has made it: it came with a moment, when a window closed or at a trigger. The record is then only
    /// what the moment came with, and record and index together are no name of the row.
    pub moment: bool,
}

/// Whether a writer likes to take more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// More may come at once.
    Ready,
    /// Taken, but pause until [`Writer::drained`] resolves.
    Full,
}

/// Notes the moments of a row's way out; called by writers, from any thread.
pub trait DeliveryObserver: Send + Sync {
    /// `rows` rows of `bytes` bytes in all were acknowledged; the oldest was written this long ago.
    fn acknowledged(&self, rows: u64, bytes: u64);
    /// One row was acknowledged this many microseconds after it was written and this many after it was taken.
    fn latency(&self, written_to_acknowledged: u64, taken_to_acknowledged: u64);
    /// What goes with each row of the record in hand until it is acknowledged. Asked within [`Writer::accept`]; a writer
    /// that asks calls [`DeliveryObserver::delivered`] in the place of `latency`, so that it is known which record was slow.
    fn trace(&self) -> Trace {
        Trace::default()
    }
    /// So many rows of the record in hand, whose trace says that it is traced, were handed over: each will be told of by
    /// [`DeliveryObserver::delivered`]. Called within [`Writer::accept`].
    fn sent(&self, trace: &Trace, rows: u32) {
        let _ = (trace, rows);
    }
    /// The context of a trace that rows of the record in hand carry in their headers. Asked within [`Writer::write`].
    fn carried(&self) -> Option<Carried> {
        None
    }
    /// As `latency`, of one row of the record with this trace.
    fn delivered(&self, trace: &Trace, written_to_acknowledged: u64, taken_to_acknowledged: u64) {
        let _ = trace;
        self.latency(written_to_acknowledged, taken_to_acknowledged);
    }
    /// As `delivered`, of rows that were acknowledged together.
    fn delivered_together(&self, rows: &mut dyn Iterator<Item = Delivered>) {
        for row in rows {
            self.delivered(
                &row.trace,
                row.written_to_acknowledged,
                row.taken_to_acknowledged,
            );
        }
    }
}

/// A row that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// That of its record.
    pub trace: Trace,
    /// Microseconds since it was written.
    pub written_to_acknowledged: u64,
    /// Microseconds since its record was taken.
    pub taken_to_acknowledged: u64,
}

/// Tells whether the checkpoints are still those of a run. Blocks.
pub type StillOwned = dyn Fn() -> io::Result<bool> + Send + Sync;

/// The place beside a lane's checkpoints, where a writer may keep objects that its epochs name: in the folder `state`, under
/// names that begin with the sink's run. As with state, what no kept epoch names is removed, and by nobody but who owns the lane.
#[derive(Clone)]
pub struct Beside {
    /// The objects.
    pub store: Arc<dyn Store>,
    /// Whether no other process has gone on with the lane since.
    pub owned: Arc<StillOwned>,
}

/// What a writer is opened with.
pub struct WriterContext {
    /// The lane's name, unique in the query and the same after every restart.
    pub lane: String,
    /// Where to note acknowledgements.
    pub observer: Arc<dyn DeliveryObserver>,
    /// Where it may keep objects that its epochs name; None where no epoch would.
    pub beside: Option<Beside>,
}

/// What a writer has for the checkpoint of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Bytes in its own words.
    pub bytes: Vec<u8>,
    /// The objects [`Beside`] the checkpoints that they need, each once.
    pub objects: Vec<ObjectRef>,
}

impl From<Vec<u8>> for Prepared {
    /// Bytes that need no object.
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            objects: Vec::new(),
        }
    }
}

/// What a run begins from, as far as its output is concerned.
#[derive(Clone)]
pub struct Recovery<'a> {
    /// The checkpoint's id: the same in all runs of one history.
    pub checkpoint: &'a str,
    /// The epoch.
    pub epoch: u64,
    /// Whether an explicit command wrote it, to step over or back.
    pub rewound: bool,
    /// What the writers had prepared in it, by lane; also of lanes that this run will not have.
    pub prepared: &'a BTreeMap<SmolStr, Vec<u8>>,
    /// The partitions that its lanes read, and where each goes on.
    pub partitions: &'a [(Partition, Position)],
    /// Where the objects lie that writers had kept beside the checkpoints.
    pub store: &'a dyn Store,
}

/// A lane of a query whose partitions several processes read, as the process finds it that goes on with it.
pub struct TakenOver<'a> {
    /// The lane's name, as its writer is opened with.
    pub lane: &'a str,
    /// What it begins from: the newest checkpoint of this lane alone.
    pub recovery: Recovery<'a>,
    /// Whether no other process has taken it over since. Looks at the checkpoints, so that what this process saw before it asked
    /// is of nobody who came later.
    pub owned: &'a (dyn Fn() -> bool + Sync),
}

/// What a sink has made of the bytes that its writers had prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// They are for the writers: each gets its own by [`Writer::resume`].
    Kept,
    /// All is done that they ask for; the next checkpoint needs them no longer.
    Done,
}

/// An output. Shared by all lanes of a run.
pub trait Sink: Send + Sync {
    /// Called once, before any writer is opened: what the newest checkpoint names is made visible, and what earlier runs
    /// have written that it does not name must go. Repeated when a start fails behind it, so it must be idempotent.
    /// Blocks.
    ///
    /// # Errors
    /// When the output cannot be brought to where the checkpoint stands.
    fn recover(&self, recovery: &Recovery<'_>) -> Result<Recovered, Failure> {
        let _ = recovery;
        Ok(Recovered::Kept)
    }

    /// In the place of `recover` where several processes share the partitions: called for each lane that this process goes on
    /// with, once nobody else can commit anything of it, and before its writer is opened. Other lanes are no concern of it: other
    /// processes write them. Whoever had the lane before may not know that it has it no more, and go on writing what will never
    /// be committed. Repeated when a start fails behind it, so it must be idempotent. Blocks.
    ///
    /// # Errors
    /// When the output cannot be brought to where the lane's checkpoint stands.
    fn take_over(&self, taken: &TakenOver<'_>) -> Result<Recovered, Failure> {
        let _ = taken;
        Ok(Recovered::Kept)
    }

    /// Called before epoch 0 is written: the bytes that it holds for the writer of each lane, as [`Writer::prepare`] would give
    /// them before the first row. Blocks.
    ///
    /// # Errors
    /// When the output cannot be asked.
    fn begin(&self) -> Result<Option<Vec<u8>>, Failure> {
        Ok(None)
    }

    /// Opens the writer of one lane, on that lane's thread.
    ///
    /// # Errors
    /// When the output cannot be written.
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure>;

    /// Whether the sink's system answers.
    fn health(&self) -> Health {
        Health::Up
    }

    /// Rows taken and not yet acknowledged.
    fn in_flight(&self) -> u64 {
        0
    }

    /// Stops clients and threads; what is not acknowledged is given up. Blocks until they are gone, so that nothing of
    /// this run can be written afterwards.
    fn close(&self) {}
}

/// What a lane before an exchange says of event time, beside its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Nothing earlier than this comes any more; None before the first event.
    pub watermark: Option<Micros>,
    /// Everything in its partition is read, and nothing has come for a while: others need not wait for it.
    pub idle: bool,
    /// No record comes after it in this run.
    pub last: bool,
}

/// The output of one lane.
pub trait Writer {
    /// Encodes one row and holds it until `accept` or `reject`. Never waits.
    ///
    /// # Errors
    /// When the row can never be written: too large, or it cannot be encoded.
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError>;

    /// Asked when a `write` has failed: Some where the writer could not tell yet whether the row can be written. It
    /// resolves when it can; the record, rejected meanwhile, is then processed again, and none is before it. None where the
    /// failure is final.
    fn undecided(&mut self) -> Option<LocalFuture<Result<(), Failure>>> {
        None
    }

    /// Hands over what was written since the last call.
    ///
    /// # Errors
    /// When the output has failed: the run ends.
    fn accept(&mut self) -> Result<Readiness, Failure>;

    /// Forgets what was written since the last call.
    fn reject(&mut self);

    /// Resolves when the writer likes to take more. Asked of a writer that has said [`Readiness::Full`].
    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Resolves when every row handed over before this call is acknowledged. Later rows do not delay it. Dropping it
    /// is allowed.
    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>>;

    /// The trigger's moment: show what was collected for it. Called after the first interval of a run, and then only when
    /// records have come since the last call.
    ///
    /// # Errors
    /// When the output has failed.
    fn tick(&mut self, now: Micros) -> Result<(), Failure> {
        let _ = now;
        Ok(())
    }

    /// Called some times a second between two records on the writer of an exchange, where rows have event times: hand on
    /// what is new.
    ///
    /// # Errors
    /// When the output has failed.
    fn promise(&mut self, promise: Promise) -> Result<(), Failure> {
        let _ = promise;
        Ok(())
    }

    /// At a start, before anything is written: the bytes that the writer of this lane had prepared in the newest
    /// checkpoint, for one that goes on from there.
    ///
    /// # Errors
    /// When they are not of this output.
    fn resume(&mut self, prepared: &[u8]) -> Result<(), Failure> {
        let _ = prepared;
        Ok(())
    }

    /// Rows that are written from now on will be committed with this epoch. Called before the first row, and behind each
    /// `prepare`.
    fn epoch(&mut self, epoch: u64) {
        let _ = epoch;
    }

    /// What the cut carries. What that is of is taken before this returns; the future resolves when what it names
    /// would survive a crash, while later rows are being written. `last` says that no row comes after this cut in this run.
    fn prepare(&mut self, last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let _ = last;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// The epoch with these prepared bytes is committed: make visible what they name. Called in the order of epochs, and
    /// while earlier calls are still under way. What a lane does not get to is done by [`Sink::recover`].
    fn commit(&mut self, prepared: &[u8]) -> LocalFuture<Result<(), Failure>> {
        let _ = prepared;
        Box::pin(std::future::ready(Ok(())))
    }
}
