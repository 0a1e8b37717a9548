//! A record's way through a lane: from its source through all steps to the writer, and what it counts. When the writer is full, or cannot
//! tell yet, the lane takes no other.

use actix::prelude::*;

use crate::error::Failure;
use crate::flow::emission::Resume;
use crate::flow::partition::Lane;
use crate::flow::pipeline::Moment;
use crate::flow::warm_up::WarmUp;
use crate::histogram::Run;
use crate::plan::Side;
use crate::record::{Body, Record, Skip};
use crate::recorder::Doing;
use crate::sink::{LocalFuture, Readiness};

/// Counts since the last hand-over to the metrics.
#[derive(Default)]
pub(super) struct Tally {
    records: u64,
    bytes: u64,
    rows: u64,
    received: Run,
    processed: Run,
}

impl Lane {
    /// Takes one record all the way.
    pub(super) fn take(&mut self, reader: usize, mut record: Record, ctx: &mut Context<Self>) {
        if self.arrives(reader, &record.meta.position) {
            self.gate.give_back(reader, record);
            return self.arrive(reader, ctx);
        }
        let (Some(pipeline), Some(from)) = (&mut self.pipeline, self.readers.get_mut(reader))
        else {
            return;
        };
        self.at = Some(reader);
        from.caught_up = None;
        self.stirred = true;
        record.meta.watermark = self.watermarks.against(reader);
        self.tally.records += 1;
        self.tally.bytes += u64::from(record.size);
        let metrics = &self.spec.metrics;
        if let Some(time) = record.meta.record_time
            && self.spec.side != Side::Behind
        {
            let late = u64::try_from(record.meta.taken_at - time).unwrap_or(0);
            self.tally.received.observe(&metrics.received, late);
        }
        let silent = self.warm_up != WarmUp::Over;
        let timed = self.recording.take(reader, &record, silent, &self.gate);
        pipeline.time(timed, record.meta.taken);
        let outcome = match &record.body {
            Body::Row(row) => match pipeline.process(&from.entries, row, &record.meta) {
                Ok(rows) => {
                    self.tally.rows += u64::from(rows);
                    self.recording.stepped(pipeline.watch());
                    Ok(pipeline.accept())
                }
                Err(error) => {
                    pipeline.reject();
                    Err(error)
                }
            },
            Body::Skipped(skip) => {
                metrics.skipped[match skip {
                    Skip::Tombstone => 0,
                    Skip::Malformed => 1,
                }]
                .inc();
                Ok(Ok(Readiness::Ready))
            }
            Body::Bad(error) => Err((**error).clone()),
        };
        match outcome {
            Ok(Ok(readiness)) => {
                let micros = self.recording.done();
                self.tally.processed.observe(&metrics.processed, micros);
                from.position = record.next;
                let late = pipeline.take_late();
                if late > 0 {
                    metrics.late.inc_by(late);
                }
                let (watermark, idle) = (pipeline.take_watermark(), pipeline.take_idle());
                if readiness == Readiness::Full {
                    let drained = pipeline.writer().drained();
                    self.pause(drained, ctx);
                }
                if let Some(watermark) = watermark {
                    let look = self.alignment.observe(reader, watermark);
                    self.align(look);
                    if let Some(now) = self.watermarks.observe(reader, watermark) {
                        self.begin(Moment::Watermark(now), Some(record.meta), ctx);
                    }
                }
                if idle {
                    self.idle(reader, ctx);
                }
            }
            Ok(Err(failure)) => self.fail(failure, ctx),
            Err(error) => match pipeline.writer().undecided() {
                Some(decided) => {
                    self.recording.put_down();
                    self.tally.records -= 1;
                    self.tally.bytes -= u64::from(record.size);
                    self.gate.give_back(reader, record);
                    self.pause(decided, ctx);
                }
                None => {
                    self.bad(reader, &record, &error, ctx);
                    self.recording.failed(&error);
                    self.recording.put_down();
                }
            },
        }
        self.at = None;
        if self.tally.records >= 256 {
            self.hand_over();
        }
    }

    /// Takes no further record until the writer has drained. Mail is still read.
    pub(super) fn pause(
        &mut self,
        drained: LocalFuture<Result<(), Failure>>,
        ctx: &mut Context<Self>,
    ) {
        self.gate.closed.set(self.gate.closed.get() + 1);
        self.recording.recorder.begin(Doing::SinkFull, 0);
        self.full += 1;
        ctx.spawn(
            drained
                .into_actor(self)
                .map(|drained, lane, ctx| match drained {
                    Ok(()) => {
                        lane.full -= 1;
                        if lane.full == 0 {
                            lane.recording.recorder.end(Doing::SinkFull, 0);
                        }
                        lane.open_gate();
                        if lane.full == 0 && lane.emission.is_some() {
                            ctx.notify(Resume);
                        }
                    }
                    Err(failure) => lane.fail(failure, ctx),
                }),
        );
    }

    /// Hands the counts over to the metrics.
    pub(super) fn hand_over(&mut self) {
        let mut tally = std::mem::take(&mut self.tally);
        tally.received.hand_over(&self.spec.metrics.received);
        tally.processed.hand_over(&self.spec.metrics.processed);
        // What goes into the exchange and comes out of it is neither input nor output.
        let (reads, writes) = (
            self.spec.side != Side::Behind,
            self.spec.side != Side::Before,
        );
        if tally.records > 0 && reads {
            self.spec.metrics.records_in.inc_by(tally.records);
            self.spec.metrics.bytes_in.inc_by(tally.bytes);
        }
        if tally.records > 0 && writes {
            self.spec.metrics.records_out.inc_by(tally.rows);
        }
    }
}
