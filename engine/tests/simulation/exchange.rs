//! A query with an exchange under a seed: a log in memory that keeps what was written twice, crashes at any moment.
//!
//! The writing side deals rows over two partitions of the log by key, each with its coordinate and the one before it on its
//! way. The reading side drops what it has seen, ends at a gap, and counts by key. At the end every row was counted once: the
//! counts of a key are 1, 2, 3 and so on, and a row that was answered twice was answered the same.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use actix::clock::sleep;
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySource};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Exchange, Input, Opened, Plan, Role, Side};
use thalweg_engine::record::{Position, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{LocalFuture, Origin, Prepared, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::state::{Entries, StateChanges};
use tokio::sync::Notify;

use super::{Bug, World, quiet, seeds};

const WAYS: usize = 3;
const OUTS: usize = 2;
const ROWS: i64 = 60;
const KEYS: i64 = 5;

fn key(way: i64, offset: i64) -> i64 {
    (way + offset) % KEYS
}

/// What outlives a crash beside the store: input, log and answers.
#[derive(Clone)]
struct Topics {
    world: World,
    input: MemoryLog,
    log: MemoryLog,
    /// By way and offset the count that was answered.
    answers: Arc<Mutex<BTreeMap<(i64, i64), i64>>>,
}

/// What is on its way to one partition of the log, in order, and how many have arrived.
#[derive(Default)]
struct Way {
    rows: VecDeque<Row>,
    arrived: usize,
}

type Queue = Arc<Mutex<Way>>;

/// The client that writes the log in one run. When it goes, of each queue a beginning has arrived.
struct LogSink {
    topics: Topics,
    queues: Vec<Queue>,
    moved: Arc<Notify>,
}

impl LogSink {
    fn gone(&self) {
        for (out, queue) in self.queues.iter().enumerate() {
            let mut queue = queue.lock();
            let arrives = self.topics.world.dice.roll(queue.rows.len() as u64 + 1);
            for row in queue.rows.drain(..).take(arrives as usize) {
                self.topics.arrive(out, row);
            }
        }
    }
}

impl Drop for LogSink {
    fn drop(&mut self) {
        self.gone();
    }
}

impl Sink for LogSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let way = context.lane.strip_prefix("in:in/").unwrap();
        Ok(Box::new(LogWriter {
            topics: self.topics.clone(),
            way: way.parse().unwrap(),
            queues: self.queues.clone(),
            moved: Arc::clone(&self.moved),
            last: vec![-1; OUTS],
            staged: Vec::new(),
        }))
    }

    fn close(&self) {
        self.gone();
    }
}

struct LogWriter {
    topics: Topics,
    way: i64,
    queues: Vec<Queue>,
    moved: Arc<Notify>,
    /// The last offset of each way; -1 where there is none.
    last: Vec<i64>,
    staged: Vec<i64>,
}

impl LogWriter {
    /// Resolves when nothing that was written before is on its way.
    fn written(&self) -> LocalFuture<Result<(), Failure>> {
        let all = |queue: &Queue| {
            let queue = queue.lock();
            queue.arrived + queue.rows.len()
        };
        let marks: Vec<usize> = self.queues.iter().map(all).collect();
        let (queues, moved) = (self.queues.clone(), Arc::clone(&self.moved));
        Box::pin(async move {
            loop {
                let heard = moved.notified();
                let reached = |(queue, mark): (&Queue, &usize)| queue.lock().arrived >= *mark;
                if queues.iter().zip(&marks).all(reached) {
                    return Ok(());
                }
                heard.await;
            }
        })
    }
}

impl Writer for LogWriter {
    fn write(&mut self, _: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        let Position::Number(offset) = origin.meta.position else {
            return Err(RecordError::write("no offset"));
        };
        self.staged.push(offset);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        for offset in std::mem::take(&mut self.staged) {
            let key = key(self.way, offset);
            let out = usize::try_from(key).unwrap() % OUTS;
            let before = std::mem::replace(&mut self.last[out], offset);
            let row = [self.way, offset, before, key].map(Value::BigInt).to_vec();
            let queue = Arc::clone(&self.queues[out]);
            queue.lock().rows.push_back(row);
            let (topics, moved) = (self.topics.clone(), Arc::clone(&self.moved));
            let delay = self.topics.world.dice.millis(8);
            actix::spawn(async move {
                sleep(delay).await;
                // The oldest arrives first, whoever's time has come.
                let mut queue = queue.lock();
                if let Some(row) = queue.rows.pop_front() {
                    queue.arrived += 1;
                    topics.arrive(out, row);
                }
                drop(queue);
                moved.notify_waiters();
            });
        }
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.written()
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        if self.topics.world.bug == Bug::EndIsToldTooEarly {
            return Box::pin(std::future::ready(Ok(())));
        }
        self.written()
    }

    fn prepare(&mut self, _: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let chain = self.last.iter().flat_map(|last| last.to_le_bytes());
        let chain: Vec<u8> = chain.collect();
        Box::pin(std::future::ready(Ok(Some(chain.into()))))
    }

    fn resume(&mut self, prepared: &[u8]) -> Result<(), Failure> {
        let chain = prepared.as_chunks::<8>().0;
        self.last = chain.iter().map(|last| i64::from_le_bytes(*last)).collect();
        Ok(())
    }
}

/// Drops what was seen, ends at a gap, counts by key.
struct Counting {
    world: World,
    /// Marks by way, then counts by key.
    numbers: [BTreeMap<i64, i64>; 2],
    undo: Option<[BTreeMap<i64, i64>; 2]>,
}

impl Operator for Counting {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let number = |place: usize| match row[place] {
            Value::BigInt(number) => number,
            _ => -1,
        };
        let (way, offset, before, key) = (number(0), number(1), number(2), number(3));
        self.undo = Some(self.numbers.clone());
        let mark = self.numbers[0].entry(way).or_insert(-1);
        if *mark >= offset {
            return Ok(());
        }
        if before > *mark {
            return Err(RecordError::broken("a gap"));
        }
        assert!(!self.world.fault(400), "planted: the operator panicked");
        *mark = offset;
        let count = self.numbers[1].entry(key).or_insert(0);
        *count += 1;
        emit.emit(&[way, offset, *count].map(Value::BigInt), meta)
    }

    fn accept(&mut self) {
        self.undo = None;
    }

    fn reject(&mut self) {
        if let Some(before) = self.undo.take() {
            self.numbers = before;
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        let mut entries = Entries::default();
        for (which, numbers) in (0_u8..).zip(&self.numbers) {
            if which == 0 && self.world.bug == Bug::MarksAreForgotten {
                continue;
            }
            for (name, number) in numbers {
                let key = [&[which][..], &name.to_le_bytes()].concat();
                entries.put(&key, |out| out.extend(number.to_le_bytes()));
            }
        }
        Some(StateChanges {
            whole: true,
            layout: "numbers".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        for (key, value) in &changes.last().expect("the whole").entries {
            let numbers = &mut self.numbers[usize::from(key[0])];
            numbers.insert(number(&key[1..]), number(value.expect("a number")));
        }
        Ok(())
    }
}

/// Takes answers at once; a row that is answered twice must be answered the same.
#[derive(Clone)]
struct Answers(Topics, Vec<(i64, i64, i64)>);

impl Sink for Answers {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(self.clone()))
    }
}

impl Writer for Answers {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        if let [
            Value::BigInt(way),
            Value::BigInt(offset),
            Value::BigInt(count),
        ] = row
        {
            self.1.push((*way, *offset, *count));
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        for (way, offset, count) in self.1.drain(..) {
            let before = self.0.answers.lock().insert((way, offset), count);
            if before.is_some_and(|before| before != count) {
                let wrong = format!("row {offset} of in/{way}: {before:?}, then {count}");
                self.0.world.wrong.lock().get_or_insert(wrong);
            }
        }
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.1.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Halves(Topics);

impl Plan for Halves {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        let topics = &self.0;
        if topics.world.fault(10) {
            return Err(Failure::restart("planted: the broker is away"));
        }
        let input = |name: &'static str, entry, log| Input {
            name: SmolStr::new_static(name),
            entries: vec![entry],
            role: Role::default(),
            source: Arc::new(MemorySource::new(log)),
        };
        let first = Target::Step { step: 0, input: 0 };
        Ok(Opened {
            inputs: vec![input("in", Target::Writer, &topics.input)],
            exchanges: vec![Exchange {
                of: "in".into(),
                input: input("log", first, &topics.log),
                sink: Arc::new(LogSink {
                    topics: topics.clone(),
                    queues: (0..OUTS).map(|_| Queue::default()).collect(),
                    moved: Arc::default(),
                }),
            }],
            sink: Arc::new(Answers(topics.clone(), Vec::new())),
            on_error: OnError::Skip,
        })
    }

    fn steps(&self, side: Side, before: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        if side != Side::Behind {
            return Vec::new();
        }
        assert!(before.is_empty() || before.len() == WAYS, "{before:?}");
        vec![Step {
            name: "count".into(),
            operator: Box::new(Counting {
                world: self.0.world.clone(),
                numbers: Default::default(),
                undo: None,
            }),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Topics {
    fn arrive(&self, out: usize, row: Row) {
        if self.world.bug != Bug::LogLosesARow || !self.world.dice.one_in(80) {
            self.log.append(out, Ok(row));
        }
    }

    fn new(seed: u64, bug: Bug) -> Self {
        let log = |name: &str, partitions| MemoryLog::new(name, Schema::new([]), partitions);
        Self {
            input: log("in", WAYS),
            log: log("log", OUTS),
            answers: Arc::default(),
            world: World::new(seed, bug),
        }
    }

    fn run(seed: u64, bug: Bug) -> Result<(), String> {
        let topics = Self::new(seed, bug);
        let mut written = 0;
        let ended = topics.world.lives(|fate| {
            let appending = async {
                while written < ROWS {
                    sleep(topics.world.dice.millis(6)).await;
                    (0..WAYS).for_each(|way| topics.input.append(way, Ok(Row::new())));
                    written += 1;
                }
            };
            let plan = Arc::new(Halves(topics.clone()));
            let ended = topics.world.live(plan, fate, appending);
            (ended, written == ROWS)
        });
        match ended {
            Err(failure) if failure.message.contains("a gap") => {
                topics.account(seed, false)?;
                return Err(format!("seed {seed}: {failure}"));
            }
            Err(failure) => return Err(format!("seed {seed}: the query gave up: {failure}")),
            Ok(()) => {}
        }
        topics.account(seed, true)
    }

    /// The counts of each key are 1, 2, 3 and so on; and where the run got to its end, every row was answered.
    fn account(&self, seed: u64, ended: bool) -> Result<(), String> {
        if let Some(wrong) = self.world.wrong.lock().clone() {
            return Err(format!("seed {seed}: {wrong}"));
        }
        let answers = self.answers.lock();
        let mut counts: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for way in 0..WAYS as i64 {
            for offset in 0..ROWS {
                let Some(count) = answers.get(&(way, offset)) else {
                    if !ended {
                        continue;
                    }
                    return Err(format!("seed {seed}: row {offset} of in/{way} is lost"));
                };
                counts.entry(key(way, offset)).or_default().push(*count);
            }
        }
        for (key, mut counts) in counts {
            counts.sort_unstable();
            let all = (1_i64..).take(counts.len());
            if !counts.iter().copied().eq(all) {
                return Err(format!(
                    "seed {seed}: the counts of key {key} are {counts:?}"
                ));
            }
        }
        Ok(())
    }
}

#[test]
fn every_row_goes_through_an_exchange_once_whatever_fails() {
    quiet();
    for seed in seeds(300) {
        if let Err(violation) = Topics::run(seed, Bug::None) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_log_that_loses_rows_ends_the_query_and_never_gives_a_wrong_count() {
    quiet();
    let mut gaps = 0;
    for seed in 0..100 {
        match Topics::run(seed, Bug::LogLosesARow) {
            Ok(()) => {}
            Err(why) if why.contains("a gap") => gaps += 1,
            // The last row of a way has none behind it.
            Err(why) => assert!(why.contains("is lost"), "{why}"),
        }
    }
    assert!(gaps > 50, "{gaps}");
}

#[test]
fn marks_that_are_forgotten_are_found() {
    quiet();
    assert!((0..100).any(|seed| Topics::run(seed, Bug::MarksAreForgotten).is_err()));
}

#[test]
fn an_end_that_is_told_before_all_is_delivered_is_found() {
    quiet();
    assert!((0..200).any(|seed| Topics::run(seed, Bug::EndIsToldTooEarly).is_err()));
}
