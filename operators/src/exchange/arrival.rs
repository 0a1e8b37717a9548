//! The first step behind an exchange: drops what was seen, ends the run at a gap, knows how far event time is.
//!
//! It keeps for each partition of the input the newest coordinate that came and the watermark it was promised. Both are in
//! the cut with the position in the topic, so that a restart goes on where it was. A row is late only against its own
//! partition's watermark; what is behind closes windows on the minimum of all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::watermark::Watermarks;
use thalweg_engine::operator::{Emit, Operator};
use thalweg_engine::record::{Micros, Partition, Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

use super::coordinate::{self, Coordinate, Verdict, gap, judge};
use crate::stateful::bytes::{read_varint, unzigzag, write_varint, zigzag};

/// What the saved bytes mean.
const LAYOUT: &str = r#"{"exchange":1}"#;

/// What a way costs in memory, about.
const WAY_BYTES: u64 = 160;

/// What is known of the rows of one partition of the input.
struct Way {
    partition: Arc<Partition>,
    mark: Option<Coordinate>,
}

/// The step.
pub(crate) struct Arrival {
    /// How many columns a row has, before the facts.
    width: usize,
    input: SmolStr,
    /// Whether rows have event times.
    timed: bool,
    /// The partitions that the input begins with: all of them hold the watermark back, also before their first row.
    before: BTreeSet<SmolStr>,
    /// By number.
    ways: Vec<Way>,
    numbers: HashMap<SmolStr, usize>,
    /// By the same numbers.
    watermarks: Watermarks,
    /// The mark that the record being processed will leave.
    pending: Option<(usize, Coordinate)>,
    /// The one that a rejected record would have left.
    rejected: Option<(usize, Coordinate)>,
    changed: bool,
}

/// The facts of a record as they stand behind its row.
struct Facts {
    at: Option<Coordinate>,
    prev: Option<Coordinate>,
    event_time: Option<Micros>,
    watermark: Option<Micros>,
    idle: bool,
}

impl Facts {
    fn of(facts: &[Value]) -> Self {
        let number = |place: usize| match facts.get(place) {
            Some(Value::BigInt(number)) => Some(*number),
            _ => None,
        };
        let time = |place: usize| match facts.get(place) {
            Some(Value::Timestamp(time)) => Some(*time),
            _ => None,
        };
        let coordinate = |offset: usize| {
            Some(Coordinate {
                offset: number(offset)?,
                index: u32::try_from(number(offset + 1)?).ok()?,
            })
        };
        Self {
            at: coordinate(1),
            prev: coordinate(3),
            event_time: time(5),
            watermark: time(6),
            idle: matches!(facts.get(7), Some(Value::Boolean(true))),
        }
    }
}

impl Arrival {
    /// The step of one lane. `before` names the partitions of the input.
    pub(crate) fn new(width: usize, input: &str, timed: bool, before: &[SmolStr]) -> Self {
        let mut arrival = Self {
            width,
            input: SmolStr::new(input),
            timed,
            before: before.iter().cloned().collect(),
            ways: Vec::new(),
            numbers: HashMap::new(),
            watermarks: Watermarks::default(),
            pending: None,
            rejected: None,
            changed: false,
        };
        for name in before {
            arrival.add(name, None, None, timed);
        }
        arrival
    }

    fn add(
        &mut self,
        name: &SmolStr,
        mark: Option<Coordinate>,
        watermark: Option<Micros>,
        counts: bool,
    ) -> usize {
        self.ways.push(Way {
            partition: Arc::new(Partition {
                input: self.input.clone(),
                name: name.clone(),
            }),
            mark,
        });
        let number = self.watermarks.add(watermark, counts);
        self.numbers.insert(name.clone(), number);
        number
    }

    /// Emits the row of a record as its partition of the input gave it.
    fn pass(
        &self,
        number: usize,
        row: &[Value],
        at: Coordinate,
        facts: &Facts,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let known = self.watermarks.current().filter(|_| self.timed);
        let meta = RecordMeta {
            partition: Arc::clone(&self.ways[number].partition),
            position: Position::Number(at.offset),
            event_time: facts.event_time,
            // The lane may have gone on without this input while it was idle.
            watermark: facts.watermark.max(known).max(meta.watermark),
            ..meta.clone()
        };
        emit.emit(row, &meta)
    }

    fn mark(&mut self, mark: Option<(usize, Coordinate)>) {
        if let Some((number, at)) = mark {
            self.ways[number].mark = Some(at);
            self.changed = true;
        }
    }

    fn restore_all(&mut self, changes: &StateChanges) -> Option<()> {
        self.ways.clear();
        self.numbers.clear();
        self.watermarks = Watermarks::default();
        for (key, value) in &changes.entries {
            let name = SmolStr::new(std::str::from_utf8(key).ok()?);
            let mut bytes = value?;
            let mark = coordinate::read(&mut bytes)?;
            let watermark = match bytes.split_first()? {
                (0, _) => None,
                (_, mut rest) => Some(unzigzag(read_varint(&mut rest)?)),
            };
            // A partition that is not read any more holds nothing back.
            let counts = self.timed && self.before.contains(&name);
            self.add(&name, mark, watermark, counts);
        }
        self.watermarks.reached();
        // New ones join there.
        for name in self.before.clone() {
            if !self.numbers.contains_key(&name) {
                self.add(&name, None, None, self.timed);
            }
        }
        Some(())
    }
}

impl Operator for Arrival {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        (self.pending, self.rejected) = (None, None);
        let (row, facts) = row.split_at(self.width.min(row.len()));
        let Some(Value::String(way)) = facts.first() else {
            // Another query's.
            return Ok(());
        };
        let facts = Facts::of(facts);
        let number = match self.numbers.get(way) {
            Some(number) => *number,
            None => self.add(way, None, None, self.timed),
        };
        let mark = self.ways[number].mark;
        match facts.at {
            None if facts.prev > mark => return Err(gap(way, mark, facts.prev)),
            None => {}
            Some(at) => match judge(mark, at, facts.prev) {
                Verdict::Seen => return Ok(()),
                Verdict::Gap => return Err(gap(way, mark, facts.prev)),
                Verdict::Next => {
                    self.pending = Some((number, at));
                    self.pass(number, row, at, &facts, meta, emit)?;
                }
            },
        }
        if self.timed {
            self.changed = true;
            if let Some(watermark) = facts.watermark {
                self.watermarks.observe(number, watermark);
            }
            if facts.idle {
                self.watermarks.idle(number);
            }
            // Said again and again, because a record that is rejected takes its word back.
            if let Some(watermark) = self.watermarks.current() {
                emit.watermark(watermark);
            }
            if self.watermarks.all_idle() {
                emit.idle();
            }
        }
        Ok(())
    }

    fn accept(&mut self) {
        let pending = self.pending.take();
        self.mark(pending);
    }

    fn reject(&mut self) {
        self.rejected = self.pending.take();
    }

    fn leave_out(&mut self) {
        let rejected = self.rejected.take();
        self.mark(rejected);
    }

    fn save(&mut self) -> Option<StateChanges> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let mut changes = StateChanges {
            whole: true,
            layout: LAYOUT.to_owned(),
            ..StateChanges::default()
        };
        for (number, way) in self.ways.iter().enumerate() {
            let watermark = self.watermarks.of(number);
            changes.entries.put(way.partition.name.as_bytes(), |out| {
                coordinate::write(way.mark, out);
                match watermark {
                    None => out.push(0),
                    Some(watermark) => {
                        out.push(1);
                        write_varint(zigzag(watermark), out);
                    }
                }
            });
        }
        Some(changes)
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        let Some(newest) = changes.last() else {
            return Ok(());
        };
        if newest.layout != LAYOUT {
            return Err(Failure::refuse(format!(
                "the checkpoint's marks of the exchange have the layout {}, and this version knows {LAYOUT}",
                newest.layout
            )));
        }
        self.restore_all(newest).ok_or_else(|| {
            Failure::refuse(
                "the checkpoint's marks of the exchange are damaged: restore the file from a copy",
            )
        })
    }

    fn size(&self) -> StateSize {
        StateSize {
            keys: self.ways.len() as u64,
            bytes: self.ways.len() as u64 * WAY_BYTES,
        }
    }
}
