//! The share of one process in a query whose partitions several processes read.
//!
//! The source says which partitions are this process's. Each of them is a lane with a coordinator and a chain of checkpoints
//! of its own, so that it comes and goes while the others flow:
//!
//! 1. **Given.** The next number of its chain is claimed: an epoch that says what the newest one says, by a new run. From then
//!    on whoever had the partition before can commit nothing any more. State is read, the lane begins.
//! 2. **Taken.** The lane stops reading, commits a last epoch and ends; then the source lets go of the partition.
//! 3. **Left.** All lanes end in that way, then the source leaves those that share it: others need not wait until they miss this
//!    process.
//! 4. **Fenced.** An epoch of this process meets one of another: the lane ends, what it had not committed the other one
//!    repeats.
//!
//! The chain alone is the truth. Where the group and the chain are not of one mind, the worst that can happen is that
//! records are repeated.
//!
//! Where the partitions of one number of several inputs meet in a lane, the first of these inputs alone is assigned, and its owner
//! reads those of the others.
//!
//! The root of the query holds one checkpoint, epoch 0: where the partitions started that there were at the first start. A
//! partition that has no chain begins there; one that is not named there appeared later, and begins at its earliest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::clock::{self, Instant};
use smol_str::SmolStr;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::claim::{Place, saved};
use crate::elsewhere;
use crate::epoch::checkpoint::Checkpoint;
use crate::epoch::coordinator::RunEnd;
use crate::error::{Failure, Remedy};
use crate::flow::cut::folder_name;
use crate::lanes;
use crate::plan::Opened;
use crate::query::{Group, Query, new_id, panicked, told};
use crate::source::{Health, Ownership};
use crate::standby::Standby;
use crate::status::Phase;

/// How long after a claim that failed a partition is claimed again.
const CLAIM_AGAIN: Duration = Duration::from_secs(1);
/// How long after it was fenced a partition is claimed again that is still this process's, as it seems: the group has had time
/// to say otherwise.
const FENCED_AGAIN: Duration = Duration::from_secs(10);
/// How often a process looks after its share.
const LOOK: Duration = Duration::from_millis(500);

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
    standby: Arc<Standby>,
    /// The look at what it stands by for that is under way.
    following: Option<JoinHandle<()>>,
    /// The look at what others read, for somebody who asks.
    glancing: Option<JoinHandle<()>>,
    end: RunEnd,
    stopping: bool,
}

impl Query {
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
            standby: Arc::default(),
            following: None,
            glancing: None,
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
        let leaves = |group: &Group| group.leaving.load(Ordering::Acquire);
        if stopped.is_some() && self.group.as_ref().is_some_and(leaves) {
            let leaving = Arc::clone(opened);
            let work = move || {
                std::thread::scope(|scope| {
                    for input in leaving.all_inputs() {
                        scope.spawn(|| input.source.leave());
                    }
                });
            };
            self.host.workers.run(work).await;
        }
        (share.end, stopped)
    }

    /// The life of one lane: claims its partition and runs it until it is told to stop, is fenced or fails.
    async fn own(
        self: Arc<Self>,
        opened: Arc<Opened>,
        place: Place,
        start: Arc<Checkpoint>,
        standby: Arc<Standby>,
        mut stop: watch::Receiver<bool>,
    ) -> RunEnd {
        let run: Arc<str> = Arc::from(new_id());
        loop {
            let (query, run_too) = (Arc::clone(&self), Arc::clone(&run));
            let standby = Arc::clone(&standby);
            let (opened_too, place, start) =
                (Arc::clone(&opened), place.clone(), Arc::clone(&start));
            let claim = move || query.claim(&run_too, &opened_too, &place, &start, &standby);
            let claimed = self.host.workers.run(claim).await;
            match claimed.unwrap_or_else(|| Err(panicked())) {
                Ok(Some(resolved)) => {
                    return self.coordinate(run, &opened, resolved, &mut stop).await.0;
                }
                Ok(None) => {
                    return RunEnd {
                        fenced: true,
                        ..RunEnd::default()
                    };
                }
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

/// Joins the groups of all inputs that are assigned. Blocks.
fn join(
    opened: &Opened,
    start: &Checkpoint,
    tell: &mpsc::UnboundedSender<Change>,
) -> Result<(), Failure> {
    let accompanying = lanes::accompanying(start);
    for input in opened.all_inputs() {
        let state = saved(start, &input.name)?;
        if accompanying.contains(&input.name) {
            input.source.accompany(state.as_deref())?;
            continue;
        }
        let (name, tell) = (input.name.clone(), tell.clone());
        let tell = move |ownership| {
            // Nobody listens when the run is over.
            let _ = tell.send((name.clone(), ownership));
        };
        input.source.join(state.as_deref(), Box::new(tell))?;
    }
    Ok(())
}

impl Share<'_> {
    fn change(&mut self, (input, ownership): Change) {
        match ownership {
            Ownership::Given(partitions) => {
                for partition in partitions {
                    tracing::info!(query = self.query.status.query(), %partition, "this partition is read here now");
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
            Ownership::Doubted => {
                self.owned.retain(|(of, _)| *of != input);
                self.again.retain(|(of, _), _| *of != input);
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
            .map(|group| (group.chain)(&folder_name(&name)));
        let log = match chain {
            Some(Ok(log)) => Arc::new(log),
            failed => {
                let why = failed.and_then(Result::err);
                let why = why.map_or_else(String::new, |failure| failure.message);
                tracing::warn!(query = self.query.status.query(), partition = %place.1, why, "the partition waits for its checkpoints");
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
        let standby = Arc::clone(&self.standby);
        self.running.spawn_local(async move {
            let end = own
                .own(opened, place.clone(), start, standby, stopped)
                .await;
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
        let metrics = self.query.status.metrics();
        metrics.left(&name, &place.1);
        for cut in lanes::beside(&self.start, &name, &place) {
            metrics.left(&name, &cut.partition);
        }
        self.end.committed += end.committed;
        if end.fenced {
            tracing::warn!(query = self.query.status.query(), partition = %place.1, "another process goes on with this partition: nothing more of it is committed here");
            if self.owned.contains(&place) && !self.stopping {
                self.again
                    .insert(place.clone(), Instant::now() + FENCED_AGAIN);
            }
        } else if end.failure.is_some() {
            self.fail(end);
        } else {
            tracing::info!(query = self.query.status.query(), partition = %place.1, "this partition is not read here any more");
            // It was given again while its lane ended.
            if self.owned.contains(&place) && !self.stopping {
                self.again.insert(place.clone(), Instant::now());
            }
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
        self.follow();
        self.glance();
        let parts = self.query.status.parts();
        let waiting = parts.iter().find_map(|part| match part.phase().0 {
            Phase::Waiting(why) => Some(why),
            _ => None,
        });
        let mut inputs = self.opened.all_inputs();
        let doubted = inputs.find_map(|input| match input.source.health() {
            Health::Doubted(why) => Some(why),
            Health::Up | Health::Down(_) => None,
        });
        match doubted.or(waiting) {
            Some(why) => self.query.status.waiting(&why),
            None if parts.iter().all(|part| part.phase().0 == Phase::Running) => {
                self.query.status.running();
            }
            None => {}
        }
    }

    /// Follows the chains of partitions that this process stands by for, aside.
    fn follow(&mut self) {
        let following = self.following.as_ref();
        let query = self.query;
        let replicas = query.group.as_ref().map_or(0, |group| group.standby);
        if replicas == 0 || following.is_some_and(|look| !look.is_finished()) {
            return;
        }
        let bytes = i64::try_from(self.standby.bytes()).unwrap_or(i64::MAX);
        query.status.metrics().standby_bytes.set(bytes);
        let (this, opened) = (Arc::clone(query), Arc::clone(self.opened));
        let (start, standby) = (Arc::clone(&self.start), Arc::clone(&self.standby));
        let owned = self.owned.clone();
        let look = query.host.workers.run(move || {
            if let Some(group) = &this.group {
                standby.look(&this, group, &opened, &start, &owned);
            }
        });
        self.following = Some(tokio::task::spawn_local(async move {
            look.await;
        }));
    }

    /// Looks at what others read, aside, while somebody asks.
    fn glance(&mut self) {
        let glancing = self.glancing.as_ref();
        let query = self.query;
        if !query.status.glance().wanted() || glancing.is_some_and(|look| !look.is_finished()) {
            return;
        }
        let (this, opened) = (Arc::clone(query), Arc::clone(self.opened));
        let (start, owned) = (Arc::clone(&self.start), self.owned.clone());
        let look = query.host.workers.run(move || {
            if let Some(group) = &this.group {
                elsewhere::look(&this, group, &opened, &start, &owned);
            }
        });
        self.glancing = Some(tokio::task::spawn_local(async move {
            look.await;
        }));
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
