//! Two steps that keep state, and what they must give: pure functions of a row's place in its partition.

use std::collections::{BTreeMap, BTreeSet};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Position, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{Entries, StateChanges};

use super::Bug;

/// Rows of a partition are dealt over so many keys.
const KEYS: i64 = 7;
/// Rows of a partition that a window takes.
const WINDOW: i64 = 10;
/// What a window's number is raised by, so that it is none of a row.
const RAISED: i64 = 1_000_000;
/// Windows emitted in one slice.
const SLICE: usize = 2;

/// Whether the row at this place of its partition can never be written.
pub(crate) fn fails(place: i64) -> bool {
    place % 13 == 5
}

/// The window that this number stands for; None when it is one of a row.
pub(crate) fn window(number: i64) -> Option<i64> {
    (number >= RAISED).then(|| number - RAISED)
}

/// The windows that are over when this row was the last.
pub(crate) fn closed(last: i64) -> impl Iterator<Item = i64> {
    0..last / WINDOW
}

/// Whether the count in a row is what it must be. Rows are `partition, number, place, count`.
pub(crate) fn check(row: &[Value]) -> Result<(), String> {
    let number = |place: usize| match row.get(place) {
        Some(Value::BigInt(number)) => *number,
        _ => -1,
    };
    let (partition, place, count) = (number(0), number(2), number(3));
    let good = |place: &i64| !fails(*place);
    let expected = match window(number(1)) {
        Some(window) => (window * WINDOW..(window + 1) * WINDOW)
            .filter(good)
            .count(),
        None if fails(place) => return Ok(()),
        None => (0..=place)
            .filter(|other| other % KEYS == place % KEYS && good(other))
            .count(),
    };
    let expected = i64::try_from(expected).unwrap_or(i64::MAX);
    if count == expected {
        return Ok(());
    }
    let what = number(1);
    Err(format!(
        "the count of row {what} of in/{partition} is {count} and must be {expected}"
    ))
}

/// Counts by two numbers, saved by what changed.
#[derive(Default)]
struct Counts {
    counts: BTreeMap<(i64, i64), i64>,
    changed: BTreeSet<(i64, i64)>,
    undo: Vec<((i64, i64), i64)>,
}

impl Counts {
    fn add(&mut self, key: (i64, i64)) -> i64 {
        let count = self.counts.entry(key).or_default();
        self.undo.push((key, *count));
        *count += 1;
        self.changed.insert(key);
        *count
    }

    fn undo(&mut self) {
        for (key, count) in self.undo.drain(..).rev() {
            self.counts.insert(key, count);
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        let mut entries = Entries::default();
        for key in std::mem::take(&mut self.changed) {
            let bytes = [key.0.to_le_bytes(), key.1.to_le_bytes()].concat();
            match self.counts.get(&key) {
                Some(count) => entries.put(&bytes, |out| out.extend(count.to_le_bytes())),
                None => entries.remove(&bytes),
            }
        }
        (!entries.is_empty()).then(|| StateChanges {
            whole: false,
            layout: "counts".into(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) {
        let number = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        for (key, value) in changes.iter().flat_map(|one| &one.entries) {
            let key = (number(&key[..8]), number(&key[8..]));
            match value {
                Some(value) => self.counts.insert(key, number(value)),
                None => self.counts.remove(&key),
            };
        }
    }
}

fn place(meta: &RecordMeta) -> i64 {
    match meta.position {
        Position::Number(number) => number,
        Position::Token(_) | Position::Row(..) => -1,
    }
}

/// Gives each row its place and how many of its key there were.
pub(crate) struct Count {
    counts: Counts,
    bug: Bug,
}

impl Count {
    pub(crate) fn new(bug: Bug) -> Self {
        Self {
            counts: Counts::default(),
            bug,
        }
    }
}

impl Operator for Count {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let place = place(meta);
        let Value::BigInt(partition) = row[0] else {
            return Err(RecordError::expression("not a simulated row"));
        };
        let count = self.counts.add((partition, place % KEYS));
        if self.bug == Bug::StateForgetsAChange && place % 11 == 0 {
            self.counts.changed.clear();
        }
        emit.watermark(place);
        let row = [
            row[0].clone(),
            row[1].clone(),
            Value::BigInt(place),
            Value::BigInt(count),
        ];
        emit.emit(&row, meta)
    }

    fn accept(&mut self) {
        self.counts.undo.clear();
    }

    fn reject(&mut self) {
        self.counts.undo();
    }

    fn save(&mut self) -> Option<StateChanges> {
        self.counts.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.counts.restore(changes);
        Ok(())
    }
}

/// Passes rows on, and emits how many rows a window had when the watermark has passed it.
pub(crate) struct Windows {
    counts: Counts,
    watermark: i64,
    bug: Bug,
}

impl Windows {
    pub(crate) fn new(bug: Bug) -> Self {
        Self {
            counts: Counts::default(),
            watermark: 0,
            bug,
        }
    }
}

impl Operator for Windows {
    fn process(
        &mut self,
        _: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let (Value::BigInt(partition), window) = (&row[0], place(meta) / WINDOW) else {
            return Err(RecordError::expression("not a simulated row"));
        };
        if meta.watermark >= Some((window + 1) * WINDOW) {
            emit.late(1);
        } else {
            self.counts.add((*partition, window));
        }
        emit.emit(row, meta)
    }

    fn accept(&mut self) {
        self.counts.undo.clear();
    }

    fn reject(&mut self) {
        if self.bug == Bug::StateKeepsWhatWasRejected {
            self.counts.undo.clear();
        }
        self.counts.undo();
    }

    fn advance(
        &mut self,
        watermark: i64,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.watermark = watermark;
        self.resume(at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let over: Vec<_> = self
            .counts
            .counts
            .iter()
            .filter(|((_, window), _)| (window + 1) * WINDOW <= self.watermark)
            .map(|(key, count)| (*key, *count))
            .take(SLICE + 1)
            .collect();
        for (key, count) in over.iter().take(SLICE) {
            self.counts.counts.remove(key);
            self.counts.changed.insert(*key);
            let numbers = [key.0, key.1 + RAISED, 0, *count];
            emit.emit(&numbers.map(Value::BigInt), at)?;
        }
        Ok(if over.len() > SLICE {
            Progress::More
        } else {
            Progress::Done
        })
    }

    fn save(&mut self) -> Option<StateChanges> {
        self.counts.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.counts.restore(changes);
        Ok(())
    }
}
