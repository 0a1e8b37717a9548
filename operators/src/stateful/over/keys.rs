//! The keys and what is kept of each: accumulators side by side in one array, and a tree of rows where frames need them.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use thalweg_engine::row::Value;

use crate::stateful::over::program::Program;
use crate::stateful::over::tree::Tree;

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
}

#[derive(Debug, Default)]
struct Slot {
    key: Box<[u8]>,
    flags: u8,
}

/// All keys. A key has a slot as long as it lives; slots are used again.
#[derive(Default)]
pub(super) struct Keys {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot>,
    free: Vec<u32>,
    accumulators: Vec<u64>,
    accumulated: Vec<Value>,
    trees: Vec<Tree>,
    /// When a record came last, where `stateTtl` asks.
    touched: Vec<i64>,
    words: usize,
    values: usize,
    keeps_rows: bool,
    keeps_time: bool,
    key_bytes: usize,
}

impl Keys {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            words: program.words,
            values: program.values,
            keeps_rows: program.keeps_rows,
            keeps_time: program.ttl.is_some(),
            ..Self::default()
        }
    }

    fn hash(hasher: &DefaultHashBuilder, key: &[u8]) -> u64 {
        let mut hash = hasher.build_hasher();
        hash.write(key);
        hash.finish()
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// How many slots there are, those that are free among them.
    pub(super) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// The slot of a key, and whether it is new.
    pub(super) fn slot(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = Self::hash(&self.hasher, key);
        let slots = &self.slots;
        if let Some(slot) = self.table.find(hash, |slot| *slots[*slot as usize].key == *key) {
            return (*slot, false);
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.accumulators
                .resize(self.slots.len() * self.words, 0);
            self.accumulated
                .resize(self.slots.len() * self.values, Value::Null);
            if self.keeps_rows {
                self.trees.push(Tree::default());
            }
            if self.keeps_time {
                self.touched.push(0);
            }
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.slots[slot as usize];
        entry.key = key.into();
        entry.flags |= flag::LIVE;
        self.key_bytes += key.len();
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, slot, |slot| {
            Self::hash(hasher, &slots[*slot as usize].key)
        });
        (slot, true)
    }

    /// Forgets a key; its tree is empty.
    pub(super) fn remove(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let key = std::mem::take(&mut entry.key);
        entry.flags &= flag::WAITS;
        self.key_bytes -= key.len();
        let hash = Self::hash(&self.hasher, &key);
        if let Ok(found) = self.table.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.accumulators_mut(slot).fill(0);
        self.accumulated_mut(slot).fill(Value::Null);
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

    #[inline]
    pub(super) fn key(&self, slot: u32) -> &[u8] {
        &self.slots[slot as usize].key
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
        (&self.slots[slot].key, &mut self.trees[slot])
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

    /// Bytes of memory without the rows in trees, about.
    pub(super) fn bytes(&self) -> usize {
        // Allocators round up small pieces.
        self.key_bytes
            + self.len() * 8
            + self.table.capacity() * 5
            + self.slots.capacity() * size_of::<Slot>()
            + self.accumulators.capacity() * 8
            + self.accumulated.capacity() * size_of::<Value>()
            + self.trees.capacity() * size_of::<Tree>()
            + self.touched.capacity() * 8
    }
}
