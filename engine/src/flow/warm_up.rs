//! The warm-up of a lane: records from before the starting positions build state, and nothing is written for them.
//!
//! ```text
//!   partition 0   ──●──●─●──●──┃ waits            ┃ = starting position
//!   partition 1   ──●───●──●───●─●──┃ arrives     then the steps emit once more in silence, and the lane speaks
//! ```
//!
//! A partition that has arrived at its starting position waits there for the others of its lane, so the first row that is
//! written is answered from all that came before. What steps have marked as changed meanwhile goes with the last silent
//! emission. Until then the cut holds the starting positions beside the positions, so a crash goes on in silence.

use actix::prelude::*;

use crate::flow::partition::Lane;
use crate::record::Position;
use crate::recorder::Doing;

/// How far a lane's warm-up is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WarmUp {
    /// Partitions are on their way to their starting positions.
    Under,
    /// All have arrived; the steps emit in silence.
    Last,
    /// New steps are built, and other lanes build theirs.
    Built,
    /// There is none, or it is over: the lane speaks.
    #[default]
    Over,
}

/// How many records stand between a position and the starting position behind it.
fn left(position: &Position, start: &Position) -> i64 {
    match (position, start) {
        (Position::Number(position), Position::Number(start)) => (start - position).max(0),
        // Only inputs whose positions are numbers can be read back.
        _ => 0,
    }
}

impl Lane {
    /// Whether nothing may be written.
    pub(super) fn silent(&self) -> bool {
        self.warm_up != WarmUp::Over
    }

    /// Begins the warm-up where a partition of the lane has one.
    pub(super) fn begin_warm_up(&mut self) {
        let back = self.readers.iter().any(|reader| reader.start.is_some());
        if !back && self.building.is_none() {
            return;
        }
        self.warm_up = WarmUp::Under;
        self.recording.recorder.begin(Doing::WarmUp, 0);
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.silence(true);
        }
        for index in 0..self.readers.len() {
            let reader = &self.readers[index];
            let before = |start| left(&reader.position, start) > 0;
            if !reader.start.as_ref().is_some_and(before) {
                self.wait_at_start(index);
            }
        }
        self.show_warm_up();
    }

    /// Whether this record is the first at or behind the partition's starting position, which waits then.
    pub(super) fn arrives(&mut self, index: usize, position: &Position) -> bool {
        self.silent()
            && self.readers[index]
                .start
                .as_ref()
                .is_some_and(|start| left(position, start) == 0)
    }

    /// A partition has arrived at its starting position, or has no records before it.
    pub(super) fn arrive(&mut self, index: usize, ctx: &mut Context<Self>) {
        if self.warm_up == WarmUp::Under && !self.readers[index].role.table {
            self.wait_at_start(index);
            self.end_warm_up(ctx);
        }
    }

    /// A partition waits for the others of its lane. (Tables do not, they are not streams; but where new steps are built, nothing
    /// of them is taken meanwhile.)
    pub(super) fn wait_at_start(&mut self, index: usize) {
        let reader = &self.readers[index];
        if !reader.role.table || self.building.is_some() {
            reader.pause.at_start.set(true);
            // Who waits here holds nobody back that is still on the way.
            let look = self.alignment.release(index);
            self.align(look);
        }
    }

    /// Emits for the last time in silence, when all partitions have arrived.
    pub(super) fn end_warm_up(&mut self, ctx: &mut Context<Self>) {
        let mut streams = self.readers.iter().filter(|reader| !reader.role.table);
        if self.warm_up == WarmUp::Under && streams.all(|reader| reader.pause.at_start.get()) {
            self.warm_up = WarmUp::Last;
            let moments = self.last_silent();
            self.begin_all(moments, ctx);
        }
    }

    /// After the last emission: where that was the last silent one, the lane speaks.
    pub(super) fn speak(&mut self) {
        if self.warm_up != WarmUp::Last {
            return;
        }
        if self.building.is_some() {
            return self.built();
        }
        self.warm_up = WarmUp::Over;
        self.recording.recorder.end(Doing::WarmUp, 0);
        self.stirred = false;
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.silence(false);
        }
        for reader in &mut self.readers {
            reader.start = None;
            reader.pause.at_start.set(false);
        }
        self.show_warm_up();
        self.gate.wake();
        tracing::info!(lane = %self.spec.name, "the state is warm: rows are written from the starting position on");
    }

    /// Shows how many records are left; at least 1 until the lane speaks.
    pub(super) fn show_warm_up(&mut self) {
        let now = if self.silent() {
            let readers = self.readers.iter();
            let left =
                readers.filter_map(|reader| Some(left(&reader.position, reader.start.as_ref()?)));
            left.sum::<i64>().max(1)
        } else {
            0
        };
        let before = std::mem::replace(&mut self.warm_up_left, now);
        self.spec.metrics.warm_up_left.add(now - before);
    }
}
