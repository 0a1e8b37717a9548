//! What a lane tells its flight recorder: each record as it comes and goes, and what else it does.
//!
//! A lane reads the clock once for a record anyway, when it is done; a source once, when it has the row. So the time between
//! the two is known, and from the end of one record to the row of the next, which is its decoding. Where the lane waited in
//! between, or others had the thread, the gate has read the clock when it was asked again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol_str::SmolStr;

use crate::flow::gate::Gate;
use crate::flow::partition::now;
use crate::flow::pipeline::Pipeline;
use crate::metrics::QueryMetrics;
use crate::record::{Micros, Partition, RecordMeta};
use crate::recorder::{Doing, LaneRecorder, Observed, TIMED_EVERY, Trace, Watch};

/// Shorter waits for the next record are not noted.
const GAP_MIN: Duration = Duration::from_millis(1);

/// Shorter work between records is not noted.
const WORK_MIN: Duration = Duration::from_micros(100);

/// The record in hand as the recorder sees it, and the clock as it was read last.
pub(super) struct Recording {
    pub(super) recorder: Arc<LaneRecorder>,
    metrics: Arc<QueryMetrics>,
    /// By reader of the lane, the number of its partition.
    readers: Vec<usize>,
    trace: Trace,
    number: u32,
    /// When the last record was done.
    done: Instant,
    /// When the last record was taken whose steps were timed.
    timed_at: Instant,
    timed: bool,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn wall(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(0)
}

impl Recording {
    /// The recording of the lane with this name.
    pub(super) fn of(lane: &SmolStr, metrics: &Arc<QueryMetrics>) -> Self {
        let now = Instant::now();
        let recorder = metrics.recorder.lane(lane);
        recorder.anew();
        Self {
            recorder,
            metrics: Arc::clone(metrics),
            readers: Vec::new(),
            trace: Trace::default(),
            number: 0,
            done: now,
            timed_at: now,
            timed: false,
        }
    }

    /// What the lane's writers tell of delivery to.
    pub(super) fn observer(&self) -> Arc<Observed> {
        Arc::new(Observed {
            metrics: Arc::clone(&self.metrics),
            recorder: Arc::clone(&self.recorder),
        })
    }

    /// The lane reads a partition more.
    pub(super) fn reads(&mut self, partition: &Arc<Partition>) {
        self.readers.push(self.recorder.reads(partition));
    }

    /// A record is in hand. Whether its steps are to be timed.
    #[inline]
    pub(super) fn take(&mut self, reader: usize, meta: &RecordMeta, gate: &Gate) -> bool {
        let hand = match gate.hand.take() {
            Some(asked) => {
                if asked.idle {
                    self.gap(meta, asked.at);
                }
                asked.at
            }
            None => self.done,
        };
        let decode = micros(meta.taken.saturating_duration_since(hand));
        self.number = self.number.wrapping_add(1).max(1);
        let partition = self.readers.get(reader).copied().unwrap_or(0);
        let decode = u32::try_from(decode).unwrap_or(u32::MAX);
        self.trace = Trace::of(meta, partition, decode, self.number);
        self.recorder.take(meta, &self.trace);
        self.timed = meta.taken.saturating_duration_since(self.timed_at) >= TIMED_EVERY;
        self.timed
    }

    /// The lane had nothing to do from the end of the last record until now.
    fn gap(&self, meta: &RecordMeta, until: Instant) {
        let gap = until.saturating_duration_since(self.done);
        if gap >= GAP_MIN {
            let end = meta.taken_at - wall(meta.taken.saturating_duration_since(until));
            self.recorder.note(Doing::FetchGap, end - wall(gap), end, 0);
        }
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
        self.timed_at = watch.begun();
        let times = watch.times();
        self.recorder.timed(self.number, times);
        self.metrics.decode.observe(u64::from(self.trace.decode));
        self.metrics.steps.observe(crate::recorder::steps(&times));
        self.metrics.write.observe(crate::recorder::write(&times));
    }

    /// The record in hand is done. Microseconds since it was taken.
    #[inline]
    pub(super) fn done(&mut self, meta: &RecordMeta) -> u64 {
        self.done = Instant::now();
        let since = micros(self.done.saturating_duration_since(meta.taken));
        self.recorder.done(&self.trace, since);
        since
    }

    /// Other work than records is done, or the record in hand has failed: what comes next is not measured from before it.
    pub(super) fn put_down(&mut self) {
        self.recorder.put_down();
        self.done = Instant::now();
    }

    /// Other work that began then is over.
    pub(super) fn worked(&mut self, doing: Doing, begun: Instant, about: u64) {
        self.put_down();
        let took = self.done.saturating_duration_since(begun);
        if took >= WORK_MIN {
            let end = now();
            self.recorder.note(doing, end - wall(took), end, about);
        }
    }

    /// When what a record has brought begins that was taken then: when that was done, or now for what no record has brought.
    pub(super) fn before(&self, taken: Instant) -> Instant {
        if taken <= self.done {
            self.done
        } else {
            Instant::now()
        }
    }

    /// Tells the recorder which steps the times are of.
    pub(super) fn steps(&self, pipeline: &Pipeline) {
        self.recorder.steps(pipeline.names().cloned().collect());
    }
}
