//! A query in virtual time: one lane without actors, whose clock goes on with its records and never by itself.
//!
//! What the lane of a run does at a record, at a watermark and at a trigger is done here in the same order, by the same
//! steps. There are no epochs; on demand every record is followed by a restart from what an epoch would have saved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::flow::pipeline::{Moment, Pipeline, Step, Target};
use thalweg_engine::flow::watermark::Watermarks;
use thalweg_engine::memory::MemorySink;
use thalweg_engine::operator::Progress;
use thalweg_engine::plan::{Plan, Role, Side};
use thalweg_engine::record::{Body, Micros, Partition, Position, Record, RecordMeta};
use thalweg_engine::row::Row;
use thalweg_engine::sink::{DeliveryObserver, Sink, Writer, WriterContext};
use thalweg_engine::state::StateChanges;

use crate::wiring::Wired;

/// What becomes of a bad record.
pub(crate) enum Policy {
    /// The query ends.
    Fail,
    /// It is counted.
    Skip,
    /// It goes to the dead letters.
    DeadLetter(fn(&Record, &RecordError) -> String),
}

/// How a query is rehearsed.
pub(crate) struct Script {
    /// When the clock begins.
    pub(crate) start: Micros,
    /// The trigger's interval, where there is one.
    pub(crate) interval: Option<Micros>,
    /// Whether all records are one batch.
    pub(crate) one_batch: bool,
    /// How long a partition without records holds the watermark back.
    pub(crate) idle: Micros,
    /// Whether every record is followed by a restart.
    pub(crate) restarts: bool,
    /// For bad records.
    pub(crate) policy: Policy,
}

/// One input with its records, in the order of their time.
pub(crate) struct Part {
    /// Where its rows enter.
    pub(crate) entries: Vec<Target>,
    /// What it is.
    pub(crate) role: Role,
    /// What comes.
    pub(crate) records: Vec<Record>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The rows that were written, in order.
    pub(crate) rows: Vec<Row>,
    /// The dead letters, in order.
    pub(crate) dead: Vec<String>,
    /// Why it ended before its time.
    pub(crate) failure: Option<String>,
    /// Bad records that were stepped over.
    pub(crate) skipped: u64,
    /// Rows that came too late.
    pub(crate) late: u64,
    /// Why the last bad record is one, with its content.
    pub(crate) error: Option<String>,
}

/// Rehearses a query.
///
/// # Errors
/// When its plan cannot be wired.
pub(crate) fn rehearse(
    wired: &Wired,
    script: Script,
    parts: Vec<Part>,
) -> Result<Outcome, Failure> {
    let sink = MemorySink::default();
    let pipeline = pipeline(wired.steps(Side::Whole, &[]), &sink)?;
    let mut stage = Stage::new(wired, script, pipeline, sink);
    let mut all: Vec<(Arc<[Target]>, Role, Record)> = Vec::new();
    for part in parts {
        for record in &part.records {
            stage.reader(&record.meta.partition, part.role);
        }
        let (entries, role): (Arc<[Target]>, _) = (part.entries.into(), part.role);
        let records = part.records.into_iter();
        all.extend(records.map(|record| (Arc::clone(&entries), role, record)));
    }
    // Tables come before the streams that are joined with them; apart from that the order of the inputs stays.
    all.sort_by_key(|(_, role, record)| (record.meta.taken_at, !role.table));
    for (entries, _, record) in all {
        stage.until(record.meta.taken_at);
        if stage.over() {
            break;
        }
        stage.take(&entries, record);
        if stage.script.restarts && !stage.over() {
            stage.restart()?;
        }
    }
    stage.end();
    stage.outcome.rows = stage.sink.rows();
    Ok(stage.outcome)
}

/// A query that goes on from a checkpoint, one record after the other.
pub(crate) struct Resumed<'w>(Stage<'w>);

impl<'w> Resumed<'w> {
    /// A lane of these steps with this state, whose partitions stand at these watermarks.
    ///
    /// # Errors
    /// When the state is not of these steps.
    pub(crate) fn new(
        wired: &'w Wired,
        script: Script,
        steps: Vec<Step>,
        state: &BTreeMap<SmolStr, Vec<StateChanges>>,
        partitions: &[(Arc<Partition>, Role, Option<Micros>)],
    ) -> Result<Self, Failure> {
        let sink = MemorySink::default();
        let mut pipeline = pipeline(steps, &sink)?;
        pipeline.restore(state)?;
        let mut stage = Stage::new(wired, script, pipeline, sink);
        for (partition, role, watermark) in partitions {
            stage.add(partition, *role, *watermark);
        }
        if let Some(reached) = stage.watermarks.reached() {
            stage.emit(Moment::Watermark(reached), None);
        }
        stage.sink.take();
        Ok(Self(stage))
    }

    /// Takes the next record, and gives what is written for it.
    pub(crate) fn take(&mut self, entries: &[Target], record: Record) -> Vec<Row> {
        self.0.until(record.meta.taken_at);
        self.0.sink.take();
        self.0.outcome.error = None;
        self.0.take(entries, record);
        self.0.sink.take()
    }

    /// What came of it until now.
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.0.outcome
    }
}

/// These steps before a writer that keeps what it is given.
fn pipeline(steps: Vec<Step>, sink: &MemorySink) -> Result<Pipeline, Failure> {
    struct Nobody;
    impl DeliveryObserver for Nobody {
        fn acknowledged(&self, _rows: u64, _bytes: u64) {}
        fn latency(&self, _written: u64, _taken: u64) {}
    }
    let writer: Box<dyn Writer> = sink.open(WriterContext {
        lane: "rehearsal".to_owned(),
        observer: Arc::new(Nobody),
        beside: None,
    })?;
    Pipeline::new(steps, writer)
}

struct Reader {
    partition: Arc<Partition>,
    event_time: bool,
    last: Micros,
}

struct Stage<'w> {
    wired: &'w Wired,
    script: Script,
    pipeline: Pipeline,
    sink: MemorySink,
    watermarks: Watermarks,
    /// The watermark that all steps have heard of.
    heard: Option<Micros>,
    readers: Vec<Reader>,
    clock: Micros,
    /// The next trigger's moment.
    next: Option<Micros>,
    /// Whether a trigger may have something to emit.
    stirred: bool,
    saved: BTreeMap<SmolStr, Vec<StateChanges>>,
    outcome: Outcome,
}

impl<'w> Stage<'w> {
    fn new(wired: &'w Wired, script: Script, pipeline: Pipeline, sink: MemorySink) -> Self {
        let mut watermarks = Watermarks::default();
        if script.one_batch {
            watermarks.hold();
        }
        Self {
            pipeline,
            sink,
            watermarks,
            heard: None,
            readers: Vec::new(),
            clock: script.start,
            next: script.interval.map(|interval| script.start + interval),
            stirred: true,
            saved: BTreeMap::new(),
            outcome: Outcome::default(),
            script,
            wired,
        }
    }

    fn add(&mut self, partition: &Arc<Partition>, role: Role, watermark: Option<Micros>) -> usize {
        self.readers.push(Reader {
            partition: Arc::clone(partition),
            event_time: role.event_time,
            last: self.clock,
        });
        self.watermarks.add(watermark, role.event_time)
    }

    fn over(&self) -> bool {
        self.outcome.failure.is_some()
    }

    fn reader(&mut self, partition: &Arc<Partition>, role: Role) -> usize {
        let known = self
            .readers
            .iter()
            .position(|reader| reader.partition == *partition);
        known.unwrap_or_else(|| self.add(partition, role, None))
    }

    /// Moves the clock on, through all that happens on the way.
    fn until(&mut self, time: Micros) {
        while let (Some(next), Some(interval)) = (self.next, self.script.interval) {
            if next > time || self.over() {
                break;
            }
            self.clock = next;
            self.idle();
            if self.stirred {
                self.trigger();
                self.next = Some(next + interval);
            } else {
                // Nothing happens at the triggers up to there.
                self.next = Some(next + ((time - next) / interval + 1) * interval);
            }
        }
        self.clock = self.clock.max(time);
        self.idle();
        self.pipeline.expire(self.clock);
    }

    fn idle(&mut self) {
        for index in 0..self.readers.len() {
            let reader = &self.readers[index];
            if reader.event_time
                && self.clock - reader.last >= self.script.idle
                && let Some(now) = self.watermarks.idle(index)
            {
                self.emit(Moment::Watermark(now), None);
            }
        }
    }

    fn trigger(&mut self) {
        self.stirred = false;
        self.emit(Moment::Trigger(self.clock), None);
    }

    fn take(&mut self, entries: &[Target], mut record: Record) {
        let reader = self.reader(&Arc::clone(&record.meta.partition), Role::default());
        self.readers[reader].last = self.clock;
        self.stirred = true;
        record.meta.watermark = self.watermarks.of(reader);
        let outcome = match &record.body {
            Body::Row(row) => self
                .pipeline
                .process(entries, row, &record.meta)
                .map(|_| ()),
            Body::Skipped(_) => return,
            Body::Bad(error) => Err((**error).clone()),
        };
        if let Err(error) = outcome {
            self.pipeline.reject();
            return self.bad(&record, &error);
        }
        self.accept();
        self.outcome.late += self.pipeline.take_late();
        if let Some(watermark) = self.pipeline.take_watermark()
            && let Some(now) = self.watermarks.observe(reader, watermark)
        {
            self.emit(Moment::Watermark(now), Some(record.meta));
        }
    }

    fn bad(&mut self, record: &Record, error: &RecordError) {
        let content = error.content.as_deref();
        let content = content.map_or_else(String::new, |content| format!(": {content}"));
        let class = error.class.name();
        self.outcome.error = Some(format!("{class}: {}{content}", error.reason));
        match &self.script.policy {
            Policy::Fail => {
                self.outcome.failure = Some(format!(
                    "a record failed ({}): {}",
                    error.class.name(),
                    error.reason
                ));
            }
            Policy::Skip => self.outcome.skipped += 1,
            Policy::DeadLetter(row) => self.outcome.dead.push(row(record, error)),
        }
    }

    fn accept(&mut self) {
        if let Err(failure) = self.pipeline.accept() {
            self.outcome.failure = Some(failure.message);
        }
    }

    /// Lets the steps emit all that they have for a moment.
    fn emit(&mut self, moment: Moment, at: Option<RecordMeta>) {
        let at = at.unwrap_or_else(|| RecordMeta {
            partition: Arc::new(Partition {
                input: "rehearsal".into(),
                name: "rehearsal".into(),
            }),
            position: Position::Number(0),
            record_time: None,
            event_time: None,
            watermark: self.heard,
            taken_at: self.clock,
            taken: Instant::now(),
        });
        let mut progress = self.pipeline.begin(moment, &at);
        loop {
            match progress {
                Ok(now) => {
                    if matches!(moment, Moment::Watermark(_)) && self.pipeline.outputs() > 0 {
                        self.stirred = true;
                    }
                    self.accept();
                    self.outcome.late += self.pipeline.take_late();
                    if now == Progress::Done || self.over() {
                        if let Moment::Watermark(now) = moment {
                            self.heard = self.heard.max(Some(now));
                        }
                        return;
                    }
                }
                Err(error) => {
                    self.pipeline.reject();
                    self.outcome.failure = Some(format!("a result could not be emitted: {error}"));
                    return;
                }
            }
            progress = self.pipeline.resume(&at);
        }
    }

    /// A new lane that goes on from what an epoch would have saved now.
    fn restart(&mut self) -> Result<(), Failure> {
        for (step, changes) in self.pipeline.save() {
            let chain = self.saved.entry(step).or_default();
            if changes.whole {
                chain.clear();
            }
            chain.push(changes);
        }
        self.pipeline = pipeline(self.wired.steps(Side::Whole, &[]), &self.sink)?;
        self.pipeline.restore(&self.saved)?;
        if let Some(reached) = self.watermarks.current() {
            self.emit(Moment::Watermark(reached), None);
        }
        Ok(())
    }

    /// The end of all inputs: what waits for a trigger is emitted at its next moment. The watermark stays where it is.
    fn end(&mut self) {
        if self.over() {
            return;
        }
        if let Some(now) = self.watermarks.let_go() {
            self.emit(Moment::Watermark(now), None);
        }
        if let Some(next) = self.next {
            self.clock = next;
        }
        if self.stirred {
            self.trigger();
        }
    }
}
