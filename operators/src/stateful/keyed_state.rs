//! Keys with a cell of words each: compact, with undo for the record in hand, and saved by what changed.
//!
//! A key's bytes lie in a box of their own, all else of it in a *slot*: 32 bytes of head and the words of its cell, in
//! chunks that never move. The hash tables hold only a slot's number and half a hash, so that they grow without looking at
//! a key; there are many small ones, so that no single growth takes long.
//!
//! Of the record in hand the log holds the words of each slot before it was changed, and which slots came and went.

use std::sync::LazyLock;

use hashbrown::HashTable;
use thalweg_engine::state::{Entries, StateSize};
use xxhash_rust::xxh64::xxh64;

/// Slots in a chunk.
const CHUNK: usize = 1024;
const TABLES: usize = 256;
/// Slots that a save looks at together.
const BLOCK: usize = 128;

const LIVE: u64 = 1 << 0;
/// Changed since the last save.
const DIRTY: u64 = 1 << 1;
/// Its words before the record in hand are in the log.
const LOGGED: u64 = 1 << 2;
/// Some save has held it, so that its end must be saved too.
const SAVED: u64 = 1 << 3;
/// The owner's to use: it has changed since the last trigger.
const CHANGED: u64 = 1 << 4;
const SEQUENCE_SHIFT: u32 = 8;

/// The number of a slot.
pub type Slot = u32;

#[derive(Default)]
struct Head {
    key: Box<[u8]>,
    /// Flags, and from bit 8 the order of arrival.
    mark: u64,
    /// The owner's: when it last changed, in seconds.
    touched: u32,
    /// The owner's.
    tag: u32,
}

struct Chunk {
    heads: Vec<Head>,
    words: Vec<u64>,
}

enum Undo {
    Came(Slot),
    Went(Slot, u64),
    Changed { slot: Slot, mark: u64, touched: u32 },
}

/// Keys with their cells.
pub struct KeyedState {
    words: usize,
    tables: Vec<HashTable<(Slot, u32)>>,
    chunks: Vec<Chunk>,
    slots: usize,
    free: Vec<Slot>,
    live: usize,
    key_bytes: usize,
    sequence: u64,
    dirty: Vec<Slot>,
    removed: Vec<Box<[u8]>>,
    undo: Vec<Undo>,
    undo_words: Vec<u64>,
}

/// So that nobody can make keys that collide.
static SEED: LazyLock<u64> = LazyLock::new(|| {
    let mut seed = [0; 8];
    // Without random numbers the seed is a known one: only slower where somebody tries.
    let _ = getrandom::fill(&mut seed);
    u64::from_le_bytes(seed)
});

#[allow(clippy::cast_possible_truncation)]
fn short_hash(hash: u64) -> u32 {
    (hash >> 32) as u32
}

#[allow(clippy::cast_possible_truncation)]
fn table_of(hash: u64) -> usize {
    hash as usize % TABLES
}

/// Whether a save of all keys takes hardly more than one of those that changed. A state that is saved whole is one object,
/// and kept epochs hold it once. A small one is not looked at: its objects are small.
pub(super) fn mostly(changed: usize, all: usize) -> bool {
    all >= 1_000 && changed >= all / 4 * 3
}

/// What the tables hash by: the half of the hash that is kept beside the slot, spread over 64 bits.
#[inline]
fn spread(short: u32) -> u64 {
    u64::from(short).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl KeyedState {
    /// No keys yet, with so many words in a cell.
    pub fn new(words: usize) -> Self {
        Self {
            words,
            tables: (0..TABLES).map(|_| HashTable::new()).collect(),
            chunks: Vec::new(),
            slots: 0,
            free: Vec::new(),
            live: 0,
            key_bytes: 0,
            sequence: 0,
            dirty: Vec::new(),
            removed: Vec::new(),
            undo: Vec::new(),
            undo_words: Vec::new(),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[inline]
    fn head(&self, slot: Slot) -> &Head {
        &self.chunks[slot as usize / CHUNK].heads[slot as usize % CHUNK]
    }

    #[inline]
    fn head_mut(&mut self, slot: Slot) -> &mut Head {
        &mut self.chunks[slot as usize / CHUNK].heads[slot as usize % CHUNK]
    }

    /// The slot of a key.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<Slot> {
        self.find_hashed(key, xxh64(key, *SEED))
    }

    #[inline]
    fn find_hashed(&self, key: &[u8], hash: u64) -> Option<Slot> {
        let short = short_hash(hash);
        self.tables[table_of(hash)]
            .find(spread(short), |&(slot, other)| {
                other == short && *self.head(slot).key == *key
            })
            .map(|&(slot, _)| slot)
    }

    /// The slot of a key, made if there is none, with a cell of zeros; whether it was made. Ready to be changed, as after
    /// [`KeyedState::touch`].
    #[inline]
    pub fn entry(&mut self, key: &[u8]) -> (Slot, bool) {
        let hash = xxh64(key, *SEED);
        match self.find_hashed(key, hash) {
            Some(slot) => {
                self.touch(slot);
                (slot, false)
            }
            None => (self.create(key, hash), true),
        }
    }

    fn create(&mut self, key: &[u8], hash: u64) -> Slot {
        let slot = self.free.pop().unwrap_or_else(|| self.grow());
        let mark = LIVE | DIRTY | LOGGED | (self.sequence << SEQUENCE_SHIFT);
        self.sequence += 1;
        *self.head_mut(slot) = Head {
            key: key.into(),
            mark,
            touched: 0,
            tag: 0,
        };
        self.cell_mut(slot).fill(0);
        self.link(slot, hash);
        self.live += 1;
        self.key_bytes += key_bytes(key);
        self.dirty.push(slot);
        self.undo.push(Undo::Came(slot));
        slot
    }

    fn grow(&mut self) -> Slot {
        if self.slots == self.chunks.len() * CHUNK {
            let mut heads = Vec::with_capacity(CHUNK);
            heads.resize_with(CHUNK, Head::default);
            self.chunks.push(Chunk {
                heads,
                words: vec![0; CHUNK * self.words],
            });
        }
        self.slots += 1;
        Slot::try_from(self.slots - 1).unwrap_or(Slot::MAX)
    }

    fn link(&mut self, slot: Slot, hash: u64) {
        let short = short_hash(hash);
        self.tables[table_of(hash)]
            .insert_unique(spread(short), (slot, short), |&(_, short)| spread(short));
    }

    fn unlink(&mut self, slot: Slot) {
        let hash = xxh64(&self.head(slot).key, *SEED);
        let found = self.tables[table_of(hash)]
            .find_entry(spread(short_hash(hash)), |&(other, _)| other == slot);
        if let Ok(entry) = found {
            entry.remove();
        }
    }

    /// Keeps what the slot holds for undo and marks it as changed. To be called before each change.
    #[inline]
    pub fn touch(&mut self, slot: Slot) {
        let words = self.words;
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        let place = slot as usize % CHUNK;
        let head = &mut chunk.heads[place];
        if head.mark & LOGGED == 0 {
            self.undo.push(Undo::Changed {
                slot,
                mark: head.mark | DIRTY,
                touched: head.touched,
            });
            self.undo_words
                .extend_from_slice(&chunk.words[place * words..(place + 1) * words]);
            if head.mark & DIRTY == 0 {
                self.dirty.push(slot);
            }
            head.mark |= LOGGED | DIRTY;
        }
    }

    /// The words of a slot.
    #[inline]
    pub fn cell(&self, slot: Slot) -> &[u64] {
        let place = slot as usize % CHUNK * self.words;
        &self.chunks[slot as usize / CHUNK].words[place..place + self.words]
    }

    /// The words of a slot that was touched.
    #[inline]
    pub fn cell_mut(&mut self, slot: Slot) -> &mut [u64] {
        let place = slot as usize % CHUNK * self.words;
        &mut self.chunks[slot as usize / CHUNK].words[place..place + self.words]
    }

    /// The key of a slot.
    #[inline]
    pub fn key(&self, slot: Slot) -> &[u8] {
        &self.head(slot).key
    }

    /// The order of arrival.
    #[inline]
    pub fn sequence(&self, slot: Slot) -> u64 {
        self.head(slot).mark >> SEQUENCE_SHIFT
    }

    /// Whether the slot holds a key.
    #[inline]
    pub fn is_live(&self, slot: Slot) -> bool {
        self.head(slot).mark & LIVE != 0
    }

    /// The owner's mark, undone with the rest: it has changed since the last trigger.
    #[inline]
    pub fn is_changed(&self, slot: Slot) -> bool {
        self.head(slot).mark & CHANGED != 0
    }

    /// Sets the owner's mark; whether it was not set.
    #[inline]
    pub fn set_changed(&mut self, slot: Slot) -> bool {
        let head = self.head_mut(slot);
        let new = head.mark & CHANGED == 0;
        head.mark |= CHANGED;
        new
    }

    /// Takes the owner's mark away, without undo and without saving it; whether it was set.
    #[inline]
    pub fn clear_changed(&mut self, slot: Slot) -> bool {
        let head = self.head_mut(slot);
        let was = head.mark & CHANGED != 0;
        head.mark &= !CHANGED;
        was
    }

    /// When it last changed, in seconds.
    #[inline]
    pub fn touched(&self, slot: Slot) -> u32 {
        self.head(slot).touched
    }

    /// Sets when it changed.
    #[inline]
    pub fn set_touched(&mut self, slot: Slot, seconds: u32) {
        self.head_mut(slot).touched = seconds;
    }

    /// A number that the owner has given the slot.
    #[inline]
    pub fn tag(&self, slot: Slot) -> u32 {
        self.head(slot).tag
    }

    /// Gives the slot a number, for as long as it lives.
    #[inline]
    pub fn set_tag(&mut self, slot: Slot, tag: u32) {
        self.head_mut(slot).tag = tag;
    }

    /// To be saved although nothing of it has changed.
    pub fn mark_dirty(&mut self, slot: Slot) {
        let head = self.head_mut(slot);
        if head.mark & (LIVE | DIRTY) == LIVE {
            head.mark |= DIRTY;
            self.dirty.push(slot);
        }
    }

    /// Takes a key out. Its slot and cell stay as they are until [`KeyedState::accept`].
    pub fn remove(&mut self, slot: Slot) {
        if !self.is_live(slot) {
            return;
        }
        self.touch(slot);
        self.unlink(slot);
        self.live -= 1;
        self.key_bytes -= key_bytes(self.key(slot));
        let head = self.head_mut(slot);
        let mark = head.mark;
        head.mark &= !(LIVE | DIRTY);
        self.undo.push(Undo::Went(slot, mark));
    }

    /// All slots that hold a key, in order of arrival.
    pub fn in_order(&self) -> Vec<Slot> {
        let mut slots = Vec::with_capacity(self.live);
        let mut last = None;
        let mut sorted = true;
        for slot in 0..Slot::try_from(self.slots).unwrap_or(Slot::MAX) {
            let mark = self.head(slot).mark;
            if mark & LIVE != 0 {
                let sequence = Some(mark >> SEQUENCE_SHIFT);
                sorted &= last < sequence;
                last = sequence;
                slots.push(slot);
            }
        }
        if !sorted {
            self.sort(&mut slots);
        }
        slots
    }

    /// Brings slots into order of arrival.
    pub fn sort(&self, slots: &mut [Slot]) {
        if !slots.is_sorted_by_key(|slot| self.sequence(*slot)) {
            slots.sort_by_cached_key(|slot| self.sequence(*slot));
        }
    }

    /// How many slots there are, free ones too.
    pub fn slots(&self) -> Slot {
        Slot::try_from(self.slots).unwrap_or(Slot::MAX)
    }

    /// What was done since the last call stays.
    #[inline]
    pub fn accept(&mut self) {
        let mut undo = std::mem::take(&mut self.undo);
        for step in undo.drain(..) {
            match step {
                Undo::Came(slot) | Undo::Changed { slot, .. } => {
                    self.head_mut(slot).mark &= !LOGGED;
                }
                Undo::Went(slot, mark) => {
                    let key = std::mem::take(&mut self.head_mut(slot).key);
                    self.head_mut(slot).mark = 0;
                    if mark & SAVED != 0 {
                        self.removed.push(key);
                    }
                    self.free.push(slot);
                }
            }
        }
        self.undo = undo;
        self.undo_words.clear();
    }

    /// What was done since the last call is undone, in reverse; each slot that had come is shown to `dropped` before it
    /// goes.
    pub fn reject(&mut self, mut dropped: impl FnMut(&Self, Slot)) {
        while let Some(step) = self.undo.pop() {
            match step {
                Undo::Came(slot) => {
                    dropped(self, slot);
                    self.unlink(slot);
                    self.live -= 1;
                    self.key_bytes -= key_bytes(self.key(slot));
                    *self.head_mut(slot) = Head::default();
                    self.free.push(slot);
                }
                Undo::Went(slot, mark) => {
                    self.head_mut(slot).mark = mark;
                    if mark & DIRTY != 0 {
                        self.dirty.push(slot);
                    }
                    self.live += 1;
                    self.key_bytes += key_bytes(self.key(slot));
                    let hash = xxh64(self.key(slot), *SEED);
                    self.link(slot, hash);
                }
                Undo::Changed {
                    slot,
                    mark,
                    touched,
                } => {
                    let begin = self.undo_words.len() - self.words;
                    let words = self.undo_words.split_off(begin);
                    self.cell_mut(slot).copy_from_slice(&words);
                    let head = self.head_mut(slot);
                    head.mark = mark;
                    head.touched = touched;
                }
            }
        }
    }

    /// Appends what changed since the last call: removed keys, then changed ones with what `write` appends.
    pub fn save(&mut self, out: &mut Entries, mut write: impl FnMut(&Self, Slot, &mut Vec<u8>)) {
        for key in self.removed.drain(..) {
            out.remove(&key);
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for block in dirty.chunks(BLOCK) {
            self.warm(block);
            for &slot in block {
                if self.head(slot).mark & (LIVE | DIRTY) != LIVE | DIRTY {
                    continue;
                }
                let state = &*self;
                out.put(state.key(slot), |bytes| write(state, slot, bytes));
                let head = self.head_mut(slot);
                head.mark = (head.mark & !DIRTY) | SAVED;
            }
        }
        dirty.clear();
        self.dirty = dirty;
    }

    /// Reads a little of each slot, so that the waits for memory overlap: one after the other they are most of what a save
    /// takes.
    fn warm(&self, block: &[Slot]) {
        let heads = block.iter().map(|slot| self.head(*slot).mark);
        let mut sum = heads.fold(0, u64::wrapping_add);
        for &slot in block {
            let word = self.cell(slot).first().copied().unwrap_or_default();
            let byte = self.key(slot).first().copied().unwrap_or_default();
            sum = sum.wrapping_add(word).wrapping_add(u64::from(byte));
        }
        std::hint::black_box(sum);
    }

    /// Whether a save would hold anything.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.removed.is_empty()
    }

    /// Nothing of it is ever saved: its owner makes it anew.
    pub fn forget_changes(&mut self) {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            self.head_mut(slot).mark &= !DIRTY;
        }
        self.dirty = dirty;
    }

    /// Everything is to be saved next.
    pub fn mark_all_dirty(&mut self) {
        self.removed.clear();
        for slot in 0..self.slots() {
            self.mark_dirty(slot);
        }
    }

    /// Whether so much has changed since the last save that all of it takes hardly more.
    pub fn is_mostly_dirty(&self) -> bool {
        mostly(self.dirty.len(), self.live)
    }

    /// A key as it was saved, with its order of arrival; an old cell of it is cleared, after `free` has seen it. Nothing is
    /// kept for undo.
    pub fn restore(&mut self, key: &[u8], sequence: u64, free: impl FnOnce(&[u64])) -> Slot {
        let hash = xxh64(key, *SEED);
        let slot = match self.find_hashed(key, hash) {
            Some(slot) => {
                free(self.cell(slot));
                self.cell_mut(slot).fill(0);
                slot
            }
            None => {
                let slot = self.create(key, hash);
                self.undo.clear();
                self.dirty.clear();
                slot
            }
        };
        self.head_mut(slot).mark = LIVE | SAVED | (sequence << SEQUENCE_SHIFT);
        self.sequence = self.sequence.max(sequence + 1);
        slot
    }

    /// Takes a restored key out at once, after `free` has seen its cell.
    pub fn restore_removed(&mut self, key: &[u8], free: impl FnOnce(&[u64])) {
        if let Some(slot) = self.find(key) {
            free(self.cell(slot));
            self.unlink(slot);
            self.live -= 1;
            self.key_bytes -= key_bytes(key);
            *self.head_mut(slot) = Head::default();
            self.free.push(slot);
        }
    }

    /// The next key's order of arrival.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// The next key's order of arrival is at least this.
    pub fn raise_sequence(&mut self, to: u64) {
        self.sequence = self.sequence.max(to);
    }

    /// Keys, and bytes of memory.
    pub fn size(&self) -> StateSize {
        let slot = size_of::<Head>() + self.words * 8;
        // A table has a byte of its own for each entry, and is full to seven eighths at most.
        let table = self.live * (size_of::<(Slot, u32)>() + 1) * 8 / 6;
        let lists = self.dirty.capacity() * 4 + self.free.capacity() * 4;
        let bytes = self.chunks.len() * CHUNK * slot + table + self.key_bytes + lists;
        StateSize {
            keys: self.live as u64,
            bytes: bytes as u64,
        }
    }
}

/// Memory of a key's box: rounded up as allocators do.
fn key_bytes(key: &[u8]) -> usize {
    key.len().next_multiple_of(16)
}
