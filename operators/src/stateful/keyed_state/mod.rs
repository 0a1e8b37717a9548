//! Keys with a cell of words each: compact, with undo for the record in hand, and saved by what changed.
//!
//! A key's bytes lie in a box of their own, all else of it in a *slot*: 32 bytes of head and the words of its cell, in
//! chunks that never move. The hash tables hold only a slot's number and half a hash, so that they grow without looking at
//! a key; there are many small ones, so that no single growth takes long.
//!
//! Of the record in hand the log holds the words of each slot before it was changed, and which slots came and went. What
//! changed since the last save is kept by `changes`.

use std::sync::LazyLock;

use hashbrown::HashTable;
use thalweg_engine::state::StateSize;
use xxhash_rust::xxh64::xxh64;

mod changes;
#[cfg(test)]
mod tests;
mod undo;

use changes::Changes;
pub(super) use changes::mostly;

/// Slots in a chunk.
const CHUNK: usize = 1024;
const TABLES: usize = 256;
const LIVE: u64 = 1 << 0;
/// Changed since the last save.
const DIRTY: u64 = 1 << 1;
/// Its words before the record in hand are in the log.
const LOGGED: u64 = 1 << 2;
/// Some save has held it, so that its end must be saved too.
const SAVED: u64 = 1 << 3;
/// The owner's to use: it has changed since the last trigger.
const CHANGED: u64 = 1 << 4;
/// From here to the order of arrival: the number of the epoch, from 1 to 255 and round, in which it last changed.
const EPOCH_SHIFT: u32 = 8;
const EPOCH: u64 = 0xff << EPOCH_SHIFT;
const SEQUENCE_SHIFT: u32 = 16;

/// The number of a slot.
pub type Slot = u32;

#[derive(Default)]
struct Head {
    key: Box<[u8]>,
    /// Flags, from bit 8 the epoch, and from bit 16 the order of arrival.
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
    changes: Changes,
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
            changes: Changes::default(),
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
        let epoch = u64::from(self.changes.epoch) << EPOCH_SHIFT;
        let mark = LIVE | LOGGED | epoch | (self.sequence << SEQUENCE_SHIFT);
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
                mark: head.mark,
                touched: head.touched,
            });
            self.undo_words
                .extend_from_slice(&chunk.words[place * words..(place + 1) * words]);
            head.mark |= LOGGED;
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
        let lists = self.free.capacity() * 4 + self.changes.bytes();
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
