//! The record in hand: what it did stays, or is undone.

use xxhash_rust::xxh64::xxh64;

use super::{DIRTY, Head, KeyedState, LIVE, LOGGED, SAVED, SEED, Slot, Undo, key_bytes};

impl KeyedState {
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

    /// What was done since the last call stays, and is saved next.
    #[inline]
    pub fn accept(&mut self) {
        self.settle(Self::change);
    }

    /// As [`KeyedState::accept`], with what [`KeyedState::save`] is given: a key that changed is written now, while it is at
    /// hand, if that is the first time since the last save.
    #[inline]
    pub fn accept_with(&mut self, mut write: impl FnMut(&Self, Slot, &mut Vec<u8>)) {
        self.settle(|state, slot, new| state.change_with(slot, new, &mut write));
    }

    #[inline]
    fn settle(&mut self, mut changed: impl FnMut(&mut Self, Slot, bool)) {
        let mut undo = std::mem::take(&mut self.undo);
        for step in undo.drain(..) {
            match step {
                Undo::Came(slot) => {
                    self.head_mut(slot).mark &= !LOGGED;
                    changed(self, slot, true);
                }
                Undo::Changed { slot, .. } => {
                    self.head_mut(slot).mark &= !LOGGED;
                    changed(self, slot, false);
                }
                Undo::Went(slot, mark) => {
                    let key = std::mem::take(&mut self.head_mut(slot).key);
                    self.head_mut(slot).mark = 0;
                    if mark & SAVED != 0 {
                        self.changes.ready.remove(&key);
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
}
