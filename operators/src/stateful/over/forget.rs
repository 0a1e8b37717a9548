//! What is forgotten: rows that no frame can reach any more, and keys that keep nothing.

use crate::stateful::over::Distance;
use crate::stateful::over::keys::flag;
use crate::stateful::over::operator::Window;
use crate::stateful::over::panes::floor;
use crate::stateful::over::program::reach;
use crate::stateful::over::save::{head_key, leaf_key};

/// How many keys are looked at between two records, so that none waits long.
pub(super) const SLICE: usize = 256;

impl Window {
    /// How many rows of a key no frame of a record that is still to come can reach.
    fn out_of_reach(&self, slot: u32) -> usize {
        let Some(order) = &self.program.order else {
            let rows = self.keys.tree_ref(slot).rows(&self.program.shape);
            return rows.saturating_sub(reach(self.program.rows));
        };
        let (tree, shape) = (self.keys.tree_ref(slot), &self.program.shape);
        let newest = if self.program.event_time {
            self.watermark
        } else {
            tree.last(shape)
        };
        let Some(newest) = newest else {
            return 0;
        };
        let by_time = self
            .program
            .range
            .map(|distance| floor(order.below(newest, distance), self.program.step))
            .map(|far| tree.rank(far, false, shape));
        let by_rows = self.program.rows.map(|_| {
            let before = if self.program.event_time {
                tree.rank(newest, false, shape)
            } else {
                tree.rows(shape)
            };
            before.saturating_sub(reach(self.program.rows))
        });
        match (by_time, by_rows) {
            (Some(a), Some(b)) => a.min(b),
            (Some(rows), None) | (None, Some(rows)) => rows,
            (None, None) => 0,
        }
    }

    /// Forgets the rows of a key that are out of reach; those behind the watermark go into panes, where there are some.
    pub(super) fn forget(&mut self, slot: u32) {
        let rows = self.out_of_reach(slot);
        if rows > 0 {
            self.drop_rows(slot, rows);
        }
        self.close(slot);
    }

    fn drop_rows(&mut self, slot: u32, rows: usize) {
        let shape = &self.program.shape;
        let counted = &self.program.counted;
        let tree = self.keys.tree_ref(slot);
        self.distinct.evicted(slot, counted, tree, rows, shape);
        self.rows -= rows;
        let gone = &mut self.scratch.gone;
        self.keys.tree(slot).evict(rows, shape, gone);
        self.remove_leaves(slot);
    }

    /// Notes that the leaves in `gone` are no more.
    pub(super) fn remove_leaves(&mut self, slot: u32) {
        for label in self.scratch.gone.drain(..) {
            self.changes
                .ready
                .remove(&leaf_key(self.keys.key(slot), label));
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, slot: u32) {
        if self.program.keeps_rows {
            let rows = self.keys.tree_ref(slot).rows(&self.program.shape);
            self.drop_rows(slot, rows);
            self.distinct.forget(slot, &self.program.counted);
        }
        if self.has_head() {
            self.changes.ready.remove(&head_key(self.keys.key(slot)));
        }
        self.keys.remove(slot);
    }

    /// Whether a key has more to save than its rows.
    pub(super) fn has_head(&self) -> bool {
        !self.program.running.is_empty() || self.program.ttl.is_some()
    }

    /// A key that keeps nothing is none.
    pub(super) fn remove_if_empty(&mut self, slot: u32) {
        if self.program.running.is_empty()
            && self.keys.tree_ref(slot).rows(&self.program.shape) == 0
        {
            self.remove(slot);
        }
    }

    /// Lets the watermark look at a key again when its oldest row may go.
    pub(super) fn wait(&mut self, slot: u32) {
        if !self.program.event_time || self.keys.is(slot, flag::WAITS) {
            return;
        }
        if let (Some(Distance::Whole(distance)), Some(first)) = (
            self.program.range,
            self.keys.tree_ref(slot).first(&self.program.shape),
        ) {
            self.keys.set(slot, flag::WAITS, true);
            let until = match self.program.step {
                Some(step) => self.closes(slot, first, step.saturating_add(distance)),
                None => first.saturating_add(distance),
            };
            self.wheel.add(slot, until);
        }
    }

    /// Looks at keys whose oldest row the watermark has passed.
    pub(super) fn sweep(&mut self) {
        let Some(watermark) = self.watermark else {
            return;
        };
        for _ in 0..SLICE {
            let Some(slot) = self.wheel.pop(watermark) else {
                return;
            };
            self.keys.awake(slot);
            if !self.keys.is(slot, flag::LIVE) {
                continue;
            }
            self.forget(slot);
            // One that `lag` or a ROWS frame keeps alive waits again only when it has changed.
            if self.program.rows.is_none() {
                self.wait(slot);
            }
            self.remove_if_empty(slot);
        }
    }
}
