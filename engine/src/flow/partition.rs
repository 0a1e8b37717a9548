//! The partition actor: one lane with its pipeline. It owns its positions, its operators, its state and its writer.
//!
//! Rows come in by its only door, the streams of its partitions; control comes as mail. Between two rows nothing is in
//! flight except inside the sink, so a marker found there is a clean cut.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;

use crate::behalf::Behalf;
use crate::clock::{next_beat, now};
use crate::epoch::messages::{News, Order};
use crate::error::Failure;
use crate::flow::alignment::Alignment;
use crate::flow::building::Building;
use crate::flow::emission::Emission;
use crate::flow::exchange::{PROMISE, unobserved};
use crate::flow::gate::{Gate, Gated, Pause};
use crate::flow::housekeeping::HOUSEKEEPING;
use crate::flow::lane::{LaneSpec, OnError, Reading};
use crate::flow::pipeline::{Moment, Pipeline, Target};
use crate::flow::recording::Recording;
use crate::flow::taking::Tally;
use crate::flow::telling::Telling;
use crate::flow::warm_up::WarmUp;
use crate::flow::watermark::Watermarks;
use crate::operator::EXPIRE_CALLS;
use crate::plan::{Role, Side};
use crate::record::{Micros, Partition, Position};
use crate::recorder::Doing;
use crate::sink::{Beside, Writer, WriterContext};
use crate::source::{Source, SourceEvent};

/// A partition that is being read.
pub(super) struct Reader {
    pub(super) partition: Arc<Partition>,
    pub(super) source: Arc<dyn Source>,
    pub(super) entries: Vec<Target>,
    pub(super) position: Position,
    pub(super) role: Role,
    /// The end of a bounded run.
    pub(super) until: Option<Position>,
    pub(super) ended: bool,
    /// Since when everything in it is read.
    pub(super) caught_up: Option<Instant>,
    /// A table that has not been read to its end yet.
    pub(super) awaited: bool,
    /// Where its rows begin to be written, while the lane warms up.
    pub(super) start: Option<Position>,
    /// Tells its stream to wait.
    pub(super) pause: Rc<Pause>,
}

impl Reader {
    /// Whether nothing new has come for so long since everything was read.
    pub(super) fn idle_for(&self, time: Duration) -> bool {
        self.caught_up.is_some_and(|since| since.elapsed() >= time)
    }
}

/// The actor.
pub struct Lane {
    pub(super) spec: LaneSpec,
    pub(super) pipeline: Option<Pipeline>,
    pub(super) dead: Option<Box<dyn Writer>>,
    /// How much is said of records that failed.
    pub(super) telling: Telling,
    pub(super) readers: Vec<Reader>,
    pub(super) watermarks: Watermarks,
    pub(super) alignment: Alignment,
    pub(super) warm_up: WarmUp,
    /// What stands aside while new steps are built.
    pub(super) building: Option<Building>,
    /// Records that were left of it when that was last shown.
    pub(super) warm_up_left: i64,
    pub(super) gate: Rc<Gate>,
    pub(super) tally: Tally,
    pub(super) recording: Recording,
    /// The reader whose record is being processed: what a panic was at.
    pub(super) at: Option<usize>,
    /// What is being emitted in slices; no record is taken meanwhile.
    pub(super) emission: Option<Emission>,
    /// The watermark that all steps have heard of: what rows are late against that come from no record alone.
    pub(super) heard: Option<Micros>,
    /// A moment that came while another was being emitted.
    pub(super) next: VecDeque<Moment>,
    /// Whether there may be something to emit at the next trigger: records came, or the watermark made rows.
    pub(super) stirred: bool,
    /// Whether the query is paused, which holds the gate closed.
    pub(super) paused: bool,
    /// When it last looked after what time changes.
    pub(super) looked: Instant,
    /// Futures of full writers that hold the gate closed.
    pub(super) full: u32,
    /// Bytes of state as they were last counted into the budget.
    pub(super) counted: u64,
    pub(super) exhausted: bool,
    pub(super) failure: Option<Failure>,
    pub(super) told_to_stop: bool,
    /// Commits of the writer that are under way.
    pub(super) commits: u32,
    pub(super) refused: bool,
    /// The query, and the partition where it reads one alone.
    pub(super) behalf: &'static Behalf,
}

impl Lane {
    /// A lane that begins to read when it is started.
    pub fn new(spec: LaneSpec) -> Self {
        let max = spec.alignment_max.as_micros();
        let warms_up = spec.warms_up();
        let behalf = Behalf::of(spec.metrics.query(), None);
        Self {
            alignment: Alignment::new(Micros::try_from(max).unwrap_or(Micros::MAX)),
            recording: Recording::of(&spec.name, spec.side, &spec.metrics),
            spec,
            pipeline: None,
            dead: None,
            telling: Telling::default(),
            readers: Vec::new(),
            watermarks: Watermarks::default(),
            warm_up: WarmUp::default(),
            building: None,
            // The launcher has counted it, so that no probe finds it ready before it has begun.
            warm_up_left: i64::from(warms_up),
            gate: Rc::default(),
            tally: Tally::default(),
            at: None,
            emission: None,
            heard: None,
            next: VecDeque::new(),
            // What came before the newest checkpoint may not have been emitted.
            stirred: true,
            paused: false,
            looked: Instant::now(),
            full: 0,
            counted: 0,
            exhausted: false,
            failure: None,
            told_to_stop: false,
            commits: 0,
            refused: false,
            behalf,
        }
    }

    fn open(&mut self, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let context = |beside: Option<Beside>| WriterContext {
            lane: self.spec.name.to_string(),
            observer: self.recording.observer(),
            beside,
        };
        let mut writer = self.spec.sink.open(match self.spec.side {
            Side::Before => unobserved(&self.spec.name, self.recording.spans()),
            _ => context(Some(self.spec.beside.clone())),
        })?;
        if let Some(prepared) = self.spec.prepared.take() {
            writer.resume(&prepared)?;
        }
        writer.epoch(self.spec.epoch);
        if let OnError::DeadLetter(dead) = &self.spec.on_error {
            self.dead = Some(dead.sink.open(context(None))?);
        }
        let mut pipeline = Pipeline::new((self.spec.steps)(), writer)?;
        let state = std::mem::take(&mut self.spec.state);
        pipeline.restore(&state)?;
        self.recording.steps(&pipeline);
        self.pipeline = Some(pipeline);
        self.set_aside(&state)?;
        // What is read back closes its windows in silence, as it comes.
        if self.spec.one_batch && !self.spec.warms_up() {
            self.watermarks.hold();
        }
        for reading in std::mem::take(&mut self.spec.readings) {
            if let Some(changes) = state.get(&reading.partition.name) {
                reading.source.restore(&reading.partition, changes)?;
            }
            self.read(reading, ctx)?;
        }
        self.begin_warm_up();
        // What had not been emitted when the checkpoint was made.
        if let Some(watermark) = self.watermarks.reached()
            && self.building.is_none()
        {
            self.begin(Moment::Watermark(watermark), None, ctx);
        }
        self.end_warm_up(ctx);
        // What has outlived its time while nothing ran: no record is to be added to it. A timer that is due goes before.
        self.ring(ctx);
        self.expire(EXPIRE_CALLS);
        self.measure_state(ctx);
        Ok(())
    }

    fn read(&mut self, reading: Reading, ctx: &mut Context<Self>) -> Result<(), Failure> {
        let inner =
            reading
                .source
                .read(&reading.partition, &reading.from, reading.until.as_ref())?;
        // New partitions after the end of all: there will be something to emit again.
        self.exhausted = false;
        let role = reading.role;
        let reader = self.track(&reading);
        let input = &reading.partition.input;
        let known = match &self.building {
            Some(_) => self.watermarks.of(reader),
            None => reading.watermark,
        };
        let look = self.alignment.add(input, known, role.event_time);
        let (pause, name) = (Rc::new(Pause::default()), reading.partition.name.clone());
        self.recording.reads(&reading.partition);
        if role.table && self.building.is_none() {
            self.recording.recorder.begin(Doing::Tables, 0);
            self.gate.tables.set(self.gate.tables.get() + 1);
            self.spec.metrics.tables_awaited.inc();
        }
        self.readers.push(Reader {
            partition: reading.partition,
            source: reading.source,
            entries: reading.entries,
            position: reading.from,
            role,
            until: reading.until,
            ended: false,
            caught_up: None,
            awaited: role.table,
            start: reading.start,
            pause: Rc::clone(&pause),
        });
        self.align(look);
        let alone = match self.readers.as_slice() {
            [one] => Some(one.partition.name.as_str()),
            _ => None,
        };
        self.behalf = Behalf::of(&self.behalf.query, alone);
        if self.silent() {
            self.wait_at_start(reader);
        }
        ctx.add_stream(Gated {
            reader,
            table: role.table,
            pause,
            held: None,
            inner,
            behalf: Behalf::of(&self.behalf.query, Some(&name)),
            gate: Rc::clone(&self.gate),
            items: 0,
            dry: false,
        });
        Ok(())
    }

    /// Pauses partitions that are too far ahead of another input, and lets those go on that are not any more.
    pub(super) fn align(&mut self, look: bool) {
        if !look {
            return;
        }
        let before = self.alignment.paused();
        let freed = self.alignment.look();
        for (index, reader) in self.readers.iter().enumerate() {
            reader.pause.ahead.set(self.alignment.is_paused(index));
        }
        let change = self.alignment.paused() - before;
        self.spec.metrics.partitions_paused.add(change);
        if freed {
            self.gate.wake();
        }
    }

    pub(super) fn fail(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        self.gate.ended.set(true);
        self.gate.wake();
        self.failure.get_or_insert(failure);
        ctx.stop();
    }

    /// Everything before `at` was yielded, where that is known.
    fn caught_up(&mut self, index: usize, at: Option<Position>, ctx: &mut Context<Self>) {
        self.hand_over();
        let silent = self.silent();
        if let Some(reader) = self.readers.get_mut(index) {
            // What reads back for a warm-up, or to build new steps, goes on where the checkpoint stands.
            if let Some(at) = at
                && !silent
                && at.is_after(&reader.position)
            {
                reader.position = at;
            }
            reader.caught_up.get_or_insert_with(Instant::now);
            if self.building.is_none() && std::mem::take(&mut reader.awaited) {
                self.gate.tables.set(self.gate.tables.get() - 1);
                if self.gate.tables.get() == 0 {
                    self.recording.recorder.end(Doing::Tables, 0);
                }
                self.spec.metrics.tables_awaited.dec();
                self.gate.wake();
            }
        }
        let look = self.alignment.at_end(index);
        self.align(look);
        self.arrive(index, ctx);
    }

    fn ended(&mut self, reader: usize, ctx: &mut Context<Self>) {
        let until = self.readers.get(reader);
        let until = until.and_then(|reader| reader.until.clone());
        self.caught_up(reader, until, ctx);
        let look = self.alignment.release(reader);
        self.align(look);
        if let Some(reader) = self.readers.get_mut(reader) {
            reader.ended = true;
        }
        self.spec.coordinator.do_send(News::Ended);
        if !self.spec.more && self.readers.iter().all(|reader| reader.ended) {
            let stops = self.gate.ended.get();
            let end = (!stops).then(|| self.watermarks.let_go()).flatten();
            match end.map(Moment::Watermark) {
                // The trigger's moment follows before the end is told.
                Some(end) => self.begin_all([end, Moment::Trigger(now())], ctx),
                None => self.tick(ctx),
            }
        }
    }
}

/// How long a store that failed is left alone.
pub(crate) const STORE_RETRY: Duration = Duration::from_millis(500);

/// A store that has not answered for so long is taken for away, until it does.
pub(crate) const STORE_SILENT: Duration = Duration::from_secs(5);

/// What is said of a store that does not answer.
pub(crate) fn silent() -> String {
    format!("it has not answered for {} s", STORE_SILENT.as_secs())
}

impl Lane {
    /// Ticks at each beat of the trigger.
    fn await_beat(&mut self, interval: Duration, ctx: &mut Context<Self>) {
        let now = Instant::now().into_std();
        let beat = next_beat(interval, now).saturating_duration_since(now);
        ctx.run_later(beat, move |lane, ctx| {
            lane.tick(ctx);
            lane.await_beat(interval, ctx);
        });
    }
}

impl Actor for Lane {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let _for = self.behalf.enter();
        if let Err(failure) = self.open(ctx) {
            return self.fail(failure, ctx);
        }
        self.heed_pauses(ctx);
        ctx.run_interval(HOUSEKEEPING, |lane, ctx| lane.housekeep(ctx));
        if self.spec.side == Side::Before {
            self.promise(ctx);
            ctx.run_interval(PROMISE, |lane, ctx| lane.promise(ctx));
        }
        if let Some(interval) = self.spec.trigger {
            self.await_beat(interval, ctx);
        }
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.hand_over();
        self.recording.over();
        let awaited = i64::from(self.gate.tables.get());
        self.spec.metrics.tables_awaited.sub(awaited);
        let paused = self.alignment.paused();
        self.spec.metrics.partitions_paused.sub(paused);
        self.spec.metrics.warm_up_left.sub(self.warm_up_left);
        self.spec.budget.change(self.counted, 0);
        let at = self.at.and_then(|reader| {
            let reader = self.readers.get(reader)?;
            Some(format!("{}@{}", reader.partition, reader.position))
        });
        let failure = self.failure.take().or_else(|| {
            (!self.told_to_stop).then(|| {
                Failure::restart(match &at {
                    Some(at) => format!(
                        "the lane panicked at the record {at}: a bug, see the message above"
                    ),
                    None => "the lane ended without being told to: a bug".to_owned(),
                })
            })
        });
        self.spec.coordinator.do_send(News::Gone {
            lane: self.spec.id,
            failure,
            at,
        });
    }
}

impl StreamHandler<(usize, SourceEvent)> for Lane {
    fn handle(&mut self, (reader, event): (usize, SourceEvent), ctx: &mut Context<Self>) {
        let _for = self.behalf.enter();
        if self.refused || self.failure.is_some() {
            return;
        }
        match event {
            SourceEvent::Record(record) => self.take(reader, record, ctx),
            SourceEvent::CaughtUp(at) => self.caught_up(reader, at, ctx),
            SourceEvent::Ended => self.ended(reader, ctx),
            SourceEvent::Failed(failure) => self.fail(failure, ctx),
        }
    }

    /// By default the end of a stream stops the actor, and a bounded source would lose its last epoch.
    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<Order> for Lane {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        let _for = self.behalf.enter();
        match order {
            Order::Cut { epoch, last } => self.cut(epoch, last, ctx),
            Order::Read(reading) => {
                let begun = std::time::Instant::now();
                if !self.gate.ended.get()
                    && let Err(failure) = self.read(*reading, ctx)
                {
                    self.fail(failure, ctx);
                }
                self.recording.worked(Doing::NewPartition, begun, 0);
            }
            Order::Await(more) => self.spec.more = more,
            Order::Begin => self.go_on(ctx),
            Order::Committed(prepared) => self.committed(&prepared, ctx),
            Order::StopReading => {
                self.gate.ended.set(true);
                self.gate.wake();
            }
            Order::Finish => {
                self.told_to_stop = true;
                self.finish(ctx);
            }
            Order::Stop => {
                self.told_to_stop = true;
                ctx.stop();
            }
        }
    }
}
