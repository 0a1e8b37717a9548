//! The answers to a row: which rows its frames hold, and what the functions make of them.

use thalweg_engine::error::RecordError;
use thalweg_engine::row::Value;

use crate::stateful::over::finish::Finish;
use crate::stateful::over::operator::Window;
use crate::stateful::over::panes::floor;
use crate::stateful::over::program::reach;
use crate::stateful::over::tree::{Shape, Tree};
use crate::stateful::over::{Distance, Frame};

impl Window {
    /// The ranks of the first row of each frame and of the row behind its last.
    pub(super) fn ranges(&mut self, slot: u32, time: i64, rank: usize) {
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
                    let far = floor(order.below(time, from), self.program.step);
                    let begin = tree.rank(far, false, shape);
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
    pub(super) fn finish(
        &mut self,
        slot: u32,
        (time, rank): (i64, usize),
        row: &[Value],
    ) -> Result<(), RecordError> {
        let program = &self.program;
        let scratch = &mut self.scratch;
        let shape = &program.shape;
        // Functions of one frame stand side by side mostly: its aggregates are made once.
        let mut made = None;
        let mut before = scratch.before.drain(..);
        for finish in &program.finishes {
            let value = match finish {
                Finish::Running { current: false, .. } => before.next().unwrap_or_default(),
                Finish::Running { answer, .. } => {
                    let (words, values) = self.keys.accumulators(slot);
                    answer.value_at(time, words, values)?
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
                Finish::Distinct { frame, which } => {
                    let count = self.distinct.count(
                        (slot, *which),
                        &program.counted,
                        self.keys.tree_ref(slot),
                        scratch.ranges[*frame],
                        shape,
                    );
                    Value::BigInt(i64::try_from(count).unwrap_or(i64::MAX))
                }
                other => {
                    let tree = self.keys.tree_ref(slot);
                    single(other, tree, &scratch.ranges, rank, row, shape)
                }
            };
            scratch.out.push(value);
        }
        Ok(())
    }

    /// Begins the row that goes out; the answers that the incoming one is not in are made.
    pub(super) fn finish_before(
        &mut self,
        slot: u32,
        time: i64,
        row: &[Value],
    ) -> Result<(), RecordError> {
        let out = &mut self.scratch.out;
        out.clear();
        out.extend_from_slice(row);
        let before = &mut self.scratch.before;
        before.clear();
        for finish in &self.program.finishes {
            if let Finish::Running {
                current: false,
                answer,
            } = finish
            {
                let (words, values) = self.keys.accumulators(slot);
                before.push(answer.value_at(time, words, values)?);
            }
        }
        Ok(())
    }
}

/// What is read from rows of the tree, one by one.
fn single(
    finish: &Finish,
    tree: &Tree,
    ranges: &[(usize, usize)],
    rank: usize,
    row: &[Value],
    shape: &Shape,
) -> Value {
    match finish {
        Finish::Rows { frame } => {
            let (from, to) = ranges[*frame];
            Value::BigInt(i64::try_from(to.saturating_sub(from)).unwrap_or(i64::MAX))
        }
        Finish::First { frame, column } => {
            let (from, to) = ranges[*frame];
            tree.value(from, to, *column, shape)
        }
        Finish::Last { frame, column } => {
            let (from, to) = ranges[*frame];
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
            Some(before) => tree.value(before, rank + 1, *column, shape),
            None => default.map_or(Value::Null, |place| row[place].clone()),
        },
        Finish::Collect {
            frame,
            counted,
            distinct,
        } => counted.collect(*distinct, tree, ranges[*frame], shape),
        Finish::Running { .. } | Finish::Framed { .. } | Finish::Distinct { .. } => Value::Null,
    }
}
