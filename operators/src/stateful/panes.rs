//! GROUP BY sliding windows, kept by panes: the pieces of time of which every window is made, as long as the greatest
//! common divisor of size and slide. A row touches one pane, however many windows hold it; a window's result is merged
//! from its panes when it is emitted.
//!
//! A row may come too late for some of the windows of its pane and not for others. It then counts in a group beside the
//! pane's own, which knows its *floor*: the windows that end there or before do not have it.
//!
//! The key of a group is that of its key columns, the pane's beginning, and the floor where there is one. Groups of the
//! same key columns are a *family*; its number stands in each of their slots, so that merging many panes looks up no key.

use std::collections::{BTreeMap, VecDeque};

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

use super::aggregate::time_of;
use super::bytes::encode_key;
use super::grid::Grid;
use super::grouping::{Emits, Grouping, Over};
use super::groups::{Groups, SLICE};
use super::keyed_state::{KeyedState, Slot};
use super::pane_changes::Changes;
use super::sweep::Sweep;

/// Groups that are removed in a slice.
const REMOVED: usize = 4 * SLICE;

/// One pane: its groups in order of arrival, and the floors that some of them have.
#[derive(Default)]
pub(super) struct Pane {
    pub(super) slots: VecDeque<Slot>,
    pub(super) floors: Vec<Micros>,
}

/// All groups by pane and family.
pub(super) struct Table {
    pub(super) groups: Groups,
    pub(super) grid: Grid,
    pub(super) panes: BTreeMap<Micros, Pane>,
    /// By the bytes of the key columns; a cell counts the groups.
    pub(super) families: KeyedState,
}

/// What is being emitted in slices.
enum Task {
    Nothing,
    /// Windows, one after the other.
    Sweep(Box<Sweep>),
    /// Windows of what changed since the last trigger.
    Changes(Changes),
    /// Panes whose last window has ended by then.
    Drop(Micros),
}

pub(super) struct Panes {
    table: Table,
    watermark: Option<Micros>,
    task: Task,
}

/// A group's pane and floor, as they stand at the end of its key.
pub(super) fn pane_and_floor(tail: &[u8]) -> Option<(Micros, Option<Micros>)> {
    let (pane, rest) = tail.split_first_chunk::<8>()?;
    let floor = rest.first_chunk::<8>().map(|b| i64::from_le_bytes(*b));
    Some((i64::from_le_bytes(*pane), floor))
}

impl Table {
    /// The bytes of a group's key columns, its pane and its floor.
    pub(super) fn split_key<'s>(
        &self,
        key: &'s [u8],
    ) -> Option<(&'s [u8], Micros, Option<Micros>)> {
        let (_, tail) = self.groups.decode_key(key)?;
        let (pane, floor) = pane_and_floor(tail)?;
        Some((&key[..key.len() - tail.len()], pane, floor))
    }

    fn enlist(&mut self, slot: Slot, family_key: &[u8], pane: Micros, floor: Option<Micros>) {
        let (family, _) = self.families.entry(family_key);
        self.families.cell_mut(family)[0] += 1;
        self.groups.state.set_tag(slot, family);
        let pane = self.panes.entry(pane).or_default();
        pane.slots.push_back(slot);
        if let Some(floor) = floor
            && !pane.floors.contains(&floor)
        {
            pane.floors.push(floor);
            pane.floors.sort_unstable();
        }
    }

    /// Takes a group out of everything but its pane's list.
    fn remove(&mut self, slot: Slot) {
        let family = self.groups.state.tag(slot);
        self.families.touch(family);
        let left = &mut self.families.cell_mut(family)[0];
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.families.remove(family);
        }
        self.groups.remove(slot);
    }

    /// Removes panes whose last window has ended by then, a part at a time.
    pub(super) fn drop_panes(&mut self, ended: Micros) -> Progress {
        for _ in 0..REMOVED {
            let Some(mut first) = self.panes.first_entry() else {
                return Progress::Done;
            };
            let last_end = self
                .grid
                .last_start(*first.key())
                .saturating_add(self.grid.size);
            if last_end > ended {
                return Progress::Done;
            }
            match first.get_mut().slots.pop_front() {
                Some(slot) => self.remove(slot),
                None => {
                    first.remove();
                }
            }
        }
        Progress::More
    }

    fn accept(&mut self) {
        self.groups.accept();
        self.families.accept();
    }

    fn index(&mut self) -> Option<()> {
        self.panes.clear();
        self.families = KeyedState::new(1);
        for slot in self.groups.state.in_order() {
            let key = self.groups.state.key(slot).to_vec();
            let (family, pane, floor) = self.split_key(&key)?;
            self.enlist(slot, family, pane, floor);
        }
        self.families.accept();
        self.families.forget_changes();
        Some(())
    }
}

impl Panes {
    pub(super) fn new(grouping: Grouping, grid: Grid) -> Self {
        Self {
            table: Table {
                groups: Groups::new(grouping, 0),
                grid,
                panes: BTreeMap::new(),
                families: KeyedState::new(1),
            },
            watermark: None,
            task: Task::Nothing,
        }
    }
}

impl Operator for Panes {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let table = &mut self.table;
        let groups = &mut table.groups;
        let place = groups.grouping.window.as_ref().map(|window| window.time);
        let Some(time) = place.and_then(|place| time_of(&row[place])) else {
            return Ok(());
        };
        let mut floor = None;
        let (first, last) = table.grid.starts(time)?;
        if groups.grouping.over == Over::Window
            && let Some(watermark) = meta.watermark
        {
            if watermark >= last.saturating_add(table.grid.size) {
                emit.late(1);
                return Ok(());
            }
            if watermark >= first.saturating_add(table.grid.size) {
                floor = Some(table.grid.last_end(watermark));
            }
        }
        let pane = table.grid.pane_of(time);
        groups.key.clear();
        encode_key(&row[..groups.grouping.keys.len()], &mut groups.key);
        let family = groups.key.len();
        groups.key.extend_from_slice(&pane.to_le_bytes());
        if let Some(floor) = floor {
            groups.key.extend_from_slice(&floor.to_le_bytes());
        }
        let (slot, new) = groups.state.entry(&groups.key);
        if new {
            let key = std::mem::take(&mut table.groups.key);
            table.enlist(slot, &key[..family], pane, floor);
            table.groups.key = key;
        }
        let groups = &mut table.groups;
        groups.update(slot, row, meta)?;
        if groups.grouping.emits == Emits::UpdateAtTrigger {
            groups.wait(slot);
        }
        Ok(())
    }

    fn accept(&mut self) {
        self.table.accept();
    }

    fn reject(&mut self) {
        let mut dropped = Vec::new();
        let table = &mut self.table;
        table
            .groups
            .reject(|state, slot| dropped.push((slot, state.key(slot).to_vec())));
        table.families.reject(|_, _| {});
        for (slot, key) in dropped {
            let Some((_, pane, _)) = table.split_key(&key) else {
                continue;
            };
            if let Some(found) = table.panes.get_mut(&pane) {
                found.slots.retain(|other| *other != slot);
                if found.slots.is_empty() {
                    table.panes.remove(&pane);
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
        let grouping = &self.table.groups.grouping;
        self.task = match grouping.emits {
            _ if grouping.over != Over::Window => return Ok(Progress::Done),
            Emits::Append => Task::Sweep(Box::new(Sweep::closing(&self.table, watermark))),
            Emits::UpdateAtTrigger if !self.table.groups.pending.is_empty() => {
                // What has changed is emitted at the trigger; what is over goes then.
                return Ok(Progress::Done);
            }
            _ => Task::Drop(watermark),
        };
        self.resume(at, emit)
    }

    fn tick(
        &mut self,
        _now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.task = match self.table.groups.grouping.emits {
            Emits::Append | Emits::UpdateAtOnce => return Ok(Progress::Done),
            Emits::UpdateAtTrigger => Task::Changes(Changes::new(&mut self.table)),
            Emits::Complete => Task::Sweep(Box::new(Sweep::whole())),
        };
        self.resume(at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let table = &mut self.table;
        let progress = match &mut self.task {
            Task::Nothing => Progress::Done,
            Task::Sweep(sweep) => sweep.resume(table, at, emit)?,
            Task::Drop(ended) => table.drop_panes(*ended),
            Task::Changes(changes) => {
                if changes.resume(table, at, emit)? == Progress::Done {
                    table.groups.serve();
                    self.task = match self.watermark {
                        Some(watermark) if table.groups.grouping.over == Over::Window => {
                            Task::Drop(watermark)
                        }
                        _ => Task::Nothing,
                    };
                }
                if matches!(self.task, Task::Nothing) {
                    Progress::Done
                } else {
                    Progress::More
                }
            }
        };
        if progress == Progress::Done {
            self.task = Task::Nothing;
        }
        Ok(progress)
    }

    fn expire(&mut self, now: Micros) {
        if self.table.groups.grouping.over != Over::Never {
            return;
        }
        let expired = self.table.groups.expired(now);
        if expired.is_empty() {
            return;
        }
        for slot in expired {
            self.table.remove(slot);
        }
        let state = &self.table.groups.state;
        self.table.panes.retain(|_, pane| {
            pane.slots.retain(|slot| state.is_live(*slot));
            !pane.slots.is_empty()
        });
        self.table.accept();
    }

    fn save(&mut self) -> Option<StateChanges> {
        if let Task::Changes(changes) = &mut self.task {
            changes.mark_emitted(&mut self.table);
        }
        self.table.families.forget_changes();
        self.table.groups.save()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        self.table.groups.restore(changes)?;
        self.table.index().ok_or_else(|| {
            Failure::refuse(
                "the saved state of a GROUP BY has a key that cannot be read; restore the checkpoint folder from a copy, or begin with a new one",
            )
        })
    }

    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        // A row that came too late for some windows may have come in time when it was read back.
        self.table.groups.adopt(built, |groups, key, _| {
            groups.state.find(key).or_else(|| {
                let (_, tail) = groups.decode_key(key)?;
                let pane = key.len() - tail.len() + 8;
                groups.state.find(key.get(..pane)?)
            })
        })
    }

    fn size(&self) -> StateSize {
        let mut size = self.table.groups.size();
        let lists: usize = self.table.panes.values().map(|p| p.slots.capacity()).sum();
        size.bytes += self.table.families.size().bytes + lists as u64 * 4;
        size
    }
}
