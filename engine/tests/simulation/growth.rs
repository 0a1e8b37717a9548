//! A query that grows a step beside kept state, under a seed: what is new is built from the rows read again.
//!
//! The query counts rows by key from the start. Once half of the rows are there it has a second step, which counts the rows
//! of windows, and a warm-up that reaches over everything. Whatever falls when, the kept counts are exact, no row is lost,
//! and every window that closes after the change has all its rows, also those from before.

use std::sync::Arc;

use actix::clock::sleep;
use smol_str::SmolStr;
use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::lane::OnError;
use thalweg_engine::flow::pipeline::{Step, Target};
use thalweg_engine::memory::{MemoryLog, MemorySource};
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::plan::{Input, Opened, Plan, Role, Side};
use thalweg_engine::record::{Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;

use super::counting::{Count, Windows, closed, fails, window};
use super::sink::SimulatedSink;
use super::{Bug, Shaky, World, quiet, seeds};

const PARTITIONS: usize = 3;
const ROWS: i64 = 80;

#[derive(Clone)]
struct Growing {
    world: World,
    log: MemoryLog,
    gathers: bool,
    /// Whether it has the second step already.
    grown: bool,
    /// Planted: the second step begins empty.
    forgets: bool,
}

/// Fails where the output would, so that a row that is read again is rejected again.
struct Refuses;

impl Operator for Refuses {
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
        if window(number(1)).is_none() && fails(number(2)) {
            return Err(RecordError::expression("planted: a row that fails"));
        }
        emit.emit(row, meta)
    }
}

impl Plan for Growing {
    fn open(&self, _: &str) -> Result<Opened, Failure> {
        if self.world.fault(10) {
            return Err(Failure::restart("planted: the broker is away"));
        }
        Ok(Opened {
            inputs: vec![Input {
                name: "in".into(),
                entries: vec![Target::Step { step: 0, input: 0 }],
                role: Role {
                    event_time: true,
                    table: false,
                },
                source: Arc::new(MemorySource::new(&self.log)),
            }],
            exchanges: Vec::new(),
            sink: Arc::new(SimulatedSink::new(&self.world)),
            on_error: OnError::Skip,
        })
    }

    fn steps(&self, _: Side, _: &[(SmolStr, SmolStr)]) -> Vec<Step> {
        let mut steps: Vec<(&str, Box<dyn Operator>)> =
            vec![("count", Box::new(Count::new(self.world.bug)))];
        if self.grown {
            steps.push(("windows", Box::new(Windows::new(self.world.bug))));
        }
        steps.push(("refuses", Box::new(Refuses)));
        steps.push(("shaky", Box::new(Shaky(self.world.clone()))));
        let last = steps.len() - 1;
        let steps = steps.into_iter().enumerate();
        let step = |(place, (name, operator)): (usize, (&str, Box<dyn Operator>))| Step {
            name: name.into(),
            operator,
            to: if place == last {
                Target::Writer
            } else {
                Target::Step {
                    step: place + 1,
                    input: 0,
                }
            },
        };
        steps.map(step).collect()
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn identity(&self) -> serde_json::Value {
        self.grown.into()
    }

    fn compare(&self, _: &serde_json::Value) -> Result<(), String> {
        Ok(())
    }

    fn lacks(&self, old: &serde_json::Value) -> Vec<SmolStr> {
        if self.grown && *old == false && !self.forgets {
            vec!["windows".into()]
        } else {
            Vec::new()
        }
    }
}

impl Growing {
    fn new(seed: u64, forgets: bool) -> Self {
        let world = World::new(seed, Bug::None);
        Self {
            gathers: world.dice.one_in(2),
            world,
            log: MemoryLog::new("in", Schema::new([]), PARTITIONS),
            grown: false,
            forgets,
        }
    }

    /// The last row that a window may end before without being written: the newest that was read before the second step was
    /// there.
    fn read(&self) -> Option<i64> {
        let log = CheckpointLog::new(Arc::new(self.world.clone()), 3, false);
        let newest = log.newest().ok()??;
        let number = |position: &Position| match position {
            Position::Number(number) => *number,
            Position::Token(_) | Position::Row(..) => 0,
        };
        let read = newest.partitions().map(|cut| number(&cut.position)).max();
        (newest.plan == serde_json::json!(false)).then(|| read.unwrap_or(0))
    }

    fn run(seed: u64, forgets: bool) -> Result<(), String> {
        let mut growing = Self::new(seed, forgets);
        let (world, dice) = (growing.world.clone(), growing.world.dice.clone());
        let (mut written, mut before) = (0, 0);
        let ended = world.lives(|fate| {
            growing.grown = written >= ROWS / 2;
            before = growing.read().unwrap_or(before);
            let log = growing.log.clone();
            let appending = async {
                while written < ROWS {
                    sleep(dice.millis(4)).await;
                    for partition in 0..PARTITIONS {
                        let row = [partition as i64, written].map(Value::BigInt);
                        log.append(partition, Ok(row.to_vec()));
                    }
                    written += 1;
                    if written == ROWS / 2 {
                        // The process ends here; the next one has the second step.
                        return;
                    }
                }
                std::future::pending::<()>().await;
            };
            let ended = growing
                .world
                .live(Arc::new(growing.clone()), fate, appending);
            (ended, written == ROWS)
        });
        ended.map_err(|failure| format!("seed {seed}: the query gave up: {failure}"))?;
        if let Some(wrong) = growing.world.wrong.lock().clone() {
            return Err(format!("seed {seed}: {wrong}"));
        }
        growing
            .expect_all(before)
            .map_err(|why| format!("seed {seed}: {why}"))
    }

    fn expect_all(&self, before: i64) -> Result<(), String> {
        let (delivered, windows) = (self.world.delivered.lock(), self.world.windows.lock());
        for partition in 0..PARTITIONS as i64 {
            let lost = |row: &i64| !fails(*row) && !delivered.contains_key(&(partition, *row));
            if let Some(row) = (0..ROWS).find(lost) {
                return Err(format!("row {row} of in/{partition} is lost"));
            }
            let after = closed(before).count() as i64;
            let lost = |window: &i64| *window >= after && !windows.contains(&(partition, *window));
            if let Some(window) = closed(ROWS - 1).find(lost) {
                return Err(format!("window {window} of in/{partition} is lost"));
            }
        }
        Ok(())
    }
}

#[test]
fn a_step_that_is_new_knows_what_came_before_it_whatever_fails() {
    quiet();
    for seed in seeds(300) {
        if let Err(violation) = Growing::run(seed, false) {
            panic!("{violation}");
        }
    }
}

#[test]
fn a_step_that_begins_empty_is_found() {
    quiet();
    assert!((0..20).any(|seed| Growing::run(seed, true).is_err()));
}
