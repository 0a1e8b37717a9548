//! Rows in order, a bounded part at a time: runs are sorted when they are added, and merged as they are taken out.
//!
//! A heap holds the runs by their first rows, so that taking one out costs the logarithm of their number, and no call has to
//! look at all rows.

use std::cmp::Ordering;

/// Sorted runs, and which of them has the first row.
pub(super) struct Runs<T> {
    /// Each with its first row at the end.
    runs: Vec<Vec<T>>,
    /// Places of runs that have rows, that with the first one at the top.
    heap: Vec<usize>,
    len: usize,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self {
            runs: Vec::new(),
            heap: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Runs<T> {
    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Sorts a run and adds it.
    pub(super) fn add(&mut self, mut run: Vec<T>, order: impl Fn(&T, &T) -> Ordering) {
        if run.is_empty() {
            return;
        }
        run.sort_unstable_by(|a, b| order(b, a));
        self.len += run.len();
        self.runs.push(run);
        self.heap.push(self.runs.len() - 1);
        let mut at = self.heap.len() - 1;
        while at > 0 && self.before(at, (at - 1) / 2, &order) {
            self.heap.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    /// Takes out the first row of all.
    pub(super) fn pop(&mut self, order: impl Fn(&T, &T) -> Ordering) -> Option<T> {
        let run = &mut self.runs[*self.heap.first()?];
        let row = run.pop()?;
        self.len -= 1;
        if run.is_empty() {
            *run = Vec::new();
            self.heap.swap_remove(0);
        }
        let mut at = 0;
        loop {
            let mut first = at;
            for child in [2 * at + 1, 2 * at + 2] {
                if child < self.heap.len() && self.before(child, first, &order) {
                    first = child;
                }
            }
            if first == at {
                return Some(row);
            }
            self.heap.swap(at, first);
            at = first;
        }
    }

    /// Lets go of some rows, where the others are not wanted any more; whether there are none left.
    pub(super) fn shed(&mut self) -> bool {
        self.heap.clear();
        if let Some(run) = self.runs.pop() {
            self.len -= run.len();
        }
        self.runs.is_empty()
    }

    /// Whether the run at one place of the heap comes before that at another.
    fn before(&self, a: usize, b: usize, order: &impl Fn(&T, &T) -> Ordering) -> bool {
        let first = |place: usize| self.runs[self.heap[place]].last();
        match (first(a), first(b)) {
            (Some(a), Some(b)) => order(a, b) == Ordering::Less,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_come_out_in_order_however_they_were_added(
            runs in prop::collection::vec(prop::collection::vec(0..100_u8, 0..20), 0..20),
        ) {
            let mut all: Vec<u8> = runs.concat();
            all.sort_unstable();
            let mut sorted = Runs::default();
            for run in runs {
                sorted.add(run, u8::cmp);
            }
            prop_assert_eq!(sorted.len(), all.len());
            let out: Vec<u8> = std::iter::from_fn(|| sorted.pop(u8::cmp)).collect();
            prop_assert_eq!(out, all);
            prop_assert_eq!(sorted.len(), 0);
        }
    }
}
