//! What changed since the last save, and what a save gives.
//!
//! At a save a key that changed is far from the processor: to fetch it is nearly all that writing it takes, and the save is
//! what delays records. So it is written when the first record that changes it is accepted; a key that changes again is
//! written by the save, too, and of two entries the later one counts. How much is held ready is limited, and after a value
//! that is long the rest of the epoch is left to the save: a list that grows would be written again and again.

use thalweg_engine::state::Entries;
use xxhash_rust::xxh64::xxh64;

use super::{DIRTY, EPOCH, EPOCH_SHIFT, Head, KeyedState, LIVE, SAVED, SEQUENCE_SHIFT, Slot};
use super::{SEED, key_bytes};

/// Slots that a save looks at together.
const BLOCK: usize = 128;
/// Bytes that are held ready at least and at most; in between half of what the slots take.
const READY: (usize, usize) = if cfg!(test) {
    (300, 300)
} else {
    (64 << 10, 4 << 20)
};
/// The longest entry of which more are written before the save.
const LONG: usize = 512;

/// What the next save gives.
pub(super) struct Changes {
    /// What is written already, in the order in which it happened; removals too.
    pub(super) ready: Entries,
    /// Slots that the save writes. One may stand here twice, or be free by now: its mark tells.
    dirty: Vec<Slot>,
    /// The number of this epoch, as marks have it. One that has not changed for 255 epochs may have the same: then the
    /// save writes it.
    pub(super) epoch: u8,
    /// Keys that have not changed since the last save, or more.
    unchanged: usize,
    /// Whether entries are written before the save.
    at_once: bool,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            ready: Entries::default(),
            dirty: Vec::new(),
            epoch: 1,
            unchanged: 0,
            at_once: true,
        }
    }
}

impl Changes {
    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.dirty.capacity() * size_of::<Slot>() + self.ready.capacity()
    }

    /// The next epoch, with so many keys.
    fn begin(&mut self, keys: usize, at_once: bool) {
        self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        self.unchanged = keys;
        self.at_once = at_once;
    }
}

/// Whether a save of all keys takes hardly more than one of those that changed. A state that is saved whole is one object,
/// and kept epochs hold it once. A small one is not looked at: its objects are small.
pub(crate) fn mostly(changed: usize, all: usize) -> bool {
    all >= 1_000 && changed >= all / 4 * 3
}

impl KeyedState {
    /// A slot has come or changed for good: whether for the first time since the last save.
    #[inline]
    fn note(&mut self, slot: Slot, new: bool) -> bool {
        let epoch = u64::from(self.changes.epoch) << EPOCH_SHIFT;
        let head = self.head_mut(slot);
        let first = new || head.mark & EPOCH != epoch;
        if first && !new {
            head.mark = (head.mark & !EPOCH) | epoch;
            self.changes.unchanged = self.changes.unchanged.saturating_sub(1);
        }
        first
    }

    /// A slot has come or changed for good.
    #[inline]
    pub(super) fn change(&mut self, slot: Slot, new: bool) {
        self.note(slot, new);
        self.mark_dirty(slot);
    }

    /// As [`KeyedState::change`]; it is written at once if it may be.
    #[inline]
    pub(super) fn change_with(
        &mut self,
        slot: Slot,
        new: bool,
        write: &mut impl FnMut(&Self, Slot, &mut Vec<u8>),
    ) {
        let first = self.note(slot, new);
        let head = self.head(slot);
        if !first || !self.changes.at_once || head.mark & (LIVE | DIRTY) != LIVE {
            return self.mark_dirty(slot);
        }
        let limit = self.live * (size_of::<Head>() + self.words * 8) / 2;
        let begin = self.changes.ready.bytes().len();
        if begin > limit.clamp(READY.0, READY.1) {
            return self.mark_dirty(slot);
        }
        let mut ready = std::mem::take(&mut self.changes.ready);
        ready.put(self.key(slot), |bytes| write(self, slot, bytes));
        self.changes.at_once = ready.bytes().len() - begin <= LONG;
        self.changes.ready = ready;
        self.head_mut(slot).mark |= SAVED;
    }

    /// To be saved although nothing of it has changed.
    #[inline]
    pub fn mark_dirty(&mut self, slot: Slot) {
        let head = self.head_mut(slot);
        if head.mark & (LIVE | DIRTY) == LIVE {
            head.mark |= DIRTY;
            self.changes.dirty.push(slot);
        }
    }

    /// What changed since the last call, in the order in which it counts: removed keys, and changed ones with what `write`
    /// appends.
    pub fn save(&mut self, mut write: impl FnMut(&Self, Slot, &mut Vec<u8>)) -> Entries {
        let mut out = std::mem::take(&mut self.changes.ready);
        let were_ready = out.bytes().len();
        let mut dirty = std::mem::take(&mut self.changes.dirty);
        if let Some(each) = out.bytes().len().checked_div(out.len()) {
            out.reserve(each * dirty.len());
        }
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
        self.changes.dirty = dirty;
        // Where nearly all keys change all of them are saved, and what was written before would be written again.
        let at_once = self.changes.unchanged == 0 || !self.is_mostly_dirty();
        self.changes.begin(self.live, at_once);
        let room = (were_ready + were_ready / 8).min(READY.1);
        self.changes.ready.reserve(room);
        out
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
        !self.changes.dirty.is_empty() || !self.changes.ready.is_empty()
    }

    /// Nothing of it is ever saved: its owner makes it anew.
    pub fn forget_changes(&mut self) {
        let mut dirty = std::mem::take(&mut self.changes.dirty);
        for slot in dirty.drain(..) {
            self.head_mut(slot).mark &= !DIRTY;
        }
        self.changes.dirty = dirty;
    }

    /// Everything is to be saved next.
    pub fn mark_all_dirty(&mut self) {
        if self.changes.unchanged == 0 {
            // All keys are among the changes as it is.
            return;
        }
        self.changes.ready = Entries::default();
        for slot in 0..self.slots() {
            self.mark_dirty(slot);
        }
    }

    /// Whether so much has changed since the last save that all of it takes hardly more.
    pub fn is_mostly_dirty(&self) -> bool {
        mostly(self.live - self.changes.unchanged.min(self.live), self.live)
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
                self.changes.unchanged += 1;
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
            self.changes.unchanged = self.changes.unchanged.saturating_sub(1);
        }
    }
}
