//! The life of a query: run after run from its newest checkpoint, until it ends, is stopped or cannot go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix::clock::Instant;
use actix::prelude::*;
use smol_str::SmolStr;
use tokio::sync::{oneshot, watch};

use crate::epoch::checkpoint::PartitionCut;
use crate::epoch::checkpoint_log::CheckpointLog;
use crate::epoch::coordinator::{AbandonRun, Coordinator, CoordinatorSpec, RunEnd, StopRun};
use crate::error::{Failure, Remedy};
use crate::launch::Launching;
use crate::plan::{Opened, Plan};
use crate::recorder::Doing;
use crate::recovery::prepared_by;
use crate::restarts::{Decision, Restarts};
use crate::starting::{Prepared, Resolved};
use crate::state::{StateBudget, StateChanges};
use crate::status::{Phase, QueryStatus};
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
                    let waited = ended.await.ok().and_then(|end: RunEnd| end.waited);
                    Ok(RunEnd {
                        failure: Some(self.stopped_late(waited)),
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
    fn stopped_late(&self, waited: Option<String>) -> Failure {
        let shown = match self.status.phase().0 {
            Phase::Waiting(why) => Some(why),
            _ => waited,
        };
        match shown {
            Some(why) => Failure::end(format!("{STOPPED_LATE}. It waited: {why}")),
            None => Failure::end(STOPPED_LATE),
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
