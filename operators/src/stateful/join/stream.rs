//! Two streams joined: each row meets those of the other side that came before it, and waits for those that come after.
//!
//! A row is over when every row of the other side that could be its partner would come too late: the watermark has passed
//! its time and its side's reach. It is let go then, and where its side keeps rows alone and it never had a partner, it comes
//! out with NULLs in place of one. A row that is over when it comes is late.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use serde_json::{Value as Json, json};
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::Field;
use thalweg_engine::state::{Entries, StateChanges, StateSize};

use crate::stateful::bytes;
use crate::stateful::join::rows::{Restored, Rows, split_key};
use crate::stateful::join::saved::{self, Layout, Reading, damaged};
use crate::stateful::join::{Condition, Kind, Side, append, holds, key_of};
use crate::stateful::round::part;

/// Rows that are let go before other work gets its turn.
const SLICE: usize = 1_000;

/// The step.
pub struct StreamJoin {
    kind: Kind,
    sides: [Side; 2],
    condition: Condition,
    /// What the rows of a side must hold for themselves to have a partner.
    own: [Condition; 2],
    /// How much later than its own the time of a partner may be, for rows of each side, where that is known.
    later: [Option<Micros>; 2],
    /// How long rows of a side without a bound are kept after they came.
    ttl: Option<Micros>,
    rows: [Rows; 2],
    /// How many rows of each side a call lets go, while some have outlived `ttl`.
    expiring: [Option<usize>; 2],
    layout: String,
    /// Whether what is saved next must be everything.
    whole: bool,
    /// The watermark that rows are being let go for.
    passing: Option<Micros>,
    key: Vec<u8>,
    bytes: Vec<u8>,
    joined: Vec<Value>,
}

impl StreamJoin {
    /// A join of the left side, input 0, with the right side, input 1.
    pub fn new(kind: Kind, sides: [Side; 2], condition: Condition, ttl: Option<Micros>) -> Self {
        Self {
            layout: layout_of(kind, &sides),
            kind,
            sides,
            condition,
            own: [None, None],
            later: [None, None],
            ttl,
            rows: Default::default(),
            expiring: [None; 2],
            whole: false,
            passing: None,
            key: Vec::new(),
            bytes: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// With what its condition asks of the rows of each side alone, over these: one that it does not hold for is known to have no
    /// partner when it comes.
    #[must_use]
    pub fn own(self, own: [Condition; 2]) -> Self {
        Self { own, ..self }
    }

    /// With what its condition asks of the times of both sides' bounds: how much later than a row's own time that of its partner is
    /// at most. So rows whose time is further off are passed over as they lie.
    #[must_use]
    pub fn later(self, later: [Option<Micros>; 2]) -> Self {
        Self { later, ..self }
    }

    /// When the partners are that a row of this side and time may have.
    fn near(&self, side: usize, time: Micros) -> RangeInclusive<Micros> {
        let [own, other] = [self.later[side], self.later[1 - side]];
        let first = other.map_or(Micros::MIN, |later| time.saturating_sub(later));
        let last = own.map_or(Micros::MAX, |later| time.saturating_add(later));
        first..=last
    }

    /// A row without a partner, if its side keeps such rows.
    fn alone(
        &mut self,
        side: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        if !self.kind.keeps_alone(side) {
            return Ok(());
        }
        if self.kind.left_only() {
            return emit.emit(row, meta);
        }
        let nulls = self.sides[1 - side].columns.len();
        self.joined.clear();
        if side == 1 {
            self.joined.resize(nulls, Value::Null);
        }
        self.joined.extend_from_slice(row);
        if side == 0 {
            let width = self.joined.len() + nulls;
            self.joined.resize(width, Value::Null);
        }
        emit.emit(&self.joined, meta)
    }

    /// Joins a row with those of the other side. Gives whether it had a partner.
    fn meet(
        &mut self,
        side: usize,
        row: &[Value],
        time: Micros,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<bool, RecordError> {
        let other = 1 - side;
        let near = self.near(side, time);
        let once = self.kind.left_only();
        let [left, right] = &mut self.rows;
        let partners = if side == 0 { right } else { left };
        let mut met = Vec::new();
        let mut matched = false;
        for partner in partners.of(&self.key) {
            if !near.contains(&partner.time) {
                continue;
            }
            self.joined.clear();
            let columns = &self.sides[other].columns;
            if side == 0 {
                self.joined.extend_from_slice(row);
                append(&partner.bytes, columns, &mut self.joined)?;
            } else {
                append(&partner.bytes, columns, &mut self.joined)?;
                self.joined.extend_from_slice(row);
            }
            if !holds(&mut self.condition, &self.joined, meta)? {
                continue;
            }
            matched = true;
            if once && side == 0 {
                if self.kind == Kind::LeftSemi {
                    emit.emit(row, meta)?;
                }
                break;
            }
            if once {
                // A row of the left side that has found its partner is done.
                if self.kind == Kind::LeftSemi {
                    emit.emit(&self.joined[..columns.len()], meta)?;
                }
                met.push(partner.number);
                continue;
            }
            emit.emit(&self.joined, meta)?;
            if self.kind.keeps_alone(other) && !partner.matched {
                met.push(partner.number);
            }
        }
        for number in met {
            if once {
                partners.remove(&self.key, number);
            } else {
                partners.mark(&self.key, number);
            }
        }
        Ok(matched)
    }

    /// Lets go what is over.
    fn pass(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let mut left = SLICE;
        for side in [0, 1] {
            let Some(bound) = self.sides[side].bound else {
                continue;
            };
            let before = watermark.saturating_sub(bound.reach);
            while let Some(row) = self.rows[side].pop(before) {
                if self.kind.keeps_alone(side) && !row.matched {
                    let mut values = Vec::with_capacity(self.sides[side].columns.len());
                    append(&row.bytes, &self.sides[side].columns, &mut values)?;
                    self.alone(side, &values, at, emit)?;
                }
                left -= 1;
                if left == 0 {
                    self.passing = Some(watermark);
                    return Ok(Progress::More);
                }
            }
        }
        self.passing = None;
        Ok(Progress::Done)
    }

    /// Takes one saved entry back.
    fn take(
        &mut self,
        layout: &Layout,
        readings: &[Reading; 2],
        name: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Failure> {
        let (key, side, number) = split_key(name).ok_or_else(damaged)?;
        let side = usize::from(side);
        let (Some(reading), Some(rows)) = (readings.get(side), self.rows.get_mut(side)) else {
            return Err(damaged());
        };
        let Some(value) = value else {
            rows.restore(key, number, None);
            return Ok(());
        };
        let (time, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
        let (matched, bytes) = rest.split_first().ok_or_else(damaged)?;
        let bytes = reading.row(bytes).ok_or_else(damaged)?;
        let mut time = Micros::from_le_bytes(*time);
        if *layout.times(side) != time_of(&self.sides[side]) {
            time = event_time(&self.sides[side], &bytes)?.unwrap_or(time);
        }
        rows.restore(
            key,
            number,
            Some(Restored {
                time,
                matched: *matched != 0,
                bytes: Cow::Owned(bytes.into_owned()),
            }),
        );
        Ok(())
    }
}

/// What the bytes of such a join mean.
pub(super) fn layout_of(kind: Kind, sides: &[Side; 2]) -> String {
    let keys: Vec<Field> = sides[0]
        .keys
        .iter()
        .filter_map(|place| sides[0].columns.get(*place).cloned())
        .collect();
    let described = [0, 1].map(|side| describe(kind, sides, side));
    saved::layout("streams", &keys, &described)
}

/// How saved rows are read by a join of this kind.
fn readings(saved: &Layout, kind: Kind, sides: &[Side; 2]) -> Result<[Reading; 2], Failure> {
    if [0, 1]
        .iter()
        .any(|side| kind.keeps_alone(*side) && !saved.knows_matches(*side))
    {
        return Err(Failure::refuse(format!(
            "the state of a join cannot be taken over: its rows do not know whether they had a partner, which \
             a {} join needs: leave the join as it was, or start anew with a new queryName",
            kind.words()
        )));
    }
    let reading = |side: usize| saved.side(side, &sides[side].columns);
    Ok([reading(0)?, reading(1)?])
}

/// Whether a join can go on from the rows that another one has kept.
///
/// # Errors
/// When it cannot, as at its restore.
pub(in crate::stateful) fn takes_over(
    (was, before): (Kind, &[Side; 2]),
    (is, now): (Kind, &[Side; 2]),
) -> Result<(), Failure> {
    let saved = Layout::read(&layout_of(was, before), &layout_of(is, now))?;
    readings(&saved, is, now).map(drop)
}

/// What the layout says of a side.
fn describe(kind: Kind, sides: &[Side; 2], side: usize) -> Json {
    json!({
        "columns": saved::columns(&sides[side].columns),
        "time": time_of(&sides[side]),
        "matched": kind.keeps_alone(side) || kind.left_only(),
    })
}

/// What the times of a side's rows are: those of a column, or of arrival.
fn time_of(side: &Side) -> Json {
    match side.bound.and_then(|bound| side.columns.get(bound.time)) {
        Some(column) => json!(column.name),
        None => Json::Null,
    }
}

/// The event time of a row that was kept.
fn event_time(side: &Side, bytes: &[u8]) -> Result<Option<Micros>, Failure> {
    let mut row = Vec::new();
    append(bytes, &side.columns, &mut row).map_err(|_| damaged())?;
    Ok(side.bound.and_then(|bound| micros(row.get(bound.time))))
}

/// The event time in a column: that of a window is its beginning.
fn micros(value: Option<&Value>) -> Option<Micros> {
    match value {
        Some(Value::Struct(window)) => micros(window.first()),
        Some(Value::Timestamp(micros) | Value::TimestampNtz(micros)) => Some(*micros),
        _ => None,
    }
}

impl Operator for StreamJoin {
    fn process(
        &mut self,
        side: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let mut time = meta.taken_at;
        if let Some(bound) = self.sides[side].bound {
            // Without a time it is within no bound of anything.
            let Some(own) = micros(row.get(bound.time)) else {
                return self.alone(side, row, meta, emit);
            };
            time = own;
            if meta.watermark > Some(own.saturating_add(bound.reach)) {
                emit.late(1);
                return Ok(());
            }
        }
        let mut key = std::mem::take(&mut self.key);
        let whole = key_of(row, &self.sides[side].keys, &mut key);
        self.key = key;
        if !whole || !holds(&mut self.own[side], row, meta)? {
            return self.alone(side, row, meta, emit);
        }
        let matched = self.meet(side, row, time, meta, emit)?;
        if matched && side == 0 && self.kind.left_only() {
            return Ok(());
        }
        self.bytes.clear();
        bytes::encode_row(row, &mut self.bytes);
        let noted = matched && self.kind.keeps_alone(side);
        self.rows[side].add(&self.key, time, &self.bytes, noted);
        Ok(())
    }

    fn accept(&mut self) {
        self.rows.iter_mut().for_each(Rows::accept);
    }

    fn reject(&mut self) {
        self.rows.iter_mut().for_each(Rows::reject);
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.pass(watermark, at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        match self.passing {
            Some(watermark) => self.pass(watermark, at, emit),
            None => Ok(Progress::Done),
        }
    }

    fn expire(&mut self, now: Micros) {
        let Some(ttl) = self.ttl else {
            return;
        };
        for side in [0, 1] {
            if self.sides[side].bound.is_some() {
                continue;
            }
            // So many at each call that all of those that were there at the first one go in their time.
            let slice = self.expiring[side].unwrap_or_else(|| part(self.rows[side].len(), SLICE));
            let before = now.saturating_sub(ttl);
            let more = (0..slice).all(|_| self.rows[side].pop(before).is_some());
            self.expiring[side] = more.then_some(slice);
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        let whole = std::mem::take(&mut self.whole);
        let mut entries = Entries::default();
        for (side, rows) in (0..).zip(&mut self.rows) {
            rows.save(side, whole, &mut entries);
        }
        (whole || !entries.is_empty()).then(|| StateChanges {
            whole,
            layout: self.layout.clone(),
            entries,
        })
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        for change in changes {
            if change.whole {
                self.rows = Default::default();
            }
            let layout = Layout::read(&change.layout, &self.layout)?;
            let readings = readings(&layout, self.kind, &self.sides)?;
            self.whole |= change.layout != self.layout || readings.iter().any(Reading::differs);
            for (name, value) in &change.entries {
                self.take(&layout, &readings, name, value)?;
            }
        }
        Ok(())
    }

    fn size(&self) -> StateSize {
        let mut size = self.rows[0].size();
        size += self.rows[1].size();
        size
    }
}
