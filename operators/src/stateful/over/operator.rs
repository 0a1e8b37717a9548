//! The operator: one record in, one answer out.

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::state::{StateChanges, StateSize};

use crate::stateful::bytes::encode_key;
use crate::stateful::over::adopt::{New, adopt};
use crate::stateful::over::cell::Cell;
use crate::stateful::over::changes::Changes;
use crate::stateful::over::distinct::Distinct;
use crate::stateful::over::keys::{Keys, flag};
use crate::stateful::over::node::Child;
use crate::stateful::over::panes::floor;
use crate::stateful::over::program::Program;
use crate::stateful::over::restore::restore;
use crate::stateful::over::save::Layout;
use crate::stateful::over::wheel::Wheel;
use crate::stateful::over::{Distance, Frame, Over};
use crate::stateful::round::Round;

/// Answers each record from the frames of its key.
pub struct Window {
    pub(super) program: Program,
    pub(super) keys: Keys,
    pub(super) distinct: Distinct,
    pub(super) wheel: Wheel,
    pub(super) watermark: Option<Micros>,
    /// Rows in all trees.
    pub(super) rows: usize,
    /// What the current record has done, to be undone.
    undo: Vec<Undo>,
    undo_words: Vec<u64>,
    undo_values: Vec<Value>,
    /// Whether a row of the current record is behind the watermark.
    late: bool,
    /// What the next save hands over.
    pub(super) changes: Changes,
    /// Whether the next save is of everything, because another layout was restored.
    pub(super) whole: bool,
    /// What the restored state had nothing of.
    pub(super) new: New,
    /// What the saved bytes mean, as text.
    pub(super) layout: String,
    pub(super) saved_watermark: Option<Micros>,
    /// Where `expire` goes on.
    round: Round,
    pub(super) scratch: Scratch,
}

/// One row of the current record.
struct Undo {
    slot: u32,
    new: bool,
    touched: i64,
    rank: Option<usize>,
}

/// A row on its way in.
struct Begun {
    slot: u32,
    time: i64,
    /// Whether the key has had rows before.
    rows_before: bool,
    /// Whether another row of the same record had this key.
    touched_before: bool,
}

/// Room that is used again for each row.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) key: Vec<u8>,
    pub(super) out: Vec<Value>,
    /// Answers from before the row came in.
    pub(super) before: Vec<Value>,
    pub(super) words: Vec<u64>,
    pub(super) values: Vec<Value>,
    pub(super) folded: Vec<u64>,
    pub(super) folded_values: Vec<Value>,
    pub(super) gone: Vec<u64>,
    pub(super) ranges: Vec<(usize, usize)>,
}

impl Window {
    /// A step without any key.
    pub fn new(over: &Over) -> Self {
        Self::of(Program::new(over))
    }

    /// The same, ready to run.
    pub(super) fn of(program: Program) -> Self {
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
            late: false,
            changes: Changes::default(),
            whole: false,
            new: New::default(),
            layout: Layout::of(&program).text(),
            saved_watermark: None,
            round: Round::default(),
            scratch: Scratch {
                folded: vec![0; program.shape.words],
                folded_values: vec![Value::Null; program.shape.values],
                ..Scratch::default()
            },
            program,
        }
    }

    /// Where a row belongs. Of many keys each place is far from the processor, and one after the other the waits for them are most
    /// of what a record takes: so they are asked for here, and what comes between here and [`Self::keep`] needs none of the rows.
    fn begin(&mut self, row: &[Value], meta: &RecordMeta) -> Begun {
        let key = &mut self.scratch.key;
        key.clear();
        for place in &self.program.keys {
            encode_key(std::slice::from_ref(&row[*place]), key);
        }
        let (slot, new) = self.keys.slot(key);
        let rows_before = self.program.keeps_rows && !new;
        if rows_before {
            self.distinct.fetch(slot, &self.program.counted);
            self.keys.tree_ref(slot).fetch_root();
        }
        let touched_before = self.keys.set(slot, flag::TOUCHED, true);
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
        self.late |= self.watermark.is_some_and(|watermark| time < watermark);
        Begun {
            slot,
            time,
            rows_before,
            touched_before,
        }
    }

    /// Lets the rows come that the answers look at, once what they hang at is there.
    fn fetch_rows(&self, slot: u32, time: i64) {
        let tree = self.keys.tree_ref(slot);
        tree.fetch_ends();
        if let Some(order) = &self.program.order {
            for framed in self.program.frames.iter().flatten() {
                if let Frame::Range { from, .. } = framed.frame {
                    tree.fetch_between(order.below(time, from));
                }
            }
        }
        self.distinct.fetch_values(slot, &self.program.counted);
    }

    /// Adds the row to the aggregates from UNBOUNDED PRECEDING.
    fn run(&mut self, slot: u32, time: i64, row: &[Value]) {
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
            fold.add_at(words, values, (time, cell));
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
        let (words, values) = (&mut scratch.words, &mut scratch.values);
        if shape.columns.merged {
            self.program.pane_of_one(time, row, words, values);
            // The next look at the key puts it into the pane that it came too late for.
            if time < self.keys.closed(slot) {
                self.keys.set_closed(slot, floor(time, self.program.step));
            }
        } else {
            shape.columns.write(time, value, words, values);
        }
        let tree = self.keys.tree(slot);
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
        let Begun {
            slot,
            time,
            rows_before,
            touched_before,
        } = self.begin(row, meta);
        self.finish_before(slot, time, row)?;
        if rows_before {
            self.fetch_rows(slot, time);
        }
        self.run(slot, time, row);
        let mut rank = 0;
        if self.program.keeps_rows {
            // A second row of the same record must find what the first has done where it was.
            if self.program.event_time && rows_before && !touched_before {
                self.forget(slot);
            }
            rank = self.keep(slot, time, row)?;
            self.ranges(slot, time, rank);
        }
        self.finish(slot, (time, rank), row)?;
        emit.emit(&self.scratch.out, meta)
    }

    fn accept(&mut self) {
        // What the watermark lets go was forgotten before the row came, and one that is not behind it takes nothing out of
        // reach.
        let forgets = !self.program.event_time || self.late;
        for index in 0..self.undo.len() {
            let slot = self.undo[index].slot;
            if !self.keys.set(slot, flag::TOUCHED, false) {
                continue;
            }
            if self.program.keeps_rows {
                if forgets {
                    self.forget(slot);
                }
                self.wait(slot);
                self.remove_if_empty(slot);
            }
            if self.keys.is(slot, flag::LIVE) {
                self.changed(slot);
            }
        }
        self.late = false;
        self.undo.clear();
        self.undo_words.clear();
        self.undo_values.clear();
    }

    fn reject(&mut self) {
        self.late = false;
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
        for slot in self.round.slots(self.keys.slots(), 10_000) {
            if self.keys.is(slot, flag::LIVE) && self.keys.touched(slot).saturating_add(ttl) < now {
                self.remove(slot);
            }
        }
    }

    fn save(&mut self) -> Option<StateChanges> {
        self.cut()
    }

    fn restore(&mut self, changes: &[StateChanges]) -> Result<(), Failure> {
        restore(self, changes)
    }

    fn adopt(&mut self, built: &StateChanges) -> Result<(), Failure> {
        adopt(self, built)
    }

    fn size(&self) -> StateSize {
        let columns = &self.program.shape.columns;
        let row = columns.words * 8 + columns.values * size_of::<Value>();
        // Leaves are not full, and have their own cost where there are several.
        let leaves = (self.rows / 10).saturating_sub(self.keys.len()) * size_of::<Child>();
        let rows = self.rows * (row + row / 4) + leaves;
        StateSize {
            keys: self.keys.len() as u64,
            bytes: (self.keys.bytes() + rows + self.distinct.bytes()) as u64,
        }
    }
}
