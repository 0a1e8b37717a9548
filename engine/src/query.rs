//! The life of a query: run after run from its newest checkpoint, until it ends, is stopped or cannot go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;
use tokio::sync::{oneshot, watch};

use crate::epoch::checkpoint::{Checkpoint, FORMAT, LaneCut, PartitionCut};
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::epoch::coordinator::{AbandonRun, Coordinator, CoordinatorSpec, RunEnd, StopRun};
use crate::error::{Failure, Remedy};
use crate::flow::partition::now;
use crate::lanes;
use crate::launch::Launching;
use crate::plan::{Opened, Plan, Side};
use crate::record::Position;
use crate::recorder::Doing;
use crate::recovery::{prepared_by, recover};
use crate::restarts::{Decision, Restarts};
use crate::restoring::accept;
use crate::source::{Resume, Start};
use crate::state::{StateBudget, StateChanges};
use crate::status::{Phase, QueryStatus};
use crate::warming::Warming;
use crate::workers::Workers;

/// How a query runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often epochs begin.
    pub checkpoint_interval: Duration,
    /// How many of the newest checkpoints are kept.
    pub checkpoints_kept: usize,
    /// Whether older ones are kept by the minute and the hour.
    pub checkpoint_history: bool,
    /// How long an epoch may stay open while the other sides answer.
    pub epoch_timeout: Duration,
    /// How many epochs may be open.
    pub open_epochs_max: usize,
    /// How long a clean stop may take.
    pub stop_timeout: Duration,
    /// How many failed runs are followed by another; None: any number.
    pub restarts_max: Option<u32>,
    /// How long the query puts up with what does not answer, or with runs that fail, while nothing is committed; None: for
    /// ever.
    pub outage_timeout: Option<Duration>,
    /// The trigger's interval; None when continuous.
    pub trigger: Option<Duration>,
    /// Whether the query ends at the end that its inputs had at its start.
    pub bounded: bool,
    /// Whether all that a bounded run reads is one batch: what is late is judged by the watermark before it, and windows close
    /// behind it. What must be remembered until then is state.
    pub one_batch: bool,
    /// Whether messages may quote what records hold.
    pub show_records: bool,
    /// Whether positions and lags are shown by partition.
    pub partition_metrics: bool,
    /// How often to look for new partitions.
    pub discover_interval: Duration,
    /// How long a partition stays at its end before the watermark goes on without it.
    pub idle_timeout: Duration,
    /// How far one input may be ahead of another in event time before it is paused, where one lane reads both.
    pub alignment_max: Duration,
    /// How far before its start a query without a checkpoint reads to build state. Nothing is written for that.
    pub warm_up: Option<Duration>,
    /// What helps after a failed record, where the checkpoints go with the process, so that none can be moved over it.
    pub without_checkpoints: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            checkpoint_interval: Duration::from_secs(1),
            checkpoints_kept: 10,
            checkpoint_history: true,
            epoch_timeout: Duration::from_secs(60),
            open_epochs_max: 4,
            stop_timeout: Duration::from_secs(30),
            restarts_max: None,
            outage_timeout: None,
            trigger: None,
            bounded: false,
            one_batch: false,
            show_records: false,
            partition_metrics: true,
            discover_interval: Duration::from_secs(4),
            idle_timeout: Duration::from_secs(30),
            alignment_max: Duration::from_secs(3_600),
            warm_up: None,
            without_checkpoints: None,
        }
    }
}

/// Threads that lanes live on, and threads for blocking work.
#[derive(Clone)]
pub struct Host {
    /// Lanes are dealt over these; none: all live on the thread that runs the query.
    pub arbiters: Vec<ArbiterHandle>,
    /// Blocking work.
    pub workers: Workers,
    /// The memory that all state together may take.
    pub budget: Arc<StateBudget>,
}

/// A query that is ready to run.
pub struct Query {
    /// The job's name.
    pub job: String,
    /// Its own name, unique in the job.
    pub name: String,
    /// What it does.
    pub plan: Arc<dyn Plan>,
    /// How it does it.
    pub settings: Settings,
    /// Where its checkpoints lie.
    pub log: Arc<CheckpointLog>,
    /// Where it runs.
    pub host: Host,
    /// What the probes see.
    pub status: Arc<QueryStatus>,
    /// Where the partitions of its inputs are shared with other processes.
    pub group: Option<Group>,
}

/// Opens the checkpoints of a lane by its name.
pub type OpenChain = Arc<dyn Fn(&str) -> Result<CheckpointLog, Failure> + Send + Sync>;

/// How processes share the partitions of a query's inputs.
#[derive(Clone)]
pub struct Group {
    /// The checkpoints of the lane of this name, which may be the name of a folder: all processes write them to one place.
    pub chain: OpenChain,
    /// Whether this process, when it is stopped, leaves the others for good: they take over at once. Else it is expected back.
    pub leaving: Arc<AtomicBool>,
    /// How many others stand by for each partition: they keep its state in memory, to take it over sooner.
    pub standby: usize,
}

/// What closing the clients may take at least when a stop has used up its time.
const CLOSE_MIN: Duration = Duration::from_millis(500);

/// How a query begins to say that it was stopped and could not commit its last epoch within its stop timeout.
pub const STOPPED_LATE: &str = "stopped after stopTimeout without the last epoch: what came after the newest checkpoint will be processed again";

/// How a lane's advice about a failed record begins; nothing comes after it.
const STEP_OVER: &str = "To step over this record:";

/// By lane and step, the state objects oldest first.
pub(crate) type LaneStates = BTreeMap<SmolStr, BTreeMap<SmolStr, Vec<StateChanges>>>;

/// By input and partition.
pub(crate) type Places<T> = BTreeMap<(SmolStr, SmolStr), T>;

/// By input and partition, the end of a bounded run.
pub(crate) type Ends = BTreeMap<SmolStr, BTreeMap<SmolStr, Position>>;

/// Where a run begins, and where it ends.
pub(crate) struct Resolved {
    pub(crate) newest: Checkpoint,
    pub(crate) starts: Vec<(SmolStr, Start)>,
    pub(crate) ends: Ends,
    pub(crate) state: LaneStates,
    pub(crate) warming: Warming,
    /// The partitions before exchanges that other processes read.
    pub(crate) before: Vec<(SmolStr, SmolStr)>,
    /// Whether its lane is alone: others come and go, with checkpoints of their own.
    pub(crate) alone: bool,
}

impl Resolved {
    /// A checkpoint from which no partition starts yet.
    pub(crate) fn none(newest: Checkpoint) -> Self {
        Self {
            warming: Warming::under_way(&newest),
            newest,
            starts: Vec::new(),
            ends: BTreeMap::new(),
            state: BTreeMap::new(),
            before: Vec::new(),
            alone: false,
        }
    }
}

/// A run that is ready to start.
pub(crate) struct Prepared {
    pub(crate) run: Arc<str>,
    pub(crate) opened: Opened,
    pub(crate) resolved: Resolved,
}

impl Query {
    /// Runs until the inputs end, `stop` says true, or it cannot go on. Must be called within an actix system.
    ///
    /// # Errors
    /// The failure that ended it: `Refuse` before its first record, else `End`.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), Failure> {
        let query = Arc::new(self);
        let ended = query.live(&mut stop).await;
        query.status.set(match &ended {
            Ok(()) => Phase::Ended,
            Err(failure) => Phase::Failed(failure.clone()),
        });
        ended
    }

    async fn live(self: &Arc<Self>, stop: &mut watch::Receiver<bool>) -> Result<(), Failure> {
        let began = Instant::now();
        let mut restarts = Restarts::new(self.settings.restarts_max, self.settings.outage_timeout);
        let workers = &self.host.workers;
        let this = Arc::clone(self);
        let recovered = workers.run(move || this.recover()).await;
        recovered.unwrap_or_else(|| Err(panicked()))?;
        loop {
            let this = Arc::clone(self);
            let prepare = move || match &this.group {
                None => this.prepare(),
                Some(_) => this.prepare_shared(),
            };
            let prepared = tokio::select! {
                biased;
                prepared = workers.run(prepare) => prepared.unwrap_or_else(|| Err(panicked())),
                () = told(stop) => return Ok(()),
            };
            let mut end = match prepared {
                Ok(prepared) => self.run_once(prepared, stop).await,
                Err(failure) => RunEnd {
                    failure: Some(failure),
                    ..RunEnd::default()
                },
            };
            let Some(failure) = end.failure.take() else {
                return Ok(());
            };
            match restarts.decide(&failure, &end, began.elapsed()) {
                Decision::End(failure) => return Err(self.advise(failure)),
                Decision::Restart(pause) => {
                    self.status.set(Phase::Restarting(failure.message));
                    self.status.metrics().restarts.inc();
                    self.status.metrics().recorder.begin(Doing::Restart, 0);
                    tokio::select! {
                        biased;
                        () = actix::clock::sleep(pause) => {}
                        () = told(stop) => return Ok(()),
                    }
                    // What the run has written for epochs that it did not commit is in nobody's way but takes room.
                    let this = Arc::clone(self);
                    let recovered = workers.run(move || this.recover()).await;
                    match recovered.unwrap_or_else(|| Err(panicked())) {
                        // The next run finds the same, and waits for it.
                        Err(failure) if failure.remedy == Remedy::Restart => {}
                        recovered => recovered?,
                    }
                }
            }
        }
    }

    /// A lane's advice is to move the checkpoint over its record; where none stays, something else helps.
    fn advise(&self, mut failure: Failure) -> Failure {
        if let Some(advice) = &self.settings.without_checkpoints
            && let Some(at) = failure.message.rfind(STEP_OVER)
        {
            failure.message.replace_range(at.., advice);
        }
        failure
    }

    /// Opens clients and finds out where each partition starts. Writes epoch 0 where there is no checkpoint. Blocks.
    fn prepare(&self) -> Result<Prepared, Failure> {
        let mut newest = self.log.newest()?;
        let run: Arc<str> = Arc::from(new_id());
        if let Some(checkpoint) = &mut newest {
            self.accept(checkpoint)?;
            self.claim_all(checkpoint, &run)?;
        }
        let opened = self.plan.open(&run)?;
        match self.resolve(newest, &run, &opened) {
            Ok(resolved) => Ok(Prepared {
                run,
                opened,
                resolved,
            }),
            Err(failure) => {
                opened.close();
                Err(self.log.or_taken_over(failure))
            }
        }
    }

    fn resolve(
        &self,
        newest: Option<Checkpoint>,
        run: &Arc<str>,
        opened: &Opened,
    ) -> Result<Resolved, Failure> {
        let mut starts = Vec::new();
        let mut ends = BTreeMap::new();
        for input in opened.all_inputs() {
            let resolved = match &newest {
                Some(checkpoint) => {
                    let positions: BTreeMap<SmolStr, Position> = checkpoint
                        .partitions()
                        .filter(|cut| cut.input == input.name)
                        .map(|cut| (cut.partition.clone(), cut.position.clone()))
                        .collect();
                    let ended = checkpoint.ended(&input.name);
                    let state = checkpoint
                        .sources
                        .get(&input.name)
                        .map(|text| BASE64.decode(text))
                        .transpose()
                        .map_err(|_| {
                            Failure::refuse("the checkpoint's source state is not base64")
                        })?;
                    input.source.leave_out(ended);
                    input.source.resolve(Some(&Resume {
                        checkpoint: &checkpoint.checkpoint,
                        epoch: checkpoint.epoch,
                        rewound: checkpoint.rewound,
                        positions: &positions,
                        state: state.as_deref(),
                    }))?
                }
                None => input.source.resolve(None)?,
            };
            // Where an exchange ends is known when the lanes before it have ended.
            if self.settings.bounded && opened.side(&input.name) != Side::Behind {
                ends.insert(input.name.clone(), input.source.ends()?);
            }
            starts.extend(
                resolved
                    .into_iter()
                    .map(|start| (input.name.clone(), start)),
            );
        }
        let partitions = starts.iter();
        let partitions = partitions.map(|(input, start)| (input.clone(), start.partition.clone()));
        self.plan.fits(&partitions.collect::<Vec<_>>())?;
        let (mut newest, state, warming) = match newest {
            Some(mut checkpoint) => {
                let warming = self.build(&checkpoint, opened, &mut starts)?;
                self.follow(&mut checkpoint);
                let state = self.read_state(&checkpoint)?;
                (checkpoint, state, warming)
            }
            None => {
                let warm = self.read_back(opened, &mut starts)?;
                let zero = self.epoch_zero(run, opened, &starts, &warm)?;
                let warming = Warming::under_way(&zero);
                (zero, BTreeMap::new(), warming)
            }
        };
        recover(opened, &mut newest, &**self.log.store())?;
        Ok(Resolved {
            starts,
            ends,
            state,
            warming,
            ..Resolved::none(newest)
        })
    }

    /// Whether the newest checkpoint is this query's and its plan can go on from it.
    pub(crate) fn accept(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        accept(&self.log, &*self.plan, &self.job, &self.name, checkpoint)
    }

    /// Makes an accepted checkpoint that of the plan as it is now: steps that the plan no longer has are dropped with their
    /// state, at the next commit.
    pub(crate) fn follow(&self, checkpoint: &mut Checkpoint) {
        checkpoint.plan = self.plan.identity();
        if checkpoint.state().next().is_none() {
            return;
        }
        let steps: Vec<SmolStr> = [Side::Whole, Side::Before, Side::Behind]
            .into_iter()
            .flat_map(|side| self.plan.steps(side, &[]))
            .map(|step| step.name)
            .collect();
        for lane in &mut checkpoint.lanes {
            let read = &lane.partitions;
            // What a source keeps of a partition stands under the partition's name.
            lane.state.retain(|step, _| {
                steps.contains(step) || read.iter().any(|cut| cut.partition == *step)
            });
        }
    }

    /// Commits the resolved start of every partition before the first record is read.
    pub(crate) fn epoch_zero(
        &self,
        run: &Arc<str>,
        opened: &Opened,
        starts: &[(SmolStr, Start)],
        warm: &Places<Position>,
    ) -> Result<Checkpoint, Failure> {
        let cut = |input: &SmolStr, start: &Start| PartitionCut {
            input: input.clone(),
            partition: start.partition.clone(),
            position: start.position.clone(),
            watermark: None,
            seen: None,
            ended: false,
            start: warm.get(&(input.clone(), start.partition.clone())).cloned(),
        };
        let written = opened.sink.begin()?.map(|bytes| BASE64.encode(bytes));
        let mut begun: Vec<LaneCut> = Vec::new();
        for (input, start) in starts {
            let lane = lanes::name(&*self.plan, input, &start.partition);
            let cut = cut(input, start);
            match begun.iter_mut().find(|known| known.lane == lane) {
                Some(lane) => lane.partitions.push(cut),
                None => begun.push(LaneCut {
                    // What stands before an exchange writes that.
                    writer: written
                        .clone()
                        .filter(|_| opened.side(input) != Side::Before),
                    ..lanes::beginning(&*self.plan, vec![cut])
                }),
            }
        }
        let sources = opened
            .all_inputs()
            .filter_map(|input| Some((input.name.clone(), BASE64.encode(input.source.save()?))))
            .collect();
        let checkpoint = Checkpoint {
            format: FORMAT,
            job: self.job.clone(),
            query: self.name.clone(),
            checkpoint: new_id(),
            run: run.to_string(),
            epoch: 0,
            committed_at: now(),
            rewound: false,
            plan: self.plan.identity(),
            sources,
            beside: self.plan.beside(),
            lanes: begun,
        };
        self.log.commit(&checkpoint).map_err(|error| {
            let failure = self.log.unwritable("the first checkpoint", &error);
            self.log.or_taken_over(failure)
        })?;
        Ok(checkpoint)
    }

    /// One run: lanes and coordinator live until it ends; afterwards nothing of it is left.
    async fn run_once(
        self: &Arc<Self>,
        prepared: Prepared,
        stop: &mut watch::Receiver<bool>,
    ) -> RunEnd {
        let opened = Arc::new(prepared.opened);
        let (end, stopped) = match &self.group {
            None => {
                self.coordinate(prepared.run, &opened, prepared.resolved, stop)
                    .await
            }
            Some(_) => self.share(&opened, prepared.resolved.newest, stop).await,
        };
        // Clients outlive actors: the next run may begin only when nothing of this one can write any more.
        let workers = &self.host.workers;
        let closing = Arc::clone(&opened);
        let closed = async {
            workers.run(move || closing.close()).await;
            workers.settled().await;
        };
        match stopped {
            None => closed.await,
            // There is no next run. Questions to a broker that is away are given up, they must not hold up the stop.
            Some(since) => {
                let left = self.settings.stop_timeout.saturating_sub(since.elapsed());
                let _ = actix::clock::timeout(left.max(CLOSE_MIN), closed).await;
            }
        }
        end
    }

    /// Lanes and their coordinator, from the resolved places on until they end by themselves or by `stop`. Gives also when it
    /// was told to stop.
    pub(crate) async fn coordinate(
        self: &Arc<Self>,
        run: Arc<str>,
        opened: &Arc<Opened>,
        resolved: Resolved,
        stop: &mut watch::Receiver<bool>,
    ) -> (RunEnd, Option<Instant>) {
        let (done, mut ended) = oneshot::channel();
        let settings = &self.settings;
        let alone = resolved.alone;
        let sources = opened
            .all_inputs()
            .filter(|input| !alone || resolved.starts.iter().any(|(of, _)| *of == input.name))
            .map(|input| (input.name.clone(), Arc::clone(&input.source)))
            .collect();
        let grows = !alone && opened.all_inputs().any(|input| input.source.grows());
        let own = opened.all_inputs();
        let own = own.filter_map(|input| input.source.discover_interval());
        let discover_interval = own.min().unwrap_or(settings.discover_interval);
        let exchanges = opened.exchanges.iter().filter(|_| !alone);
        let exchanges = exchanges.map(|exchange| exchange.input.name.clone());
        let place = |cut: &PartitionCut| (cut.input.clone(), cut.partition.clone());
        let cuts = resolved.newest.partitions();
        let watermarks = cuts
            .map(|cut| (place(cut), [cut.watermark, cut.seen]))
            .collect();
        let builds = resolved.warming.builds.is_some();
        let writers = prepared_by(&resolved.newest.lanes);
        let launching = Launching {
            query: Arc::clone(self),
            run: Arc::clone(&run),
            opened: Arc::clone(opened),
            ends: resolved.ends,
            state: resolved.state,
            watermarks,
            warm: resolved.warming.warm,
            builds: resolved.warming.builds,
            writers,
            next: 0,
            lanes: BTreeMap::new(),
            before: resolved.before,
        };
        let coordinator = Coordinator::new(CoordinatorSpec {
            newest: resolved.newest,
            run,
            log: Arc::clone(&self.log),
            plan: Arc::clone(&self.plan),
            sources,
            sinks: opened.sinks(),
            exchanges: exchanges.collect(),
            starts: resolved.starts,
            launcher: launching.launcher(),
            builds,
            checkpoint_interval: settings.checkpoint_interval,
            epoch_timeout: settings.epoch_timeout,
            open_epochs_max: settings.open_epochs_max,
            outage_timeout: settings.outage_timeout,
            discover_interval: (!settings.bounded && grows).then_some(discover_interval),
            partition_metrics: settings.partition_metrics,
            workers: self.host.workers.clone(),
            metrics: Arc::clone(self.status.metrics()),
            status: Arc::clone(&self.status),
            done,
        })
        .start();
        let mut stopped = None;
        let end = tokio::select! {
            biased;
            end = &mut ended => end,
            () = told(stop) => {
                stopped = Some(Instant::now());
                coordinator.do_send(StopRun);
                if let Ok(end) = actix::clock::timeout(settings.stop_timeout, &mut ended).await {
                    end
                } else {
                    coordinator.do_send(AbandonRun);
                    let _ = ended.await;
                    Ok(RunEnd {
                        failure: Some(self.stopped_late()),
                        ..RunEnd::default()
                    })
                }
            }
        };
        self.status.metrics().recorder.over();
        let end = end.unwrap_or_else(|_| RunEnd {
            failure: Some(Failure::restart(
                "the coordinator ended without a word: a bug",
            )),
            ..RunEnd::default()
        });
        (end, stopped)
    }

    /// What is said of a stop that took too long, and of what it waited for.
    fn stopped_late(&self) -> Failure {
        match self.status.phase().0 {
            Phase::Waiting(why) => Failure::end(format!("{STOPPED_LATE}. It waited: {why}")),
            _ => Failure::end(STOPPED_LATE),
        }
    }
}

/// Resolves when the query is told to stop.
pub(crate) async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody is left who could say so.
        std::future::pending::<()>().await;
    }
}

pub(crate) fn panicked() -> Failure {
    Failure::restart("opening the query panicked: a bug, see the message above")
}

/// 16 random hexadecimal digits. The hasher's keys come from the system's random numbers.
pub fn new_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}
