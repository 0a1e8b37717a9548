//! What changed since the last cut, as bytes that are ready to be handed over.
//!
//! At the cut a key that changed is far from the processor: to fetch it, one place after the other, is nearly all that
//! writing it takes. So it is written when its record is accepted and all of it is at hand: where rows are kept, the few that
//! changed, each time; aggregates alone the first time, and those that change again at the cut, too. How much is held ready
//! is limited; what goes beyond is written at the cut.

use thalweg_engine::row::Value;
use thalweg_engine::state::{Entries, StateChanges};

use crate::stateful::keyed_state::mostly;
use crate::stateful::over::keys::{SLOT, flag};
use crate::stateful::over::leaf::Leaf;
use crate::stateful::over::operator::Window;
use crate::stateful::over::save::{WATERMARK, head_key_into, leaf_key_into, put_values, put_words};

/// Bytes that are held ready at least and at most; in between a sixteenth of the rows that are kept, or half of the aggregates.
const READY: (usize, usize) = if cfg!(test) {
    (300, 300)
} else {
    (64 << 10, 16 << 20)
};

/// Keys that a cut looks at together.
const BLOCK: usize = 64;

/// What the next cut hands over.
pub(super) struct Changes {
    /// What is written already, in the order in which it happened.
    pub(super) ready: Entries,
    /// Slots that are written at the cut.
    pub(super) waiting: Vec<u32>,
    /// Bytes of the last cut.
    last: usize,
    /// Room for the name of an entry.
    name: Vec<u8>,
    /// The number of this epoch: 1 to 15.
    epoch: u8,
    /// Keys that changed in it, where no rows are kept.
    changed: usize,
    /// Whether entries are written before the cut. Not where nearly all keys change: then all of them are saved, and what was
    /// written before would be written again.
    at_once: bool,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            ready: Entries::default(),
            waiting: Vec::new(),
            last: 0,
            name: Vec::new(),
            epoch: 1,
            changed: 0,
            at_once: true,
        }
    }
}

impl Changes {
    /// All that was to be saved is void.
    pub(super) fn clear(&mut self) {
        self.ready = Entries::default();
    }

    /// The next epoch.
    fn begin(&mut self, at_once: bool) {
        self.epoch = self.epoch % 15 + 1;
        self.changed = 0;
        self.at_once = at_once;
    }

    /// Gives what is ready, and makes room for as much.
    fn take(&mut self, whole: bool) -> Entries {
        let entries = std::mem::take(&mut self.ready);
        self.last = if whole { 0 } else { entries.bytes().len() };
        self.ready.reserve((self.last + self.last / 8).min(READY.1));
        entries
    }
}

impl Window {
    /// The record in hand has changed the key: it is written at once, or at the cut.
    pub(super) fn changed(&mut self, slot: u32) {
        let size = |words: usize, values: usize| words * 8 + values * size_of::<Value>();
        let (limit, first) = if self.program.keeps_rows {
            let columns = &self.program.shape.columns;
            let rows = self.rows * size(columns.words, columns.values);
            (rows / 16, true)
        } else {
            let aggregates =
                self.keys.len() * (SLOT + size(self.program.words, self.program.values));
            let first = self.keys.first_in(self.changes.epoch, slot);
            self.changes.changed += usize::from(first);
            (aggregates / 2, first)
        };
        let held = self.changes.ready.bytes().len();
        if !first || !self.changes.at_once || held > limit.clamp(READY.0, READY.1) {
            return self.mark(slot);
        }
        if !self.keys.is(slot, flag::DIRTY) {
            self.write(slot, false);
        }
    }

    /// The key is written at the next cut.
    pub(super) fn mark(&mut self, slot: u32) {
        if !self.keys.set(slot, flag::DIRTY, true) {
            self.changes.waiting.push(slot);
        }
    }

    /// Writes the aggregates of a key and its leaves that changed, or all of them.
    fn write(&mut self, slot: u32, whole: bool) {
        let Changes { ready, name, .. } = &mut self.changes;
        let keys = &mut self.keys;
        let time = self.program.ttl.is_some();
        if !self.program.running.is_empty() || time {
            head_key_into(keys.key(slot), name);
            let (words, values) = keys.accumulators(slot);
            let touched = keys.touched(slot);
            ready.put(name, |out| {
                put_words(words, out);
                if time {
                    out.extend_from_slice(&touched.to_le_bytes());
                }
                put_values(values, out);
            });
        }
        if self.program.keeps_rows {
            let columns = &self.program.shape.columns;
            let (key, tree) = keys.key_and_tree(slot);
            let mut put = |leaf: &Leaf| {
                leaf_key_into(key, leaf.label, name);
                ready.put(name, |out| {
                    let rows = u32::try_from(leaf.rows(columns)).unwrap_or(u32::MAX);
                    out.extend_from_slice(&rows.to_le_bytes());
                    put_words(&leaf.words, out);
                    put_values(&leaf.values, out);
                });
            };
            if whole {
                tree.each_leaf(&mut put);
                tree.take_dirty(|_| {});
            } else {
                tree.take_dirty(put);
            }
        }
    }

    /// What changed since the last time; everything after another layout was restored.
    pub(super) fn cut(&mut self) -> Option<StateChanges> {
        // Of rows only the leaves that changed are written, however many keys have one.
        let mostly = !self.program.keeps_rows && mostly(self.changes.changed, self.keys.len());
        self.changes.begin(!mostly);
        let whole = std::mem::take(&mut self.whole) || mostly;
        if whole {
            self.changes.clear();
            for slot in 0..self.keys.slots() {
                if self.keys.is(slot, flag::LIVE) {
                    self.mark(slot);
                }
            }
        }
        let moved = self.program.event_time
            && self.watermark.is_some()
            && (whole || self.watermark != self.saved_watermark);
        if self.changes.waiting.is_empty() && self.changes.ready.is_empty() && !moved && !whole {
            return None;
        }
        let mut waiting = std::mem::take(&mut self.changes.waiting);
        for block in waiting.chunks(BLOCK) {
            self.keys.warm(block);
            for &slot in block {
                // One stands here twice when its key was forgotten and another took its place.
                if self.keys.set(slot, flag::DIRTY, false) && self.keys.is(slot, flag::LIVE) {
                    self.write(slot, whole);
                }
            }
        }
        waiting.clear();
        self.changes.waiting = waiting;
        if moved && let Some(watermark) = self.watermark {
            self.saved_watermark = self.watermark;
            self.changes.ready.put(&[WATERMARK], |out| {
                out.extend_from_slice(&watermark.to_le_bytes());
            });
        }
        Some(StateChanges {
            whole,
            layout: self.layout.clone(),
            entries: self.changes.take(whole),
        })
    }
}
