//! New steps beside kept state: they are built from the newest records, read again, while the kept ones stand aside.
//!
//! ```text
//!   kept steps       aside, as the checkpoint has them  ──────────────┐
//!   new operators    ──●──●─●──● in silence, to the checkpoint's ─┃ the new of these ─┴─► the lane goes on
//!                                positions
//! ```
//!
//! A plan that has changed goes on from a checkpoint that has nothing of some steps. With a warm-up, new operators of *all*
//! steps take the records before the checkpoint's positions, as at a first start, so the new steps get what those before
//! them would have given. The kept ones see none of it. When all lanes have arrived, each takes its kept operators back, with
//! the new steps from what was built, and the new parts of kept ones. No epoch begins meanwhile: a crash leaves the
//! checkpoint as it was, and the next run begins again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use actix::prelude::*;
use smol_str::SmolStr;

use crate::clock::now;
use crate::epoch::messages::News;
use crate::error::Failure;
use crate::flow::alignment::Alignment;
use crate::flow::lane::Reading;
use crate::flow::partition::Lane;
use crate::flow::pipeline::{Moment, Pipeline, Step};
use crate::flow::warm_up::WarmUp;
use crate::flow::watermark::Watermarks;
use crate::state::StateChanges;

/// What stands aside meanwhile.
pub(super) struct Building {
    /// The steps with the state of the checkpoint.
    kept: Vec<Step>,
    /// Those of them that the checkpoint has state of.
    had: BTreeSet<SmolStr>,
    /// What is built.
    new: Arc<BTreeSet<SmolStr>>,
    /// How far the partitions are in the checkpoint.
    watermarks: Watermarks,
}

impl Building {
    /// The steps with kept state.
    pub(super) fn kept(&self) -> &[Step] {
        &self.kept
    }
}

impl Lane {
    /// Puts the kept steps aside, where new ones are to be built. Tables are taken as they stand in the checkpoint.
    pub(super) fn set_aside(
        &mut self,
        state: &BTreeMap<SmolStr, Vec<StateChanges>>,
    ) -> Result<(), Failure> {
        let (Some(new), Some(pipeline)) = (self.spec.builds.take(), &mut self.pipeline) else {
            return Ok(());
        };
        let kept = pipeline.replace((self.spec.steps)());
        let tables = self.spec.readings.iter().filter(|read| read.role.table);
        let entries = tables.flat_map(|read| read.entries.iter().copied());
        let joins: BTreeSet<SmolStr> = entries
            .filter_map(|entry| pipeline.first_behind(entry, |step| state.contains_key(step)))
            .collect();
        pipeline.restore_some(state, |step| joins.contains(step))?;
        self.building = Some(Building {
            kept,
            had: state.keys().cloned().collect(),
            new,
            watermarks: Watermarks::default(),
        });
        Ok(())
    }

    /// Adds a partition to the watermarks; gives its number.
    pub(super) fn track(&mut self, reading: &Reading) -> usize {
        let timed = reading.role.event_time;
        let add = |watermarks: &mut Watermarks| {
            let number = if reading.new {
                watermarks.join(timed)
            } else {
                watermarks.add(reading.watermark, timed)
            };
            watermarks.belongs(number, &reading.partition.input);
            watermarks.remember(number, reading.seen);
            number
        };
        let Some(building) = &mut self.building else {
            return add(&mut self.watermarks);
        };
        add(&mut building.watermarks);
        // What is read back begins with nothing; where there is nothing to read back, what was there holds.
        let restored = reading.watermark.filter(|_| reading.start.is_none());
        self.watermarks.add(restored, timed && !reading.new)
    }

    /// Emits for these moments, one after the other.
    pub(super) fn begin_all(
        &mut self,
        moments: impl IntoIterator<Item = Moment>,
        ctx: &mut Context<Self>,
    ) {
        let mut moments = moments.into_iter();
        let first = if self.emission.is_none() {
            moments.next()
        } else {
            None
        };
        self.next.extend(moments);
        if let Some(first) = first {
            self.begin(first, None, ctx);
        }
    }

    /// The moments of the last silent emission: what the checkpoint's watermark has closed closes here too.
    pub(super) fn last_silent(&mut self) -> Vec<Moment> {
        let reached = self.building.as_mut().and_then(|building| {
            building.watermarks.reached();
            building.watermarks.current()
        });
        let reached = reached.map(Moment::Watermark);
        reached
            .into_iter()
            .chain([Moment::Trigger(now())])
            .collect()
    }

    /// Says that everything is built, and waits for the other lanes.
    pub(super) fn built(&mut self) {
        self.warm_up = WarmUp::Built;
        self.spec.coordinator.do_send(News::Built(self.spec.id));
    }

    /// All lanes have built what is new: takes the kept steps back, puts both together and speaks.
    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        if self.warm_up != WarmUp::Built {
            return;
        }
        let (Some(building), Some(pipeline)) = (self.building.take(), &mut self.pipeline) else {
            return;
        };
        let mut watermarks = building.watermarks;
        if let Err(failure) = adopt(pipeline, building.kept, &building.new, &building.had) {
            return self.fail(failure, ctx);
        }
        watermarks.reached();
        let reached = watermarks.current().map(Moment::Watermark);
        self.watermarks = watermarks;
        for reader in &mut self.readers {
            if let Some(start) = reader.start.take() {
                reader.position = start;
            }
        }
        self.align_anew();
        self.begin_tables();
        self.warm_up = WarmUp::Last;
        self.speak();
        // What had come before the checkpoint may not have been emitted.
        self.stirred = true;
        let read = !self.spec.more && self.readers.iter().all(|reader| reader.ended);
        let last = read.then(|| Moment::Trigger(now()));
        self.begin_all(reached.into_iter().chain(last), ctx);
    }

    /// Who is too far ahead is seen by what the checkpoint says of the partitions.
    fn align_anew(&mut self) {
        let max = self.alignment.max();
        let paused = self.alignment.paused();
        self.spec.metrics.partitions_paused.sub(paused);
        self.alignment = Alignment::new(max);
        for (index, reader) in self.readers.iter().enumerate() {
            let (input, timed) = (&reader.partition.input, reader.role.event_time);
            self.alignment.add(input, self.watermarks.of(index), timed);
            if reader.ended {
                self.alignment.release(index);
            }
        }
        self.align(true);
    }

    /// Streams wait for the tables now, as at any start.
    fn begin_tables(&mut self) {
        for reader in self.readers.iter_mut().filter(|reader| reader.role.table) {
            reader.awaited = reader.caught_up.is_none();
            if reader.awaited {
                self.gate.tables.set(self.gate.tables.get() + 1);
                self.spec.metrics.tables_awaited.inc();
            }
        }
    }
}

/// Puts the kept steps back in the place of those that were built, with what is new from these.
fn adopt(
    pipeline: &mut Pipeline,
    kept: Vec<Step>,
    new: &BTreeSet<SmolStr>,
    had: &BTreeSet<SmolStr>,
) -> Result<(), Failure> {
    let mut steps = kept;
    let built = pipeline.replace(Vec::new());
    for (step, mut built) in steps.iter_mut().zip(built) {
        if !new.contains(&step.name) {
            continue;
        }
        if !had.contains(&step.name) {
            step.operator = built.operator;
        } else if let Some(changes) = built.operator.save() {
            step.operator.adopt(&changes)?;
        }
    }
    pipeline.replace(steps);
    Ok(())
}
