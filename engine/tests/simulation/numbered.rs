//! A query whose lanes read the partitions of one number of two inputs, under a seed: rows of one place in both inputs meet.
//!
//! A row waits in the state of its lane until the other has come. At the end every pair was written, and none of rows that
//! lie in partitions of different numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::clock::sleep;
use parking_lot::Mutex;
use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySource};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::record::RecordMeta;
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use thalweg_engine::state::{Entries, StateChanges};

use super::{Bug, World, quiet, seeds};

const NUMBERS: usize = 3;
const ROWS: i64 = 50;

/// What outlives a crash beside the store.
#[derive(Clone)]
struct Meeting {
    world: World,
    sides: [MemoryLog; 2],
    /// Pairs that were written: the number of the partition, the place in it.
    pairs: Arc<Mutex<BTreeSet<(i64, i64)>>>,
}

/// Rows that wait for their partner, by side, partition and place.
type Waiting = BTreeSet<(u8, i64, i64)>;

struct Meet {
    world: World,
    waiting: Waiting,
    undo: Option<Waiting>,
}

impl Operator for Meet {
    fn process(
        &mut self,
        input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let (Value::BigInt(number), Value::BigInt(place)) = (&row[0], &row[1]) else {
            return Err(RecordError::expression("not a simulated row"));
        };
        let side = u8::from(input == 1);
        self.undo = Some(self.waiting.clone());
        assert!(!self.world.fault(400), "planted: the operator panicked");
        if self.waiting.remove(&(1 - side, *number, *place)) {
            return emit.emit(row, meta);
        }
        if !self.waiting.insert((side, *number, *place)) {
            let wrong = format!("row {place} of partition {number} came twice to side {side}");
            self.world.wrong.lock().get_or_insert(wrong);
        }
        Ok(())
    }

    fn accept(&mut self) {
        self.undo = None;
    }

    fn reject(&mut self) {
        if let Some(before) = self.undo.take() {
            self.waiting = before;
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        if self.world.bug == Bug::StateForgetsAChange && self.world.dice.one_in(3) {
            return None;
        }
        let mut entries = Entries::default();
        for (side, number, place) in &self.waiting {
            let key = [&[*side][..], &number.to_le_bytes(), &place.to_le_bytes()].concat();
            entries.put(&key, |_| {});
        }
        Some(StateChanges {
            whole: true,
            layout: "waiting".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        for (key, _) in &changes.last().expect("the whole").entries {
            let (number, place) = (number(&key[1..9]), number(&key[9..]));
            self.waiting.insert((key[0], number, place));
        }
        Ok(())
    }
}

/// Takes pairs at once.
struct Pairs(Meeting, Vec<(i64, i64)>);

impl Sink for Meeting {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(Pairs(self.clone(), Vec::new())))
    }
}

impl Writer for Pairs {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        if let [Value::BigInt(number), Value::BigInt(place)] = row {
            self.1.push((*number, *place));
        }
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.0.pairs.lock().extend(self.1.drain(..));
        Ok(Readiness::Ready)
    }

    fn reject(&mut self) {
        self.1.clear();
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

impl Plan for Meeting {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        if self.world.fault(10) {
            return Err(Failure::restart("planted: the broker is away"));
        }
        let side = |(input, log): (usize, &MemoryLog)| Input {
            name: SmolStr::new_static(["left", "right"][input]),
            entries: vec![Target::Step { step: 0, input }],
            role: Role::default(),
            source: Arc::new(MemorySource::new(log)),
        };
        Ok(Opened {
            inputs: self.sides.iter().enumerate().map(side).collect(),
            exchanges: Vec::new(),
            sink: Arc::new(self.clone()),
            on_error: OnError::Fail,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        vec![Step {
            name: "meet".into(),
            operator: Box::new(Meet {
                world: self.world.clone(),
                waiting: Waiting::default(),
                undo: None,
            }),
            to: Target::Writer,
        }]
    }

    fn gathers(&self) -> bool {
        false
    }

    fn number(&self, _: &str, partition: &str) -> Option<u32> {
        partition.rsplit_once('/')?.1.parse().ok()
    }

    fn identity(&self) -> serde_json::Value {
        serde_json::json!({})
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }
}

impl Meeting {
    fn run(seed: u64, bug: Bug) -> Result<(), String> {
        let log = |name: &str| MemoryLog::new(name, Schema::new([]), NUMBERS);
        let meeting = Self {
            world: World::new(seed, bug),
            sides: [log("l"), log("r")],
            pairs: Arc::default(),
        };
        let dice = meeting.world.dice.clone();
        let mut written = [0; 2];
        let ended = meeting.world.lives(|fate| {
            // Now one side is ahead, now the other.
            let appending = async {
                while written != [ROWS; 2] {
                    sleep(dice.millis(3)).await;
                    let side = if dice.one_in(2) { 1 } else { 0 };
                    if written[side] == ROWS {
                        continue;
                    }
                    for number in 0..NUMBERS {
                        let row = [number as i64, written[side]].map(Value::BigInt);
                        meeting.sides[side].append(number, Ok(row.to_vec()));
                    }
                    written[side] += 1;
                }
            };
            let plan = Arc::new(meeting.clone());
            let ended = meeting.world.live(plan, fate, appending);
            (ended, written == [ROWS; 2])
        });
        ended.map_err(|failure| format!("seed {seed}: the query gave up: {failure}"))?;
        if let Some(wrong) = meeting.world.wrong.lock().clone() {
            return Err(format!("seed {seed}: {wrong}"));
        }
        let pairs = meeting.pairs.lock();
        for number in 0..NUMBERS as i64 {
            if let Some(place) = (0..ROWS).find(|place| !pairs.contains(&(number, *place))) {
                return Err(format!(
                    "seed {seed}: the rows {place} of both partitions {number} did not meet"
                ));
            }
        }
        Ok(())
    }
}

#[test]
fn rows_in_partitions_of_one_number_meet_whatever_fails() {
    quiet();
    for seed in seeds(300) {
        if let Err(violation) = Meeting::run(seed, Bug::None) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_side_that_is_forgotten_is_found() {
    quiet();
    assert!((0..100).any(|seed| Meeting::run(seed, Bug::StateForgetsAChange).is_err()));
}
