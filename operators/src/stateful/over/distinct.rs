//! How often each value stands in a frame: counted anew where a frame has few rows, else kept and moved with the frame.

use std::collections::{HashMap, HashSet};

use thalweg_engine::row::Value;

use crate::stateful::bytes::encode_key;
use crate::stateful::over::cell::Cell;
use crate::stateful::over::tree::{Shape, Tree};

/// Up to so many rows are counted anew.
const FEW: usize = if cfg!(test) { 3 } else { 64 };

/// A value that can be looked up; equal where Spark says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known {
    Word(u64),
    Bytes(Box<[u8]>),
}

/// A column whose values are counted in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) column: usize,
    /// Doubles, of which 0 and -0 are equal.
    pub(super) real: bool,
}

impl Counted {
    /// None for NULL.
    fn known(self, (words, values): (&[u64], &[Value]), shape: &Shape) -> Option<Known> {
        match shape.columns.cell(self.column, words, values) {
            Cell::Null => None,
            Cell::Word(word) if self.real && f64::from_bits(word) == 0.0 => Some(Known::Word(0)),
            Cell::Word(word) => Some(Known::Word(word)),
            Cell::Value(value) => {
                let mut bytes = Vec::new();
                encode_key(std::slice::from_ref(value), &mut bytes);
                Some(Known::Bytes(bytes.into()))
            }
        }
    }
}

impl Counted {
    /// The values that are not NULL of the rows from rank `from` to before `to`, or each once.
    pub(super) fn collect(
        self,
        distinct: bool,
        tree: &Tree,
        range: (usize, usize),
        shape: &Shape,
    ) -> Value {
        let mut seen = HashSet::new();
        let mut list = Vec::new();
        tree.visit(range, shape, |(words, values)| {
            if let Some(known) = self.known((words, values), shape)
                && (!distinct || seen.insert(known))
            {
                list.push(shape.columns.value(self.column, words, values));
            }
        });
        Value::Array(list.into())
    }
}

/// The values of the rows from rank `from` to before `to`.
#[derive(Debug, Default)]
struct Counts {
    from: usize,
    to: usize,
    counts: HashMap<Known, usize>,
}

impl Counts {
    fn put(&mut self, known: Option<Known>) {
        if let Some(known) = known {
            *self.counts.entry(known).or_default() += 1;
        }
    }

    fn take(&mut self, known: Option<Known>) {
        if let Some(known) = known
            && let Some(count) = self.counts.get_mut(&known)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&known);
            }
        }
    }
}

/// What is kept of frames with many rows: by key and by which count it is.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    counts: HashMap<(u32, usize), Counts>,
    scratch: Counts,
}

impl Distinct {
    /// How many values differ in the rows from rank `from` to before `to`.
    pub(super) fn count(
        &mut self,
        (slot, which): (u32, usize),
        counted: Counted,
        tree: &Tree,
        (from, to): (usize, usize),
        shape: &Shape,
    ) -> usize {
        if to - from.min(to) <= FEW {
            self.counts.remove(&(slot, which));
            self.scratch.counts.clear();
            tree.visit((from, to), shape, |row| {
                self.scratch.put(counted.known(row, shape));
            });
            return self.scratch.counts.len();
        }
        let counts = self.counts.entry((slot, which)).or_default();
        // What is in the new frame only comes in before what is in the old one only goes.
        let (old_from, old_to) = (counts.from, counts.to.max(counts.from));
        let apart = to <= old_from || from >= old_to;
        if apart {
            counts.counts.clear();
            tree.visit((from, to), shape, |row| {
                counts.put(counted.known(row, shape));
            });
        } else {
            let mut put = |range| {
                tree.visit(range, shape, |row| counts.put(counted.known(row, shape)));
            };
            put((from, old_from));
            put((old_to, to));
            let mut take = |range| {
                tree.visit(range, shape, |row| counts.take(counted.known(row, shape)));
            };
            take((old_from, from));
            take((to, old_to));
        }
        (counts.from, counts.to) = (from, to);
        counts.counts.len()
    }

    /// A row was inserted at this rank.
    pub(super) fn inserted(
        &mut self,
        slot: u32,
        all: &[Counted],
        rank: usize,
        row: (&[u64], &[Value]),
        shape: &Shape,
    ) {
        if self.counts.is_empty() {
            return;
        }
        for (which, counted) in all.iter().enumerate() {
            let Some(counts) = self.counts.get_mut(&(slot, which)) else {
                continue;
            };
            if rank >= counts.to {
                continue;
            }
            counts.to += 1;
            if rank < counts.from {
                counts.from += 1;
            } else {
                counts.put(counted.known(row, shape));
            }
        }
    }

    /// The first `rows` rows are about to be forgotten.
    pub(super) fn evicted(
        &mut self,
        slot: u32,
        all: &[Counted],
        tree: &Tree,
        rows: usize,
        shape: &Shape,
    ) {
        if self.counts.is_empty() {
            return;
        }
        for (which, counted) in all.iter().enumerate() {
            let Some(counts) = self.counts.get_mut(&(slot, which)) else {
                continue;
            };
            let gone = (counts.from, counts.to.min(rows));
            tree.visit(gone, shape, |row| counts.take(counted.known(row, shape)));
            counts.from = counts.from.saturating_sub(rows);
            counts.to = counts.to.saturating_sub(rows);
        }
    }

    /// Nothing is known of this key any more.
    pub(super) fn forget(&mut self, slot: u32, all: &[Counted]) {
        if self.counts.is_empty() {
            return;
        }
        for which in 0..all.len() {
            self.counts.remove(&(slot, which));
        }
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.counts.values().map(|c| c.counts.capacity() * 40).sum()
    }
}
