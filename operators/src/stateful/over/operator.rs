//! The operator: one record in, one answer out.

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{Entries, StateChanges, StateSize};

use crate::stateful::bytes::encode_key;
use crate::stateful::over::cell::Cell;
use crate::stateful::over::distinct::Distinct;
use crate::stateful::over::finish::Finish;
use crate::stateful::over::keys::{Keys, flag};
use crate::stateful::over::program::Program;
use crate::stateful::over::save::Layout;
use crate::stateful::over::wheel::Wheel;
use crate::stateful::over::{Distance, Frame, Over};

/// How many keys are looked at between two records, so that none waits long.
const SLICE: usize = 256;

/// Answers each record from the frames of its key.
pub struct Window {
    pub(super) program: Program,
    pub(super) keys: Keys,
    distinct: Distinct,
    wheel: Wheel,
    pub(super) watermark: Option<Micros>,
    /// Rows in all trees.
    pub(super) rows: usize,
    /// What the current record has done, to be undone.
    undo: Vec<Undo>,
    undo_words: Vec<u64>,
    undo_values: Vec<Value>,
    /// Slots that differ from what was saved.
    pub(super) dirty: Vec<u32>,
    /// What was removed since the last save.
    pub(super) removed: Entries,
    /// Whether the next save is of everything, because another layout was restored.
    pub(super) whole: bool,
    /// What the saved bytes mean, as text.
    pub(super) layout: String,
    pub(super) saved_watermark: Option<Micros>,
    /// Where `expire` goes on.
    expired: u32,
    scratch: Scratch,
}

/// One row of the current record.
struct Undo {
    slot: u32,
    new: bool,
    touched: i64,
    rank: Option<usize>,
}

#[derive(Default)]
struct Scratch {
    key: Vec<u8>,
    out: Vec<Value>,
    words: Vec<u64>,
    values: Vec<Value>,
    folded: Vec<u64>,
    folded_values: Vec<Value>,
    gone: Vec<u64>,
    ranges: Vec<(usize, usize)>,
}

impl Window {
    /// A step without any key.
    pub fn new(over: &Over) -> Self {
        let program = Program::new(over);
        let longest = match program.range {
            Some(Distance::Whole(distance)) => distance,
            _ => 0,
        };
        Self {
            keys: Keys::new(&program),
            distinct: Distinct::default(),
            wheel: Wheel::new(longest),
            watermark: None,
            rows: 0,
            undo: Vec::new(),
            undo_words: Vec::new(),
            undo_values: Vec::new(),
            dirty: Vec::new(),
            removed: Entries::default(),
            whole: false,
            layout: Layout::of(&program).text(),
            saved_watermark: None,
            expired: 0,
            scratch: Scratch {
                folded: vec![0; program.shape.words],
                folded_values: vec![Value::Null; program.shape.values],
                ..Scratch::default()
            },
            program,
        }
    }

    /// How many rows of a key no frame of a record that is still to come can reach.
    fn out_of_reach(&self, slot: u32) -> usize {
        let Some(order) = &self.program.order else {
            let rows = self.keys.tree_ref(slot).rows(&self.program.shape);
            return rows.saturating_sub(reach(self.program.rows));
        };
        let (tree, shape) = (self.keys.tree_ref(slot), &self.program.shape);
        let newest = if self.program.event_time {
            self.watermark
        } else {
            tree.last(shape)
        };
        let Some(newest) = newest else {
            return 0;
        };
        let by_time = self
            .program
            .range
            .map(|distance| tree.rank(order.below(newest, distance), false, shape));
        let by_rows = self.program.rows.map(|_| {
            let before = if self.program.event_time {
                tree.rank(newest, false, shape)
            } else {
                tree.rows(shape)
            };
            before.saturating_sub(reach(self.program.rows))
        });
        match (by_time, by_rows) {
            (Some(a), Some(b)) => a.min(b),
            (Some(rows), None) | (None, Some(rows)) => rows,
            (None, None) => 0,
        }
    }

    /// Forgets the rows of a key that are out of reach.
    pub(super) fn forget(&mut self, slot: u32) {
        let rows = self.out_of_reach(slot);
        if rows > 0 {
            self.drop_rows(slot, rows);
        }
    }

    fn drop_rows(&mut self, slot: u32, rows: usize) {
        let shape = &self.program.shape;
        let counted = &self.program.counted;
        let tree = self.keys.tree_ref(slot);
        self.distinct.evicted(slot, counted, tree, rows, shape);
        self.rows -= rows;
        let gone = &mut self.scratch.gone;
        self.keys.tree(slot).evict(rows, shape, gone);
        self.remove_leaves(slot);
    }

    /// Notes that the leaves in `gone` are no more.
    fn remove_leaves(&mut self, slot: u32) {
        for label in self.scratch.gone.drain(..) {
            self.removed
                .remove(&super::save::leaf_key(self.keys.key(slot), label));
        }
    }

    fn mark(&mut self, slot: u32) {
        if !self.keys.set(slot, flag::DIRTY, true) {
            self.dirty.push(slot);
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, slot: u32) {
        if self.program.keeps_rows {
            let rows = self.keys.tree_ref(slot).rows(&self.program.shape);
            self.drop_rows(slot, rows);
            self.distinct.forget(slot, &self.program.counted);
        }
        if self.has_head() {
            self.removed
                .remove(&super::save::head_key(self.keys.key(slot)));
        }
        self.keys.remove(slot);
    }

    /// Whether a key has more to save than its rows.
    pub(super) fn has_head(&self) -> bool {
        !self.program.running.is_empty() || self.program.ttl.is_some()
    }

    /// A key that keeps nothing is none.
    fn remove_if_empty(&mut self, slot: u32) {
        if self.program.running.is_empty()
            && self.keys.tree_ref(slot).rows(&self.program.shape) == 0
        {
            self.remove(slot);
        }
    }

    /// Lets the watermark look at a key again when its oldest row may go.
    pub(super) fn wait(&mut self, slot: u32) {
        if !self.program.event_time || self.keys.is(slot, flag::WAITS) {
            return;
        }
        if let (Some(Distance::Whole(distance)), Some(first)) = (
            self.program.range,
            self.keys.tree_ref(slot).first(&self.program.shape),
        ) {
            self.keys.set(slot, flag::WAITS, true);
            self.wheel.add(slot, first.saturating_add(distance));
        }
    }

    /// Looks at keys whose oldest row the watermark has passed.
    fn sweep(&mut self) {
        let Some(watermark) = self.watermark else {
            return;
        };
        for _ in 0..SLICE {
            let Some(slot) = self.wheel.pop(watermark) else {
                return;
            };
            self.keys.awake(slot);
            if !self.keys.is(slot, flag::LIVE) {
                continue;
            }
            self.forget(slot);
            // One that `lag` or a ROWS frame keeps alive waits again only when it has changed.
            if self.program.rows.is_none() {
                self.wait(slot);
            }
            self.remove_if_empty(slot);
        }
    }

    fn begin(&mut self, row: &[Value], meta: &RecordMeta) -> (u32, i64) {
        let key = &mut self.scratch.key;
        key.clear();
        for place in &self.program.keys {
            encode_key(std::slice::from_ref(&row[*place]), key);
        }
        let (slot, new) = self.keys.slot(key);
        let touched_before = self.keys.set(slot, flag::TOUCHED, true);
        // A second row of the same record must find what the first has done where it was.
        if self.program.keeps_rows && self.program.event_time && !new && !touched_before {
            self.forget(slot);
        }
        let (words, values) = self.keys.accumulators(slot);
        self.undo_words.extend_from_slice(words);
        self.undo_values.extend_from_slice(values);
        self.undo.push(Undo {
            slot,
            new,
            touched: self.keys.touched(slot),
            rank: None,
        });
        self.keys.touch(slot, meta.taken_at);
        let time = match &self.program.order {
            Some(order) => order.time(&row[order.place]),
            None => 0,
        };
        (slot, time)
    }

    /// Adds the row to the aggregates from UNBOUNDED PRECEDING.
    fn run(&mut self, slot: u32, row: &[Value]) {
        let (words, values) = self.keys.both_mut(slot);
        for fold in &self.program.running {
            let cell = match self.program.inputs.get(fold.column) {
                None => Cell::Null,
                Some(input) => match (&row[input.place], input.packed) {
                    (Value::Null, _) => Cell::Null,
                    (value, Some(packed)) => packed.pack(value).map_or(Cell::Null, Cell::Word),
                    (value, None) => Cell::Value(value),
                },
            };
            fold.add(words, values, cell);
        }
    }

    /// Keeps the row; gives its rank.
    fn keep(&mut self, slot: u32, time: i64, row: &[Value]) -> Result<usize, RecordError> {
        let (shape, kept) = (&self.program.shape, &self.program.kept);
        let tree = self.keys.tree(slot);
        if tree.rows(shape) >= self.program.rows_max {
            return Err(too_many(self.program.rows_max));
        }
        let rank = match tree.last(shape) {
            Some(last) if last > time => tree.rank(time, true, shape),
            _ => tree.rows(shape),
        };
        let scratch = &mut self.scratch;
        scratch.words.clear();
        scratch.values.clear();
        let value = |column: usize| &row[kept[column]];
        shape
            .columns
            .write(time, value, &mut scratch.words, &mut scratch.values);
        let kept = (&*scratch.words, &*scratch.values);
        tree.insert(rank, kept, shape, &mut scratch.gone);
        self.rows += 1;
        if let Some(undo) = self.undo.last_mut() {
            undo.rank = Some(rank);
        }
        let counted = &self.program.counted;
        self.distinct.inserted(slot, counted, rank, kept, shape);
        if !self.scratch.gone.is_empty() {
            self.mark(slot);
            self.remove_leaves(slot);
        }
        Ok(rank)
    }

    /// The ranks of the first row of each frame and of the row behind its last.
    fn ranges(&mut self, slot: u32, time: i64, rank: usize) {
        let (tree, shape) = (self.keys.tree_ref(slot), &self.program.shape);
        let ranges = &mut self.scratch.ranges;
        ranges.clear();
        for framed in &self.program.frames {
            let range = match (
                framed.as_ref().map(|framed| framed.frame),
                &self.program.order,
            ) {
                (Some(Frame::Rows { from, to }), _) => (
                    rank.saturating_sub(reach(Some(from))),
                    (rank + 1).saturating_sub(reach(Some(to))),
                ),
                (Some(Frame::Range { from, to }), Some(order)) => {
                    let begin = tree.rank(order.below(time, from), false, shape);
                    let end = match to {
                        Distance::Whole(0) => rank + 1,
                        to => tree.rank(order.below(time, to), true, shape),
                    };
                    (begin, end)
                }
                _ => (0, 0),
            };
            ranges.push(range);
        }
    }

    /// Adds the results to the row.
    fn finish(&mut self, slot: u32, rank: usize, row: &[Value]) -> Result<(), RecordError> {
        let program = &self.program;
        let scratch = &mut self.scratch;
        let shape = &program.shape;
        // Functions of one frame stand side by side mostly: its aggregates are made once.
        let mut made = None;
        for (place, finish) in program.finishes.iter().enumerate() {
            let at = row.len() + place;
            let value = match finish {
                Finish::Running { current: false, .. } => continue,
                Finish::Running { answer, .. } => {
                    let (words, values) = self.keys.accumulators(slot);
                    answer.value(words, values)?
                }
                Finish::Framed { frame, answer } => {
                    if made != Some(*frame) {
                        made = Some(*frame);
                        scratch.folded.fill(0);
                        scratch.folded_values.fill(Value::Null);
                        let folds = match &program.frames[*frame] {
                            Some(framed) => framed.folds.as_slice(),
                            None => &[],
                        };
                        let into = (&mut *scratch.folded, &mut *scratch.folded_values);
                        let tree = self.keys.tree(slot);
                        tree.fold(scratch.ranges[*frame], folds, shape, into);
                    }
                    answer.value(&scratch.folded, &scratch.folded_values)?
                }
                Finish::Rows { frame } => {
                    let (from, to) = scratch.ranges[*frame];
                    Value::BigInt(i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX))
                }
                Finish::First { frame, column } => {
                    let (from, to) = scratch.ranges[*frame];
                    self.keys.tree_ref(slot).value(from, to, *column, shape)
                }
                Finish::Last { frame, column } => {
                    let (from, to) = scratch.ranges[*frame];
                    let tree = self.keys.tree_ref(slot);
                    match to.checked_sub(1) {
                        Some(last) if last >= from => tree.value(last, to, *column, shape),
                        _ => Value::Null,
                    }
                }
                Finish::Lag {
                    offset,
                    column,
                    default,
                } => match rank.checked_sub(*offset) {
                    Some(before) => self.keys.tree_ref(slot).value(before, rank, *column, shape),
                    None => default.map_or(Value::Null, |place| row[place].clone()),
                },
                Finish::Distinct { frame, which } => {
                    let count = self.distinct.count(
                        (slot, *which),
                        program.counted[*which],
                        self.keys.tree_ref(slot),
                        scratch.ranges[*frame],
                        shape,
                    );
                    Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX))
                }
                Finish::Collect {
                    frame,
                    counted,
                    distinct,
                } => counted.collect(
                    *distinct,
                    self.keys.tree_ref(slot),
                    scratch.ranges[*frame],
                    shape,
                ),
            };
            scratch.out[at] = value;
        }
        Ok(())
    }

    /// The answers that the row itself is not in.
    fn finish_before(&mut self, slot: u32, row: &[Value]) -> Result<(), RecordError> {
        let out = &mut self.scratch.out;
        out.clear();
        out.extend_from_slice(row);
        for finish in &self.program.finishes {
            let value = match finish {
                Finish::Running {
                    current: false,
                    answer,
                } => {
                    let (words, values) = self.keys.accumulators(slot);
                    answer.value(words, values)?
                }
                _ => Value::Null,
            };
            out.push(value);
        }
        Ok(())
    }
}

fn reach(rows: Option<u64>) -> usize {
    usize::try_from(rows.unwrap_or_default()).unwrap_or(usize::MAX)
}

#[cold]
fn too_many(max: usize) -> RecordError {
    RecordError::expression(format!(
        "one key has {max} rows in its longest frame, which is the limit: shorten the frame, filter such keys out, or raise frameRowsMax"
    ))
}

impl Operator for Window {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let (slot, time) = self.begin(row, meta);
        self.finish_before(slot, row)?;
        self.run(slot, row);
        let mut rank = 0;
        if self.program.keeps_rows {
            rank = self.keep(slot, time, row)?;
            self.ranges(slot, time, rank);
        }
        self.finish(slot, rank, row)?;
        emit.emit(&self.scratch.out, meta)
    }

    fn accept(&mut self) {
        for index in 0..self.undo.len() {
            let slot = self.undo[index].slot;
            if !self.keys.set(slot, flag::TOUCHED, false) {
                continue;
            }
            self.mark(slot);
            if self.program.keeps_rows {
                if !self.program.event_time || self.watermark.is_some() {
                    self.forget(slot);
                }
                self.wait(slot);
                self.remove_if_empty(slot);
            }
        }
        self.undo.clear();
        self.undo_words.clear();
        self.undo_values.clear();
    }

    fn reject(&mut self) {
        while let Some(undo) = self.undo.pop() {
            let slot = undo.slot;
            self.keys.set(slot, flag::TOUCHED, false);
            if let Some(rank) = undo.rank {
                self.distinct.forget(slot, &self.program.counted);
                let gone = &mut self.scratch.gone;
                self.keys.tree(slot).remove(rank, &self.program.shape, gone);
                self.rows -= 1;
                self.remove_leaves(slot);
            }
            let words = self.undo_words.len() - self.program.words;
            let values = self.undo_values.len() - self.program.values;
            let (held, held_values) = self.keys.both_mut(slot);
            held.copy_from_slice(&self.undo_words[words..]);
            held_values.clone_from_slice(&self.undo_values[values..]);
            self.undo_words.truncate(words);
            self.undo_values.truncate(values);
            self.keys.touch(slot, undo.touched);
            if undo.new {
                self.remove(slot);
            } else {
                // A leaf that was halved stays so.
                self.mark(slot);
            }
        }
    }

    fn advance(
        &mut self,
        watermark: Micros,
        _at: &RecordMeta,
        _emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        self.watermark = self.watermark.max(Some(watermark));
        if self.program.event_time {
            self.sweep();
        }
        Ok(Progress::Done)
    }

    fn expire(&mut self, now: Micros) {
        self.sweep();
        let Some(ttl) = self.program.ttl else {
            return;
        };
        for _ in 0..self
            .keys
            .slots()
            .min(40 * u32::try_from(SLICE).unwrap_or(1))
        {
            let slot = self.expired;
            self.expired = (slot + 1) % self.keys.slots();
            if self.keys.is(slot, flag::LIVE) && self.keys.touched(slot).saturating_add(ttl) < now {
                self.remove(slot);
            }
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        super::save::save(self)
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        super::restore::restore(self, changes)
    }

    fn size(&self) -> StateSize {
        let columns = &self.program.shape.columns;
        let row = columns.words * 8 + columns.values * size_of::<Value>();
        // Leaves are not full, and have their own cost where there are several.
        let rows = self.rows * (row + row / 4);
        StateSize {
            keys: self.keys.len() as u64,
            bytes: (self.keys.bytes() + rows + self.distinct.bytes()) as u64,
        }
    }
}
