//! What a lane looks after about once a second, because time alone changes it.

use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;

use crate::clock::now;
use crate::counted::counted;
use crate::error::Failure;
use crate::flow::building::Building;
use crate::flow::partition::{Lane, Reader};
use crate::flow::pipeline::Moment;
use crate::huge_pages;
use crate::plan::Side;
use crate::recorder::Doing;
use crate::state::StateSize;

/// How often.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// A lane that looks after nothing for so long was held up: its process was paused, or has no time.
const HELD_UP: Duration = HOUSEKEEPING.saturating_mul(2);

impl Lane {
    /// Whoever was held up does not know what has come meanwhile: how long a partition is idle counts from now.
    pub(super) fn heed_hold_up(&mut self) {
        let now = Instant::now();
        let looked = std::mem::replace(&mut self.looked, now);
        if now.saturating_duration_since(looked) > HELD_UP {
            self.begin_idle_anew();
        }
    }

    /// How long a partition is idle counts from now.
    pub(super) fn begin_idle_anew(&mut self) {
        for reader in &mut self.readers {
            reader.caught_up = reader.caught_up.map(|_| Instant::now());
        }
    }

    /// About once a second: what is idle, what has outlived its time, how much is kept.
    pub(super) fn housekeep(&mut self, ctx: &mut Context<Self>) {
        self.heed_hold_up();
        // Behind an exchange nothing comes also where those before it are held up: the step there says who is idle.
        // While new steps are built nobody is idle: what is read back ends where the checkpoint stands. While the query is
        // paused nobody knows what has come.
        if self.spec.side != Side::Behind && self.building.is_none() && !self.paused {
            let idle =
                |reader: &Reader| reader.role.event_time && reader.idle_for(self.spec.idle_timeout);
            let readers = self.readers.iter().enumerate();
            let idle: Vec<usize> = readers.filter(|(_, r)| idle(r)).map(|(i, _)| i).collect();
            for reader in idle {
                self.idle(reader, ctx);
            }
        }
        self.ring(ctx);
        self.expire(1);
        self.show_warm_up();
        self.measure_state(ctx);
    }

    /// Forgets what `stateTtl` has outlived, in so many parts; not while something is being emitted, which may be of it.
    pub(super) fn expire(&mut self, parts: usize) {
        if self.emission.is_none()
            && let Some(pipeline) = &mut self.pipeline
        {
            let begun = std::time::Instant::now();
            for _ in 0..parts {
                pipeline.expire(now());
            }
            self.recording.worked(Doing::Housekeeping, begun, 0);
        }
    }

    /// A partition is idle: the others go on without it.
    pub(super) fn idle(&mut self, reader: usize, ctx: &mut Context<Self>) {
        let look = self.alignment.release(reader);
        self.align(look);
        if let Some(now) = self.watermarks.idle(reader) {
            self.begin(Moment::Watermark(now), None, ctx);
        }
    }

    pub(super) fn measure_state(&mut self, ctx: &mut Context<Self>) {
        let Some(pipeline) = &self.pipeline else {
            return;
        };
        let kept = self.building.iter().flat_map(Building::kept);
        let kept = kept.map(|step| (&step.name, step.operator.size()));
        let kept = kept.filter(|(_, size)| *size != StateSize::default());
        let sizes = pipeline.sizes().chain(kept);
        let mut sizes: Vec<_> = sizes.map(|(step, size)| (step.clone(), size)).collect();
        let now = sizes.iter().map(|(_, size)| size.bytes).sum();
        if now == 0 && self.counted == 0 {
            return;
        }
        self.spec.metrics.state(&self.spec.name, &sizes);
        let over = self.spec.budget.change(self.counted, now);
        self.counted = now;
        huge_pages::tend(&self.spec.budget);
        if let Some(used) = over {
            sizes.sort_by_key(|(_, size)| std::cmp::Reverse(size.bytes));
            let biggest: Vec<String> = sizes
                .iter()
                .take(3)
                .map(|(step, size)| {
                    format!(
                        "`{step}` {} MB in {}",
                        size.bytes >> 20,
                        counted(size.keys, "key")
                    )
                })
                .collect();
            let failure = Failure::end(format!(
                "the state takes {} MB, more than stateMemoryMax allows ({} MB). The biggest steps of {}: {}. Give the \
                 process more memory, raise stateMemoryMax, or keep less: a watermark, a shorter window, stateTtl.",
                used >> 20,
                self.spec.budget.max() >> 20,
                self.spec.name,
                biggest.join(", ")
            ));
            self.fail(failure, ctx);
        }
    }
}
