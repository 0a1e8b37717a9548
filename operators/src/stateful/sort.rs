//! ORDER BY and LIMIT of what comes between two triggers: the whole table in complete mode.
//!
//! Nothing of it is saved: after a restart the steps before it send the whole table again. Rows are sorted a run at a time as
//! they come, and the runs are merged as they are emitted, so that no slice takes longer because there are many rows.

use std::cmp::Ordering;

use thalweg_engine::error::RecordError;
use thalweg_engine::operator::{Emit, Operator, Progress};
use thalweg_engine::record::{Micros, RecordMeta};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::state::StateSize;

use super::groups::SLICE;
use super::runs::Runs;
use crate::expr::Eval;
use crate::expr::compare::compare;

/// One expression of an ORDER BY.
pub struct Order {
    /// What the rows are ordered by.
    pub by: Box<dyn Eval>,
    /// The greatest first.
    pub descending: bool,
    /// NULLs before all else, whatever the direction.
    pub nulls_first: bool,
}

/// A limit up to which rows behind it are dropped as they come; a greater one keeps all until they are emitted.
const CUT_MAX: usize = 32_768;

struct Entry {
    keys: Vec<Value>,
    row: Row,
    event_time: Option<Micros>,
    /// Equal rows stay in the order in which they came.
    sequence: u64,
}

/// Rows in order, once per trigger.
pub struct Sort {
    orders: Vec<Order>,
    limit: Option<usize>,
    /// Those that came last, in no order; where a limit drops rows, all.
    entries: Vec<Entry>,
    /// The others.
    runs: Runs<Entry>,
    /// Of the record in hand.
    fresh: Vec<Entry>,
    sequence: u64,
    /// How many are still to be emitted, while that is under way.
    emitting: Option<usize>,
    bytes: usize,
}

impl Sort {
    /// The rows of each trigger in this order; with a limit only the first so many.
    #[allow(clippy::new_ret_no_self)]
    pub fn new(orders: Vec<Order>, limit: Option<u64>) -> Box<dyn Operator> {
        Box::new(Self {
            orders,
            limit: limit.map(|rows| usize::try_from(rows).unwrap_or(usize::MAX)),
            entries: Vec::new(),
            runs: Runs::default(),
            fresh: Vec::new(),
            sequence: 0,
            emitting: None,
            bytes: 0,
        })
    }

    /// Drops what the limit cuts off, when that is much; without one, sorts what has come when it is enough for a run.
    fn cut(&mut self) {
        let Some(limit) = self.limit.filter(|limit| *limit <= CUT_MAX) else {
            if self.entries.len() >= SLICE {
                self.sort_run();
            }
            return;
        };
        if self.entries.len() < limit.saturating_mul(2).saturating_add(SLICE) {
            return;
        }
        let orders = &self.orders;
        if limit > 0 {
            self.entries
                .select_nth_unstable_by(limit - 1, |a, b| order(orders, a, b));
        }
        self.entries.truncate(limit);
        self.bytes = self.entries.iter().map(bytes_of).sum();
    }

    /// Sorts the last rows that came.
    fn sort_run(&mut self) {
        let rest = self.entries.len().saturating_sub(2 * SLICE);
        let run = self.entries.split_off(rest);
        let orders = &self.orders;
        self.runs.add(run, |a, b| order(orders, a, b));
    }
}

fn bytes_of(entry: &Entry) -> usize {
    size_of::<Entry>() + (entry.keys.len() + entry.row.len()) * size_of::<Value>()
}

fn order(orders: &[Order], a: &Entry, b: &Entry) -> Ordering {
    for (order, (a, b)) in orders.iter().zip(a.keys.iter().zip(&b.keys)) {
        let found = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (null, false) | (false, null) if null => {
                let first = if a.is_null() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                if order.nulls_first {
                    first
                } else {
                    first.reverse()
                }
            }
            _ if order.descending => compare(b, a),
            _ => compare(a, b),
        };
        if found != Ordering::Equal {
            return found;
        }
    }
    a.sequence.cmp(&b.sequence)
}

impl Operator for Sort {
    fn process(
        &mut self,
        _input: usize,
        row: &[Value],
        meta: &RecordMeta,
        _emit: &mut dyn Emit,
    ) -> Result<(), RecordError> {
        let keys = self.orders.iter_mut();
        let keys = keys.map(|order| order.by.eval(row, meta));
        self.fresh.push(Entry {
            keys: keys.collect::<Result<_, _>>()?,
            row: row.to_vec(),
            event_time: meta.event_time,
            sequence: self.sequence,
        });
        self.sequence += 1;
        Ok(())
    }

    fn accept(&mut self) {
        if !self.fresh.is_empty() {
            self.bytes += self.fresh.iter().map(bytes_of).sum::<usize>();
            self.entries.append(&mut self.fresh);
            self.cut();
        }
    }

    fn reject(&mut self) {
        self.fresh.clear();
    }

    fn tick(
        &mut self,
        _now: Micros,
        at: &RecordMeta,
        emit: &mut dyn Emit,
    ) -> Result<Progress, RecordError> {
        // The last rows of the step before came in this very slice.
        self.accept();
        self.sequence = 0;
        self.emitting = Some(self.limit.unwrap_or(usize::MAX));
        self.resume(at, emit)
    }

    fn resume(&mut self, at: &RecordMeta, emit: &mut dyn Emit) -> Result<Progress, RecordError> {
        let Some(left) = self.emitting else {
            return Ok(Progress::Done);
        };
        self.sort_run();
        if !self.entries.is_empty() {
            return Ok(Progress::More);
        }
        let mut meta = at.clone();
        for _ in 0..left.min(SLICE) {
            let orders = &self.orders;
            let Some(entry) = self.runs.pop(|a, b| order(orders, a, b)) else {
                break;
            };
            self.bytes -= bytes_of(&entry).min(self.bytes);
            meta.event_time = entry.event_time;
            emit.emit(&entry.row, &meta)?;
        }
        let left = left.saturating_sub(SLICE);
        let done = match left {
            0 => self.runs.shed(),
            _ => self.runs.len() == 0,
        };
        if !done {
            self.emitting = Some(left);
            return Ok(Progress::More);
        }
        self.emitting = None;
        self.runs = Runs::default();
        self.bytes = 0;
        Ok(Progress::Done)
    }

    fn size(&self) -> StateSize {
        StateSize {
            keys: (self.entries.len() + self.runs.len()) as u64,
            bytes: self.bytes as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use thalweg_engine::testing::{self, Action, assert_operator};

    use super::*;
    use crate::transforms::stage::{Collected, column};

    fn orders(all: &[(usize, bool, bool)]) -> Vec<Order> {
        let order = |&(place, descending, nulls_first): &(usize, bool, bool)| Order {
            by: column(place),
            descending,
            nulls_first,
        };
        all.iter().map(order).collect()
    }

    fn row(a: Option<i64>, b: &str) -> Row {
        vec![a.map_or(Value::Null, Value::BigInt), Value::from(b)]
    }

    #[test]
    fn the_rows_of_a_trigger_come_in_order_and_those_of_the_next_anew() {
        let rows = [row(Some(2), "x"), row(None, "y"), row(Some(7), "z")];
        let mut actions: Vec<_> = rows.iter().cloned().map(Action::Row).collect();
        actions.push(Action::Tick(1));
        actions.push(Action::Tick(2));
        let sorted = vec![rows[2].clone(), rows[0].clone(), rows[1].clone()];
        let mut sort = Sort::new(orders(&[(0, true, false)]), None);
        let mut collected = Collected::default();
        let meta = testing::meta(0, 0, None);
        for row in &rows {
            sort.process(0, row, &meta, &mut collected).unwrap();
            sort.reject();
            sort.process(0, row, &meta, &mut collected).unwrap();
            sort.accept();
        }
        assert_eq!(sort.tick(1, &meta, &mut collected), Ok(Progress::Done));
        assert_eq!(collected.rows, sorted);
        assert_eq!(sort.tick(2, &meta, &mut collected), Ok(Progress::Done));
        assert_eq!(collected.rows, sorted);
        assert_eq!(sort.size(), StateSize::default());
    }

    #[test]
    fn nothing_of_a_table_that_was_not_sent_whole_survives_a_restart() {
        let actions = [Action::Tick(1), Action::Tick(2)];
        let nothing = [Ok(vec![]), Ok(vec![])];
        assert_operator(
            || Sort::new(orders(&[(0, false, true)]), Some(1)),
            &actions,
            &nothing,
        );
    }

    proptest! {
        #[test]
        fn a_limit_gives_the_first_of_all(
            values in prop::collection::vec((prop::option::of(0..50_i64), 0..3_u8), 0..4000),
            limit in 0..700_u64,
            descending: bool,
            nulls_first: bool,
        ) {
            let meta = testing::meta(0, 0, None);
            let run = |limit| {
                let mut sort = Sort::new(
                    orders(&[(0, descending, nulls_first), (1, false, false)]),
                    limit,
                );
                let mut collected = Collected::default();
                for (number, text) in &values {
                    let row = row(*number, ["a", "b", "c"][usize::from(*text)]);
                    sort.process(0, &row, &meta, &mut collected).unwrap();
                    sort.accept();
                }
                let mut progress = sort.tick(0, &meta, &mut collected).unwrap();
                while progress == Progress::More {
                    progress = sort.resume(&meta, &mut collected).unwrap();
                }
                collected.rows
            };
            let mut all = run(None);
            prop_assert_eq!(all.len(), values.len());
            all.truncate(usize::try_from(limit).unwrap());
            prop_assert_eq!(run(Some(limit)), all);
        }
    }
}
