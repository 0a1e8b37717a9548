//! GROUP BY where each row counts for groups of its own: without a window, tumbling windows, and sliding windows whose
//! results go out at once.
//!
//! A group that will be over stands in `closing` under the time at which it is. Append emits it then, the other modes only
//! forget it; with a trigger not before what changed has been emitted.

use std::collections::{BTreeMap, VecDeque};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

use super::bytes::encode_key;
use super::grid::Grid;
use super::grouping::{Emits, Grouping, Over, Shape};
use super::groups::{Groups, SLICE};
use super::in_order::InOrder;
use super::keyed_state::Slot;
use super::{panes, session};
use crate::expr::calendar::MICROS_PER_DAY;

/// A GROUP BY.
pub struct Aggregate;

impl Aggregate {
    /// The operator that runs it.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(mut grouping: Grouping) -> Box<dyn Operator> {
        if grouping.emits == Emits::Complete {
            // The whole table goes out each time, so nothing of it may be forgotten.
            grouping.over = Over::Never;
        }
        // A key is named by its place in what is emitted, where the window stands among the keys.
        let keyed = match (grouping.over, &grouping.window) {
            (Over::Key(place), Some(window)) if place > window.at => {
                grouping.over = Over::Key(place - 1);
                true
            }
            (over, _) => matches!(over, Over::Key(_)),
        };
        match grouping.window.as_ref().map(|window| window.shape.clone()) {
            None => Box::new(Single::new(grouping, None)),
            Some(Shape::Session { gap }) => Box::new(session::Sessions::new(grouping, gap)),
            Some(Shape::Fixed { size, slide, start }) => {
                let grid = Grid { size, slide, start };
                if size == slide || grouping.emits == Emits::UpdateAtOnce || keyed {
                    Box::new(Single::new(grouping, Some(grid)))
                } else {
                    Box::new(panes::Panes::new(grouping, grid))
                }
            }
        }
    }
}

/// What is being emitted in slices.
enum Task {
    Nothing,
    /// Groups that are over.
    Close,
    /// These groups, which have changed, from this place on.
    Table(Vec<Slot>, usize),
    /// All groups.
    Whole(InOrder),
}

struct Single {
    groups: Groups,
    grid: Option<Grid>,
    /// Groups by the time at which they are over, in order of arrival.
    closing: BTreeMap<Micros, VecDeque<Slot>>,
    watermark: Option<Micros>,
    task: Task,
}

/// The time in a value.
#[inline]
pub(super) fn time_of(value: &Value) -> Option<Micros> {
    match value {
        Value::Timestamp(time) | Value::TimestampNtz(time) => Some(*time),
        Value::Date(days) => Some(i64::from(*days).saturating_mul(MICROS_PER_DAY)),
        // A window is over at its end.
        Value::Struct(bounds) if bounds.len() == 2 => time_of(&bounds[1]),
        _ => None,
    }
}

/// A record's meta data with the event time of a window that ends there.
pub(super) fn at_end_of(meta: &RecordMeta, end: Micros) -> RecordMeta {
    RecordMeta {
        event_time: Some(end.saturating_sub(1)),
        ..meta.clone()
    }
}

impl Single {
    fn new(grouping: Grouping, grid: Option<Grid>) -> Self {
        Self {
            groups: Groups::new(grouping, 0),
            grid,
            closing: BTreeMap::new(),
            watermark: None,
            task: Task::Nothing,
        }
    }

    /// Takes the row into the group whose key stands ready.
    fn update(
        &mut self,
        row: &[Value],
        over_at: Option<Micros>,
        window: Option<(Micros, Micros)>,
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let groups = &mut self.groups;
        let (slot, new) = groups.state.entry(&groups.key);
        if let (true, Some(time)) = (new, over_at) {
            self.closing.entry(time).or_default().push_back(slot);
        }
        groups.update(slot, row, meta)?;
        match groups.grouping.emits {
            Emits::UpdateAtOnce => match window {
                Some((_, end)) => groups.emit(slot, window, &at_end_of(meta, end), emit),
                None => groups.emit(slot, None, meta, emit),
            },
            Emits::UpdateAtTrigger => {
                groups.wait(slot);
                Ok(())
            }
            Emits::Append | Emits::Complete => Ok(()),
        }
    }

    fn process_in_windows(
        &mut self,
        grid: Grid,
        over_at: Option<Micros>,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let place = self.groups.grouping.window.as_ref().map(|w| w.time);
        let Some(time) = place.and_then(|place| time_of(&row[place])) else {
            return Ok(());
        };
        let closes = self.groups.grouping.over == Over::Window;
        let (mut start, last) = grid.starts(time)?;
        let length = self.groups.key.len();
        let mut counted = false;
        while start <= last {
            let end = start.saturating_add(grid.size);
            if !closes || meta.watermark.is_none_or(|watermark| watermark < end) {
                counted = true;
                self.groups.key.truncate(length);
                self.groups.key.extend_from_slice(&start.to_le_bytes());
                let over_at = if closes { Some(end) } else { over_at };
                self.update(row, over_at, Some((start, end)), meta, emit)?;
            }
            start = start.saturating_add(grid.slide);
        }
        if !counted {
            emit.late(1);
        }
        Ok(())
    }

    /// When a group is over, and its window.
    fn bounds(&self, key: &[u8]) -> (Option<Micros>, Option<(Micros, Micros)>) {
        let window = self.grid.map(|grid| {
            let start = key.last_chunk::<8>().map_or(0, |b| i64::from_le_bytes(*b));
            (start, start.saturating_add(grid.size))
        });
        let over_at = match self.groups.grouping.over {
            Over::Never => None,
            Over::Window => window.map(|(_, end)| end),
            Over::Key(place) => {
                let values = self.groups.decode_key(key);
                values.and_then(|(values, _)| time_of(values.get(place)?))
            }
        };
        (over_at, window)
    }

    fn emit(
        &mut self,
        slot: Slot,
        at: &mut RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let (over_at, window) = self.bounds(self.groups.state.key(slot));
        at.event_time = match window {
            Some((_, end)) => Some(end.saturating_sub(1)),
            None => over_at.or(at.event_time),
        };
        self.groups.emit(slot, window, at, emit)
    }

    /// Lets go of groups that are over; in append they are emitted.
    fn close(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Some(watermark) = self.watermark else {
            return Ok(Progress::Done);
        };
        let emits = self.groups.grouping.emits == Emits::Append;
        let mut at = at.clone();
        for _ in 0..SLICE {
            let Some(mut first) = self.closing.first_entry() else {
                return Ok(Progress::Done);
            };
            if *first.key() > watermark {
                return Ok(Progress::Done);
            }
            let Some(slot) = first.get_mut().pop_front() else {
                first.remove();
                continue;
            };
            if emits {
                self.emit(slot, &mut at, emit)?;
            }
            self.groups.remove(slot);
        }
        Ok(Progress::More)
    }

    /// The whole table of complete mode.
    fn whole(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Task::Whole(all) = &mut self.task else {
            return Ok(Progress::Done);
        };
        let slots = all.slice(&self.groups.state).unwrap_or_default();
        let done = all.is_done(&self.groups.state);
        let mut meta = at.clone();
        for slot in slots {
            self.emit(slot, &mut meta, emit)?;
            meta.event_time = at.event_time;
        }
        if done {
            self.task = Task::Nothing;
            return Ok(Progress::Done);
        }
        Ok(Progress::More)
    }

    fn table(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Task::Table(slots, place) = std::mem::replace(&mut self.task, Task::Nothing) else {
            return Ok(Progress::Done);
        };
        let mut meta = at.clone();
        let end = slots.len().min(place + SLICE);
        for &slot in &slots[place..end] {
            self.emit(slot, &mut meta, emit)?;
            meta.event_time = at.event_time;
            self.groups.state.clear_changed(slot);
        }
        if end < slots.len() {
            self.task = Task::Table(slots, end);
            return Ok(Progress::More);
        }
        self.groups.serve();
        self.task = Task::Close;
        self.resume(at, emit)
    }
}

impl Operator for Single {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let groups = &mut self.groups;
        groups.key.clear();
        encode_key(&row[..groups.grouping.keys.len()], &mut groups.key);
        let over_at = match groups.grouping.over {
            Over::Key(place) => time_of(&row[place]),
            Over::Never | Over::Window => None,
        };
        if over_at.is_some_and(|time| meta.watermark >= Some(time)) {
            emit.late(1);
            return Ok(());
        }
        match self.grid {
            Some(grid) => self.process_in_windows(grid, over_at, row, meta, emit),
            None => self.update(row, over_at, None, meta, emit),
        }
    }

    fn accept(&mut self) {
        self.groups.accept();
    }

    fn reject(&mut self) {
        let mut dropped = Vec::new();
        self.groups
            .reject(|state, slot| dropped.push((slot, state.key(slot).to_vec())));
        for (slot, key) in dropped {
            if let (Some(time), _) = self.bounds(&key)
                && let Some(slots) = self.closing.get_mut(&time)
            {
                slots.retain(|other| *other != slot);
                if slots.is_empty() {
                    self.closing.remove(&time);
                }
            }
        }
    }

    fn advance(
        &mut self,
        watermark: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.watermark = self.watermark.max(Some(watermark));
        if self.groups.waits() {
            // What has changed is emitted at the trigger; what is over goes then.
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
            Emits::Append => return Ok(Progress::Done),
            Emits::UpdateAtOnce | Emits::UpdateAtTrigger => self.groups.take_pending(),
            Emits::Complete if !self.groups.state.is_empty() => {
                self.task = Task::Whole(InOrder::default());
                return self.resume(at, emit);
            }
            Emits::Complete => {
                let grouping = &self.groups.grouping;
                if grouping.keys.is_empty() && grouping.window.is_none() {
                    // An aggregate over everything has a result even when there is nothing.
                    self.groups.emit_empty(at, emit)?;
                }
                return Ok(Progress::Done);
            }
        };
        self.task = if slots.is_empty() {
            Task::Close
        } else {
            Task::Table(slots, 0)
        };
        self.resume(at, emit)
    }

    fn alarm(&self) -> Option<Micros> {
        self.groups.left_waiting().then_some(Micros::MIN)
    }

    /// What a run with a trigger has left is told at the start of one without.
    fn clock(
        &mut self,
        now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        if !self.groups.left_waiting() {
            return Ok(Progress::Done);
        }
        self.tick(now, at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        match self.task {
            Task::Nothing => Ok(Progress::Done),
            Task::Table(..) => self.table(at, emit),
            Task::Whole(_) => self.whole(at, emit),
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
                self.groups.remove(slot);
            }
            self.groups.accept();
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        if let Task::Table(slots, place) = &mut self.task {
            // These no longer wait, and the trigger is not served yet. Each is written once, however many cuts come meanwhile.
            for slot in slots.drain(..std::mem::take(place)) {
                self.groups.state.mark_dirty(slot);
            }
        }
        self.groups.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.groups.restore(changes)?;
        self.closing.clear();
        if self.groups.grouping.over != Over::Never {
            for slot in self.groups.state.in_order() {
                if let (Some(time), _) = self.bounds(self.groups.state.key(slot)) {
                    self.closing.entry(time).or_default().push_back(slot);
                }
            }
        }
        Ok(())
    }

    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        self.groups
            .adopt(built, |groups, key, _| groups.state.find(key))
    }

    fn size(&self) -> StateSize {
        self.groups.size()
    }
}
