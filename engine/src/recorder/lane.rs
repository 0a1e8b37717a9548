//! The recorder of one lane: the lane writes the trace of the record in hand, the output gives it back with each
//! acknowledgement, on whatever thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use smol_str::SmolStr;

use super::doings::{Doing, Doings, Span};
use super::slowest::{Floors, Slow, Slowest};
use super::trace::Trace;
use super::watch::Times;
use crate::clock::now;
use crate::histogram::Run;
use crate::metrics::QueryMetrics;
use crate::record::{Micros, Partition, Position, RecordMeta};
use crate::sink::{Delivered, DeliveryObserver};
use crate::spans::{Carried, LaneSpans};

/// Records whose steps were timed, until they are delivered.
const TIMED_KEPT: usize = 128;

/// Tokens of records on their way, where positions are tokens; of the rows of a file one.
const TOKENS_KEPT: usize = 64;

/// So many records on, a file is noted again whose rows are still taken.
const FILE_NOTED: u32 = 1 << 30;

/// How far back a wait is explained.
const EXPLAINED: Micros = 600_000_000;

/// What is known of the records on their way beside their traces.
#[derive(Default)]
struct OnTheWay {
    /// By number, in order.
    timed: VecDeque<(u32, Times)>,
    tokens: VecDeque<(u32, Position)>,
}

/// The file whose rows the lane takes, and the number of the record with which that was noted: its other rows need no note.
#[derive(Default)]
pub(crate) struct File(Option<(Arc<str>, u32)>);

impl File {
    /// Whether the record with this number and position is a row of it. From now on its file is the one.
    #[inline]
    fn goes_on(&mut self, position: &Position, number: u32) -> bool {
        let Position::Row(_, file) = position else {
            self.0 = None;
            return false;
        };
        if let Some((known, noted)) = &self.0
            && Arc::ptr_eq(known, file)
            && number.wrapping_sub(*noted) < FILE_NOTED
        {
            return true;
        }
        self.0 = Some((Arc::clone(file), number));
        false
    }
}

impl OnTheWay {
    /// The position of a record whose position is a token, if it is still known.
    fn token(&self, trace: &Trace) -> Option<Position> {
        let before = |number: u32| trace.number.wrapping_sub(number) < FILE_NOTED;
        let mut tokens = self.tokens.iter().rev();
        let (number, token) = tokens.find(|(number, _)| before(*number))?;
        match token {
            Position::Row(_, file) => {
                let row = trace.position.cast_unsigned();
                Some(Position::Row(row, Arc::clone(file)))
            }
            token => (*number == trace.number).then(|| token.clone()),
        }
    }
}

/// The names that numbers in traces and times stand for.
#[derive(Default)]
pub(super) struct Names {
    pub(super) partitions: Vec<Arc<Partition>>,
    pub(super) steps: Vec<SmolStr>,
}

/// The recorder of one lane. Lives as long as its query: a new run goes on with it.
pub struct LaneRecorder {
    /// The trace of the record in hand, as words.
    hand: [AtomicU64; 5],
    /// Whether the writer has asked for it: then the output says when the record is delivered.
    asked: AtomicBool,
    floor_total: AtomicU64,
    floor_whole: AtomicU64,
    floors_until: AtomicI64,
    on_the_way: Mutex<OnTheWay>,
    pub(super) doings: Mutex<Doings>,
    /// Those of the whole query.
    query: Arc<Mutex<Doings>>,
    pub(super) slowest: Mutex<Slowest>,
    pub(super) names: Mutex<Names>,
}

impl LaneRecorder {
    pub(super) fn new(query: &Arc<Mutex<Doings>>) -> Self {
        Self {
            hand: Default::default(),
            asked: AtomicBool::new(false),
            floor_total: AtomicU64::new(0),
            floor_whole: AtomicU64::new(0),
            floors_until: AtomicI64::new(0),
            on_the_way: Mutex::default(),
            doings: Mutex::default(),
            query: Arc::clone(query),
            slowest: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// A new run begins; its records are numbered anew.
    pub(crate) fn anew(&self) {
        *self.on_the_way.lock() = OnTheWay::default();
    }

    /// A partition that the lane reads from now on; its number in traces. The same one has the same number in every run.
    pub(crate) fn reads(&self, partition: &Arc<Partition>) -> usize {
        let known = &mut self.names.lock().partitions;
        let place = known.iter().position(|other| other == partition);
        place.unwrap_or_else(|| {
            known.push(Arc::clone(partition));
            known.len() - 1
        })
    }

    /// The names of the lane's steps.
    pub(crate) fn steps(&self, steps: Vec<SmolStr>) {
        self.names.lock().steps = steps;
    }

    /// The names of the lane's steps.
    pub(crate) fn steps_known(&self) -> Vec<SmolStr> {
        self.names.lock().steps.clone()
    }

    /// A record is in hand; `file` is the one whose row the record before was.
    #[inline]
    pub(crate) fn take(&self, meta: &RecordMeta, trace: &Trace, file: &mut File) {
        for (word, value) in self.hand.iter().zip(trace.words()) {
            word.store(value, Relaxed);
        }
        self.asked.store(false, Relaxed);
        if trace.is_token() && !file.goes_on(&meta.position, trace.number) {
            let tokens = &mut self.on_the_way.lock().tokens;
            if tokens.len() == TOKENS_KEPT {
                tokens.pop_front();
            }
            tokens.push_back((trace.number, meta.position.clone()));
        }
    }

    /// Nothing is in hand: what is emitted now comes from no record.
    pub(crate) fn put_down(&self) {
        self.hand[4].store(0, Relaxed);
    }

    /// The steps of the record in hand were timed.
    pub(crate) fn timed(&self, number: u32, times: Times) {
        let timed = &mut self.on_the_way.lock().timed;
        if timed.len() == TIMED_KEPT {
            timed.pop_front();
        }
        timed.push_back((number, times));
    }

    /// The record in hand is done, so long after it was taken. Where the output will say when it is delivered, that counts.
    #[inline]
    pub(crate) fn done(&self, trace: &Trace, micros: u64) {
        if !self.asked.load(Relaxed) {
            self.look(trace, micros, None);
        }
    }

    /// A row with this trace was delivered.
    #[inline]
    fn delivered(&self, trace: &Trace, since_written: u64, since_taken: u64) {
        if trace.number != 0 {
            self.look(
                trace,
                since_taken.saturating_sub(since_written),
                Some(since_written),
            );
        }
    }

    #[inline]
    fn look(&self, trace: &Trace, written: u64, delivered: Option<u64>) {
        let total = written + delivered.unwrap_or(0);
        let at = trace.taken_at.saturating_add_unsigned(total);
        let before = trace.before();
        if total >= self.floor_total.load(Relaxed)
            // Without a timestamp both are the same.
            || before > 0 && before + total >= self.floor_whole.load(Relaxed)
            || at >= self.floors_until.load(Relaxed)
        {
            self.keep(trace, at, written, delivered);
        }
    }

    /// It may be one of the slowest.
    #[cold]
    fn keep(&self, trace: &Trace, at: Micros, written: u64, delivered: Option<u64>) {
        let total = written + delivered.unwrap_or(0);
        let mut make = || {
            let doings = self.during(trace, at);
            let on_the_way = self.on_the_way.lock();
            let timed = on_the_way.timed.iter();
            let times = timed.rev().find(|(number, _)| *number == trace.number);
            Slow {
                reader: u32::try_from(trace.reader()).unwrap_or(u32::MAX),
                position: if trace.is_token() {
                    on_the_way.token(trace)
                } else {
                    Some(Position::Number(trace.position))
                },
                taken_at: trace.taken_at,
                record_time: trace.record_time(),
                delivered_at: at,
                decode: trace.decode,
                written,
                delivered,
                times: times.map(|(_, times)| *times),
                doings,
                alike: 0,
            }
        };
        let whole = trace.before() + total;
        let Floors {
            total,
            whole,
            until,
        } = self.slowest.lock().offer(at, total, whole, &mut make);
        self.floor_total.store(total, Relaxed);
        self.floor_whole.store(whole, Relaxed);
        self.floors_until.store(until, Relaxed);
    }

    /// What the engine was doing from the record's timestamp to its delivery.
    fn during(&self, trace: &Trace, to: Micros) -> [Option<super::Overlap>; super::OVERLAPS_MAX] {
        let taken = trace.taken_at - Micros::from(trace.decode);
        let from = trace.record_time().unwrap_or(taken).min(taken);
        let span = Span {
            from: from.max(to - EXPLAINED),
            taken: trace.taken_at,
            to,
        };
        let mut found = Vec::new();
        self.doings.lock().during(span, &mut found);
        self.query.lock().during(span, &mut found);
        let mut found = found.into_iter();
        std::array::from_fn(|_| found.next())
    }

    /// Something was done that began at `begin` and is over now.
    pub(crate) fn note(&self, doing: Doing, begin: Micros, end: Micros, about: u64) {
        self.doings.lock().note(doing, begin, end, about);
    }

    /// Something begins.
    pub(crate) fn begin(&self, doing: Doing, about: u64) {
        self.doings.lock().begin(doing, now(), about);
    }

    /// It is over.
    pub(crate) fn end(&self, doing: Doing, about: u64) {
        self.doings.lock().end(doing, now(), about);
    }

    /// The lane is no more.
    pub(crate) fn over(&self) {
        self.doings.lock().end_all(now());
    }
}

/// What a lane's writer tells of delivery: the query's metrics hear it, and the lane's recorder.
pub(crate) struct Observed {
    pub(crate) metrics: Arc<QueryMetrics>,
    pub(crate) recorder: Arc<LaneRecorder>,
    pub(crate) spans: Option<Arc<LaneSpans>>,
}

impl DeliveryObserver for Observed {
    fn acknowledged(&self, rows: u64, bytes: u64) {
        self.metrics.acknowledged(rows, bytes);
    }

    fn latency(&self, written_to_acknowledged: u64, taken_to_acknowledged: u64) {
        self.metrics
            .latency(written_to_acknowledged, taken_to_acknowledged);
    }

    fn trace(&self) -> Trace {
        let recorder = &self.recorder;
        recorder.asked.store(true, Relaxed);
        let word = |place: usize| recorder.hand[place].load(Relaxed);
        Trace::of_words([word(0), word(1), word(2), word(3), word(4)])
    }

    fn delivered(&self, trace: &Trace, written_to_acknowledged: u64, taken_to_acknowledged: u64) {
        self.latency(written_to_acknowledged, taken_to_acknowledged);
        self.record(trace, written_to_acknowledged, taken_to_acknowledged);
    }

    fn delivered_together(&self, rows: &mut dyn Iterator<Item = Delivered>) {
        let (mut acknowledged, mut total) = (Run::default(), Run::default());
        for row in rows {
            let (written, taken) = (row.written_to_acknowledged, row.taken_to_acknowledged);
            acknowledged.observe(&self.metrics.acknowledged, written);
            total.observe(&self.metrics.total, taken);
            self.record(&row.trace, written, taken);
        }
        acknowledged.hand_over(&self.metrics.acknowledged);
        total.hand_over(&self.metrics.total);
    }

    fn sent(&self, trace: &Trace, rows: u32) {
        if let Some(spans) = &self.spans {
            spans.sent(trace.number, rows);
        }
    }

    #[inline]
    fn carried(&self) -> Option<Carried> {
        self.spans.as_ref()?.carried()
    }
}

impl Observed {
    /// Notes whether a row was slow.
    #[inline]
    fn record(&self, trace: &Trace, written_to_acknowledged: u64, taken_to_acknowledged: u64) {
        self.recorder
            .delivered(trace, written_to_acknowledged, taken_to_acknowledged);
        if let (true, Some(spans)) = (trace.is_traced(), &self.spans) {
            let steps = self.recorder.steps_known();
            spans.delivered(
                trace.number,
                written_to_acknowledged,
                taken_to_acknowledged,
                &steps,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::LANE_BYTES;
    use super::super::slowest::Slowest;
    use super::*;
    use crate::testing::meta;

    #[test]
    fn a_lane_takes_no_more_than_the_documents_say() {
        let rings =
            TIMED_KEPT * size_of::<(u32, Times)>() + TOKENS_KEPT * size_of::<(u32, Position)>();
        let bytes = size_of::<LaneRecorder>() + rings + Slowest::BYTES + Doings::BYTES;
        assert!(bytes <= LANE_BYTES, "{bytes}");
    }

    #[test]
    fn rows_that_are_told_of_together_are_observed_as_one_by_one() {
        let observed = || Observed {
            metrics: crate::metrics::Metrics::new().query("q"),
            recorder: Arc::new(LaneRecorder::new(&Arc::default())),
            spans: None,
        };
        let (alone, together) = (observed(), observed());
        let mut file = File::default();
        let rows: Vec<Delivered> = (1..=500_u32)
            .map(|number| {
                let position = Position::Number(number.into());
                let trace = taken(&together.recorder, &mut file, number, position.clone());
                taken(&alone.recorder, &mut File::default(), number, position);
                Delivered {
                    trace,
                    written_to_acknowledged: u64::from(number / 7),
                    taken_to_acknowledged: u64::from(number * 3),
                }
            })
            .collect();
        for row in &rows {
            let (written, taken) = (row.written_to_acknowledged, row.taken_to_acknowledged);
            alone.delivered(&row.trace, written, taken);
        }
        together.delivered_together(&mut rows.into_iter());
        for of in [
            |of: &Observed| (of.metrics.total.count(), of.metrics.total.sum()),
            |of: &Observed| {
                (
                    of.metrics.acknowledged.count(),
                    of.metrics.acknowledged.sum(),
                )
            },
            |of: &Observed| (of.metrics.total.max(), of.metrics.acknowledged.max()),
        ] {
            assert_eq!(of(&alone), of(&together));
        }
        let slowest = |of: &Observed| -> Vec<u64> {
            let (slow, _) = of.recorder.slowest.lock().since(Micros::MIN);
            slow.iter().map(Slow::total).collect()
        };
        assert_eq!(slowest(&alone), slowest(&together));
        assert!(!slowest(&together).is_empty());
    }

    fn taken(lane: &LaneRecorder, file: &mut File, number: u32, position: Position) -> Trace {
        let mut about = meta(0, 0, None);
        about.position = position;
        let trace = Trace::of(&about, 0, 0, number);
        lane.take(&about, &trace, file);
        trace
    }

    #[test]
    fn a_row_is_found_in_its_file_however_long_it_was_under_way() {
        let lane = LaneRecorder::new(&Arc::default());
        let (mut file, mut traces) = (File::default(), Vec::new());
        let (one, other): (Arc<str>, Arc<str>) = ("one.csv".into(), "other.csv".into());
        for number in 1..=1_000 {
            let (row, of) = match number {
                ..=600 => (number, &one),
                _ => (number - 600, &other),
            };
            let position = Position::Row(row.into(), Arc::clone(of));
            traces.push((taken(&lane, &mut file, number, position.clone()), position));
        }
        let on_the_way = lane.on_the_way.lock();
        for (trace, position) in traces {
            assert_eq!(on_the_way.token(&trace), Some(position));
        }
        assert_eq!(on_the_way.tokens.len(), 2);
    }

    #[test]
    fn files_and_tokens_in_turns_are_told_apart_and_what_is_not_known_any_more_has_no_position() {
        let lane = LaneRecorder::new(&Arc::default());
        let (mut file, mut traces) = (File::default(), Vec::new());
        let path: Arc<str> = "one.csv".into();
        for number in 1..=200_u32 {
            let position = match number % 2 {
                0 => Position::Token(number.to_string().into()),
                _ => Position::Row(number.into(), Arc::clone(&path)),
            };
            // The numbers of records begin anew at some time.
            let number = number.wrapping_sub(190);
            traces.push((taken(&lane, &mut file, number, position.clone()), position));
        }
        let on_the_way = lane.on_the_way.lock();
        let first_known = traces.len() - TOKENS_KEPT;
        for (place, (trace, position)) in traces.into_iter().enumerate() {
            let known = (place >= first_known).then_some(position);
            assert_eq!(on_the_way.token(&trace), known, "record {place}");
        }
    }
}
