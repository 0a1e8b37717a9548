//! The spans of one lane's records: begun when a record is taken, over when its last row is delivered, on whatever thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use smol_str::{SmolStr, ToSmolStr, format_smolstr};

use super::context::{Carried, Ids, Incoming, SpanId, TraceId};
use super::{Attribute, Kind, Span, Tracer};
use crate::error::RecordError;
use crate::record::{Micros, Partition, Position, Record};
use crate::recorder::{STEPS_MAX, Times, Trace};

/// Traced records of a lane that are on their way at once; more are not begun.
const OPEN_MAX: usize = 1_024;

/// What the ends of spans whose records were still on their way say.
const RUN_OVER: &str = "the run ended before its output had acknowledged it";

/// A record that is traced and not delivered yet.
struct Open {
    about: Trace,
    partition: Arc<Partition>,
    position: Position,
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    state: Option<Arc<[u8]>>,
    times: Option<Times>,
    /// Microseconds from taken to done; None while it is in hand.
    done: Option<u64>,
    /// Rows that the output will say of when they are delivered.
    sent: u32,
    delivered: u32,
    /// Microseconds from taken to written, and to the last acknowledgement.
    last: Option<(u64, u64)>,
    error: Option<String>,
}

/// The spans of one lane in one run.
pub(crate) struct LaneSpans {
    tracer: Arc<Tracer>,
    query: SmolStr,
    /// Whether it begins traces of its own. A lane behind an exchange does not: the records there are rows on their way.
    begins: bool,
    open: Mutex<VecDeque<Open>>,
    /// What rows of the record in hand carry.
    carried: Mutex<Option<Carried>>,
    carries: AtomicBool,
}

impl LaneSpans {
    pub(crate) fn new(tracer: &Arc<Tracer>, query: &str, begins: bool) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            query: SmolStr::new(query),
            begins,
            open: Mutex::default(),
            carried: Mutex::default(),
            carries: AtomicBool::new(false),
        }
    }

    /// A record is in hand. Whether it is traced.
    #[inline]
    pub(crate) fn take(&self, record: &Record, about: Trace, ids: &mut Ids) -> bool {
        let incoming = record.raw.as_ref().and_then(Incoming::of);
        let wanted = if incoming.is_some() || self.begins {
            self.tracer.decide(incoming.as_ref(), ids)
        } else {
            None
        };
        if incoming.is_none() && wanted.is_none() {
            self.carry(None);
            return false;
        }
        self.begin(record, about, (incoming, wanted), ids)
    }

    #[cold]
    fn begin(
        &self,
        record: &Record,
        about: Trace,
        (incoming, wanted): (Option<Incoming>, Option<TraceId>),
        ids: &mut Ids,
    ) -> bool {
        if let Some(trace) = wanted {
            let mut open = self.open.lock();
            if open.len() < OPEN_MAX && self.tracer.has_room() {
                let (id, state) = (
                    ids.span(),
                    incoming.as_ref().and_then(|it| it.carried.state.clone()),
                );
                open.push_back(Open {
                    about,
                    partition: Arc::clone(&record.meta.partition),
                    position: record.meta.position.clone(),
                    trace,
                    id,
                    parent: incoming.map(|incoming| incoming.span),
                    state: state.clone(),
                    times: None,
                    done: None,
                    sent: 0,
                    delivered: 0,
                    last: None,
                    error: None,
                });
                self.carry(Some(Carried::of(trace, id, state)));
                return true;
            }
            self.tracer.leave_out(1);
        }
        self.carry(incoming.map(|incoming| incoming.carried));
        false
    }

    fn carry(&self, carried: Option<Carried>) {
        if carried.is_some() || self.carries.load(Relaxed) {
            self.carries.store(carried.is_some(), Relaxed);
            *self.carried.lock() = carried;
        }
    }

    /// What rows of the record in hand carry.
    #[inline]
    pub(crate) fn carried(&self) -> Option<Carried> {
        if !self.carries.load(Relaxed) {
            return None;
        }
        self.carried.lock().clone()
    }

    /// Nothing is in hand any more; a record that was not done will come again.
    pub(crate) fn put_down(&self) {
        self.carry(None);
        self.open.lock().retain(|open| open.done.is_some());
    }

    /// The steps of the record in hand took so long.
    pub(crate) fn timed(&self, number: u32, times: Times) {
        if let Some(open) = find(&mut self.open.lock(), number) {
            open.times = Some(times);
        }
    }

    /// So many rows of it were handed to an output that will say when they are delivered.
    pub(crate) fn sent(&self, number: u32, rows: u32) {
        if let Some(open) = find(&mut self.open.lock(), number) {
            open.sent += rows;
        }
    }

    /// It is done, so long after it was taken, or has failed.
    pub(crate) fn done(
        &self,
        number: u32,
        micros: u64,
        error: Option<&RecordError>,
        steps: &[SmolStr],
    ) {
        let error = error.map(|error| format!("{}: {}", error.class.name(), error.reason));
        self.change(number, steps, |open| {
            open.done = Some(micros);
            open.error = error;
        });
    }

    /// A row of it was delivered.
    pub(crate) fn delivered(
        &self,
        number: u32,
        since_written: u64,
        since_taken: u64,
        steps: &[SmolStr],
    ) {
        self.change(number, steps, |open| {
            open.delivered += 1;
            if open.last.is_none_or(|(_, last)| last <= since_taken) {
                open.last = Some((since_taken.saturating_sub(since_written), since_taken));
            }
        });
    }

    /// Changes what is known of a record, and ends its span where nothing is to come any more.
    fn change(&self, number: u32, steps: &[SmolStr], change: impl FnOnce(&mut Open)) {
        let mut all = self.open.lock();
        let Some(open) = find(&mut all, number) else {
            return;
        };
        change(open);
        if open.done.is_none() || open.delivered < open.sent {
            return;
        }
        let place = all.iter().position(|open| open.about.number == number);
        let over = place.and_then(|place| all.remove(place));
        drop(all);
        if let Some(open) = over {
            self.tracer.put(self.spans(&open, steps));
        }
    }

    /// The run is over: what is not delivered will not be.
    pub(crate) fn over(&self, steps: &[SmolStr]) {
        self.carry(None);
        let left: Vec<Open> = self.open.lock().drain(..).collect();
        for mut open in left {
            open.error.get_or_insert_with(|| RUN_OVER.to_owned());
            self.tracer.put(self.spans(&open, steps));
        }
    }

    /// The span of a record and those of its stages. The steps call each other, so how long each took is measured and where
    /// it stands is not: they are put one behind the other.
    fn spans(&self, open: &Open, steps: &[SmolStr]) -> Vec<Span> {
        let taken = open.about.taken_at;
        let decode = Micros::from(open.about.decode);
        let whole = open
            .last
            .map_or(0, |(_, last)| last)
            .max(open.done.unwrap_or(0));
        let mut attributes = vec![
            ("thalweg.query", Attribute::Text(self.query.clone())),
            (
                "thalweg.input",
                Attribute::Text(open.partition.input.clone()),
            ),
            (
                "thalweg.partition",
                Attribute::Text(open.partition.name.clone()),
            ),
            (
                "thalweg.position",
                Attribute::Text(open.position.to_smolstr()),
            ),
            (
                "thalweg.rows",
                Attribute::Number(i64::from(open.sent.max(open.delivered))),
            ),
        ];
        if let Some(time) = open.about.record_time() {
            let before = (
                "thalweg.before_micros",
                Attribute::Number(taken.saturating_sub(time)),
            );
            attributes.push(before);
        }
        let mut spans = vec![Span {
            name: format_smolstr!("process {}", open.partition.input),
            kind: Kind::Consumer,
            trace: open.trace,
            id: open.id,
            parent: open.parent,
            state: open.state.clone(),
            begin: taken.saturating_sub(decode),
            end: taken.saturating_add_unsigned(whole),
            attributes,
            error: open.error.clone(),
        }];
        let mut ids = Ids::of(open.id);
        let mut stage = |name: SmolStr, begin: Micros, end: Micros| {
            spans.push(Span {
                name,
                kind: Kind::Internal,
                trace: open.trace,
                id: ids.span(),
                parent: Some(open.id),
                state: open.state.clone(),
                begin,
                end,
                attributes: Vec::new(),
                error: None,
            });
        };
        if decode > 0 {
            stage(SmolStr::new_static("decode"), taken - decode, taken);
        }
        if let Some(times) = &open.times {
            let mut before = 0;
            let writer = (&SmolStr::new_static("encode"), times[STEPS_MAX]);
            let named = steps.iter().take(STEPS_MAX).zip(times.iter().copied());
            for (name, tenths) in named.chain([writer]) {
                let begin = taken + before / 10;
                before += Micros::from(tenths);
                stage(name.clone(), begin, taken + before / 10);
            }
        }
        if let Some((written, acknowledged)) = open.last {
            let begin = taken.saturating_add_unsigned(written);
            let end = taken.saturating_add_unsigned(acknowledged);
            stage(SmolStr::new_static("deliver"), begin, end);
        }
        spans
    }
}

/// The record with this number: most likely one of the last.
fn find(all: &mut VecDeque<Open>, number: u32) -> Option<&mut Open> {
    all.iter_mut()
        .rev()
        .find(|open| open.about.number == number)
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;
    use std::time::Duration;

    use prometheus::IntCounter;

    use super::super::Root;
    use super::super::tracer::tests::tracer;
    use super::*;
    use crate::record::{Body, Original, Raw};
    use crate::testing::meta;

    struct Headers(Vec<(&'static CStr, &'static str)>);

    impl Raw for Headers {
        fn key(&self) -> Option<&[u8]> {
            None
        }
        fn value(&self) -> Option<&[u8]> {
            None
        }
        fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
            Vec::new()
        }
        fn header(&self, name: &CStr) -> Option<&[u8]> {
            let (_, value) = self.0.iter().find(|(known, _)| *known == name)?;
            Some(value.as_bytes())
        }
    }

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    fn record(parent: Option<&'static str>) -> Record {
        let headers = parent
            .map(|parent| (c"traceparent", parent))
            .into_iter()
            .collect();
        Record {
            meta: meta(0, 0, None),
            next: Position::Number(1),
            body: Body::Row(Vec::new()),
            size: 0,
            raw: Some(Original::own(Headers(headers))),
        }
    }

    struct Story {
        tracer: Arc<Tracer>,
        left_out: IntCounter,
        spans: LaneSpans,
        ids: Ids,
        number: u32,
    }

    impl Story {
        fn new(root: Root, room: usize) -> Self {
            let (tracer, left_out) = tracer(root, room);
            Self {
                spans: LaneSpans::new(&tracer, "q", true),
                tracer,
                left_out,
                ids: Ids::new(),
                number: 0,
            }
        }

        fn take(&mut self, parent: Option<&'static str>) -> bool {
            self.number += 1;
            let record = record(parent);
            let about = Trace::of(&record.meta, 0, 5, self.number);
            self.spans.take(&record, about, &mut self.ids)
        }

        fn exported(&self) -> Vec<Span> {
            self.tracer.take(100, Duration::ZERO)
        }

        fn parent(&self) -> Option<String> {
            let carried = self.spans.carried()?;
            Some(String::from_utf8(carried.parent.to_vec()).unwrap())
        }
    }

    #[test]
    fn a_record_whose_sender_traces_is_a_part_of_that_trace_until_all_its_rows_are_delivered() {
        let mut story = Story::new(Root::Off, 100);
        assert!(story.take(Some(PARENT)));
        let carried = story.parent().unwrap();
        assert!(
            carried.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && carried.ends_with("-01")
        );
        let steps = [SmolStr::new("filter"), SmolStr::new("project")];
        let mut times = [0; STEPS_MAX + 1];
        (times[0], times[1], times[STEPS_MAX]) = (20, 30, 50);
        story.spans.timed(1, times);
        story.spans.sent(1, 2);
        story.spans.delivered(1, 10, 20, &steps);
        story.spans.done(1, 12, None, &steps);
        assert!(story.exported().is_empty());
        story.spans.delivered(1, 90, 100, &steps);
        let spans = story.exported();
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(
            names[1..],
            ["decode", "filter", "project", "encode", "deliver"]
        );
        let root = &spans[0];
        assert!(carried.contains(&format!("-{:016x}-", root.id.0)));
        assert_eq!(root.parent, Some(SpanId(0x00f0_67aa_0ba9_02b7)));
        assert_eq!(root.end - root.begin, 105);
        for stage in &spans[1..] {
            assert_eq!((stage.parent, stage.trace), (Some(root.id), root.trace));
            assert!(stage.begin >= root.begin && stage.end <= root.end);
        }
        assert_eq!(spans[5].end - spans[5].begin, 90);
    }

    #[test]
    fn what_is_not_traced_passes_on_what_it_brought_and_nothing_else() {
        let mut story = Story::new(Root::Off, 100);
        assert!(!story.take(Some(UNSAMPLED)));
        assert_eq!(story.parent().as_deref(), Some(UNSAMPLED));
        assert!(!story.take(None));
        assert_eq!(story.parent(), None);
        assert!(!story.take(Some("nonsense")));
        assert_eq!(story.parent(), None);
        story.take(Some(UNSAMPLED));
        story.spans.put_down();
        assert_eq!(story.parent(), None);
        assert!(story.exported().is_empty());
    }

    #[test]
    fn a_record_that_comes_again_has_one_span_and_one_that_fails_says_why() {
        let mut story = Story::new(Root::On, 100);
        assert!(story.take(None));
        story.spans.put_down();
        assert!(story.take(None));
        let error = RecordError::decode("no object").with_content("secret");
        story.spans.done(2, 3, Some(&error), &[]);
        story.spans.put_down();
        let spans = story.exported();
        assert_eq!(spans[0].error.as_deref(), Some("decode: no object"));
        assert_eq!(spans[0].parent, None);
        assert_eq!(
            spans
                .iter()
                .filter(|span| span.kind == Kind::Consumer)
                .count(),
            1
        );
    }

    #[test]
    fn without_room_records_are_not_begun_and_are_counted() {
        let mut story = Story::new(Root::On, 2);
        for _ in 0..3 {
            let number = story.number + 1;
            let traced = story.take(Some(PARENT));
            assert_eq!(traced, number < 2, "{number}");
            story.spans.done(number, 1, None, &[]);
        }
        // The two spans of the first fill it.
        assert_eq!(story.exported().len(), 2);
        assert_eq!(story.left_out.get(), 2);
    }

    #[test]
    fn what_is_on_its_way_when_a_run_ends_says_so() {
        let mut story = Story::new(Root::On, 100);
        story.take(None);
        story.spans.sent(1, 1);
        story.spans.done(1, 4, None, &[]);
        story.spans.over(&[]);
        assert_eq!(story.exported()[0].error.as_deref(), Some(RUN_OVER));
    }
}
