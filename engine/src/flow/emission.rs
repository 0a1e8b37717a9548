//! What a lane emits between two records: when the watermark moves, at the trigger's moment, at the end of its inputs.
//!
//! The steps emit one after the other, in slices. While there is more, the gate is closed: no record comes in between, so
//! what is emitted is one picture of the state; markers and other lanes get their turn between two slices.

use std::sync::Arc;

use actix::prelude::*;

use crate::clock::now;
use crate::epoch::messages::News;
use crate::error::{Failure, RecordError};
use crate::flow::partition::Lane;
use crate::flow::pipeline::{Moment, Pipeline};
use crate::flow::warm_up::WarmUp;
use crate::operator::Progress;
use crate::plan::Side;
use crate::record::{Partition, Position, RecordMeta};
use crate::recorder::Doing;
use crate::sink::Readiness;

/// A moment that the steps are emitting for.
pub(super) struct Emission {
    moment: Moment,
    at: RecordMeta,
    /// Whether it holds the gate closed.
    holds: bool,
    begun: std::time::Instant,
}

/// To itself: emit the next slice.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Resume;

impl Lane {
    pub(super) fn open_gate(&self) {
        self.gate.closed.set(self.gate.closed.get() - 1);
        self.gate.wake();
    }

    /// Lets the steps emit for a moment; `at` is the record that brought it.
    pub(super) fn begin(
        &mut self,
        moment: Moment,
        at: Option<RecordMeta>,
        ctx: &mut Context<Self>,
    ) {
        if self.emission.is_some() {
            let same =
                |other: &Moment| std::mem::discriminant(other) == std::mem::discriminant(&moment);
            self.next.retain(|other| !same(other));
            self.next.push_back(moment);
            return;
        }
        let at = at.unwrap_or_else(|| self.own_meta());
        let Some(pipeline) = &mut self.pipeline else {
            return;
        };
        // What is emitted comes from no record alone.
        self.recording.emits();
        let begun = self.recording.before(at.taken);
        let progress = pipeline.begin(moment, &at);
        self.emission = Some(Emission {
            moment,
            at,
            holds: false,
            begun,
        });
        self.emitted(progress, ctx);
    }

    /// Stands in for a record where none is the reason for what is emitted.
    fn own_meta(&self) -> RecordMeta {
        RecordMeta {
            partition: Arc::new(Partition {
                input: self.spec.name.clone(),
                name: self.spec.name.clone(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark: self.heard,
            taken_at: now(),
            taken: std::time::Instant::now(),
        }
    }

    /// After a slice: hands over what was emitted and plans the next, or what comes after the last.
    pub(super) fn emitted(
        &mut self,
        progress: Result<Progress, RecordError>,
        ctx: &mut Context<Self>,
    ) {
        let Some(pipeline) = &mut self.pipeline else {
            return;
        };
        let progress = match progress {
            Ok(progress) => progress,
            Err(error) => {
                pipeline.reject();
                let failure = Failure::end(format!(
                    "a result could not be emitted: {error}. It is of what the query keeps and of no one record, so onError \
                     leaves nothing out: mend the expression, as with a wider type or a try_ function, and start again"
                ));
                return self.fail(failure, ctx);
            }
        };
        let outputs = pipeline.outputs();
        if self.spec.side != Side::Before {
            self.spec.metrics.records_out.inc_by(u64::from(outputs));
        }
        self.spec.metrics.late.inc_by(pipeline.take_late());
        match pipeline.accept() {
            Ok(Readiness::Ready) => {}
            Ok(Readiness::Full) => {
                let drained = pipeline.writer().drained();
                self.pause(drained, ctx);
            }
            Err(failure) => return self.fail(failure, ctx),
        }
        let Some(emission) = &mut self.emission else {
            return;
        };
        if !matches!(emission.moment, Moment::Trigger(_)) && outputs > 0 {
            self.stirred = true;
        }
        if progress == Progress::More {
            if !std::mem::replace(&mut emission.holds, true) {
                self.gate.closed.set(self.gate.closed.get() + 1);
            }
            // By way of the mailbox, so that markers and other lanes get their turn between two slices.
            if self.full == 0 {
                ctx.notify(Resume);
            }
            return;
        }
        let (moment, holds) = (emission.moment, emission.holds);
        // Most records that move a watermark move it past nothing: no clock is read for them.
        if holds || outputs > 0 {
            self.recording.worked(Doing::Emitting, emission.begun, 0);
        }
        self.emission = None;
        if let Moment::Watermark(now) = moment {
            self.heard = self.heard.max(Some(now));
        }
        if holds {
            self.open_gate();
        }
        if let (Moment::Trigger(now), Some(pipeline)) = (moment, &mut self.pipeline)
            && self.warm_up == WarmUp::Over
            && let Err(failure) = pipeline.writer().tick(now)
        {
            return self.fail(failure, ctx);
        }
        match self.next.pop_front() {
            Some(next) => self.begin(next, None, ctx),
            None => {
                self.speak();
                self.exhaust(ctx);
            }
        }
    }

    /// The trigger's moment, or the end of all inputs. Where nothing has come there is nothing to emit, as Spark runs no
    /// batch without data.
    pub(super) fn tick(&mut self, ctx: &mut Context<Self>) {
        if self.gate.ended.get() || self.exhausted || self.silent() {
            return;
        }
        if std::mem::take(&mut self.stirred) {
            self.begin(Moment::Trigger(now()), None, ctx);
        } else if self.emission.is_none() {
            self.exhaust(ctx);
        }
    }

    /// Calls the steps that asked for a time which is reached.
    pub(super) fn ring(&mut self, ctx: &mut Context<Self>) {
        if self.gate.ended.get() || self.exhausted || self.silent() {
            return;
        }
        let now = now();
        let alarm = self.pipeline.as_ref().and_then(Pipeline::alarm);
        if alarm.is_some_and(|alarm| alarm <= now) {
            self.begin(Moment::Clock(now), None, ctx);
        }
    }

    /// Says once that everything is read and emitted.
    fn exhaust(&mut self, ctx: &mut Context<Self>) {
        if !self.exhausted
            && self.building.is_none()
            && !self.spec.more
            && !self.readers.is_empty()
            && self.readers.iter().all(|reader| reader.ended)
        {
            if self.spec.side == Side::Before {
                self.promise(ctx);
            }
            self.exhausted = true;
            match self.spec.side {
                Side::Before => self.exhaust_delivered(ctx),
                _ => self.spec.coordinator.do_send(News::Exhausted(self.spec.id)),
            }
        }
    }
}

impl Handler<Resume> for Lane {
    type Result = ();

    fn handle(&mut self, _: Resume, ctx: &mut Context<Self>) {
        let _for = self.behalf.enter();
        if self.full > 0 {
            // The sink is full: the next slice waits as the records do.
            return;
        }
        if let (Some(pipeline), Some(emission)) = (&mut self.pipeline, &self.emission) {
            let progress = pipeline.resume(&emission.at);
            self.emitted(progress, ctx);
        }
    }
}
