//! The consumer of one input: assigns partitions, serves the client's events on a thread of its own, commits positions.
//!
//! Each partition has a queue of its own, split before the partition is first assigned, and a [`Lane`] that its reader
//! and this thread share. A record that appears on the consumer's own queue has escaped its split and fails the run.

mod committing;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Health;

use super::assignment::{Assignment, Call, Wish};
use super::budget::Budget;
use super::client::{Client, Event, Queue, Role, take_error};
use super::codes::Code;
use super::commits::Commits;
use super::lane::Lane;
use super::lease::{Lease, stood_still};
use super::membership::Member;
use super::options::{Connection, SOCKET_TIMEOUT};
use super::partition_list::PartitionList;
use super::scout::Scout;
use super::starting::Place;
use super::statistics::Statistics;

/// Readers are woken at least this often: a wake-up that was lost costs no more.
const SAFETY_PERIOD: Duration = Duration::from_secs(1);
/// The usual [`Limits::stall_after`].
pub(crate) const STALL_AFTER: Duration = Duration::from_secs(10);

/// How much the consumer may hold, by the number of its partitions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Partitions that will be read.
    pub(crate) partitions: usize,
    /// `maxOffsetsPerTrigger`.
    pub(crate) max_offsets: Option<u64>,
    /// The trigger's interval; None when continuous.
    pub(crate) trigger: Option<Duration>,
    /// A reader that asks this long in vain while its partition holds more is stalled.
    pub(crate) stall_after: Duration,
}

/// What is wished of the client's assignment, and the readers that wait for it.
#[derive(Default)]
struct Wishes {
    list: Vec<Wish>,
    waiting: Vec<(Arc<Lane>, u64)>,
}

/// Offsets of partitions, each with its witness.
type Positions = BTreeMap<Place, (i64, String)>;

/// What readers and the thread share.
pub(crate) struct Shared {
    pub(crate) client: Arc<Client>,
    queue: Queue,
    servers: String,
    wishes: Mutex<Wishes>,
    failed: Mutex<Option<Failure>>,
    failing: AtomicBool,
    lanes: Mutex<BTreeMap<SmolStr, Arc<Lane>>>,
    /// Where partitions end, once that was told.
    ends: Mutex<BTreeMap<SmolStr, i64>>,
    health: Mutex<Health>,
    pub(crate) budget: Option<Budget>,
    commits: Mutex<Commits<Positions>>,
    /// What the last answer to a commit was.
    refused: Mutex<Code>,
    /// The client that is a member of the group, where processes share the input: it commits.
    pub(super) member: OnceLock<Arc<Member>>,
    /// Where processes share the input, joined or accompanied: how long this one may stand still.
    pub(super) lease: OnceLock<Lease>,
    /// No commit is under way any more, or its answer is not to be awaited: the broker is away.
    settled: Condvar,
    stopping: AtomicBool,
    stall_after: Duration,
    began: Instant,
}

/// The consumer of one input.
pub(crate) struct Consumer {
    pub(crate) shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Consumer {
    /// Makes the client and starts its thread.
    pub(crate) fn start(
        connection: &Connection,
        group: &str,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let client = Client::new(Role::Consumer, configuration(connection, group, limits)?)?;
        let shared = Arc::new(Shared {
            queue: Queue::consumer(&client),
            client,
            servers: connection.servers.clone(),
            wishes: Mutex::default(),
            failed: Mutex::default(),
            failing: AtomicBool::new(false),
            lanes: Mutex::default(),
            ends: Mutex::default(),
            health: Mutex::new(Health::Up),
            budget: limits
                .max_offsets
                .map(|quota| Budget::new(quota, limits.trigger, Instant::now())),
            commits: Mutex::default(),
            refused: Mutex::new(Code::OK),
            member: OnceLock::new(),
            lease: OnceLock::new(),
            settled: Condvar::new(),
            stopping: AtomicBool::new(false),
            stall_after: limits.stall_after,
            began: Instant::now(),
        });
        let thread = std::thread::Builder::new()
            .name("kafka-source".to_owned())
            .spawn(carrying({
                let shared = Arc::clone(&shared);
                move || shared.serve()
            }))
            .map_err(|error| {
                Failure::restart(format!("no thread for the Kafka source: {error}"))
            })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Lets the client learn the partitions of topics. It must know them before their queues are split: its record of a
    /// partition that it only presumes goes with the first assignment.
    pub(crate) fn learn(&self, topics: &[&str]) -> Result<(), Failure> {
        self.scout().topics(topics).map(|_| ())
    }

    /// Questions by the consumer's own connection.
    pub(crate) fn scout(&self) -> Scout {
        Scout::with(&self.shared.client, &self.shared.servers)
    }

    /// Commits positions in the background, when it is time.
    pub(crate) fn commit(&self, positions: Positions) {
        // Lanes of a shared input commit each for itself.
        let newest = |mut kept: Positions, positions| {
            kept.extend(positions);
            kept
        };
        self.shared.commits.lock().keep(positions, newest);
        self.shared.commit_due();
    }

    /// Whether brokers answer, and the group has this process.
    pub(crate) fn health(&self) -> Health {
        if self
            .shared
            .member
            .get()
            .is_some_and(|member| member.is_doubted())
        {
            return Health::Doubted(
                "the Kafka group has taken this member's name away: another process may have it"
                    .to_owned(),
            );
        }
        self.shared.health.lock().clone()
    }

    /// Records behind the end, where a fetch has told the end.
    pub(crate) fn lag(&self) -> Vec<(SmolStr, i64)> {
        self.shared
            .lanes
            .lock()
            .iter()
            .filter_map(|(name, lane)| {
                let end = lane.stable_end.load(Ordering::Relaxed);
                (end >= 0 && lane.read.load(Ordering::Relaxed)).then(|| {
                    let position = lane.position.load(Ordering::Relaxed);
                    (name.clone(), (end - position).max(0))
                })
            })
            .collect()
    }

    /// The watchdog: a reader that has asked for [`Limits::stall_after`] while its partition holds records is sought anew once;
    /// if that does not help either, the run fails.
    pub(crate) fn watch(&self) -> Result<(), Failure> {
        let now = self.shared.millis();
        let waiting: Vec<Arc<Lane>> = self
            .shared
            .lanes
            .lock()
            .values()
            .filter(|lane| {
                lane.asking.load(Ordering::Relaxed)
                    && now.saturating_sub(lane.moved_at.load(Ordering::Relaxed))
                        > self.shared.stall_after.as_millis() as u64
            })
            .cloned()
            .collect();
        if waiting.is_empty() || self.shared.budget.is_some() {
            return Ok(());
        }
        let asked = waiting
            .iter()
            .map(|lane| (lane.place(), super::scout::LATEST))
            .collect();
        // A broker that is away is no stall.
        let Ok(ends) = self.scout().offsets(&asked, true) else {
            return Ok(());
        };
        for lane in waiting {
            let position = lane.position.load(Ordering::Relaxed);
            let end = ends.get(&lane.place()).copied().unwrap_or(position);
            let still = lane.asking.load(Ordering::Relaxed)
                && lane.position.load(Ordering::Relaxed) == position;
            if end <= position || !still {
                lane.moved_at.store(now, Ordering::Relaxed);
                continue;
            }
            let (topic, partition) = lane.place();
            if lane.sought.swap(true, Ordering::Relaxed) {
                return Err(Failure::restart(format!(
                    "{topic}/{partition} stands at offset {position} although the topic goes to {end}, and reading it anew \
                     did not help"
                )));
            }
            tracing::warn!(target: "kafka", "{topic}/{partition} stands at offset {position} although the topic goes to {end}: reading it anew");
            lane.moved_at.store(now, Ordering::Relaxed);
            self.shared.assign_anew(&lane, position);
        }
        Ok(())
    }

    /// Leaves the group that the input is shared in.
    pub(super) fn leave(&self) {
        // Who has left can commit no positions.
        self.last_commit();
        if let Some(member) = self.shared.member.get() {
            member.leave();
        }
    }

    /// Ends the thread; the client goes with the last reader.
    pub(crate) fn close(&self) {
        self.last_commit();
        self.shared.stopping.store(true, Ordering::Release);
        self.shared.queue.wake();
        if let Some(member) = self.shared.member.get() {
            member.close();
        }
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(target: "kafka", "the thread of the Kafka source has panicked");
        }
        self.shared.lanes.lock().clear();
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.close();
    }
}

/// The configuration of a consumer that reads nothing.
pub(super) fn trial(connection: &Connection) -> Result<super::client::Configuration, Failure> {
    let limits = Limits {
        partitions: 1,
        max_offsets: None,
        trigger: None,
        stall_after: STALL_AFTER,
    };
    configuration(connection, "thalweg", limits)
}

fn configuration(
    connection: &Connection,
    group: &str,
    limits: Limits,
) -> Result<super::client::Configuration, Failure> {
    let n = limits.partitions.max(1);
    let kbytes = (32_768 / n).clamp(64, 8_192).to_string();
    let messages = (12_000 / n).clamp(50, 3_000).to_string();
    let per_partition = (2 * 1_048_576 / n).clamp(65_536, 1_048_576).to_string();
    // Each request names every partition, so with many of them fewer requests are made while nothing comes. A record
    // that comes is answered at once in any case.
    let wait = if n <= 64 { "50" } else { "100" };
    let statistics = if n <= 64 { "1000" } else { "5000" };
    connection.configuration(
        &[
            ("fetch.min.bytes", "1"),
            ("fetch.wait.max.ms", wait),
            ("fetch.error.backoff.ms", "20"),
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.message.max.bytes", &per_partition),
            ("fetch.max.bytes", "8388608"),
            ("queued.max.messages.kbytes", &kbytes),
            ("queued.min.messages", &messages),
            ("isolation.level", "read_committed"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "500"),
            ("retry.backoff.ms", "20"),
            ("retry.backoff.max.ms", "200"),
            ("topic.metadata.refresh.fast.interval.ms", "50"),
            ("socket.nagle.disable", "true"),
            SOCKET_TIMEOUT,
            ("log.connection.close", "false"),
            ("client.id", "thalweg"),
        ],
        &[
            ("group.id", group),
            ("statistics.interval.ms", statistics),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("allow.auto.create.topics", "false"),
        ],
    )
}

impl Shared {
    /// Milliseconds since the consumer began.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A reader enters: splits the partition's queue if it is the first. Gives the lane and the number of the turn.
    pub(crate) fn enter(
        &self,
        name: &SmolStr,
        topic: &str,
        partition: i32,
        from: i64,
    ) -> Result<(Arc<Lane>, u64), Failure> {
        let mut lanes = self.lanes.lock();
        let lane = match lanes.get(name) {
            Some(lane) => Arc::clone(lane),
            None => {
                let lane = Lane::new(&self.client, topic, partition)?;
                lanes.insert(name.clone(), Arc::clone(&lane));
                lane
            }
        };
        if let Some(end) = self.ends.lock().get(name) {
            lane.until.store(*end, Ordering::Release);
        }
        let turn = lane.enter(from);
        Ok((lane, turn))
    }

    /// Tells the readers, those that enter later too, where their partitions end.
    pub(crate) fn end_at(&self, ends: BTreeMap<SmolStr, i64>) {
        let lanes = self.lanes.lock();
        for (name, end) in &ends {
            if let Some(lane) = lanes.get(name) {
                lane.until.store(*end, Ordering::Release);
                lane.waker.wake();
            }
        }
        *self.ends.lock() = ends;
        drop(lanes);
    }

    /// Asks for the assignment of an entered partition; its reader is served and woken when it is done.
    pub(crate) fn assign(&self, lane: &Arc<Lane>, turn: u64, from: i64) {
        let mut wishes = self.wishes.lock();
        wishes.list.push(Wish::Assign(lane.place(), from));
        wishes.waiting.push((Arc::clone(lane), turn));
        drop(wishes);
        self.queue.wake();
    }

    /// Begins an assigned partition anew at an offset.
    pub(crate) fn assign_anew(&self, lane: &Lane, from: i64) {
        self.wish(Wish::Assign(lane.place(), from));
    }

    /// A reader leaves. Another one may have entered since; its assignment stays.
    pub(crate) fn leave(&self, lane: &Lane, turn: u64) {
        let lanes = self.lanes.lock();
        if lane.leave(turn) {
            self.wish(Wish::Unassign(lane.place()));
        }
        drop(lanes);
    }

    fn wish(&self, wish: Wish) {
        self.wishes.lock().list.push(wish);
        self.queue.wake();
    }

    /// The failure that ends the run, if there is one.
    pub(crate) fn failure(&self) -> Option<Failure> {
        if self.failing.load(Ordering::Acquire) {
            self.failed.lock().clone()
        } else {
            None
        }
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.failed.lock().get_or_insert(failure);
        self.failing.store(true, Ordering::Release);
        self.wake_all();
    }

    fn wake_all(&self) {
        for lane in self.lanes.lock().values() {
            lane.waker.wake();
        }
    }

    /// The thread.
    fn serve(&self) {
        let (mut woken, mut filled, mut carried) = (Instant::now(), Instant::now(), 0.0);
        let mut due = self.budget.as_ref().map(|budget| budget.due(filled));
        let mut assignment = Assignment::default();
        while !self.stopping.load(Ordering::Acquire) {
            if let Some(lease) = self.lease.get()
                && !lease.renew(self.millis())
            {
                self.fail(stood_still());
            }
            self.obey(&mut assignment);
            let wait = due.map_or(SAFETY_PERIOD, |due| {
                due.saturating_duration_since(Instant::now())
            });
            let timeout = wait.min(SAFETY_PERIOD).as_millis().max(1) as i32;
            if let Some(event) = self.queue.poll(timeout) {
                self.notice(&event);
            }
            let now = Instant::now();
            if let (Some(budget), Some(at)) = (&self.budget, &mut due)
                && now >= *at
            {
                if budget.fill(now, now - filled, &mut carried) {
                    self.wake_all();
                }
                (filled, *at) = (now, budget.due(now));
            }
            if woken.elapsed() >= SAFETY_PERIOD {
                self.commit_due();
                self.wake_all();
                woken = Instant::now();
            }
        }
    }

    /// Carries out what is wished.
    fn obey(&self, assignment: &mut Assignment) {
        let wishes = std::mem::take(&mut *self.wishes.lock());
        for call in assignment.calls(wishes.list) {
            if let Err(failure) = self.change(call) {
                self.fail(failure);
            }
        }
        for (lane, turn) in wishes.waiting {
            lane.ready.store(turn, Ordering::Release);
            lane.waker.wake();
        }
    }

    fn change(&self, call: Call) -> Result<(), Failure> {
        let mut list = PartitionList::new();
        let assigns = matches!(call, Call::Assign(_));
        match call {
            Call::Assign(places) => {
                for ((topic, partition), offset) in places {
                    list.add(&topic, partition, offset, None)?;
                }
            }
            Call::Unassign(places) => {
                for (topic, partition) in places {
                    list.add(&topic, partition, 0, None)?;
                }
            }
        }
        // SAFETY: a live handle and list; the returned error is consumed.
        let done = unsafe {
            take_error(if assigns {
                sys::rd_kafka_incremental_assign(self.client.native(), list.native())
            } else {
                sys::rd_kafka_incremental_unassign(self.client.native(), list.native())
            })
        };
        done.map_err(|(_, reason)| {
            Failure::restart(format!(
                "the Kafka client cannot assign partitions: {reason}"
            ))
        })
    }

    fn notice(&self, event: &Event) {
        match event.kind() {
            sys::RD_KAFKA_EVENT_STATS => self.measure(&Statistics::read(event.statistics())),
            sys::RD_KAFKA_EVENT_ERROR => self.notice_error(event.error(), &event.error_text()),
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => self.committed(event),
            sys::RD_KAFKA_EVENT_FETCH => self.fail(Failure::restart(
                "the Kafka client has put a record on the consumer's own queue: a partition has lost its queue",
            )),
            _ => {}
        }
    }

    fn notice_error(&self, code: Code, text: &str) {
        match code {
            Code::FATAL => {
                let reason = self
                    .client
                    .fatal()
                    .map_or_else(|| text.to_owned(), |(_, reason)| reason);
                self.fail(Failure::restart(format!(
                    "the Kafka client has failed for good: {reason}"
                )));
            }
            Code::ALL_BROKERS_DOWN => {
                self.set_health(self.down());
            }
            Code::AUTHENTICATION | Code::SSL | Code::RESOLVE => {
                tracing::warn!(target: "kafka", "{}: {text}", self.servers);
            }
            _ => tracing::debug!(target: "kafka", "{}: {text}", code.name()),
        }
    }

    fn down(&self) -> Health {
        Health::Down(format!("no Kafka broker at {} answers", self.servers))
    }

    fn set_health(&self, health: Health) {
        let away = health != Health::Up;
        *self.health.lock() = health;
        if away {
            self.settle();
        }
    }

    fn measure(&self, statistics: &Statistics) {
        let answered = statistics.any_answers();
        self.client.hear(answered, &self.servers);
        if let Some(member) = self.member.get() {
            member.parts().0.hear(answered, &self.servers);
        }
        self.set_health(if answered { Health::Up } else { self.down() });
        let lanes = self.lanes.lock();
        for lane in lanes.values() {
            let told = statistics.topics.get(&lane.topic).and_then(|topic| {
                topic
                    .partitions
                    .get(itoa::Buffer::new().format(lane.partition))
            });
            if let Some(told) = told {
                lane.stable_end.store(told.ls_offset, Ordering::Relaxed);
            }
        }
    }
}
