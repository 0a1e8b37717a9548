//! Panes instead of rows (`frameStep`): rows that the watermark has passed are merged, those of one step of time into one.
//!
//! A tree keeps them like rows, each with its time (a pane with its beginning) and its aggregates. A frame begins with the
//! whole pane that its far edge falls into; where it ends, rows are still single, because a record that is not behind the
//! watermark ends there. One behind it counts its own pane as far as it has come.

use thalweg_engine::row::Value;

use crate::stateful::over::cell::Cell;
use crate::stateful::over::operator::Window;
use crate::stateful::over::order::NULL_TIME;
use crate::stateful::over::program::Program;

/// The beginning of the pane that holds this time; without panes the time itself.
#[inline]
pub(super) fn floor(time: i64, step: Option<i64>) -> i64 {
    match step {
        Some(step) if time != NULL_TIME => time
            .checked_sub(time.rem_euclid(step))
            .unwrap_or(NULL_TIME + 1)
            .max(NULL_TIME + 1),
        _ => time,
    }
}

impl Program {
    /// The aggregates of a single row behind its time.
    pub(super) fn pane_of_one(
        &self,
        time: i64,
        row: &[Value],
        words: &mut Vec<u64>,
        values: &mut Vec<Value>,
    ) {
        words.resize(1 + self.shape.words, 0);
        words[0] = time.cast_unsigned();
        values.resize(self.shape.values, Value::Null);
        for fold in &self.shape.folds {
            let cell = match self.kept.get(fold.column) {
                None => Cell::Null,
                Some(place) => match (&row[*place], self.kept_packed[fold.column]) {
                    (Value::Null, _) => Cell::Null,
                    (value, Some(packed)) => packed.pack(value).map_or(Cell::Null, Cell::Word),
                    (value, None) => Cell::Value(value),
                },
            };
            fold.add(&mut words[1..], values, cell);
        }
    }
}

impl Window {
    /// Before what time there are panes only: behind the watermark, or the newest row of the key.
    fn closes_before(&self, slot: u32, step: i64) -> Option<i64> {
        let newest = if self.program.event_time {
            self.watermark
        } else {
            self.keys.tree_ref(slot).last(&self.program.shape)
        };
        newest.map(|newest| floor(newest, Some(step)))
    }

    /// Merges the rows of a key that are over, those of each pane into one.
    pub(super) fn close(&mut self, slot: u32) {
        let Some(step) = self.program.step else {
            return;
        };
        let done = self.keys.closed(slot);
        let Some(until) = self.closes_before(slot, step).filter(|until| *until > done) else {
            return;
        };
        self.keys.set_closed(slot, until);
        let shape = &self.program.shape;
        let scratch = &mut self.scratch;
        let tree = self.keys.tree(slot);
        let mut rank = tree.rank(done, false, shape);
        let mut merged = 0;
        while let Some((words, _)) = tree.row(rank, shape) {
            let time = words[0].cast_signed();
            if time >= until {
                break;
            }
            let pane = floor(time, Some(step));
            let next = if pane == NULL_TIME {
                NULL_TIME + 1
            } else {
                pane.saturating_add(step)
            };
            let end = tree.rank(next, false, shape);
            if end - rank > 1 || time != pane {
                let (words, values) = (&mut scratch.words, &mut scratch.values);
                words.clear();
                words.resize(1 + shape.words, 0);
                words[0] = pane.cast_unsigned();
                values.clear();
                values.resize(shape.values, Value::Null);
                tree.visit((rank, end), shape, |(row, row_values)| {
                    for fold in &shape.folds {
                        fold.merge(&mut words[1..], values, &row[1..], row_values);
                    }
                });
                for _ in rank..end {
                    tree.remove(rank, shape, &mut scratch.gone);
                }
                tree.insert(rank, (words, values), shape, &mut scratch.gone);
                merged += end - rank;
                self.rows -= end - rank - 1;
            }
            rank += 1;
        }
        if merged > 0 {
            self.mark(slot);
            self.remove_leaves(slot);
        }
    }

    /// When the watermark should look at a key again: when its last pane is over, or else when its first is forgotten,
    /// which is `kept` after its beginning.
    pub(super) fn closes(&self, slot: u32, first: i64, kept: i64) -> i64 {
        let forgotten = first.saturating_add(kept);
        let (shape, step) = (&self.program.shape, self.program.step);
        match self.keys.tree_ref(slot).last(shape) {
            Some(last) if last >= self.keys.closed(slot) && last != NULL_TIME => floor(last, step)
                .saturating_add(step.unwrap_or(0))
                .min(forgotten),
            _ => forgotten,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pane_begins_at_a_multiple_of_the_step_on_both_sides_of_1970() {
        assert_eq!(floor(25, Some(10)), 20);
        assert_eq!(floor(20, Some(10)), 20);
        assert_eq!(floor(-1, Some(10)), -10);
        assert_eq!(floor(25, None), 25);
        assert_eq!(floor(NULL_TIME, Some(10)), NULL_TIME);
        assert_eq!(floor(NULL_TIME + 1, Some(10)), NULL_TIME + 1);
    }
}
