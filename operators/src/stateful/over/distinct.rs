//! How often each value stands in a frame: counted anew where a frame has few rows, else kept and moved with the frame.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use smol_str::SmolStr;
use thalweg_engine::row::Value;
use xxhash_rust::xxh64::xxh64;

use crate::stateful::bytes::encode_key;
use crate::stateful::fetch::{fetch, fetch_all};
use crate::stateful::over::cell::Cell;
use crate::stateful::over::tree::{Shape, Tree};

/// Frames of up to so many rows are counted anew.
const FEW: usize = if cfg!(test) { 3 } else { 8 };

/// Up to so many different values are looked through one by one.
const LINEAR: usize = if cfg!(test) { 4 } else { 64 };

/// A value that can be looked up; equal where Spark says so.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Known<'r> {
    Word(u64),
    Text(&'r SmolStr),
    Bytes(Vec<u8>),
}

impl Known<'_> {
    #[allow(clippy::cast_possible_truncation)]
    fn hash(&self, seed: u64) -> u32 {
        let hash = match self {
            Self::Word(word) => spread(*word ^ seed),
            Self::Text(text) => xxh64(text.as_bytes(), seed),
            Self::Bytes(bytes) => xxh64(bytes, seed),
        };
        (hash >> 32) as u32
    }

    /// Whether it is this one that is kept.
    fn is(&self, kept: &Value) -> bool {
        match (self, kept) {
            (Self::Word(word), Value::BigInt(kept)) => word.cast_signed() == *kept,
            (Self::Text(text), Value::String(kept)) => *text == kept,
            (Self::Bytes(bytes), Value::Binary(kept)) => **bytes == **kept,
            _ => false,
        }
    }

    fn keep(self) -> Value {
        match self {
            Self::Word(word) => Value::BigInt(word.cast_signed()),
            Self::Text(text) => Value::String(text.clone()),
            Self::Bytes(bytes) => Value::Binary(bytes.into()),
        }
    }
}

fn spread(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
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
    fn known<'r>(
        self,
        (words, values): (&'r [u64], &'r [Value]),
        shape: &Shape,
    ) -> Option<Known<'r>> {
        match shape.columns.cell(self.column, words, values) {
            Cell::Null => None,
            Cell::Word(word) if self.real && f64::from_bits(word) == 0.0 => Some(Known::Word(0)),
            Cell::Word(word) => Some(Known::Word(word)),
            Cell::Value(Value::String(text)) => Some(Known::Text(text)),
            Cell::Value(value) => {
                let mut bytes = Vec::new();
                encode_key(std::slice::from_ref(value), &mut bytes);
                Some(Known::Bytes(bytes))
            }
        }
    }

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

    /// How many values differ in a few rows.
    fn few(self, tree: &Tree, range: (usize, usize), shape: &Shape) -> usize {
        let mut seen: [Option<Known<'_>>; FEW] = [const { None }; FEW];
        let mut count = 0;
        tree.visit(range, shape, |row| {
            let known = self.known(row, shape);
            if known.is_some() && !seen[..count].contains(&known) {
                seen[count] = known;
                count += 1;
            }
        });
        count
    }
}

/// A value of a frame.
#[derive(Clone, Copy, Debug)]
struct Mark {
    hash: u32,
    /// How many rows have it.
    rows: u32,
}

/// The values of the rows from rank `from` to before `to`; none where it is not known.
#[derive(Debug, Default)]
struct Counts {
    from: usize,
    to: usize,
    marks: Vec<Mark>,
    /// The value of each mark.
    values: Vec<Value>,
    /// Finds marks by their hash, where there are many.
    index: Option<Box<HashTable<u32>>>,
}

#[allow(clippy::cast_possible_truncation)]
fn place(at: usize) -> u32 {
    at as u32
}

impl Counts {
    fn find(&self, known: &Known<'_>, hash: u32) -> Option<usize> {
        let Some(index) = &self.index else {
            let mut marks = self.marks.iter().zip(&self.values);
            return marks.position(|(mark, value)| mark.hash == hash && known.is(value));
        };
        let same = |at: usize| self.marks[at].hash == hash && known.is(&self.values[at]);
        let found = index.find(spread(u64::from(hash)), |at| same(*at as usize));
        found.map(|at| *at as usize)
    }

    fn put(&mut self, known: Option<Known<'_>>, seed: u64) {
        let Some(known) = known else {
            return;
        };
        let hash = known.hash(seed);
        if let Some(at) = self.find(&known, hash) {
            self.marks[at].rows += 1;
            return;
        }
        if self.marks.len() == self.marks.capacity() {
            // By a quarter: most frames have few values, and of many keys the room counts.
            let more = (self.marks.len() / 4).max(4);
            self.marks.reserve_exact(more);
            self.values.reserve_exact(more);
        }
        self.marks.push(Mark { hash, rows: 1 });
        self.values.push(known.keep());
        let marks = &self.marks;
        let hash_of = |at: &u32| spread(u64::from(marks[*at as usize].hash));
        if let Some(index) = &mut self.index {
            let last = place(marks.len() - 1);
            index.insert_unique(spread(u64::from(hash)), last, hash_of);
        } else if marks.len() > LINEAR {
            let mut index = HashTable::with_capacity(2 * marks.len());
            for at in 0..place(marks.len()) {
                index.insert_unique(hash_of(&at), at, hash_of);
            }
            self.index = Some(Box::new(index));
        }
    }

    fn take(&mut self, known: Option<Known<'_>>, seed: u64) {
        let Some(known) = known else {
            return;
        };
        let hash = known.hash(seed);
        let Some(at) = self.find(&known, hash) else {
            return;
        };
        self.marks[at].rows -= 1;
        if self.marks[at].rows > 0 {
            return;
        }
        let last = self.marks.len() - 1;
        if let Some(index) = &mut self.index {
            let entry = |index: &mut HashTable<u32>, mark: Mark, at: usize, to: Option<usize>| {
                let hash = spread(u64::from(mark.hash));
                if let Ok(mut found) = index.find_entry(hash, |other| *other == place(at)) {
                    match to {
                        Some(to) => *found.get_mut() = place(to),
                        None => drop(found.remove()),
                    }
                }
            };
            entry(index, self.marks[at], at, None);
            if at != last {
                entry(index, self.marks[last], last, Some(at));
            }
        }
        self.marks.swap_remove(at);
        self.values.swap_remove(at);
    }

    /// Nothing is known.
    fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes that it takes beside itself.
    fn room(&self) -> usize {
        let index = self.index.as_ref();
        let index = index.map_or(0, |index| {
            size_of::<HashTable<u32>>() + index.capacity() * 6
        });
        self.marks.capacity() * size_of::<Mark>()
            + self.values.capacity() * size_of::<Value>()
            + index
    }

    /// Counts these rows, by what is known of others where both have rows in common.
    fn reach(
        &mut self,
        counted: Counted,
        tree: &Tree,
        (from, to): (usize, usize),
        (shape, seed): (&Shape, u64),
    ) {
        let (old_from, old_to) = (self.from, self.to.max(self.from));
        if to <= old_from || from >= old_to {
            self.clear();
            tree.visit((from, to), shape, |row| {
                self.put(counted.known(row, shape), seed);
            });
        } else {
            // What is in the new frame only comes in before what is in the old one only goes.
            let mut put = |range| {
                tree.visit(range, shape, |row| {
                    self.put(counted.known(row, shape), seed);
                });
            };
            put((from, old_from));
            put((old_to, to));
            let mut take = |range| {
                tree.visit(range, shape, |row| {
                    self.take(counted.known(row, shape), seed);
                });
            };
            take((old_from, from));
            take((to, old_to));
        }
        (self.from, self.to) = (from, to);
    }
}

/// What is kept of frames with many rows: for each slot one of each count.
#[derive(Debug)]
pub(super) struct Distinct {
    counts: Vec<Counts>,
    /// Different in each process, so that nobody chooses values that collide.
    seed: u64,
    /// Bytes that all of them take beside themselves.
    room: usize,
}

impl Default for Distinct {
    fn default() -> Self {
        Self {
            counts: Vec::new(),
            seed: RandomState::new().hash_one(FEW),
            room: 0,
        }
    }
}

impl Distinct {
    /// Lets what is kept of a slot come.
    #[inline]
    pub(super) fn fetch(&self, slot: u32, all: &[Counted]) {
        let begin = slot as usize * all.len();
        let counts = self.counts.get(begin..begin + all.len());
        counts.unwrap_or_default().iter().for_each(fetch);
    }

    /// Lets the values come, once what is kept of the slot is there.
    #[inline]
    pub(super) fn fetch_values(&self, slot: u32, all: &[Counted]) {
        let begin = slot as usize * all.len();
        let counts = self.counts.get(begin..begin + all.len());
        for counts in counts.unwrap_or_default() {
            fetch_all(&counts.marks);
            // A value is looked at where its hash is the one that is looked for; new ones come behind the last.
            if let Some(last) = counts.values.last() {
                fetch(last);
            }
        }
    }

    /// How many values differ in the rows from rank `from` to before `to`.
    pub(super) fn count(
        &mut self,
        (slot, which): (u32, usize),
        all: &[Counted],
        tree: &Tree,
        (from, to): (usize, usize),
        shape: &Shape,
    ) -> usize {
        let at = slot as usize * all.len() + which;
        if to - from.min(to) <= FEW {
            if let Some(counts) = self.counts.get_mut(at) {
                self.room -= counts.room();
                counts.clear();
            }
            return all[which].few(tree, (from, to), shape);
        }
        if at >= self.counts.len() {
            self.counts
                .resize_with((slot as usize + 1) * all.len(), Counts::default);
        }
        let counts = &mut self.counts[at];
        self.room -= counts.room();
        counts.reach(all[which], tree, (from, to), (shape, self.seed));
        self.room += counts.room();
        counts.marks.len()
    }

    /// Changes what is kept of a slot for each count; nothing where it never had many rows.
    fn each(&mut self, slot: u32, all: &[Counted], change: impl Fn(&mut Counts, Counted, u64)) {
        let begin = slot as usize * all.len();
        let counts = self.counts.get_mut(begin..begin + all.len());
        for (counts, counted) in counts.unwrap_or_default().iter_mut().zip(all) {
            self.room -= counts.room();
            change(counts, *counted, self.seed);
            self.room += counts.room();
        }
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
        self.each(slot, all, |counts, counted, seed| {
            if rank >= counts.to {
                return;
            }
            counts.to += 1;
            if rank < counts.from {
                counts.from += 1;
            } else {
                counts.put(counted.known(row, shape), seed);
            }
        });
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
        self.each(slot, all, |counts, counted, seed| {
            let gone = (counts.from, counts.to.min(rows));
            tree.visit(gone, shape, |row| {
                counts.take(counted.known(row, shape), seed);
            });
            counts.from = counts.from.saturating_sub(rows);
            counts.to = counts.to.saturating_sub(rows);
        });
    }

    /// Nothing is known of this key any more.
    pub(super) fn forget(&mut self, slot: u32, all: &[Counted]) {
        self.each(slot, all, |counts, _, _| counts.clear());
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.counts.capacity() * size_of::<Counts>() + self.room
    }
}
