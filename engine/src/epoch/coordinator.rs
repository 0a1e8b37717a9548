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
use crate::epoch::beginning::LOOK;
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
use crate::source::{Source, Start};
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
    /// What its last epoch waited for when it was given up.
    pub waited: Option<String>,
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
    /// How long broker or store may be away before the query ends; None: for ever.
    pub outage_timeout: Option<Duration>,
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
    /// An epoch is to begin.
    pub(super) due: bool,
    pub(super) lanes: BTreeMap<LaneId, LaneHandle>,
    pub(super) exhausted: BTreeSet<LaneId>,
    /// Lanes that have not yet built what is new beside their kept state: until then no epoch begins.
    pub(super) building: BTreeSet<LaneId>,
    /// Whether the lanes behind the exchanges are told where these end.
    pub(super) finished: bool,
    /// Complete epochs whose turn has not come.
    pub(super) complete: VecDeque<Complete<Cut>>,
    pub(super) committing: bool,
    /// Whether the last epoch is committed and no lane has fallen since.
    pub(super) ended_well: bool,
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
    /// Since when one of them does not.
    pub(super) away_since: Option<Instant>,
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
            due: false,
            done,
            end: RunEnd::default(),
            ending: Ending::No,
            lanes: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            building: BTreeSet::new(),
            finished: false,
            complete: VecDeque::new(),
            committing: false,
            ended_well: false,
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
            away_since: None,
            origin: Instant::now(),
            spec,
        }
    }

    /// Milliseconds since the coordinator was made: the ledger's clock.
    pub(super) fn clock(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
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
        // A run that is short has no other epoch: what a job with an end starts by the clock would be a chain that grows for ever.
        if self.ends_by_itself() {
            self.merge(ctx);
        }
        self.commit_next(ctx);
    }

    /// Whether the last epoch is under way because everything has been read: nobody waits for the end.
    pub(super) fn ends_by_itself(&self) -> bool {
        matches!(self.ending, Ending::LastEpoch(_)) && self.is_exhausted()
    }

    /// Whether everything has been read.
    fn is_exhausted(&self) -> bool {
        self.lanes.keys().all(|lane| self.exhausted.contains(lane))
    }

    /// The run is over: what is open will not be committed.
    pub(super) fn fall(&mut self, failure: Failure, at: Option<String>, ctx: &mut Context<Self>) {
        self.ended_well = false;
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
        let alone = self.ending == Ending::Stopping && self.lanes.is_empty() && !self.committing;
        if alone && !self.let_go_of_kept(ctx) {
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
        if self.spec.checkpoint_interval > LOOK {
            ctx.run_interval(LOOK, Self::look);
        }
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
                if self.spec.discover_interval.is_some() || !self.waiting.is_empty() {
                    return;
                }
                if self.is_exhausted() {
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
        self.end.waited = self.waits();
        self.stop_lanes(|| Order::Stop, ctx);
    }
}
