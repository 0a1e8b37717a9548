//! A leaf of the tree: up to 12 rows in order of time.

use thalweg_engine::row::Value;

use crate::stateful::fetch::fetch_all;
use crate::stateful::over::cell::Columns;
use crate::stateful::over::fold::{Fold, Rule};

/// How many rows a leaf gets at most (one of an older version may have 32). An epoch writes the leaves that changed, and what it
/// writes delays records: few rows. Tests want trees of many leaves.
pub(super) const ROWS_MAX: usize = if cfg!(test) { 4 } else { 12 };

/// Some rows, in order.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Its name within the key, and its place among the leaves: they ascend.
    pub(super) label: u64,
    /// The words of all rows, row by row.
    pub(super) words: Vec<u64>,
    /// The values of all rows, row by row.
    pub(super) values: Vec<Value>,
    /// Whether it differs from what was saved.
    pub(super) dirty: bool,
}

impl Leaf {
    /// One of this row, with room for so many.
    pub(super) fn new(label: u64, (words, values): (&[u64], &[Value]), rows: usize) -> Self {
        let mut leaf = Self {
            label,
            words: Vec::with_capacity(rows * words.len()),
            values: Vec::with_capacity(rows * values.len()),
            dirty: true,
        };
        leaf.words.extend_from_slice(words);
        leaf.values.extend_from_slice(values);
        leaf
    }

    /// Lets its rows come.
    #[inline]
    pub(super) fn fetch(&self) {
        fetch_all(&self.words);
        fetch_all(&self.values);
    }

    pub(super) fn rows(&self, columns: &Columns) -> usize {
        self.words.len() / columns.words
    }

    pub(super) fn time(&self, row: usize, columns: &Columns) -> i64 {
        self.words[row * columns.words].cast_signed()
    }

    pub(super) fn last(&self, columns: &Columns) -> i64 {
        match self.words.len() {
            0 => i64::MIN,
            end => self.words[end - columns.words].cast_signed(),
        }
    }

    /// The first row with a time that is `time` or later; with `after`, later.
    pub(super) fn rank(&self, time: i64, after: bool, columns: &Columns) -> usize {
        let (mut low, mut high) = (0, self.rows(columns));
        while low < high {
            let middle = usize::midpoint(low, high);
            let at = self.time(middle, columns);
            if at < time || (after && at == time) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    pub(super) fn row<'l>(&'l self, row: usize, columns: &Columns) -> (&'l [u64], &'l [Value]) {
        (
            &self.words[row * columns.words..(row + 1) * columns.words],
            &self.values[row * columns.values..(row + 1) * columns.values],
        )
    }

    pub(super) fn insert(
        &mut self,
        row: usize,
        words: &[u64],
        values: &[Value],
        columns: &Columns,
    ) {
        self.dirty = true;
        let room = self.words.capacity() - self.words.len();
        if room < words.len() {
            // Most keys have few rows: room grows by a half, not by all.
            let rows = (self.rows(columns) / 2).clamp(1, ROWS_MAX);
            self.words.reserve_exact(rows * columns.words);
            self.values.reserve_exact(rows * columns.values);
        }
        let at = row * columns.words;
        if at == self.words.len() {
            self.words.extend_from_slice(words);
            self.values.extend_from_slice(values);
        } else {
            self.words.splice(at..at, words.iter().copied());
            let at = row * columns.values;
            self.values.splice(at..at, values.iter().cloned());
        }
    }

    pub(super) fn remove(&mut self, row: usize, columns: &Columns) {
        self.dirty = true;
        self.words
            .drain(row * columns.words..(row + 1) * columns.words);
        self.values
            .drain(row * columns.values..(row + 1) * columns.values);
    }

    /// Forgets the first rows. What was saved of them is forgotten when it is read, so the leaf is not written again.
    pub(super) fn evict(&mut self, rows: usize, columns: &Columns) {
        self.words.drain(..rows * columns.words);
        self.values.drain(..rows * columns.values);
        if self.words.capacity() > 4 * (self.words.len() + columns.words) {
            let rows = self.rows(columns) + 2;
            self.words.shrink_to(rows * columns.words);
            self.values.shrink_to(rows * columns.values);
        }
    }

    /// Moves the second half into a leaf of its own.
    pub(super) fn split(&mut self, columns: &Columns) -> Self {
        let half = self.rows(columns) / 2;
        self.dirty = true;
        Self {
            label: self.label,
            words: self.words.split_off(half * columns.words),
            values: self.values.split_off(half * columns.values),
            dirty: true,
        }
    }

    /// Adds rows from `from` to before `to`.
    pub(super) fn fold(
        &self,
        (from, to): (usize, usize),
        folds: &[Fold],
        columns: &Columns,
        (words, values): (&mut [u64], &mut [Value]),
    ) {
        for fold in folds {
            if fold.rule == Rule::Rows && !columns.merged {
                words[fold.at] += (to - from) as u64;
                continue;
            }
            for row in from..to {
                fold.add_row(words, values, self.row(row, columns), columns);
            }
        }
    }
}
