//! The coordinator of one run: begins epochs, collects reports in any order, commits in order, ends the run.
//!
//! 1. Each checkpoint interval it asks the ledger for a new epoch and sends the marker to all lanes. No epoch begins while
//!    broker or store do not answer, or while too many are open.
//! 2. A complete epoch becomes one checkpoint. Only then may sources forget and writers make visible.
//! 3. To end, it stops the reading, commits one last epoch, and stops the lanes. A lane that falls ends the run at once;
//!    there is no repair of a part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use crate::behalf::Behalf;
use crate::epoch::checkpoint::Checkpoint;
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::epoch::ledger::{Complete, Epoch, LaneId, Ledger, Noted};
use crate::epoch::merging::Merging;
use crate::epoch::messages::{Cut, News, Order};
use crate::error::Failure;

use crate::metrics::QueryMetrics;
use crate::plan::{Plan, Side};
use crate::recorder::Doing;
use crate::sink::Sink;
use crate::source::{Health, Source, Start};
use crate::spans::EpochSpans;
use crate::status::QueryStatus;
use crate::workers::Workers;

/// How soon after its start a run begins its first epoch.
const FIRST_EPOCH: Duration = Duration::from_millis(100);

/// A living lane, seen from here.
pub struct LaneHandle {
    /// Its name.
    pub name: SmolStr,
    /// Where its orders go.
    pub orders: Recipient<Order>,
    /// Where it stands in its query.
    pub side: Side,
}

/// What became of partitions that appeared.
pub struct Launched {
    /// New lanes.
    pub new: Vec<(LaneId, LaneHandle)>,
    /// Lanes that read more than before, by name.
    pub again: BTreeSet<SmolStr>,
}

/// Begins to read partitions that appeared: starts lanes, or tells those that read several. The second list are partitions
/// that wait for others to end; the epoch is the one that new lanes join first.
pub type Launcher =
    Box<dyn FnMut(&[(SmolStr, Start)], &[(SmolStr, Start)], Epoch, &Recipient<News>) -> Launched>;

/// How a run ended.
#[derive(Debug, Default)]
pub struct RunEnd {
    /// Why it failed; None when it was stopped or its inputs ended.
    pub failure: Option<Failure>,
    /// The record that a lane fell at.
    pub at: Option<String>,
    /// Epochs it committed.
    pub committed: u64,
    /// Whether another process goes on from its checkpoints.
    pub fenced: bool,
}

/// What a coordinator is made of.
pub struct CoordinatorSpec {
    /// The newest checkpoint: epoch 0 at least.
    pub newest: Checkpoint,
    /// The run's id.
    pub run: Arc<str>,
    /// The log.
    pub log: Arc<CheckpointLog>,
    /// The plan: what it keeps beside its rows is part of each checkpoint.
    pub plan: Arc<dyn Plan>,
    /// The inputs by name.
    pub sources: Vec<(SmolStr, Arc<dyn Source>)>,
    /// The output, then all others: dead letters, exchanges.
    pub sinks: Vec<Arc<dyn Sink>>,
    /// The names of the inputs that are exchanges.
    pub exchanges: Vec<SmolStr>,
    /// Partitions to begin with, each with its input.
    pub starts: Vec<(SmolStr, Start)>,
    /// Starts lanes.
    pub launcher: Launcher,
    /// Whether they build new steps beside kept state first.
    pub builds: bool,
    /// How often epochs begin.
    pub checkpoint_interval: Duration,
    /// How long an epoch may stay open while the other sides answer.
    pub epoch_timeout: Duration,
    /// How many epochs may be open.
    pub open_epochs_max: usize,
    /// How often to look for new partitions; None in a bounded run, which has an end and reads no further.
    pub discover_interval: Option<Duration>,
    /// Whether positions and lags are shown by partition.
    pub partition_metrics: bool,
    /// Blocking work.
    pub workers: Workers,
    /// Counters.
    pub metrics: Arc<QueryMetrics>,
    /// What the probes see.
    pub status: Arc<QueryStatus>,
    /// Told once, when all lanes are gone.
    pub done: oneshot::Sender<RunEnd>,
}

/// How far the end of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    No,
    /// Reading has stopped, this epoch is the last.
    LastEpoch(Epoch),
    /// The lanes are told to stop.
    Stopping,
}

/// The actor.
pub struct Coordinator {
    pub(super) spec: CoordinatorSpec,
    pub(super) done: Option<oneshot::Sender<RunEnd>>,
    pub(super) end: RunEnd,
    pub(super) ending: Ending,
    pub(super) ledger: Ledger<Cut>,
    pub(super) lanes: BTreeMap<LaneId, LaneHandle>,
    pub(super) exhausted: BTreeSet<LaneId>,
    /// Lanes that have not yet built what is new beside their kept state: until then no epoch begins.
    pub(super) building: BTreeSet<LaneId>,
    /// Whether the lanes behind the exchanges are told where these end.
    finished: bool,
    /// Complete epochs whose turn has not come.
    pub(super) complete: VecDeque<Complete<Cut>>,
    pub(super) committing: bool,
    /// Partitions that wait for others to end, by input.
    pub(super) waiting: Vec<(SmolStr, Start)>,
    /// Every partition that was ever launched or waits, by input.
    pub(super) known: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
    pub(super) discovering: bool,
    pub(super) merging: Merging,
    pub(super) spans: EpochSpans,
    pub(super) store_away: Option<String>,
    /// Since when broker and store answer: the time of an outage is not counted against an epoch.
    pub(super) answering_since: Instant,
    pub(super) origin: Instant,
}

/// To a coordinator: stop reading, commit one last epoch, end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StopRun;

/// To a coordinator: end at once, without a last epoch.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AbandonRun;

impl Coordinator {
    /// A coordinator that launches its lanes when it is started.
    pub fn new(mut spec: CoordinatorSpec) -> Self {
        let (sender, _) = oneshot::channel();
        let done = Some(std::mem::replace(&mut spec.done, sender));
        Self {
            ledger: Ledger::new(Epoch(spec.newest.epoch), spec.open_epochs_max),
            done,
            end: RunEnd::default(),
            ending: Ending::No,
            lanes: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            building: BTreeSet::new(),
            finished: false,
            complete: VecDeque::new(),
            committing: false,
            waiting: Vec::new(),
            known: BTreeMap::new(),
            discovering: false,
            merging: Merging::default(),
            spans: EpochSpans::new(
                spec.metrics.recorder.tracer().cloned(),
                spec.metrics.query(),
            ),
            store_away: None,
            answering_since: Instant::now(),
            origin: Instant::now(),
            spec,
        }
    }

    /// Milliseconds since the coordinator was made: the ledger's clock.
    pub(super) fn clock(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Launches partitions whose predecessors have ended; the others wait.
    pub(super) fn launch(&mut self, starts: Vec<(SmolStr, Start)>, ctx: &mut Context<Self>) {
        for (input, start) in &starts {
            let known = self.known.entry(input.clone()).or_default();
            known.insert(start.partition.clone());
        }
        let (ready, waiting) = starts
            .into_iter()
            .partition::<Vec<_>, _>(|(input, start)| self.may_start(input, start));
        self.waiting.extend(waiting);
        if ready.is_empty() && self.waiting.is_empty() {
            return;
        }
        let news = ctx.address().recipient();
        let launched = (self.spec.launcher)(&ready, &self.waiting, self.ledger.next(), &news);
        // A lane that reads several partitions has more to read than it has said to have read.
        for (lane, handle) in &self.lanes {
            if launched.again.contains(&handle.name) {
                self.exhausted.remove(lane);
            }
        }
        self.lanes.extend(launched.new);
    }

    /// Whether every partition that must end before this one has ended, or is not there any more.
    fn may_start(&self, input: &SmolStr, start: &Start) -> bool {
        start.after.iter().all(|parent| {
            let ended = self
                .spec
                .newest
                .partitions()
                .any(|cut| cut.input == *input && cut.partition == *parent && cut.ended);
            let known = self
                .known
                .get(input)
                .is_some_and(|known| known.contains(parent));
            ended || !known
        })
    }

    /// Why no epoch may begin now.
    fn away(&self) -> Option<String> {
        if let Some(away) = &self.store_away {
            return Some(format!(
                "the checkpoint folder {} does not take anything: {away}",
                self.spec.log.location()
            ));
        }
        let sources = self.spec.sources.iter().map(|(_, source)| source.health());
        sources
            .chain(self.spec.sinks.iter().map(|sink| sink.health()))
            .find_map(|health| match health {
                Health::Up => None,
                Health::Down(why) => Some(why),
            })
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let metrics = &self.spec.metrics;
        let in_flight = self.spec.sinks.first().map_or(0, |sink| sink.in_flight());
        metrics
            .sink_in_flight
            .set(i64::try_from(in_flight).unwrap_or(i64::MAX));
        if self.spec.partition_metrics {
            for (partition, lag) in self
                .spec
                .sources
                .iter()
                .flat_map(|(_, source)| source.lag())
            {
                metrics.lag(&partition, lag);
            }
            for (_, source) in &self.spec.sources {
                for (partition, delay) in source.delay() {
                    metrics.delay(&partition, delay);
                }
            }
        }
        if let Some(away) = self.away() {
            self.answering_since = Instant::now();
            self.spec.status.waiting(&away);
            metrics.recorder.begin(Doing::Away, 0);
            metrics.epochs_refused.inc();
            return;
        }
        self.spec.status.running();
        metrics.recorder.end(Doing::Away, 0);
        if !self.building.is_empty() {
            return;
        }
        if let Some((epoch, begun, owing)) = self.ledger.oldest() {
            let open = Duration::from_millis(self.clock().saturating_sub(begun))
                .min(self.answering_since.elapsed());
            if open > self.spec.epoch_timeout {
                let names: Vec<&str> = owing
                    .iter()
                    .filter_map(|lane| self.lanes.get(lane).map(|handle| handle.name.as_str()))
                    .take(5)
                    .collect();
                let failure = Failure::restart(format!(
                    "epoch {} is open for longer than epochTimeout although broker and store answer; it waits for {}",
                    epoch.0,
                    names.join(", "),
                ));
                return self.fall(failure, None, ctx);
            }
        }
        if self.ending != Ending::No {
            return;
        }
        let now = self.clock();
        // Those that wait for their turn at a store that is slow are under way too: they must not pile up.
        let begun = if self.under_way() < self.spec.open_epochs_max {
            self.ledger.begin(self.lanes.keys().copied(), now)
        } else {
            None
        };
        match begun {
            Some(epoch) => self.order(epoch, false),
            None => metrics.epochs_refused.inc(),
        }
        self.commit_next(ctx);
    }

    /// Begins an epoch now where partitions wait for the end of others to be committed.
    fn hasten(&mut self, ctx: &mut Context<Self>) {
        if !self.waiting.is_empty() {
            self.tick(ctx);
        }
    }

    fn order(&mut self, epoch: Epoch, last: bool) {
        self.spans.begun(epoch.0, self.lanes.len());
        for lane in self.lanes.values() {
            lane.orders.do_send(Order::Cut { epoch, last });
        }
        self.spec.metrics.recorder.begin(Doing::Epoch, epoch.0);
        self.show_open();
    }

    /// Epochs that have begun and are not committed.
    fn under_way(&self) -> usize {
        self.ledger.open() + self.complete.len() + usize::from(self.committing)
    }

    pub(super) fn show_open(&self) {
        let open = i64::try_from(self.under_way()).unwrap_or(i64::MAX);
        self.spec.metrics.epochs_open.set(open);
    }

    /// Stops reading and begins the last epoch.
    pub(super) fn finish(&mut self, failure: Option<Failure>, ctx: &mut Context<Self>) {
        if let Some(failure) = failure {
            self.end.failure.get_or_insert(failure);
        }
        if self.ending != Ending::No {
            return;
        }
        if !self.building.is_empty() {
            // No row is written and no position has moved: the newest checkpoint is the last epoch.
            return self.stop_lanes(|| Order::Finish, ctx);
        }
        for lane in self.lanes.values() {
            lane.orders.do_send(Order::StopReading);
        }
        let now = self.clock();
        let last = self.ledger.begin_last(self.lanes.keys().copied(), now);
        self.ending = Ending::LastEpoch(last);
        self.order(last, true);
        self.commit_next(ctx);
    }

    /// The run is over: what is open will not be committed.
    pub(super) fn fall(&mut self, failure: Failure, at: Option<String>, ctx: &mut Context<Self>) {
        self.end.failure.get_or_insert(failure);
        if self.end.at.is_none() {
            self.end.at = at;
        }
        self.stop_lanes(|| Order::Stop, ctx);
    }

    pub(super) fn stop_lanes(&mut self, order: fn() -> Order, ctx: &mut Context<Self>) {
        self.ending = Ending::Stopping;
        for lane in self.lanes.values() {
            lane.orders.do_send(order());
        }
        self.end_if_alone(ctx);
    }

    pub(super) fn end_if_alone(&mut self, ctx: &mut Context<Self>) {
        if self.ending == Ending::Stopping && self.lanes.is_empty() && !self.committing {
            self.spans.over();
            if let Some(done) = self.done.take() {
                // Nobody waits only when the whole process is going down.
                let _ = done.send(std::mem::take(&mut self.end));
            }
            ctx.stop();
        }
    }

    /// What its log lines are about.
    pub(super) fn behalf(&self) -> &'static Behalf {
        Behalf::of(self.spec.metrics.query(), None)
    }

    pub(super) fn store(&mut self, away: Option<String>) {
        let _for = self.behalf().enter();
        match (&away, &self.store_away) {
            (Some(why), None) => {
                tracing::warn!(
                    why,
                    location = self.spec.log.location(),
                    "the checkpoint folder takes nothing; rows flow on, no epoch is committed"
                );
            }
            (None, Some(_)) => tracing::info!("the checkpoint folder takes checkpoints again"),
            _ => {}
        }
        if away.is_some() {
            self.answering_since = Instant::now();
        }
        self.store_away = away;
    }

    /// In a bounded run: once the lanes before the exchanges have ended and all they wrote is delivered, those behind them
    /// are told where these end.
    fn finish_exchanges(&mut self, ctx: &mut Context<Self>) {
        let mut before = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.side == Side::Before);
        if self.spec.exchanges.is_empty()
            || self.finished
            || !before.all(|(lane, _)| self.exhausted.contains(lane))
        {
            return;
        }
        self.finished = true;
        let sources = self.spec.sources.iter();
        let sources: Vec<Arc<dyn Source>> = sources
            .filter(|(input, _)| self.spec.exchanges.contains(input))
            .map(|(_, source)| Arc::clone(source))
            .collect();
        let work = self
            .spec
            .workers
            .run(move || sources.iter().try_for_each(|source| source.finish()));
        ctx.spawn(work.into_actor(self).map(|told, this, ctx| {
            let panicked = || Failure::restart("asking where an exchange ends panicked: a bug");
            if let Err(failure) = told.unwrap_or_else(|| Err(panicked())) {
                this.fall(failure, None, ctx);
            }
        }));
    }

    fn discover(&mut self, ctx: &mut Context<Self>) {
        if self.discovering || self.ending != Ending::No || !self.building.is_empty() {
            return;
        }
        self.discovering = true;
        let sources = self.spec.sources.clone();
        let known = self.known.clone();
        let work = self.spec.workers.run(move || {
            let mut found = Vec::new();
            for (input, source) in sources {
                let known: Vec<SmolStr> =
                    known.get(&input).into_iter().flatten().cloned().collect();
                let starts = source.discover(&known)?;
                found.extend(starts.into_iter().map(|start| (input.clone(), start)));
            }
            Ok::<_, Failure>(found)
        });
        ctx.spawn(work.into_actor(self).map(|found, this, ctx| {
            let _for = this.behalf().enter();
            this.discovering = false;
            match found {
                Some(Ok(found)) => {
                    for (_, start) in &found {
                        tracing::info!(partition = %start.partition, position = %start.position, "a new partition is read");
                    }
                    if this.ending == Ending::No && !found.is_empty() {
                        this.launch(found, ctx);
                        this.hasten(ctx);
                    }
                }
                Some(Err(failure)) => this.fall(failure, None, ctx),
                None => {}
            }
        }));
    }
}

impl Actor for Coordinator {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let starts = std::mem::take(&mut self.spec.starts);
        self.launch(starts, ctx);
        if self.spec.builds {
            self.building.extend(self.lanes.keys());
        }
        self.spec.metrics.recorder.end(Doing::Restart, 0);
        self.spec.status.running();
        // The first epoch comes early: otherwise a run that is killed before its first interval is over leaves to the next
        // one all that it and the run before it have done.
        ctx.run_later(self.spec.checkpoint_interval.min(FIRST_EPOCH), Self::tick);
        ctx.run_interval(self.spec.checkpoint_interval, Self::tick);
        match self.spec.discover_interval {
            Some(interval) => {
                ctx.run_interval(interval, Self::discover);
            }
            // A bounded run without any partition is over before it began.
            None if self.lanes.is_empty() => self.finish(None, ctx),
            None => self.finish_exchanges(ctx),
        }
    }
}

impl Handler<News> for Coordinator {
    type Result = ();

    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        let _for = self.behalf().enter();
        match news {
            News::Report { lane, epoch, cut } => {
                if self.ledger.report(epoch, lane, cut) == Noted::Unexpected {
                    tracing::debug!(?lane, ?epoch, "a report that nobody waits for");
                } else {
                    let name = self.lanes.get(&lane).map(|handle| &handle.name);
                    self.spans.reported(epoch.0, name);
                }
                self.commit_next(ctx);
            }
            News::Built(lane) => {
                if self.building.remove(&lane) && self.building.is_empty() {
                    for lane in self.lanes.values() {
                        lane.orders.do_send(Order::Begin);
                    }
                }
            }
            News::Ended => {
                // What comes after it may be there already.
                if self.spec.discover_interval.is_some() {
                    self.discover(ctx);
                }
                self.hasten(ctx);
            }
            News::Exhausted(lane) => {
                self.exhausted.insert(lane);
                let all = self.lanes.keys().all(|lane| self.exhausted.contains(lane));
                if self.spec.discover_interval.is_some() || !self.waiting.is_empty() {
                    return;
                }
                if all {
                    self.finish(None, ctx);
                } else {
                    self.finish_exchanges(ctx);
                }
            }
            News::Refused { lane: _, failure } => self.finish(Some(failure), ctx),
            News::Store(away) => self.store(away),
            News::Gone { lane, failure, at } => {
                self.lanes.remove(&lane);
                match failure {
                    Some(failure) => self.fall(failure, at, ctx),
                    None => self.end_if_alone(ctx),
                }
            }
        }
    }
}

impl Handler<StopRun> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: StopRun, ctx: &mut Context<Self>) {
        self.finish(None, ctx);
    }
}

impl Handler<AbandonRun> for Coordinator {
    type Result = ();

    fn handle(&mut self, _: AbandonRun, ctx: &mut Context<Self>) {
        self.stop_lanes(|| Order::Stop, ctx);
    }
}
