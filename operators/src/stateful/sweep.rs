//! Windows emitted one after the other in order of their end, each merged from its panes.
//!
//! Merging goes slot by slot through the panes, in slices; what it gathers lies side by side by family, in order of the
//! family's first arrival in the window once it is complete. How far the emission has come is part of the state: the end
//! of the last window that is done, and of the next the last family that went out.

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Progress};
use thalweg_engine::record::{Micros, RecordMeta};

use super::aggregate::at_end_of;
use super::groups::SLICE;
use super::keyed_state::Slot;
use super::panes::{Table, pane_and_floor};

/// Slots merged in a slice.
const MERGED: usize = 16 * SLICE;

/// Places of the operator's own numbers: the end of the last window that is done; that of the one in hand, and the order
/// of arrival of the last family of it that was emitted.
const DONE: usize = 0;
const IN_HAND: usize = 1;
const EMITTED: usize = 2;

struct Merged {
    /// Any group of the family.
    slot: Slot,
    sequence: u64,
    family: u32,
}

enum Phase {
    Find,
    /// The pane and the place in it to go on from.
    Merge(Micros, usize),
    /// The place in the order to go on from.
    Emit(usize),
    Drop,
}

pub(super) struct Sweep {
    /// Windows that end by then.
    until: Micros,
    /// Whether what is emitted is gone for good.
    closes: bool,
    /// The end of the window in hand, or of the last.
    end: Option<Micros>,
    phase: Phase,
    merged: Vec<Merged>,
    cells: Vec<u64>,
    /// By family: its place in `merged`, plus 1.
    places: Vec<u32>,
}

impl Sweep {
    /// Windows that the watermark has passed.
    pub(super) fn closing(table: &Table, watermark: Micros) -> Self {
        let done = table.groups.own(DONE);
        Self {
            until: watermark,
            closes: true,
            end: (done != i64::MIN).then_some(done),
            ..Self::whole()
        }
    }

    /// All windows.
    pub(super) fn whole() -> Self {
        Self {
            until: i64::MAX,
            closes: false,
            end: None,
            phase: Phase::Find,
            merged: Vec::new(),
            cells: Vec::new(),
            places: Vec::new(),
        }
    }

    /// One slice.
    pub(super) fn resume(
        &mut self,
        table: &mut Table,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        // Small windows share a slice.
        let mut left = SLICE;
        loop {
            match self.phase {
                Phase::Find => match self.next_end(table) {
                    Some(end) if end <= self.until => {
                        self.end = Some(end);
                        self.places.resize(table.families.slots() as usize, 0);
                        self.phase = Phase::Merge(end.saturating_sub(table.grid.size), 0);
                    }
                    _ if self.closes => return Ok(table.drop_panes(self.until)),
                    _ => return Ok(Progress::Done),
                },
                Phase::Merge(pane, place) => {
                    if self.merge(table, pane, place)? == Progress::More {
                        return Ok(Progress::More);
                    }
                    let merged = &self.merged;
                    if !merged.is_sorted_by_key(|merged| merged.sequence) {
                        self.sort(table.groups.columns.words());
                    }
                    let first = self.first_to_emit(table);
                    self.phase = Phase::Emit(first);
                }
                Phase::Emit(place) => {
                    let to = self.merged.len().min(place + left);
                    self.emit(table, place, to, at, emit)?;
                    left -= to - place;
                    if to < self.merged.len() {
                        self.phase = Phase::Emit(to);
                        return Ok(Progress::More);
                    }
                    self.finish(table);
                    self.phase = if self.closes {
                        Phase::Drop
                    } else {
                        Phase::Find
                    };
                    if left == 0 {
                        return Ok(Progress::More);
                    }
                }
                Phase::Drop => {
                    let end = self.end.unwrap_or(i64::MIN);
                    if table.drop_panes(end) == Progress::More {
                        return Ok(Progress::More);
                    }
                    self.phase = Phase::Find;
                }
            }
        }
    }

    /// The end of the first window after the one in hand that has any pane.
    fn next_end(&self, table: &Table) -> Option<Micros> {
        let grid = table.grid;
        let least = self.end.map(|end| end.saturating_add(grid.slide));
        let from = least.map_or(i64::MIN, |least| least.saturating_sub(grid.size));
        let mut panes = table.panes.range(from..);
        // A pane of a state of old may lie where no window does.
        let (first, _) = panes.find_map(|(&pane, _)| grid.starts(pane).ok())?;
        Some((first + grid.size).max(least.unwrap_or(i64::MIN)))
    }

    fn merge(
        &mut self,
        table: &mut Table,
        pane: Micros,
        mut place: usize,
    ) -> Result<Progress, RecordError> {
        let end = self.end.unwrap_or(i64::MIN);
        let words = table.groups.columns.words();
        let mut left = MERGED;
        for (&pane, found) in table.panes.range(pane..end) {
            while let Some(&slot) = found.slots.get(place) {
                if left == 0 {
                    self.phase = Phase::Merge(pane, place);
                    return Ok(Progress::More);
                }
                left -= 1;
                place += 1;
                let state = &table.groups.state;
                if !found.floors.is_empty() && floor_of(table, slot) >= Some(end) {
                    continue;
                }
                let (family, sequence) = (state.tag(slot), state.sequence(slot));
                let known = &mut self.places[family as usize];
                if *known == 0 {
                    self.merged.push(Merged {
                        slot,
                        sequence,
                        family,
                    });
                    *known = u32::try_from(self.merged.len()).unwrap_or(u32::MAX);
                    self.cells.resize(self.merged.len() * words, 0);
                }
                let index = *known as usize - 1;
                let merged = &mut self.merged[index];
                merged.sequence = merged.sequence.min(sequence);
                let into = &mut self.cells[index * words..(index + 1) * words];
                table.groups.columns.merge(into, state.cell(slot))?;
            }
            place = 0;
        }
        Ok(Progress::Done)
    }

    /// Brings what was merged into order of arrival.
    fn sort(&mut self, words: usize) {
        let mut order: Vec<usize> = (0..self.merged.len()).collect();
        order.sort_by_key(|&index| self.merged[index].sequence);
        let mut cells = Vec::with_capacity(self.cells.len());
        let mut merged = Vec::with_capacity(order.len());
        for index in order {
            cells.extend_from_slice(&self.cells[index * words..(index + 1) * words]);
            let Merged {
                slot,
                sequence,
                family,
            } = self.merged[index];
            merged.push(Merged {
                slot,
                sequence,
                family,
            });
        }
        self.cells = cells;
        self.merged = merged;
    }

    /// Where to go on in a window that was being emitted when the state was saved.
    fn first_to_emit(&self, table: &Table) -> usize {
        let groups = &table.groups;
        if !self.closes || Some(groups.own(IN_HAND)) != self.end {
            return 0;
        }
        let emitted = groups.own(EMITTED);
        self.merged
            .partition_point(|merged| merged.sequence.cast_signed() <= emitted)
    }

    fn emit(
        &mut self,
        table: &mut Table,
        from: usize,
        to: usize,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let end = self.end.unwrap_or(i64::MIN);
        let words = table.groups.columns.words();
        let window = Some((end.saturating_sub(table.grid.size), end));
        let at = at_end_of(at, end);
        for (index, merged) in self.merged[from..to].iter().enumerate() {
            let cell = &self.cells[(from + index) * words..(from + index + 1) * words];
            table
                .groups
                .emit_cell(merged.slot, cell, window, &at, emit)?;
        }
        if self.closes && to > from {
            let emitted = self.merged[to - 1].sequence.cast_signed();
            table.groups.set_own(IN_HAND, end);
            table.groups.set_own(EMITTED, emitted);
        }
        Ok(())
    }

    /// The window in hand is done.
    fn finish(&mut self, table: &mut Table) {
        let words = table.groups.columns.words();
        for (index, merged) in self.merged.iter().enumerate() {
            let cell = &self.cells[index * words..(index + 1) * words];
            table.groups.columns.free(cell);
            self.places[merged.family as usize] = 0;
        }
        self.merged.clear();
        self.cells.clear();
        if let (true, Some(end)) = (self.closes, self.end) {
            table.groups.set_own(DONE, end);
        }
    }
}

/// The floor of a group; None when it counts in every window of its pane.
pub(super) fn floor_of(table: &Table, slot: Slot) -> Option<Micros> {
    let key = table.groups.state.key(slot);
    let (_, tail) = table.groups.decode_key(key)?;
    pane_and_floor(tail)?.1
}
