//! What a lane tells its flight recorder: each record as it comes and goes, and what else it does.
//!
//! A lane reads the clock once for a record anyway, when it is done; a source once, when it has the row. So the time between
//! the two is known, and from the end of one record to the row of the next, which is its decoding. Where the lane waited in
//! between, or others had the thread, the gate has read the clock when it was asked again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol_str::SmolStr;

use crate::clock::now;
use crate::error::RecordError;
use crate::flow::gate::Gate;
use crate::flow::pipeline::Pipeline;
use crate::histogram::Histogram;
use crate::metrics::QueryMetrics;
use crate::plan::Side;
use crate::record::{Micros, Partition, Record, RecordMeta};
use crate::recorder::{Doing, File, LaneRecorder, Observed, STEPS_MAX, TIMED_EVERY, Trace, Watch};
use crate::spans::{Ids, LaneSpans};

/// How many nanoseconds lie between two records whose steps are timed.
#[allow(clippy::cast_possible_truncation, reason = "microseconds")]
const TIMED_NANOS: u64 = TIMED_EVERY.as_nanos() as u64;

/// Nanoseconds. Shorter waits for the next record are not noted.
const GAP_MIN: u64 = 1_000_000;

/// Nanoseconds. Shorter work between records is not noted.
const WORK_MIN: u64 = 100_000;

/// The record in hand as the recorder sees it, and the clock as it was read last. Times are nanoseconds since `origin`: one
/// subtraction of the clock's own kind for each reading, whole numbers from there on.
pub(super) struct Recording {
    pub(super) recorder: Arc<LaneRecorder>,
    metrics: Arc<QueryMetrics>,
    /// By reader of the lane, the number of its partition.
    readers: Vec<usize>,
    /// By place in the pipeline, the times of its steps.
    step_times: Vec<Arc<Histogram>>,
    origin: Instant,
    /// Whose rows are taken, where the input is files.
    file: File,
    trace: Trace,
    number: u32,
    /// When the record in hand was taken.
    taken: u64,
    /// When the last record was done.
    done: u64,
    /// When the last record was taken whose steps were timed.
    timed_at: u64,
    timed: bool,
    /// The spans of its traced records, and what makes their ids.
    tracing: Option<(Arc<LaneSpans>, Ids)>,
}

/// Nanoseconds as microseconds of the wall clock.
fn wall(nanos: u64) -> Micros {
    Micros::try_from(nanos / 1_000).unwrap_or(0)
}

impl Recording {
    /// The recording of the lane with this name.
    pub(super) fn of(lane: &SmolStr, side: Side, metrics: &Arc<QueryMetrics>) -> Self {
        let recorder = metrics.recorder.lane(lane);
        recorder.anew();
        let tracing = metrics.recorder.tracer().map(|tracer| {
            let spans = LaneSpans::new(tracer, metrics.query(), side != Side::Behind);
            (Arc::new(spans), Ids::new())
        });
        Self {
            recorder,
            metrics: Arc::clone(metrics),
            readers: Vec::new(),
            step_times: Vec::new(),
            origin: Instant::now(),
            file: File::default(),
            trace: Trace::default(),
            number: 0,
            taken: 0,
            done: 0,
            timed_at: 0,
            timed: false,
            tracing,
        }
    }

    #[inline]
    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.origin);
        since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos())
    }

    /// What the lane's writers tell of delivery to.
    pub(super) fn observer(&self) -> Arc<Observed> {
        Arc::new(Observed {
            metrics: Arc::clone(&self.metrics),
            recorder: Arc::clone(&self.recorder),
            spans: self.spans().cloned(),
        })
    }

    /// The spans of traced records.
    pub(super) fn spans(&self) -> Option<&Arc<LaneSpans>> {
        self.tracing.as_ref().map(|(spans, _)| spans)
    }

    /// The lane reads a partition more.
    pub(super) fn reads(&mut self, partition: &Arc<Partition>) {
        self.readers.push(self.recorder.reads(partition));
    }

    /// A record is in hand. Whether its steps are to be timed.
    #[inline]
    pub(super) fn take(
        &mut self,
        reader: usize,
        record: &Record,
        silent: bool,
        gate: &Gate,
    ) -> bool {
        let meta = &record.meta;
        self.taken = self.nanos(meta.taken);
        let hand = if gate.later.replace(false) {
            self.asked(meta, gate)
        } else {
            self.done
        };
        let decode = self.taken.saturating_sub(hand) / 1_000;
        self.number = self.number.wrapping_add(1).max(1);
        let partition = self.readers.get(reader).copied().unwrap_or(0);
        let decode = u32::try_from(decode).unwrap_or(u32::MAX);
        self.trace = Trace::of(meta, partition, decode, self.number);
        if let (Some((spans, ids)), false) = (&mut self.tracing, silent)
            && spans.take(record, self.trace, ids)
        {
            self.trace = self.trace.traced();
        }
        self.recorder.take(meta, &self.trace, &mut self.file);
        self.timed =
            self.taken.saturating_sub(self.timed_at) >= TIMED_NANOS || self.trace.is_traced();
        self.timed
    }

    /// When the record's stream was asked for it. Where the lane had nothing to do until then, that is noted.
    #[cold]
    fn asked(&self, meta: &RecordMeta, gate: &Gate) -> u64 {
        let Some(asked) = gate.asked.take() else {
            return self.done;
        };
        let at = self.nanos(asked.at);
        let gap = at.saturating_sub(self.done);
        if asked.idle && gap >= GAP_MIN {
            let end = meta.taken_at - wall(self.taken.saturating_sub(at));
            self.recorder.note(Doing::FetchGap, end - wall(gap), end, 0);
        }
        at
    }

    /// The steps are behind the record in hand; it is handed over next.
    #[inline]
    pub(super) fn stepped(&mut self, watch: &Watch) {
        if self.timed {
            self.note_times(watch);
        }
    }

    #[cold]
    fn note_times(&mut self, watch: &Watch) {
        self.timed_at = self.taken;
        let times = watch.times();
        self.recorder.timed(self.number, times);
        if let (true, Some(spans)) = (self.trace.is_traced(), self.spans()) {
            spans.timed(self.number, times);
        }
        self.metrics.decode.observe(u64::from(self.trace.decode));
        self.metrics.steps.observe(crate::recorder::steps(&times));
        // One that the record has not come to has no time.
        let each = self.step_times.iter().zip(&times).take(STEPS_MAX);
        for (step, tenths) in each.filter(|(_, tenths)| **tenths > 0) {
            step.observe(u64::from(*tenths));
        }
        self.metrics.write.observe(crate::recorder::write(&times));
    }

    /// The record in hand is done. Microseconds since it was taken.
    #[inline]
    pub(super) fn done(&mut self) -> u64 {
        self.done = self.nanos(Instant::now());
        let since = self.done.saturating_sub(self.taken) / 1_000;
        self.recorder.done(&self.trace, since);
        if self.trace.is_traced() {
            self.end_span(since, None);
        }
        since
    }

    /// The record in hand has failed for good.
    pub(super) fn failed(&self, error: &RecordError) {
        if self.trace.is_traced() {
            let since = self.nanos(Instant::now()).saturating_sub(self.taken);
            self.end_span(since / 1_000, Some(error));
        }
    }

    #[cold]
    fn end_span(&self, since: u64, error: Option<&RecordError>) {
        if let Some(spans) = self.spans() {
            spans.done(self.number, since, error, &self.recorder.steps_known());
        }
    }

    /// What is emitted from now on comes from no record.
    pub(super) fn emits(&self) {
        self.recorder.put_down();
        if let Some(spans) = self.spans() {
            spans.put_down();
        }
    }

    /// The lane is no more.
    pub(super) fn over(&self) {
        self.recorder.over();
        if let Some(spans) = self.spans() {
            spans.over(&self.recorder.steps_known());
        }
    }

    /// Other work than records is done, or the record in hand has failed: what comes next is not measured from before it.
    pub(super) fn put_down(&mut self) {
        self.emits();
        self.done = self.nanos(Instant::now());
    }

    /// Other work that began then is over.
    pub(super) fn worked(&mut self, doing: Doing, begun: Instant, about: u64) {
        self.put_down();
        let took = self.done.saturating_sub(self.nanos(begun));
        if took >= WORK_MIN {
            let end = now();
            self.recorder.note(doing, end - wall(took), end, about);
        }
    }

    /// When what a record has brought begins that was taken then: when that was done, or now for what no record has brought.
    pub(super) fn before(&self, taken: Instant) -> Instant {
        if self.nanos(taken) <= self.done {
            self.origin + Duration::from_nanos(self.done)
        } else {
            Instant::now()
        }
    }

    /// Tells the recorder which steps the times are of.
    pub(super) fn steps(&mut self, pipeline: &Pipeline) {
        self.recorder.steps(pipeline.names().cloned().collect());
        let times = |step| self.metrics.step_times.of(step);
        self.step_times = pipeline.names().map(times).collect();
    }
}
