//! The keys and what is kept of each: accumulators side by side in one array, and a tree of rows where frames need them.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use thalweg_engine::row::Value;
use xxhash_rust::xxh64::xxh64;

use crate::stateful::fetch::{fetch, fetch_all};
use crate::stateful::over::program::Program;
use crate::stateful::over::tree::Tree;

/// Growing one of so many tables is no pause that a record would notice.
const TABLES: usize = 64;

/// Facts about a slot.
pub(super) mod flag {
    /// It holds a key.
    pub(in crate::stateful::over) const LIVE: u8 = 1;
    /// It differs from what was saved.
    pub(in crate::stateful::over) const DIRTY: u8 = 2;
    /// It waits for the watermark.
    pub(in crate::stateful::over) const WAITS: u8 = 4;
    /// The current record has touched it.
    pub(in crate::stateful::over) const TOUCHED: u8 = 8;
    /// In which epoch it has changed last, as a number of four bits: kept where there are no rows.
    pub(super) const EPOCH: u8 = 0xF0;
}

/// A key; short ones beside the flags, so that a look-up has one place less to go to.
#[derive(Debug)]
enum Key {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

/// Bytes of a short key.
const SHORT: usize = 22;

impl Default for Key {
    fn default() -> Self {
        Self::Short(0, [0; SHORT])
    }
}

impl Key {
    fn new(key: &[u8]) -> Self {
        let mut short = [0; SHORT];
        match (short.get_mut(..key.len()), u8::try_from(key.len())) {
            (Some(bytes), Ok(length)) => {
                bytes.copy_from_slice(key);
                Self::Short(length, short)
            }
            _ => Self::Long(key.into()),
        }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, short) => &short[..usize::from(*length).min(SHORT)],
            Self::Long(long) => long,
        }
    }

    /// Bytes beside the slot.
    fn room(&self) -> usize {
        match self {
            Self::Short(..) => 0,
            // Allocators round up small pieces.
            Self::Long(long) => long.len() + 8,
        }
    }
}

#[derive(Debug, Default)]
struct Slot {
    key: Key,
    flags: u8,
}

/// Bytes of a slot.
pub(super) const SLOT: usize = size_of::<Slot>();

/// What the tables hash by: the half of the hash that is kept, spread over 64 bits.
fn spread(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// All keys. A key has a slot as long as it lives; slots are used again.
#[derive(Default)]
pub(super) struct Keys {
    /// A slot with half of its key's hash, so that a table grows without a look at the keys.
    tables: Vec<HashTable<(u32, u32)>>,
    seed: u64,
    len: usize,
    slots: Vec<Slot>,
    free: Vec<u32>,
    accumulators: Vec<u64>,
    accumulated: Vec<Value>,
    trees: Vec<Tree>,
    /// When a record came last, where `stateTtl` asks.
    touched: Vec<i64>,
    /// Before what time all rows are in panes, where there are panes.
    closed: Vec<i64>,
    words: usize,
    values: usize,
    keeps_rows: bool,
    keeps_time: bool,
    keeps_panes: bool,
    key_bytes: usize,
}

impl Keys {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            tables: vec![HashTable::new(); TABLES],
            seed: RandomState::new().hash_one(TABLES),
            words: program.words,
            values: program.values,
            keeps_rows: program.keeps_rows,
            keeps_time: program.ttl.is_some(),
            keeps_panes: program.step.is_some(),
            ..Self::default()
        }
    }

    /// The table of a key, and the half of its hash that is kept.
    #[allow(clippy::cast_possible_truncation)]
    fn hash(&self, key: &[u8]) -> (usize, u32) {
        let hash = xxh64(key, self.seed);
        (hash as usize % TABLES, (hash >> 32) as u32)
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// How many slots there are, those that are free among them.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// The slot of a key that is there.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let (table, half) = self.hash(key);
        let same = |(slot, kept): &(u32, u32)| {
            *kept == half && {
                // It is the one nearly always: what is needed next comes while its key is read.
                self.fetch(*slot);
                self.slots[*slot as usize].key.bytes() == key
            }
        };
        let found = self.tables[table].find(spread(half), same)?;
        Some(found.0)
    }

    /// Lets the memory of a slot come.
    #[inline]
    fn fetch(&self, slot: u32) {
        let (words, values) = self.places(slot);
        fetch_all(&self.accumulators[words]);
        fetch_all(&self.accumulated[values]);
        if let Some(tree) = self.trees.get(slot as usize) {
            fetch(tree);
        }
    }

    /// Lets the memory of several slots come, so that the waits for it overlap: one after the other they are most of what a
    /// save takes.
    pub(super) fn warm(&self, block: &[u32]) {
        for &slot in block {
            fetch(&self.slots[slot as usize]);
            self.fetch(slot);
        }
        if self.keeps_rows {
            let trees = || block.iter().map(|slot| self.tree_ref(*slot));
            trees().for_each(Tree::fetch_root);
            trees().for_each(Tree::fetch_end);
        }
    }

    /// The slot of a key, and whether it is new.
    pub(super) fn slot(&mut self, key: &[u8]) -> (u32, bool) {
        if let Some(slot) = self.find(key) {
            return (slot, false);
        }
        let (table, half) = self.hash(key);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.accumulators.resize(self.slots.len() * self.words, 0);
            self.accumulated
                .resize(self.slots.len() * self.values, Value::Null);
            if self.keeps_rows {
                self.trees.push(Tree::default());
            }
            if self.keeps_time {
                self.touched.push(0);
            }
            if self.keeps_panes {
                self.closed.push(i64::MIN);
            }
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.slots[slot as usize];
        entry.key = Key::new(key);
        entry.flags |= flag::LIVE;
        self.key_bytes += entry.key.room();
        self.len += 1;
        self.tables[table].insert_unique(spread(half), (slot, half), |(_, half)| spread(*half));
        (slot, true)
    }

    /// Forgets a key; its tree is empty.
    pub(super) fn remove(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let key = std::mem::take(&mut entry.key);
        entry.flags &= flag::WAITS;
        self.key_bytes -= key.room();
        let (table, half) = self.hash(key.bytes());
        if let Ok(found) = self.tables[table].find_entry(spread(half), |(other, _)| *other == slot)
        {
            found.remove();
            self.len -= 1;
        }
        self.accumulators_mut(slot).fill(0);
        self.accumulated_mut(slot).fill(Value::Null);
        self.set_closed(slot, i64::MIN);
        // One that still waits is free when its time has come.
        if !self.is(slot, flag::WAITS) {
            self.free.push(slot);
        }
    }

    /// The slot waits no more.
    pub(super) fn awake(&mut self, slot: u32) {
        self.set(slot, flag::WAITS, false);
        if !self.is(slot, flag::LIVE) {
            self.free.push(slot);
        }
    }

    #[inline]
    pub(super) fn is(&self, slot: u32, flag: u8) -> bool {
        self.slots[slot as usize].flags & flag != 0
    }

    /// Sets a flag and says whether it was set.
    #[inline]
    pub(super) fn set(&mut self, slot: u32, flag: u8, to: bool) -> bool {
        let flags = &mut self.slots[slot as usize].flags;
        let was = *flags & flag != 0;
        if to {
            *flags |= flag;
        } else {
            *flags &= !flag;
        }
        was
    }

    /// Whether the key changes for the first time in this epoch, whose number has four bits, and that it has. One that has changed
    /// last when that number was in use before looks as if it had.
    #[inline]
    pub(super) fn first_in(&mut self, epoch: u8, slot: u32) -> bool {
        let flags = &mut self.slots[slot as usize].flags;
        let before = std::mem::replace(flags, (*flags & !flag::EPOCH) | (epoch << 4));
        before & flag::EPOCH != epoch << 4
    }

    #[inline]
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        self.slots[slot as usize].key.bytes()
    }

    #[inline]
    pub(super) fn accumulators(&self, slot: u32) -> (&[u64], &[Value]) {
        let (words, values) = self.places(slot);
        (&self.accumulators[words], &self.accumulated[values])
    }

    fn places(&self, slot: u32) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let slot = slot as usize;
        (
            slot * self.words..(slot + 1) * self.words,
            slot * self.values..(slot + 1) * self.values,
        )
    }

    #[inline]
    pub(super) fn both_mut(&mut self, slot: u32) -> (&mut [u64], &mut [Value]) {
        let (words, values) = self.places(slot);
        (&mut self.accumulators[words], &mut self.accumulated[values])
    }

    fn accumulators_mut(&mut self, slot: u32) -> &mut [u64] {
        self.both_mut(slot).0
    }

    fn accumulated_mut(&mut self, slot: u32) -> &mut [Value] {
        self.both_mut(slot).1
    }

    /// The rows of a key; only where frames need them.
    #[inline]
    pub(super) fn tree(&mut self, slot: u32) -> &mut Tree {
        &mut self.trees[slot as usize]
    }

    #[inline]
    pub(super) fn tree_ref(&self, slot: u32) -> &Tree {
        &self.trees[slot as usize]
    }

    /// The key with its rows, to be changed.
    pub(super) fn key_and_tree(&mut self, slot: u32) -> (&[u8], &mut Tree) {
        let slot = slot as usize;
        (self.slots[slot].key.bytes(), &mut self.trees[slot])
    }

    /// When its last record came.
    pub(super) fn touched(&self, slot: u32) -> i64 {
        self.touched.get(slot as usize).copied().unwrap_or(i64::MAX)
    }

    #[inline]
    pub(super) fn touch(&mut self, slot: u32, at: i64) {
        if self.keeps_time {
            self.touched[slot as usize] = at;
        }
    }

    /// Before what time all rows are in panes.
    pub(super) fn closed(&self, slot: u32) -> i64 {
        let closed = self.closed.get(slot as usize);
        closed.copied().unwrap_or(i64::MIN)
    }

    pub(super) fn set_closed(&mut self, slot: u32, to: i64) {
        if let Some(closed) = self.closed.get_mut(slot as usize) {
            *closed = to;
        }
    }

    /// Bytes of memory without the rows in trees, about.
    pub(super) fn bytes(&self) -> usize {
        self.key_bytes
            + self.tables.iter().map(|t| t.capacity() * 9).sum::<usize>()
            + self.slots.capacity() * size_of::<Slot>()
            + self.accumulators.capacity() * 8
            + self.accumulated.capacity() * size_of::<Value>()
            + self.trees.capacity() * size_of::<Tree>()
            + (self.touched.capacity() + self.closed.capacity()) * 8
    }
}
