//! Takes back what was saved, also when functions were added or dropped since: what has the same identity is kept.

use std::collections::HashMap;

use thalweg_engine::error::Failure;
use thalweg_engine::row::Value;
use thalweg_engine::schema::DataType;
use thalweg_engine::state::StateChanges;

use crate::stateful::over::adopt::New;
use crate::stateful::over::cell::Stored;
use crate::stateful::over::keys::flag;
use crate::stateful::over::leaf::Leaf;
use crate::stateful::over::operator::Window;
use crate::stateful::over::program::Program;
use crate::stateful::over::save::{FORMAT, HEAD, LEAF, Layout, Running, WATERMARK, take_value};
use crate::stateful::over::tree::{PartsMut, Tree};

/// How the bytes of one layout become this step's.
pub(super) struct Reading {
    layout: Layout,
    same: bool,
    /// For each kept column of this step its place in the layout.
    kept: Vec<Option<usize>>,
    /// For each accumulator of this step its place in the layout.
    running: Vec<Option<usize>>,
    /// For each aggregate of panes of this step its place in the layout.
    panes: Vec<Option<usize>>,
    /// How many words a head has there.
    words: usize,
    /// The types of its values and of those of a row, where this step knows them.
    head_types: Vec<Option<DataType>>,
    row_types: Vec<Option<DataType>>,
}

impl Reading {
    pub(super) fn new(text: &str, own: &Layout, program: &Program) -> Result<Self, Failure> {
        let layout: Layout = serde_json::from_str(text)
            .ok()
            .filter(|layout: &Layout| layout.format == FORMAT && layout.columns.words > 0)
            .ok_or_else(|| {
                Failure::refuse(format!(
                    "the checkpoint holds state of OVER in a form that this version does not read: {text}"
                ))
            })?;
        let kept: Vec<Option<usize>> = own
            .kept
            .iter()
            .map(|column| layout.kept.iter().position(|other| other == column))
            .collect();
        let running = places(&own.running, &layout.running);
        let panes = match (&own.panes, &layout.panes) {
            (None, None) => Vec::new(),
            (Some((step, folds)), Some((other, theirs))) if step == other => places(folds, theirs),
            _ => {
                return Err(Failure::refuse(
                    "the checkpoint's state of OVER was kept with another frameStep: set it as it was, or begin the query anew",
                ));
            }
        };
        let mut row_types = vec![None; layout.columns.values];
        for (from, data_type) in kept.iter().zip(&program.kept_types) {
            if let Some(from) = *from
                && let Some(Stored::Value(at)) = layout.columns.stored.get(from)
                && let Some(known) = row_types.get_mut(*at)
            {
                *known = Some(data_type.clone());
            }
        }
        let theirs = layout.panes.iter().flat_map(|(_, folds)| folds);
        let theirs: Vec<&Running> = theirs.collect();
        for (from, fold) in panes.iter().zip(&program.shape.folds) {
            if let Some(Running {
                values: (at, 1), ..
            }) = from.and_then(|from| theirs.get(from)).copied()
                && let Some(known) = row_types.get_mut(*at)
            {
                *known = program.pane_type(fold);
            }
        }
        let end = |range: (usize, usize)| range.0 + range.1;
        let values = layout.running.iter().map(|r| end(r.values)).max();
        let mut head_types = vec![None; values.unwrap_or(0)];
        for (from, data_type) in running.iter().zip(&program.running_types) {
            if let Some(Running {
                values: (at, 1), ..
            }) = from.and_then(|from| layout.running.get(from))
            {
                head_types[*at] = Some(data_type.clone());
            }
        }
        let words = layout.running.iter().map(|r| end(r.words)).max();
        Ok(Self {
            same: layout == *own,
            kept,
            running,
            panes,
            words: words.unwrap_or(0),
            head_types,
            row_types,
            layout,
        })
    }
}

/// The places that a layout has nothing for.
fn lacking(places: &[Option<usize>]) -> Vec<usize> {
    let places = places.iter().enumerate();
    places
        .filter(|(_, from)| from.is_none())
        .map(|(place, _)| place)
        .collect()
}

/// Where each aggregate stands among others.
fn places(own: &[Running], others: &[Running]) -> Vec<Option<usize>> {
    let place = |one: &Running| {
        let same = |other: &Running| other.identity == one.identity && other.words.1 == one.words.1;
        others.iter().position(same)
    };
    own.iter().map(place).collect()
}

/// A leaf as it was saved: its label, the layout, the bytes; None when it was removed.
type SavedLeaf<'a> = (u64, usize, Option<&'a [u8]>);

fn damaged() -> Failure {
    Failure::refuse(
        "the checkpoint's state of OVER is damaged: an entry is not what its layout says; go back to an older checkpoint",
    )
}

/// Takes back all changes, oldest first.
pub(super) fn restore(window: &mut Window, changes: &[StateChanges]) -> Result<(), Failure> {
    let own = Layout::of(&window.program);
    let mut readings: Vec<(&str, Reading)> = Vec::new();
    let mut leaves: Vec<Vec<SavedLeaf<'_>>> = Vec::new();
    let mut headless: HashMap<u32, ()> = HashMap::new();
    for change in changes {
        let reading = match readings.iter().position(|(text, _)| *text == change.layout) {
            Some(known) => known,
            None => {
                readings.push((
                    &change.layout,
                    Reading::new(&change.layout, &own, &window.program)?,
                ));
                readings.len() - 1
            }
        };
        for (name, value) in &change.entries {
            let (kind, key) = name.split_first().ok_or_else(damaged)?;
            match *kind {
                HEAD => {
                    let (slot, _) = window.keys.slot(key);
                    match value {
                        None => {
                            headless.insert(slot, ());
                            window.keys.both_mut(slot).0.fill(0);
                            window.keys.both_mut(slot).1.fill(Value::Null);
                        }
                        Some(bytes) => {
                            if !headless.is_empty() {
                                headless.remove(&slot);
                            }
                            let into = window.keys.both_mut(slot);
                            let touched = head(into, &window.program, &readings[reading].1, bytes)
                                .ok_or_else(damaged)?;
                            if let Some(touched) = touched {
                                window.keys.touch(slot, touched);
                            }
                        }
                    }
                }
                LEAF => {
                    let (key, label) = key.split_last_chunk::<8>().ok_or_else(damaged)?;
                    let (slot, _) = window.keys.slot(key);
                    let place = slot as usize;
                    if leaves.len() <= place {
                        leaves.resize_with(place + 1, Vec::new);
                    }
                    leaves[place].push((u64::from_be_bytes(*label), reading, value));
                }
                WATERMARK => {
                    let bytes = value.and_then(|bytes| bytes.try_into().ok());
                    window.watermark = Some(i64::from_le_bytes(bytes.ok_or_else(damaged)?));
                    window.saved_watermark = window.watermark;
                }
                _ => return Err(damaged()),
            }
        }
    }
    window.whole = readings.iter().any(|(_, reading)| !reading.same);
    if let Some((_, reading)) = readings.last() {
        window.new = New {
            running: lacking(&reading.running),
            kept: lacking(&reading.kept),
            panes: lacking(&reading.panes),
        };
    }
    for (slot, saved) in leaves.into_iter().enumerate() {
        let slot = u32::try_from(slot).map_err(|_| damaged())?;
        tree(window, slot, saved, &readings).ok_or_else(damaged)?;
    }
    for slot in 0..window.keys.slots() {
        window.settle(slot, headless.contains_key(&slot));
    }
    Ok(())
}

/// Reads the accumulators of a key. Gives when its last record came, where that was saved.
pub(super) fn head(
    (own, own_values): PartsMut<'_>,
    program: &Program,
    reading: &Reading,
    bytes: &[u8],
) -> Option<Option<i64>> {
    let (words, mut rest) = bytes.split_at_checked(reading.words * 8)?;
    let mut touched = None;
    if reading.layout.time {
        let (time, values) = rest.split_first_chunk::<8>()?;
        touched = Some(i64::from_le_bytes(*time));
        rest = values;
    }
    let values: Vec<Value> = reading
        .head_types
        .iter()
        .map(|data_type| take_value(&mut rest, data_type.as_ref()))
        .collect::<Option<_>>()?;
    if !rest.is_empty() {
        return None;
    }
    for (fold, from) in program.running.iter().zip(&reading.running) {
        let (count, count_values) = fold.rule.size();
        let Some(saved) = from.map(|from| &reading.layout.running[from]) else {
            own[fold.at..fold.at + count].fill(0);
            own_values[fold.value_at..fold.value_at + count_values].fill(Value::Null);
            continue;
        };
        for word in 0..count {
            own[fold.at + word] = word_at(words, saved.words.0 + word)?;
        }
        for value in 0..count_values {
            own_values[fold.value_at + value] = values.get(saved.values.0 + value)?.clone();
        }
    }
    Some(touched)
}

fn word_at(bytes: &[u8], word: usize) -> Option<u64> {
    let bytes = bytes.get(word * 8..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Builds the tree of a key from its leaves: of each label the newest.
fn tree(
    window: &mut Window,
    slot: u32,
    mut saved: Vec<SavedLeaf<'_>>,
    readings: &[(&str, Reading)],
) -> Option<()> {
    if !window.program.keeps_rows {
        return Some(());
    }
    saved.sort_by_key(|(label, ..)| *label);
    let mut leaves: Vec<Leaf> = Vec::new();
    for (index, (label, reading, bytes)) in saved.iter().enumerate() {
        let newest = saved.get(index + 1).is_none_or(|next| next.0 != *label);
        if let (Some(bytes), true) = (bytes, newest) {
            leaves.push(leaf(&window.program, *label, &readings[*reading].1, bytes)?);
        }
    }
    leaves.retain(|leaf| !leaf.words.is_empty());
    *window.keys.tree(slot) = Tree::of(leaves, &window.program.shape);
    window.rows += window.keys.tree_ref(slot).rows(&window.program.shape);
    Some(())
}

/// Reads a leaf.
pub(super) fn leaf(program: &Program, label: u64, reading: &Reading, bytes: &[u8]) -> Option<Leaf> {
    let (rows, rest) = bytes.split_first_chunk::<4>()?;
    let rows = u32::from_le_bytes(*rows) as usize;
    let theirs = &reading.layout.columns;
    let (words, mut rest) = rest.split_at_checked(rows.checked_mul(theirs.words * 8)?)?;
    let words: Vec<u64> = (0..rows * theirs.words)
        .map(|word| word_at(words, word))
        .collect::<Option<_>>()?;
    let mut values = Vec::new();
    for _ in 0..rows {
        for data_type in &reading.row_types {
            values.push(take_value(&mut rest, data_type.as_ref())?);
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let mut leaf = Leaf {
        label,
        words,
        values,
        dirty: false,
    };
    let own = &program.shape.columns;
    if own.merged && !reading.same {
        return panes(program, reading, leaf);
    }
    if theirs == own && program.kept_identities == reading.layout.kept {
        return Some(leaf);
    }
    let (mut words, mut values) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let (row_words, row_values) = leaf.row(row, theirs);
        let columns: Vec<Value> = reading
            .kept
            .iter()
            .map(|from| {
                from.map_or(Value::Null, |from| {
                    theirs.value(from, row_words, row_values)
                })
            })
            .collect();
        let time = row_words[0].cast_signed();
        own.write(time, |column| &columns[column], &mut words, &mut values);
    }
    (leaf.words, leaf.values) = (words, values);
    Some(leaf)
}

/// The panes of a leaf with the aggregates of this step; those that are new begin with nothing.
fn panes(program: &Program, reading: &Reading, leaf: Leaf) -> Option<Leaf> {
    let theirs = &reading.layout.columns;
    let saved = reading.layout.panes.as_ref().map(|(_, folds)| folds)?;
    let own = &program.shape;
    let (mut words, mut values) = (Vec::new(), Vec::new());
    for row in 0..leaf.rows(theirs) {
        let (row_words, row_values) = leaf.row(row, theirs);
        let (begin, begin_values) = (words.len(), values.len());
        words.resize(begin + own.columns.words, 0);
        values.resize(begin_values + own.columns.values, Value::Null);
        words[begin] = row_words[0];
        for (fold, from) in own.folds.iter().zip(&reading.panes) {
            let Some(from) = from.and_then(|from| saved.get(from)) else {
                continue;
            };
            let (count, count_values) = fold.rule.size();
            let at = begin + 1 + fold.at;
            let from_words = row_words.get(1 + from.words.0..)?.get(..count)?;
            words[at..at + count].copy_from_slice(from_words);
            let at = begin_values + fold.value_at;
            let from_values = row_values.get(from.values.0..)?.get(..count_values)?;
            values[at..at + count_values].clone_from_slice(from_values);
        }
    }
    Some(Leaf {
        words,
        values,
        ..leaf
    })
}

impl Window {
    /// After all changes were read: a key without rows and accumulators is none; the others wait for the watermark.
    fn settle(&mut self, slot: u32, headless: bool) {
        if !self.keys.is(slot, flag::LIVE) {
            return;
        }
        let rows = self.program.keeps_rows;
        if rows {
            self.forget(slot);
        }
        let empty = !rows || self.keys.tree_ref(slot).rows(&self.program.shape) == 0;
        if empty && (headless || self.program.running.is_empty()) {
            return self.remove(slot);
        }
        if rows {
            self.wait(slot);
        }
    }
}
