//! GROUP BY sessions: rows of a key that are no further apart than their gap.
//!
//! A session reaches from its first row to the end of the longest gap. A row joins every session of its key that it
//! touches, and makes them one: the one that came first stays. The sessions of a key are found by time in `families`.
//! `closing` knows when each session would have been over when it began; one that has grown since is put back there when
//! its turn comes.

use std::collections::BTreeSet;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

use super::aggregate::{at_end_of, time_of};
use super::bytes::encode_key;
use super::families::Families;
use super::grid::out_of_range;
use super::grouping::{Emits, Grouping, Over};
use super::groups::{Groups, SLICE};
use super::keyed_state::Slot;

/// The session's own words: from and to.
const START: usize = 0;
const END: usize = 1;
const OWN_WORDS: usize = 2;

enum Task {
    Nothing,
    /// Sessions that are over.
    Close,
    /// These sessions, from this place on.
    Table(Vec<Slot>, usize),
}

pub(super) struct Sessions {
    groups: Groups,
    /// The column with the gap.
    gap: usize,
    families: Families,
    /// End, order of arrival and slot.
    closing: BTreeSet<(Micros, u64, Slot)>,
    watermark: Option<Micros>,
    task: Task,
    /// Scratch: the sessions that a row touches.
    touching: Vec<Slot>,
    merged: Vec<u64>,
}

fn bounds(groups: &Groups, slot: Slot) -> (Micros, Micros) {
    let words = groups.words(slot);
    (words[START].cast_signed(), words[END].cast_signed())
}

impl Sessions {
    pub(super) fn new(grouping: Grouping, gap: usize) -> Self {
        Self {
            groups: Groups::new(grouping, OWN_WORDS),
            gap,
            families: Families::new(),
            closing: BTreeSet::new(),
            watermark: None,
            task: Task::Nothing,
            touching: Vec::new(),
            merged: Vec::new(),
        }
    }

    fn bounds(&self, slot: Slot) -> (Micros, Micros) {
        bounds(&self.groups, slot)
    }

    /// A session is of this family, and will be over.
    fn enter(&mut self, family: Slot, slot: Slot) {
        let groups = &mut self.groups;
        groups.state.set_tag(slot, family);
        let (start, end) = bounds(groups, slot);
        let start_of = |slot| bounds(groups, slot).0;
        self.families.add(family, start, slot, start_of);
        if groups.grouping.over == Over::Window {
            let sequence = groups.state.sequence(slot);
            self.closing.insert((end, sequence, slot));
        }
    }

    /// A session from the row's time to the end of its gap, under the key that stands ready.
    fn begin(&mut self, family: Slot, from: Micros, to: Micros) -> Slot {
        let sequence = self.groups.state.next_sequence();
        self.groups.key.extend_from_slice(&sequence.to_le_bytes());
        let (slot, _) = self.groups.state.entry(&self.groups.key);
        let cell = self.groups.state.cell_mut(slot);
        cell[START] = from.cast_unsigned();
        cell[END] = to.cast_unsigned();
        self.enter(family, slot);
        slot
    }

    /// Makes the sessions that the row touches one, which reaches over the row too.
    fn join(&mut self, family: Slot, from: Micros, to: Micros) -> Result<Slot, RecordError> {
        let mut touching = std::mem::take(&mut self.touching);
        touching.sort_by_key(|slot| self.groups.state.sequence(*slot));
        let first = touching[0];
        self.groups.state.touch(first);
        let (mut start, mut end) = (from, to);
        for &slot in &touching {
            let bounds = self.bounds(slot);
            start = start.min(bounds.0);
            end = end.max(bounds.1);
        }
        for &slot in &touching[1..] {
            self.merged.clear();
            self.merged.extend_from_slice(self.groups.cell(slot));
            let into = &mut self.groups.state.cell_mut(first)[OWN_WORDS..];
            self.groups.columns.merge(into, &self.merged)?;
        }
        for &slot in &touching[1..] {
            self.remove(slot);
        }
        let began = self.bounds(first).0;
        if start < began {
            self.families.begins_earlier(family, began, start);
        }
        let cell = self.groups.state.cell_mut(first);
        cell[START] = start.cast_unsigned();
        cell[END] = end.cast_unsigned();
        self.touching = touching;
        Ok(first)
    }

    fn remove(&mut self, slot: Slot) {
        let family = self.groups.state.tag(slot);
        let start = self.bounds(slot).0;
        self.families.remove(family, start);
        self.groups.remove(slot);
    }

    fn emit(
        &mut self,
        slot: Slot,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let window = self.bounds(slot);
        let meta = at_end_of(at, window.1);
        self.groups.emit(slot, Some(window), &meta, emit)
    }

    /// Lets go of sessions that are over; in append they are emitted.
    fn close(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Some(watermark) = self.watermark else {
            return Ok(Progress::Done);
        };
        for _ in 0..SLICE {
            let Some(&(end, sequence, slot)) = self.closing.first() else {
                return Ok(Progress::Done);
            };
            if end > watermark {
                return Ok(Progress::Done);
            }
            self.closing.pop_first();
            let state = &self.groups.state;
            if !state.is_live(slot) || state.sequence(slot) != sequence {
                continue;
            }
            let now = self.bounds(slot).1;
            if now > end {
                self.closing.insert((now, sequence, slot));
                continue;
            }
            if self.groups.grouping.emits == Emits::Append {
                self.emit(slot, at, emit)?;
            }
            self.remove(slot);
        }
        Ok(Progress::More)
    }

    fn table(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Task::Table(slots, place) = std::mem::replace(&mut self.task, Task::Nothing) else {
            return Ok(Progress::Done);
        };
        let end = slots.len().min(place + SLICE);
        let at_trigger = self.groups.grouping.emits == Emits::UpdateAtTrigger;
        for &slot in &slots[place..end] {
            self.emit(slot, at, emit)?;
            if at_trigger {
                self.groups.state.clear_changed(slot);
            }
        }
        if end < slots.len() {
            self.task = Task::Table(slots, end);
            return Ok(Progress::More);
        }
        if at_trigger {
            self.groups.serve();
            self.task = Task::Close;
            return self.resume(at, emit);
        }
        Ok(Progress::Done)
    }
}

impl Operator for Sessions {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let grouping = &self.groups.grouping;
        let place = grouping.window.as_ref().map(|window| window.time);
        let time = place.and_then(|place| time_of(&row[place]));
        let (Some(from), Value::BigInt(gap)) = (time, &row[self.gap]) else {
            return Ok(());
        };
        if *gap <= 0 {
            return Ok(());
        }
        let to = from.checked_add(*gap).ok_or_else(out_of_range)?;
        if grouping.over == Over::Window && meta.watermark >= Some(to) {
            emit.late(1);
            return Ok(());
        }
        let keys = grouping.keys.len();
        self.groups.key.clear();
        encode_key(&row[..keys], &mut self.groups.key);
        let family = self.families.entry(&self.groups.key);
        let bounds = |slot| bounds(&self.groups, slot);
        let touching = self.families.touching(family, from, to, bounds);
        self.touching.clear();
        self.touching.extend(touching);
        let slot = if self.touching.is_empty() {
            self.begin(family, from, to)
        } else {
            self.join(family, from, to)?
        };
        self.groups.update(slot, row, meta)?;
        match self.groups.grouping.emits {
            Emits::UpdateAtOnce => self.emit(slot, meta, emit),
            Emits::UpdateAtTrigger => {
                self.groups.wait(slot);
                Ok(())
            }
            Emits::Append | Emits::Complete => Ok(()),
        }
    }

    fn accept(&mut self) {
        self.groups.accept();
        self.families.accept();
    }

    fn reject(&mut self) {
        let closing = &mut self.closing;
        self.groups.reject(|state, slot| {
            let end = state.cell(slot)[END].cast_signed();
            closing.remove(&(end, state.sequence(slot), slot));
        });
        self.families.reject();
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.watermark = self.watermark.max(Some(watermark));
        let emits = self.groups.grouping.emits;
        if emits == Emits::UpdateAtTrigger && !self.groups.pending.is_empty() {
            return Ok(Progress::Done);
        }
        self.task = Task::Close;
        self.resume(at, emit)
    }

    fn tick(
        &mut self,
        _now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let slots = match self.groups.grouping.emits {
            Emits::Append | Emits::UpdateAtOnce => return Ok(Progress::Done),
            Emits::UpdateAtTrigger => self.groups.take_pending(),
            Emits::Complete => self.groups.state.in_order(),
        };
        self.task = Task::Table(slots, 0);
        self.resume(at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        match self.task {
            Task::Nothing => Ok(Progress::Done),
            Task::Table(..) => self.table(at, emit),
            Task::Close => {
                let progress = self.close(at, emit)?;
                if progress == Progress::Done {
                    self.task = Task::Nothing;
                }
                Ok(progress)
            }
        }
    }

    fn expire(&mut self, now: Micros) {
        if self.groups.grouping.over == Over::Never {
            for slot in self.groups.expired(now) {
                self.remove(slot);
            }
            self.accept();
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        if let Task::Table(slots, place) = &mut self.task
            && self.groups.grouping.emits == Emits::UpdateAtTrigger
        {
            for slot in slots.drain(..std::mem::take(place)) {
                self.groups.state.mark_dirty(slot);
            }
        }
        self.families.forget_changes();
        self.groups.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.groups.restore(changes)?;
        self.families = Families::new();
        self.closing.clear();
        for slot in self.groups.state.in_order() {
            let key = self.groups.state.key(slot);
            let family = self.families.entry(&key[..key.len().saturating_sub(8)]);
            self.enter(family, slot);
        }
        self.families.accept();
        self.families.forget_changes();
        Ok(())
    }

    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        let families = &self.families;
        self.groups.adopt(built, |groups, key, words| {
            let family = families.find(&key[..key.len().checked_sub(8)?])?;
            let (from, to) = (words[START].cast_signed(), words[END].cast_signed());
            let mut touching = families.touching(family, from, to, |slot| bounds(groups, slot));
            touching.next()
        })
    }

    fn size(&self) -> StateSize {
        let mut size = self.groups.size();
        size.bytes += self.families.bytes() + self.closing.len() as u64 * 32;
        size
    }
}
