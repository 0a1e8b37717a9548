//! A log, a source and a sink in memory: for tests, examples and pipelines built in Rust.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use futures_util::Stream;
use parking_lot::Mutex;
use smol_str::{SmolStr, format_smolstr};

use crate::clock::now;
use crate::error::{Failure, RecordError};
use crate::record::{Body, Partition, Position, Record, RecordMeta};
use crate::row::{Row, Value};
use crate::schema::Schema;
use crate::sink::{DeliveryObserver, LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use crate::source::{RecordStream, Resume, Source, SourceEvent, Start};

/// What one entry of a log holds: a row, or an error of decoding it.
pub type Entry = Result<Row, RecordError>;

#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    waiting: Vec<Waker>,
}

/// Partitions of rows that can be appended to while they are read. Cheap to clone; clones share the rows.
#[derive(Clone)]
pub struct MemoryLog {
    name: SmolStr,
    schema: Schema,
    partitions: Arc<Mutex<Vec<Log>>>,
}

impl MemoryLog {
    /// A log of this many empty partitions, named `name/0`, `name/1` and so on.
    pub fn new(name: impl Into<SmolStr>, schema: Schema, partitions: usize) -> Self {
        let log = Self {
            name: name.into(),
            schema,
            partitions: Arc::default(),
        };
        log.grow(partitions);
        log
    }

    /// Adds partitions.
    pub fn grow(&self, by: usize) {
        let mut partitions = self.partitions.lock();
        partitions.extend((0..by).map(|_| Log::default()));
    }

    /// Appends to a partition; one that does not exist takes nothing.
    pub fn append(&self, partition: usize, entry: Entry) {
        if let Some(log) = self.partitions.lock().get_mut(partition) {
            log.entries.push(entry);
            for waker in log.waiting.drain(..) {
                waker.wake();
            }
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns of its rows.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    fn partition_name(&self, index: usize) -> SmolStr {
        format_smolstr!("{}/{index}", self.name)
    }

    fn index(&self, partition: &str) -> Option<usize> {
        let index = partition.strip_prefix(self.name.as_str())?;
        index.strip_prefix('/')?.parse().ok()
    }
}

/// Reads a [`MemoryLog`]; positions are indexes.
pub struct MemorySource {
    log: MemoryLog,
    /// The places of the columns that its rows have; None for all.
    wanted: Option<Arc<[usize]>>,
    /// Where the partitions end, by index, once that was told.
    ends: Arc<Mutex<Option<Vec<usize>>>>,
    /// How many rows of each partition a run with an end reads; None for those that are there.
    known: Option<i64>,
}

impl MemorySource {
    /// A source over this log.
    pub fn new(log: &MemoryLog) -> Self {
        Self {
            log: log.clone(),
            wanted: None,
            ends: Arc::default(),
            known: None,
        }
    }

    /// The same source, whose rows have the columns at these places; NULL where the log has none.
    #[must_use]
    pub fn with_columns(mut self, places: &[usize]) -> Self {
        self.wanted = Some(places.into());
        self
    }

    /// The same source, of which more is known to come: a run with an end reads so many rows of each partition, also those that
    /// are not there yet.
    #[must_use]
    pub fn with_end(mut self, rows: i64) -> Self {
        self.known = Some(rows);
        self
    }
}

impl Source for MemorySource {
    fn schema(&self) -> &Schema {
        &self.log.schema
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let count = self.log.partitions.lock().len();
        Ok((0..count)
            .map(|index| {
                let partition = self.log.partition_name(index);
                let position = resume
                    .and_then(|resume| resume.positions.get(&partition).cloned())
                    .unwrap_or(Position::Number(0));
                Start {
                    partition,
                    position,
                    after: Vec::new(),
                }
            })
            .collect())
    }

    fn discover(&self, known: &[SmolStr]) -> Result<Vec<Start>, Failure> {
        let mut starts = self.resolve(None)?;
        starts.retain(|start| !known.contains(&start.partition));
        Ok(starts)
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let partitions = self.log.partitions.lock();
        Ok(partitions
            .iter()
            .enumerate()
            .map(|(index, log)| {
                let there = || i64::try_from(log.entries.len()).unwrap_or(i64::MAX);
                let end = self.known.unwrap_or_else(there);
                (self.log.partition_name(index), Position::Number(end))
            })
            .collect())
    }

    /// A row is a microsecond after the one before it.
    fn back(&self, starts: &[Start], by: Duration) -> Result<Option<Vec<Position>>, Failure> {
        let by = usize::try_from(by.as_micros()).unwrap_or(usize::MAX);
        let back = |start: &Start| match number(&start.position) {
            Some(number) => Position::Number(i64::try_from(number.saturating_sub(by)).unwrap_or(0)),
            None => start.position.clone(),
        };
        Ok(Some(starts.iter().map(back).collect()))
    }

    fn finish(&self) -> Result<(), Failure> {
        let mut partitions = self.log.partitions.lock();
        let ends = partitions.iter().map(|log| log.entries.len()).collect();
        *self.ends.lock() = Some(ends);
        for waker in partitions.iter_mut().flat_map(|log| log.waiting.drain(..)) {
            waker.wake();
        }
        Ok(())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let (Some(index), Some(next)) = (self.log.index(&partition.name), number(from)) else {
            return Err(Failure::end(format!(
                "{partition} at {from} is not of this log"
            )));
        };
        Ok(Box::pin(MemoryStream {
            log: self.log.clone(),
            wanted: self.wanted.clone(),
            ends: Arc::clone(&self.ends),
            index,
            next,
            until: until.and_then(number),
            partition: Arc::clone(partition),
            caught_up: false,
            over: false,
        }))
    }
}

fn number(position: &Position) -> Option<usize> {
    match position {
        Position::Number(number) => usize::try_from(*number).ok(),
        Position::Token(_) | Position::Row(..) => None,
    }
}

struct MemoryStream {
    log: MemoryLog,
    wanted: Option<Arc<[usize]>>,
    ends: Arc<Mutex<Option<Vec<usize>>>>,
    index: usize,
    next: usize,
    until: Option<usize>,
    partition: Arc<Partition>,
    caught_up: bool,
    over: bool,
}

impl Stream for MemoryStream {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        if self.over {
            return Poll::Ready(None);
        }
        let told = self.ends.lock().as_ref().map(|ends| ends[self.index]);
        if told.or(self.until).is_some_and(|until| self.next >= until) {
            self.over = true;
            return Poll::Ready(Some(SourceEvent::Ended));
        }
        let mut partitions = self.log.partitions.lock();
        let Some(log) = partitions.get_mut(self.index) else {
            return Poll::Ready(None);
        };
        let Some(entry) = log.entries.get(self.next).cloned() else {
            log.waiting.push(context.waker().clone());
            drop(partitions);
            if !std::mem::replace(&mut self.caught_up, true) {
                return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
            }
            return Poll::Pending;
        };
        drop(partitions);
        let position = i64::try_from(self.next).unwrap_or(i64::MAX);
        self.next += 1;
        self.caught_up = false;
        Poll::Ready(Some(SourceEvent::Record(Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: Position::Number(position),
                record_time: None,
                event_time: None,
                watermark: None,
                taken_at: now(),
                taken: Instant::now(),
            },
            next: Position::Number(position + 1),
            body: match (entry, &self.wanted) {
                (Ok(row), None) => Body::Row(row),
                (Ok(row), Some(wanted)) => {
                    let column = |place: &usize| row.get(*place).cloned().unwrap_or_default();
                    Body::Row(wanted.iter().map(column).collect())
                }
                (Err(error), _) => Body::Bad(Box::new(error)),
            },
            size: 0,
            raw: None,
        })))
    }
}

/// Collects rows; acknowledges at once.
#[derive(Clone, Default)]
pub struct MemorySink {
    rows: Arc<Mutex<Vec<Row>>>,
}

impl MemorySink {
    /// All rows so far, in the order of their arrival.
    pub fn rows(&self) -> Vec<Row> {
        self.rows.lock().clone()
    }

    /// Gives the rows out; those that come later are the first again.
    pub fn take(&self) -> Vec<Row> {
        std::mem::take(&mut *self.rows.lock())
    }
}

impl Sink for MemorySink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(MemoryWriter {
            rows: Arc::clone(&self.rows),
            staged: Vec::new(),
            observer: context.observer,
        }))
    }
}

struct MemoryWriter {
    rows: Arc<Mutex<Vec<Row>>>,
    staged: Vec<Row>,
    observer: Arc<dyn DeliveryObserver>,
}

impl Writer for MemoryWriter {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        self.staged.push(row.to_vec());
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.observer.acknowledged(self.staged.len() as u64, 0);
        self.rows.lock().append(&mut self.staged);
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
