//! Takes functions that are new in a step with kept state from another one, which was given the newest records again.
//!
//! Both have the rows of a key in order of time; what one has forgotten is older than all that it keeps. So rows are the same
//! from the newest backwards: those of one time are matched from the last one on. New functions may reach further back
//! than those that were kept rows for: what is older than the oldest kept row is taken as it was built.

use thalweg_engine::error::Failure;
use thalweg_engine::row::Value;
use thalweg_engine::state::StateChanges;

use crate::stateful::over::keys::flag;
use crate::stateful::over::operator::Window;
use crate::stateful::over::program::Program;
use crate::stateful::over::restore::restore;
use crate::stateful::over::tree::{Parts, Tree};

/// The places of what a restored state had nothing of.
#[derive(Debug, Default)]
pub(super) struct New {
    /// Aggregates from UNBOUNDED PRECEDING.
    pub(super) running: Vec<usize>,
    /// Columns of kept rows.
    pub(super) kept: Vec<usize>,
    /// Aggregates of panes.
    pub(super) panes: Vec<usize>,
}

/// A row of its own.
type Owned = (Vec<u64>, Vec<Value>);

/// Takes what is new from all that another step has saved.
pub(super) fn adopt(window: &mut Window, built: &StateChanges) -> Result<(), Failure> {
    let mut other = Window::of(window.program.clone());
    restore(&mut other, std::slice::from_ref(built))?;
    other.watermark = window.watermark;
    // A key that is here no more has been forgotten, with what is kept of it for ever.
    let forgets = window.program.running.len() > window.new.running.len();
    for from in 0..other.keys.slots() {
        if !other.keys.is(from, flag::LIVE) {
            continue;
        }
        let slot = match window.keys.find(other.keys.key(from)) {
            Some(slot) => slot,
            None if forgets => continue,
            None => {
                let (slot, _) = window.keys.slot(other.keys.key(from));
                window.keys.touch(slot, other.keys.touched(from));
                slot
            }
        };
        running(window, slot, &other, from);
        if window.program.keeps_rows {
            window.forget(slot);
            other.forget(from);
            rows(window, slot, &other, from);
            window.wait(slot);
            window.remove_if_empty(slot);
        }
    }
    window.whole = true;
    Ok(())
}

/// The aggregates from UNBOUNDED PRECEDING.
fn running(window: &mut Window, slot: u32, other: &Window, from: u32) {
    let (words, values) = other.keys.accumulators(from);
    let (into, into_values) = window.keys.both_mut(slot);
    for place in &window.new.running {
        let fold = &window.program.running[*place];
        let (count, count_values) = fold.rule.size();
        let range = fold.at..fold.at + count;
        into[range.clone()].copy_from_slice(&words[range]);
        let range = fold.value_at..fold.value_at + count_values;
        into_values[range.clone()].clone_from_slice(&values[range]);
    }
}

/// The rows, or panes, of a key.
fn rows(window: &mut Window, slot: u32, other: &Window, from: u32) {
    let shape = &window.program.shape;
    let mut kept = all(window.keys.tree_ref(slot), &window.program);
    let built = all(other.keys.tree_ref(from), &window.program);
    let oldest = kept.first().map(time);
    let mut older = Vec::new();
    let mut place = 0;
    for same in built.chunk_by(|a, b| time(a) == time(b)) {
        let at = time(&same[0]);
        if oldest.is_none_or(|oldest| at < oldest) {
            older.extend_from_slice(same);
            continue;
        }
        while kept.get(place).is_some_and(|row| time(row) < at) {
            place += 1;
        }
        let mine = kept[place..]
            .iter()
            .take_while(|row| time(row) == at)
            .count();
        let both = mine.min(same.len());
        let (rest, last) = same.split_at(same.len() - both);
        // A frame of ROWS may have been cut among those of one time.
        if Some(at) == oldest && window.program.rows.is_some() {
            older.extend_from_slice(rest);
        }
        let own = &mut kept[place + mine - both..place + mine];
        for (row, built) in own.iter_mut().zip(last) {
            fill(row, built, &window.program, &window.new);
        }
        place += mine;
    }
    window.rows -= kept_rows(window, slot);
    let mut tree = Tree::default();
    for (rank, (words, values)) in older.iter().chain(&kept).enumerate() {
        tree.insert(rank, (words, values), shape, &mut Vec::new());
    }
    *window.keys.tree(slot) = tree;
    window.rows += kept_rows(window, slot);
}

fn kept_rows(window: &Window, slot: u32) -> usize {
    window.keys.tree_ref(slot).rows(&window.program.shape)
}

fn time((words, _): &Owned) -> i64 {
    words[0].cast_signed()
}

fn all(tree: &Tree, program: &Program) -> Vec<Owned> {
    let mut rows = Vec::new();
    let own = |(words, values): Parts<'_>| rows.push((words.to_vec(), values.to_vec()));
    tree.visit((0, usize::MAX), &program.shape, own);
    rows
}

/// Gives a kept row what is new of the same one as it was built.
fn fill(row: &mut Owned, built: &Owned, program: &Program, new: &New) {
    let columns = &program.shape.columns;
    if columns.merged {
        for place in &new.panes {
            let fold = &program.shape.folds[*place];
            let (count, count_values) = fold.rule.size();
            let range = 1 + fold.at..1 + fold.at + count;
            row.0[range.clone()].copy_from_slice(&built.0[range]);
            let range = fold.value_at..fold.value_at + count_values;
            row.1[range.clone()].clone_from_slice(&built.1[range]);
        }
        return;
    }
    if new.kept.is_empty() {
        return;
    }
    let values: Vec<Value> = (0..program.kept.len())
        .map(|column| {
            let (words, values) = if new.kept.contains(&column) {
                built
            } else {
                &*row
            };
            columns.value(column, words, values)
        })
        .collect();
    let at = time(row);
    let (mut words, mut row_values) = (Vec::new(), Vec::new());
    columns.write(at, |column| &values[column], &mut words, &mut row_values);
    *row = (words, row_values);
}
