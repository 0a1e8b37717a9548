//! An output that keeps what is not complete beside the checkpoints, written by processes that hand lanes on to each other under a
//! seed: every request may be held up, and its answer lost.
//!
//! At every moment each row can be seen once at most; at the end all can.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Read as _};
use std::sync::Arc;

use actix::clock::sleep;
use parking_lot::Mutex;
use serde_json::json;
use thalweg_engine::epoch::checkpoint::ObjectRef;
use thalweg_engine::epoch::segment::{self, Span};
use thalweg_engine::epoch::store::Store;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::sink::{
    Beside, LocalFuture, Origin, Prepared, Readiness, Recovered, Sink, TakenOver, Writer,
    WriterContext,
};
use thalweg_engine::workers::Workers;

use crate::files::{Disk, is_found, play};
use crate::seeds;
use crate::world::{Dice, World};

/// What may be wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// Epochs do not name the objects that they need.
    NotNamed,
    /// An epoch is reported before its rows are there.
    Hasty,
    /// A part that is complete is shown with what was not committed of others.
    OpenPartsAreShown,
}

/// A strand of a part: its segment, and where it stands there.
type Strands = Vec<(String, u64, u64)>;

/// What a cut says of a part: its name, its strands, whether it is complete.
type Named = Vec<(String, Strands, bool)>;

/// The output of one run of a process.
pub(crate) struct BesideSink {
    pub(crate) disk: Disk,
    pub(crate) dice: Dice,
    pub(crate) run: String,
    pub(crate) next: Arc<Mutex<u64>>,
    pub(crate) workers: Workers,
    pub(crate) bug: Bug,
}

fn named(prepared: &[u8]) -> Named {
    serde_json::from_slice(prepared).expect("what was prepared")
}

/// The rows of a part.
fn read(store: &dyn Store, strands: &Strands) -> io::Result<Vec<Row>> {
    let mut text = String::new();
    for (name, from, length) in strands {
        let span = Span {
            from: *from,
            length: *length,
        };
        segment::read(store, &format!("state/{name}"), span)?.read_to_string(&mut text)?;
    }
    let rows = text.lines().map(|line| {
        let numbers: Vec<i64> = serde_json::from_str(line).expect("a row");
        numbers.into_iter().map(Value::BigInt).collect()
    });
    Ok(rows.collect())
}

impl Sink for BesideSink {
    fn take_over(&self, taken: &TakenOver<'_>) -> Result<Recovered, Failure> {
        for bytes in taken.recovery.prepared.values() {
            for (name, strands, _) in named(bytes) {
                if self.dice.below(20) == 0 {
                    return Err(Failure::restart("planted: the store is away"));
                }
                self.dice.hold();
                let rows = read(taken.recovery.store, &strands)
                    .map_err(|error| Failure::restart(error.to_string()))?;
                self.dice.hold();
                self.disk.show(&name, rows);
            }
        }
        Ok(Recovered::Done)
    }

    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(BesideWriter {
            disk: self.disk.clone(),
            dice: self.dice.clone(),
            run: self.run.clone(),
            next: Arc::clone(&self.next),
            workers: self.workers.clone(),
            bug: self.bug,
            beside: context.beside.expect("checkpoints"),
            staged: Vec::new(),
            parts: Vec::new(),
            shown: Arc::default(),
        }))
    }
}

/// A segment once it is there: its bytes and its strands.
type Put = Arc<Mutex<Option<(u64, Vec<Span>)>>>;

/// A part that is not visible.
#[derive(Clone)]
struct Part {
    name: String,
    loose: Vec<u8>,
    /// Its segments, and which strand of each is its own.
    strands: Vec<(String, Put, usize)>,
    complete: bool,
}

struct BesideWriter {
    disk: Disk,
    dice: Dice,
    run: String,
    next: Arc<Mutex<u64>>,
    workers: Workers,
    bug: Bug,
    beside: Beside,
    staged: Vec<Row>,
    parts: Vec<Part>,
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl BesideWriter {
    fn number(&self) -> u64 {
        let mut next = self.next.lock();
        *next += 1;
        *next
    }

    fn append(&mut self, row: &Row) {
        if self.parts.last().is_none_or(|part| part.complete) {
            self.parts.push(Part {
                name: format!("{}-{}", self.run, self.number()),
                loose: Vec::new(),
                strands: Vec::new(),
                complete: false,
            });
        }
        let numbers = row.iter().map(|value| match value {
            Value::BigInt(number) => *number,
            other => panic!("not a number: {other:?}"),
        });
        let numbers: Vec<i64> = numbers.collect();
        let complete = self.dice.below(40) == 0;
        if let Some(part) = self.parts.last_mut() {
            part.loose.extend(format!("{}\n", json!(numbers)).bytes());
            part.complete |= complete;
        }
    }

    /// Puts what came since the last cut as one object; resolves when it is there.
    fn put(&mut self) -> LocalFuture<()> {
        let name = format!("{}-{:06}-rows", self.run, self.number());
        let put = Put::default();
        let mut strands = Vec::new();
        for part in self.parts.iter_mut().filter(|part| !part.loose.is_empty()) {
            part.strands
                .push((name.clone(), Arc::clone(&put), strands.len()));
            strands.push(std::mem::take(&mut part.loose));
        }
        if strands.is_empty() {
            return Box::pin(std::future::ready(()));
        }
        let (store, workers) = (Arc::clone(&self.beside.store), self.workers.clone());
        let delay = self.dice.millis(30);
        let strands = Arc::new(strands);
        Box::pin(async move {
            loop {
                let (store, strands) = (Arc::clone(&store), Arc::clone(&strands));
                let object = format!("state/{name}");
                let written = workers.run(move || segment::write(&*store, &object, &strands));
                if let Some(Ok(done)) = written.await {
                    *put.lock() = Some(done);
                    return;
                }
                sleep(delay).await;
            }
        })
    }
}

impl Writer for BesideWriter {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        self.staged.push(row.to_vec());
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        for row in std::mem::take(&mut self.staged) {
            self.append(&row);
        }
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn prepare(&mut self, last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        if last || self.dice.below(8) == 0 {
            self.parts.iter_mut().for_each(|part| part.complete = true);
        }
        let shown = std::mem::take(&mut *self.shown.lock());
        self.parts.retain(|part| !shown.contains(&part.name));
        let put = self.put();
        let (parts, bug) = (self.parts.clone(), self.bug);
        Box::pin(async move {
            if bug == Bug::Hasty {
                actix::spawn(put);
            } else {
                put.await;
            }
            let mut objects = BTreeMap::new();
            let mut named = Named::new();
            for part in parts {
                let mut strands = Strands::new();
                for (name, put, place) in part.strands {
                    let (bytes, spans) = loop {
                        if let Some(put) = put.lock().clone() {
                            break put;
                        }
                        if bug == Bug::Hasty {
                            let guess = Span {
                                from: 60,
                                length: 9,
                            };
                            break (9, vec![guess; place + 1]);
                        }
                        sleep(std::time::Duration::from_millis(1)).await;
                    };
                    strands.push((name.clone(), spans[place].from, spans[place].length));
                    objects.insert(name, bytes);
                }
                named.push((part.name, strands, part.complete));
            }
            let objects = objects.into_iter();
            let objects = objects.map(|(name, bytes)| ObjectRef { name, bytes });
            let objects = objects.filter(|_| bug != Bug::NotNamed).collect();
            let bytes = json!(named).to_string().into_bytes();
            Ok((!named.is_empty()).then_some(Prepared { bytes, objects }))
        })
    }

    fn commit(&mut self, prepared: &[u8]) -> LocalFuture<Result<(), Failure>> {
        let early = self.bug == Bug::OpenPartsAreShown;
        let parts = named(prepared).into_iter();
        let parts: Named = parts
            .filter(|(_, _, complete)| *complete || early)
            .collect();
        let (delay, workers) = (self.dice.millis(200), self.workers.clone());
        let (disk, dice, beside) = (self.disk.clone(), self.dice.clone(), self.beside.clone());
        let shown = Arc::clone(&self.shown);
        Box::pin(async move {
            sleep(delay).await;
            let work = move || -> io::Result<()> {
                for (name, strands, _) in parts {
                    let rows = match read(&*beside.store, &strands) {
                        Err(error) if error.kind() == ErrorKind::NotFound && !(beside.owned)()? => {
                            continue;
                        }
                        rows => rows?,
                    };
                    dice.hold();
                    if (beside.owned)()? {
                        disk.show(&name, rows);
                        shown.lock().insert(name);
                    }
                }
                Ok(())
            };
            match workers.run(work).await {
                Some(Err(error)) => Err(Failure::restart(format!("it cannot be shown: {error}"))),
                _ => Ok(()),
            }
        })
    }
}

#[test]
fn rows_beside_the_checkpoints_of_lanes_that_are_handed_on_are_shown_once() {
    for seed in 0..seeds() {
        play(World::new, seed, Disk::beside(Bug::None));
    }
}

#[test]
fn rows_beside_the_checkpoints_are_shown_once_whatever_is_held_up_in_the_middle() {
    for seed in 0..seeds() / 5 {
        play(World::held_up, seed, Disk::beside(Bug::None));
    }
}

#[test]
fn epochs_that_do_not_name_what_they_need_are_found() {
    assert!(is_found(|| Disk::beside(Bug::NotNamed)));
}

#[test]
fn an_epoch_that_is_reported_before_its_rows_are_there_is_found() {
    assert!(is_found(|| Disk::beside(Bug::Hasty)));
}

#[test]
fn open_parts_that_are_shown_are_found() {
    assert!(is_found(|| Disk::beside(Bug::OpenPartsAreShown)));
}
