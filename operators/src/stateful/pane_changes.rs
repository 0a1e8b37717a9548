//! Sliding windows of what changed since the last trigger: each window with a pane that changed, merged from its panes.

use std::collections::{BTreeSet, HashMap};

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Progress};
use thalweg_engine::record::{Micros, RecordMeta};

use super::aggregate::at_end_of;
use super::groups::SLICE;
use super::keyed_state::Slot;
use super::panes::Table;

/// Groups that changed, by family, in order of the families' first arrival among them.
pub(super) struct Changes {
    families: Vec<Vec<Slot>>,
    /// The family to go on from.
    place: usize,
}

impl Changes {
    /// What waits for the trigger.
    pub(super) fn new(table: &mut Table) -> Self {
        let mut families: Vec<Vec<Slot>> = Vec::new();
        let mut places = HashMap::new();
        for slot in table.groups.take_pending() {
            let family = table.groups.state.tag(slot);
            let place = *places.entry(family).or_insert_with(|| {
                families.push(Vec::new());
                families.len() - 1
            });
            families[place].push(slot);
        }
        Self { families, place: 0 }
    }

    /// One slice.
    pub(super) fn resume(
        &mut self,
        table: &mut Table,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        let mut rows = 0;
        while let Some(slots) = self.families.get(self.place) {
            if rows >= SLICE {
                return Ok(Progress::More);
            }
            rows += emit_family(table, slots, at, emit)?;
            for &slot in slots {
                table.groups.state.clear_changed(slot);
            }
            self.place += 1;
        }
        Ok(Progress::Done)
    }

    /// What was emitted waits no longer, although the trigger is not served yet: to be saved so.
    pub(super) fn mark_emitted(&mut self, table: &mut Table) {
        for slot in self.families.drain(..self.place).flatten() {
            table.groups.state.mark_dirty(slot);
        }
        self.place = 0;
    }
}

/// Emits the windows of one family's changed groups; gives how many.
fn emit_family(
    table: &mut Table,
    changed: &[Slot],
    at: &RecordMeta,
    emit: &mut dyn Emit,
) -> Result<usize, RecordError> {
    let grid = table.grid;
    let mut ends = BTreeSet::new();
    let mut prefix = Vec::new();
    for &slot in changed {
        let key = table.groups.state.key(slot);
        let Some((family, pane, floor)) = table.split_key(key) else {
            continue;
        };
        prefix.clear();
        prefix.extend_from_slice(family);
        let Ok((mut start, last)) = grid.starts(pane) else {
            continue;
        };
        while start <= last {
            let end = start.saturating_add(grid.size);
            if floor < Some(end) {
                ends.insert(end);
            }
            start = start.saturating_add(grid.slide);
        }
    }
    let (Some(&first), Some(&last)) = (ends.first(), ends.last()) else {
        return Ok(0);
    };
    let groups = gather(table, &mut prefix, first.saturating_sub(grid.size), last);
    let mut cell = vec![0; table.groups.columns.words()];
    for &end in &ends {
        let begin = end.saturating_sub(grid.size);
        cell.fill(0);
        for &(pane, floor, slot) in &groups {
            if (begin..end).contains(&pane) && floor < Some(end) {
                let from = table.groups.state.cell(slot);
                table.groups.columns.merge(&mut cell, from)?;
            }
        }
        let window = Some((begin, end));
        let meta = at_end_of(at, end);
        table
            .groups
            .emit_cell(changed[0], &cell, window, &meta, emit)?;
        table.groups.columns.free(&cell);
    }
    Ok(ends.len())
}

/// The family's groups in the panes of a stretch of time: pane, floor, slot.
fn gather(
    table: &Table,
    prefix: &mut Vec<u8>,
    from: Micros,
    to: Micros,
) -> Vec<(Micros, Option<Micros>, Slot)> {
    let family = prefix.len();
    let mut groups = Vec::new();
    for (&pane, found) in table.panes.range(from..to) {
        prefix.truncate(family);
        prefix.extend_from_slice(&pane.to_le_bytes());
        if let Some(slot) = table.groups.state.find(prefix) {
            groups.push((pane, None, slot));
        }
        for floor in &found.floors {
            prefix.truncate(family + 8);
            prefix.extend_from_slice(&floor.to_le_bytes());
            if let Some(slot) = table.groups.state.find(prefix) {
                groups.push((pane, Some(*floor), slot));
            }
        }
    }
    groups
}
