//! The share of one process in a query whose partitions several processes read.
//!
//! The source says which partitions are this process's. Each of them is a lane with a coordinator and a chain of checkpoints
//! of its own, so that it comes and goes while the others flow:
//!
//! 1. **Given.** The next number of its chain is claimed: an epoch that says what the newest one says, by a new run. From then
//!    on whoever had the partition before can commit nothing any more. State is read, the lane begins.
//! 2. **Taken.** The lane stops reading, commits a last epoch and ends; then the source lets go of the partition.
//! 3. **Fenced.** An epoch of this process meets one of another: the lane ends, what it had not committed the other one
//!    repeats.
//!
//! The chain alone is the truth. Where the group and the chain are not of one mind, the worst that can happen is that
//! records are repeated.
//!
//! The root of the query holds one checkpoint, epoch 0: where the partitions started that there were at the first start. A
//! partition that has no chain begins there; one that is not named there appeared later, and begins at its earliest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::clock::{self, Instant};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use smol_str::SmolStr;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::epoch::checkpoint::{Checkpoint, PartitionCut};
use crate::epoch::coordinator::RunEnd;
use crate::error::{Failure, Remedy};
use crate::flow::cut::plain;
use crate::flow::partition::now;
use crate::lanes;
use crate::plan::{Opened, Side};
use crate::query::{Prepared, Query, Resolved, new_id, panicked, told};
use crate::record::Position;
use crate::source::{Ownership, Resume};
use crate::status::Phase;

/// How long after a claim that failed a partition is claimed again.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);
/// How long after it was fenced a partition is claimed again that is still this process's, as it seems: the group has had time
/// to say otherwise.
const FENCED_AGAIN: Duration = Duration::from_secs(10);
/// How often a process looks after its share.
const LOOK: Duration = Duration::from_millis(500);

/// A partition of an input.
type Place = (SmolStr, SmolStr);

/// A change in what an input gives to this process.
type Change = (SmolStr, Ownership);

/// The share of one process, for one run.
struct Share<'q> {
    query: &'q Arc<Query>,
    opened: &'q Arc<Opened>,
    start: Arc<Checkpoint>,
    owned: BTreeSet<Place>,
    /// Partitions that wait to be claimed again.
    again: BTreeMap<Place, Instant>,
    /// What ends the lanes that live.
    lanes: BTreeMap<Place, watch::Sender<bool>>,
    running: JoinSet<(Place, RunEnd)>,
    /// By input, partitions that are taken and whose lanes have not ended.
    leaving: BTreeMap<SmolStr, BTreeSet<SmolStr>>,
    /// By input, partitions that are let go of when none is leaving.
    taken: BTreeMap<SmolStr, Vec<SmolStr>>,
    end: RunEnd,
    stopping: bool,
}

impl Query {
    /// As `prepare`, for a query whose partitions are shared: only the start is found, once for all processes. Blocks.
    pub(crate) fn prepare_shared(&self) -> Result<Prepared, Failure> {
        let run: Arc<str> = Arc::from(new_id());
        let newest = match self.log.newest()? {
            Some(newest) => newest,
            None => self.first_start(&run)?,
        };
        self.accept(&newest)?;
        if newest.epoch > 0 {
            return Err(Failure::refuse(format!(
                "the checkpoints in {} are of one process that read all partitions, up to epoch {}: a query goes on in the \
                 way it began. Set another checkpointLocation, or leave `assignment = 'group'` out",
                self.log.location(),
                newest.epoch
            )));
        }
        Ok(Prepared {
            opened: self.plan.open(&run)?,
            run,
            resolved: Resolved::none(newest),
        })
    }

    /// Commits where all partitions start, or finds that another process has just done so.
    fn first_start(&self, run: &Arc<str>) -> Result<Checkpoint, Failure> {
        let opened = self.plan.open(run)?;
        let started = self.start_all(run, &opened);
        opened.close();
        match started {
            Err(failure) => match self.log.newest()? {
                Some(newest) => Ok(newest),
                None => Err(failure),
            },
            started => started,
        }
    }

    /// Runs lanes for the partitions that this process is given, until the run ends. Gives also when it was told to stop.
    pub(crate) async fn share(
        self: &Arc<Self>,
        opened: &Arc<Opened>,
        start: Checkpoint,
        stop: &mut watch::Receiver<bool>,
    ) -> (RunEnd, Option<Instant>) {
        // As many as there are partitions may wait here.
        let (tell, mut changes) = mpsc::unbounded_channel();
        let joining = Arc::clone(opened);
        let start = Arc::new(start);
        let from = Arc::clone(&start);
        let joined = self.host.workers.run(move || join(&joining, &from, &tell));
        let joined = joined.await;
        if let Err(failure) = joined.unwrap_or_else(|| Err(panicked())) {
            let end = RunEnd {
                failure: Some(failure),
                ..RunEnd::default()
            };
            return (end, None);
        }
        let mut share = Share {
            query: self,
            opened,
            start,
            owned: BTreeSet::new(),
            again: BTreeMap::new(),
            lanes: BTreeMap::new(),
            running: JoinSet::new(),
            leaving: BTreeMap::new(),
            taken: BTreeMap::new(),
            end: RunEnd::default(),
            stopping: false,
        };
        let mut stopped = None;
        let mut look = clock::interval(LOOK);
        let mut watch = clock::interval(self.settings.discover_interval);
        while !(share.stopping && share.running.is_empty()) {
            tokio::select! {
                biased;
                () = told(stop), if stopped.is_none() => {
                    stopped = Some(Instant::now());
                    share.stop();
                }
                Some(change) = changes.recv() => share.change(change),
                Some(ended) = share.running.join_next() => share.ended(ended.ok()),
                _ = look.tick() => share.look(),
                _ = watch.tick(), if !share.stopping => {
                    if let Err(failure) = share.watch().await {
                        share.fail(RunEnd { failure: Some(failure), ..RunEnd::default() });
                    }
                }
            }
        }
        (share.end, stopped)
    }

    /// Claims a partition: the next epoch of its chain is this run's. Blocks.
    fn claim(
        &self,
        run: &Arc<str>,
        opened: &Opened,
        (input, partition): &Place,
        start: &Checkpoint,
    ) -> Result<Resolved, Failure> {
        let source = opened
            .all_inputs()
            .find(|known| known.name == *input)
            .map(|known| &known.source)
            .ok_or_else(|| Failure::restart(format!("the query has no input {input}: a bug")))?;
        loop {
            let newest = self.log.newest()?;
            if let Some(newest) = &newest {
                self.accept(newest)?;
                self.build_shared(newest)?;
            }
            let from = newest.as_ref().unwrap_or(start);
            let cut = from.partitions().find(|cut| named(cut, input, partition));
            let known = cut.map(|cut| (partition.clone(), cut.position.clone()));
            let positions: BTreeMap<SmolStr, Position> = known.into_iter().collect();
            let state = saved(from, input)?;
            let begin = source.start_of(
                partition,
                &Resume {
                    checkpoint: &from.checkpoint,
                    epoch: from.epoch,
                    rewound: from.rewound,
                    positions: &positions,
                    state: state.as_deref(),
                },
            )?;
            let mut claim = match newest {
                Some(mut newest) => {
                    self.follow(&mut newest);
                    newest.epoch += 1;
                    newest.rewound = false;
                    newest
                }
                None => self.chain_of(start, input, partition, &begin.position),
            };
            let since = claim.committed_at;
            claim.run = run.to_string();
            claim.committed_at = now();
            match self.log.commit(&claim) {
                Ok(_) => {
                    // Now that nobody else commits here, what no checkpoint names is nobody's.
                    self.log.recover()?;
                    if claim.epoch > 0 {
                        let pause = u64::try_from(claim.committed_at.saturating_sub(since));
                        self.status.metrics().handover.observe(pause.unwrap_or(0));
                    }
                    return Ok(Resolved {
                        state: self.read_state(&claim)?,
                        starts: vec![(input.clone(), begin)],
                        before: before(opened, input, start),
                        alone: true,
                        ..Resolved::none(claim)
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let what = format!("the claim of {partition}");
                    return Err(self.log.unwritable(&what, &error));
                }
            }
        }
    }

    /// The first checkpoint of a partition's chain.
    fn chain_of(
        &self,
        start: &Checkpoint,
        input: &SmolStr,
        partition: &SmolStr,
        begin: &Position,
    ) -> Checkpoint {
        let cut = start.partitions().find(|cut| named(cut, input, partition));
        let cut = PartitionCut {
            position: begin.clone(),
            ..cut.cloned().unwrap_or_else(|| PartitionCut {
                input: input.clone(),
                partition: partition.clone(),
                position: begin.clone(),
                watermark: None,
                ended: false,
                start: None,
            })
        };
        let mut chain = start.clone();
        chain.lanes = vec![lanes::beginning(&*self.plan, vec![cut])];
        chain.sources.retain(|of, _| of == input);
        chain
    }

    /// The life of one lane: claims its partition and runs it until it is told to stop, is fenced or fails.
    async fn own(
        self: Arc<Self>,
        opened: Arc<Opened>,
        place: Place,
        start: Arc<Checkpoint>,
        mut stop: watch::Receiver<bool>,
    ) -> RunEnd {
        let run: Arc<str> = Arc::from(new_id());
        loop {
            let (query, run_too) = (Arc::clone(&self), Arc::clone(&run));
            let (opened_too, place, start) =
                (Arc::clone(&opened), place.clone(), Arc::clone(&start));
            let claim = move || query.claim(&run_too, &opened_too, &place, &start);
            let claimed = self.host.workers.run(claim).await;
            match claimed.unwrap_or_else(|| Err(panicked())) {
                Ok(resolved) => return self.coordinate(run, &opened, resolved, &mut stop).await.0,
                // A store or a broker that is away delays this partition, and no other.
                Err(failure) if failure.remedy == Remedy::Restart => {
                    self.status.waiting(&failure.message);
                    tokio::select! {
                        biased;
                        () = told(&mut stop) => return RunEnd::default(),
                        () = clock::sleep(CLAIM_AGAIN) => {}
                    }
                }
                Err(failure) => {
                    return RunEnd {
                        failure: Some(failure),
                        ..RunEnd::default()
                    };
                }
            }
        }
    }
}

fn named(cut: &PartitionCut, input: &str, partition: &str) -> bool {
    cut.input == input && cut.partition == partition
}

/// The partitions before the exchange that an input behind it has to know.
fn before(opened: &Opened, input: &str, start: &Checkpoint) -> Vec<Place> {
    if opened.side(input) != Side::Behind {
        return Vec::new();
    }
    start
        .partitions()
        .filter(|cut| opened.side(&cut.input) == Side::Before)
        .map(|cut| (cut.input.clone(), cut.partition.clone()))
        .collect()
}

/// Joins the groups of all inputs. Blocks.
fn join(
    opened: &Opened,
    start: &Checkpoint,
    tell: &mpsc::UnboundedSender<Change>,
) -> Result<(), Failure> {
    for input in opened.all_inputs() {
        let (name, tell) = (input.name.clone(), tell.clone());
        let tell = move |ownership| {
            // Nobody listens when the run is over.
            let _ = tell.send((name.clone(), ownership));
        };
        let state = saved(start, &input.name)?;
        input.source.join(state.as_deref(), Box::new(tell))?;
    }
    Ok(())
}

/// The bytes that an input keeps in a checkpoint.
fn saved(checkpoint: &Checkpoint, input: &str) -> Result<Option<Vec<u8>>, Failure> {
    let text = checkpoint.sources.get(input);
    text.map(|text| BASE64.decode(text))
        .transpose()
        .map_err(|_| Failure::refuse("the checkpoint's source state is not base64"))
}

impl Share<'_> {
    fn change(&mut self, (input, ownership): Change) {
        match ownership {
            Ownership::Given(partitions) => {
                for partition in partitions {
                    tracing::info!(%partition, "this partition is read here now");
                    let place = (input.clone(), partition);
                    self.owned.insert(place.clone());
                    self.begin(place);
                }
            }
            Ownership::Taken(partitions) => {
                for partition in &partitions {
                    let place = (input.clone(), partition.clone());
                    self.owned.remove(&place);
                    self.again.remove(&place);
                    if let Some(stop) = self.lanes.get(&place) {
                        stop.send_replace(true);
                        let leaving = self.leaving.entry(input.clone()).or_default();
                        leaving.insert(partition.clone());
                    }
                }
                self.taken
                    .entry(input.clone())
                    .or_default()
                    .extend(partitions);
                self.let_go(&input);
            }
        }
    }

    /// Begins the lane of a partition.
    fn begin(&mut self, place: Place) {
        if self.stopping || self.lanes.contains_key(&place) {
            return;
        }
        let query = self.query;
        let name = lanes::name(&*query.plan, &place.0, &place.1);
        let chain = query
            .group
            .as_ref()
            .map(|group| (group.chain)(&plain(&name)));
        let log = match chain {
            Some(Ok(log)) => Arc::new(log),
            failed => {
                let why = failed.and_then(Result::err);
                let why = why.map_or_else(String::new, |failure| failure.message);
                tracing::warn!(partition = %place.1, why, "the partition waits for its checkpoints");
                self.again.insert(place, Instant::now() + CLAIM_AGAIN);
                return;
            }
        };
        let own = Arc::new(Query {
            job: query.job.clone(),
            name: query.name.clone(),
            plan: Arc::clone(&query.plan),
            settings: query.settings.clone(),
            log,
            host: query.host.clone(),
            status: query.status.part(&name),
            group: None,
        });
        let (stop, stopped) = watch::channel(false);
        self.lanes.insert(place.clone(), stop);
        let (opened, start) = (Arc::clone(self.opened), Arc::clone(&self.start));
        self.running.spawn_local(async move {
            let end = own.own(opened, place.clone(), start, stopped).await;
            (place, end)
        });
    }

    fn ended(&mut self, ended: Option<(Place, RunEnd)>) {
        let Some((place, end)) = ended else {
            return self.fail(RunEnd {
                failure: Some(Failure::restart("a lane ended without a word: a bug")),
                ..RunEnd::default()
            });
        };
        self.lanes.remove(&place);
        let name = lanes::name(&*self.query.plan, &place.0, &place.1);
        self.query.status.left(&name);
        self.query.status.metrics().left(&name, &place.1);
        self.end.committed += end.committed;
        if end.fenced {
            tracing::warn!(partition = %place.1, "another process goes on with this partition: nothing more of it is committed here");
            if self.owned.contains(&place) && !self.stopping {
                self.again
                    .insert(place.clone(), Instant::now() + FENCED_AGAIN);
            }
        } else if end.failure.is_some() {
            self.fail(end);
        } else {
            tracing::info!(partition = %place.1, "this partition is not read here any more");
        }
        if let Some(leaving) = self.leaving.get_mut(&place.0) {
            leaving.remove(&place.1);
        }
        self.let_go(&place.0);
    }

    /// Lets go of the partitions that were taken, once all their lanes have ended.
    fn let_go(&mut self, input: &SmolStr) {
        if self.leaving.get(input).is_some_and(|set| !set.is_empty()) {
            return;
        }
        let Some(taken) = self.taken.remove(input) else {
            return;
        };
        let mut inputs = self.opened.all_inputs();
        if let Some(known) = inputs.find(|known| known.name == *input) {
            known.source.release(&taken);
        }
    }

    /// Stops all lanes, each after a last epoch.
    fn stop(&mut self) {
        self.stopping = true;
        self.again.clear();
        for stop in self.lanes.values() {
            stop.send_replace(true);
        }
    }

    /// The run is over: one lane has failed.
    fn fail(&mut self, end: RunEnd) {
        if self.end.failure.is_none() {
            self.end.failure = end.failure;
            self.end.at = end.at;
        }
        self.stop();
    }

    /// Claims again what is due, and says how the share is.
    fn look(&mut self) {
        let now = Instant::now();
        let due = self.again.iter().filter(|(_, at)| **at <= now);
        let due: Vec<Place> = due.map(|(place, _)| place.clone()).collect();
        for place in due {
            self.again.remove(&place);
            self.begin(place);
        }
        if self.stopping {
            return;
        }
        let parts = self.query.status.parts();
        let waiting = parts.iter().find_map(|part| match part.phase().0 {
            Phase::Waiting(why) => Some(why),
            _ => None,
        });
        match waiting {
            Some(why) => self.query.status.waiting(&why),
            None if parts.iter().all(|part| part.phase().0 == Phase::Running) => {
                self.query.status.running();
            }
            None => {}
        }
    }

    /// Lets the sources look after what they read: topics that are gone or have grown.
    async fn watch(&self) -> Result<(), Failure> {
        let opened = Arc::clone(self.opened);
        let mut known: BTreeMap<SmolStr, Vec<SmolStr>> = BTreeMap::new();
        let named = self.start.partitions();
        let named = named.map(|cut| (cut.input.clone(), cut.partition.clone()));
        for (input, partition) in named.chain(self.owned.iter().cloned()) {
            known.entry(input).or_default().push(partition);
        }
        let work = self.query.host.workers.run(move || {
            opened.all_inputs().try_for_each(|input| {
                let known = known.get(&input.name).map_or(&[][..], Vec::as_slice);
                // What appears is given by the group.
                input.source.discover(known).map(drop)
            })
        });
        work.await.unwrap_or_else(|| Err(panicked()))
    }
}
