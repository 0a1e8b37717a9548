//! An input that several processes share: the group's protocol says which partitions each of them reads.
//!
//! A client of its own is the member of the group, and reads nothing: the library holds up all partitions of a client while
//! its group rebalances, and those that stay here should flow on. What the group gives is read by the input's consumer, as
//! partitions that are assigned by hand are.
//!
//! The member is a static one under the process's name, so that a process that comes back within the session timeout finds
//! its partitions where they were. Assignment is cooperative: partitions move one by one.
//!
//! | the group says | here |
//! | --- | --- |
//! | these partitions too | answered at once; each is read from where its chain goes on |
//! | these no more | answered when their lanes have ended: until then they are still ours |
//!
//! A group is one job's. Who else is in it is looked for before this process joins, and once more when it is given the first
//! partitions, because two jobs may join at the same moment; a stranger that comes later is told of.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::source::{Ownership, TellOwnership};

use super::client::{Client, Event, Queue, Role, take_error};
use super::codes::Code;
use super::consumer::Shared;
use super::group::{self, GroupView};
use super::nudge::{self, Lookout};
use super::options::{Connection, SOCKET_TIMEOUT};
use super::partition_list::PartitionList;
use super::starting::{Place, partition_name};
use super::strangers::Kin;

/// In a list of topics: the partition does not matter.
const ANY_PARTITION: i32 = -1;
/// How long the group has to take note that this member leaves; afterwards it notices by itself, when the session ends.
const LEAVE: Duration = Duration::from_secs(5);
/// How often the group is asked whether it has.
const LEFT: Duration = Duration::from_millis(20);
/// How long after the end of a session its member is gone for sure.
const GONE: Duration = Duration::from_secs(2);
/// Milliseconds that the broker has to say which brokers there are.
const BROKERS_TOLD: i32 = 500;
/// Milliseconds that the group waits for a member that says nothing, unless the input's options say otherwise.
const SESSION: &str = "45000";
/// Milliseconds between two heartbeats, unless the input's options say otherwise.
const HEARTBEAT: &str = "1000";
/// The client sends a heartbeat when it is due and something wakes it, and a client that reads nothing is woken twice in a second.
/// So it is woken so many times between two heartbeats: what the group has to say waits for the heartbeat, and no longer.
const WAKES: i32 = 10;

/// A process as a member of its group.
pub(super) struct Member {
    client: Arc<Client>,
    queue: Queue,
    tell: TellOwnership,
    connection: Connection,
    group: String,
    name: SmolStr,
    kin: Kin,
    /// Whether the group was looked at since this member is in it.
    looked: AtomicBool,
    /// Whether the group has given its name to somebody else, who may live.
    doubted: AtomicBool,
    /// Whether a stranger in the group was told of.
    told: AtomicBool,
    /// All ids that the group has given to this member so far.
    ids: Mutex<BTreeSet<SmolStr>>,
    /// Partitions were taken, and the group waits until it is told that their lanes have ended.
    unanswered: AtomicBool,
    /// What the group has to share out.
    all: BTreeSet<Place>,
    lookout: Mutex<Lookout>,
    leaving: AtomicBool,
    stopping: AtomicBool,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Member {
    /// Joins the group for these topics. `shared` is of the consumer that reads what the group gives.
    pub(super) fn join(
        connection: &Connection,
        (group, name, kin): (&str, &str, Kin),
        all: BTreeSet<Place>,
        tell: TellOwnership,
        shared: &Arc<Shared>,
    ) -> Result<(), Failure> {
        let configuration = connection.configuration(
            &[
                ("session.timeout.ms", SESSION),
                ("heartbeat.interval.ms", HEARTBEAT),
                ("reconnect.backoff.ms", "20"),
                ("reconnect.backoff.max.ms", "500"),
                ("retry.backoff.ms", "20"),
                ("retry.backoff.max.ms", "200"),
                ("socket.nagle.disable", "true"),
                SOCKET_TIMEOUT,
                ("log.connection.close", "false"),
            ],
            &[
                ("client.id", &kin.client_id()),
                ("group.id", group),
                ("group.instance.id", name),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let client = Client::new(Role::Member, configuration)?;
        let member = Arc::new(Self {
            queue: Queue::consumer(&client),
            client,
            tell,
            connection: connection.clone(),
            group: group.to_owned(),
            name: name.into(),
            kin,
            looked: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            told: AtomicBool::new(false),
            ids: Mutex::default(),
            unanswered: AtomicBool::new(false),
            all,
            lookout: Mutex::default(),
            leaving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            thread: Mutex::default(),
        });
        if shared.member.set(Arc::clone(&member)).is_err() {
            return Err(Failure::restart(
                "the input has joined its group twice: a bug",
            ));
        }
        let topics: BTreeSet<&str> = member.all.iter().map(|(topic, _)| topic.as_str()).collect();
        subscribe(&member.client, topics)?;
        let (own, of) = (Arc::clone(&member), Arc::downgrade(shared));
        let thread = std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(carrying(move || own.serve(&of)))
            .map_err(|error| Failure::restart(format!("no thread for the Kafka group: {error}")))?;
        *member.thread.lock() = Some(thread);
        Ok(())
    }

    /// The id that the group has given to this member; None while it is about to join. The group takes no positions from one without, and
    /// would take it for another of its name.
    pub(super) fn id(&self) -> Option<SmolStr> {
        // SAFETY: a live handle; the text is copied and freed once.
        unsafe {
            let id = sys::rd_kafka_memberid(self.client.native());
            if id.is_null() {
                return None;
            }
            let known = SmolStr::new(CStr::from_ptr(id).to_string_lossy());
            sys::rd_kafka_mem_free(self.client.native(), id.cast());
            (!known.is_empty()).then_some(known)
        }
    }

    /// The name of its process.
    pub(super) fn name(&self) -> &SmolStr {
        &self.name
    }

    /// Its group, as its coordinator sees it now; None where it cannot be had.
    pub(super) fn view(&self) -> Option<GroupView> {
        group::view(&self.client, &self.group)
    }

    /// The lanes of what was taken have ended: the group, where it waits for that, is told so.
    pub(super) fn let_go(&self) -> Result<(), Failure> {
        if self.unanswered.swap(false, Ordering::AcqRel) {
            answer(&self.client, false)?;
        }
        Ok(())
    }

    /// Its client and the queue of its events.
    pub(super) fn parts(&self) -> (&Arc<Client>, &Queue) {
        (&self.client, &self.queue)
    }

    /// Ends its thread. The group is not left: who comes back under this name finds its partitions.
    pub(super) fn close(&self) {
        self.stopping.store(true, Ordering::Release);
        self.queue.wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(target: "kafka", "the thread of the Kafka group has panicked");
        }
    }

    /// Leaves the group, so that the others share out at once what this member had. Its lanes have ended. Returns when the group
    /// has taken note.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
        // What was taken before waits for an answer no more.
        let _ = self.let_go();
        // A static member does not leave when its client ends, but when it wants nothing any more.
        // SAFETY: a live handle.
        let code = Code::from(unsafe { sys::rd_kafka_unsubscribe(self.client.native()) });
        let until = Instant::now() + LEAVE;
        while code == Code::OK && Instant::now() < until {
            if self
                .view()
                .is_some_and(|view| !view.members.contains_key(&self.name))
            {
                tracing::info!(target: "kafka", "the group {} is left", self.group);
                return;
            }
            std::thread::sleep(LEFT);
        }
        tracing::warn!(target: "kafka", "the group {} does not say that it was left: the others take over when the session of this member ends", self.group);
    }

    fn serve(&self, of: &Weak<Shared>) {
        let patience = self.patience();
        while !self.stopping.load(Ordering::Acquire) {
            let event = self.queue.poll(patience);
            if event.is_none() {
                // Any question does.
                self.id();
            }
            let Some(shared) = of.upgrade() else {
                return;
            };
            let noticed = event.map_or(Ok(()), |event| self.notice(&event, &shared));
            drop(shared);
            self.look();
            let Some(shared) = of.upgrade() else {
                return;
            };
            if let Err(failure) = noticed.and_then(|()| self.healthy()) {
                shared.fail(failure);
            }
        }
    }

    /// Milliseconds that the member's thread waits for an event before it wakes the client.
    fn patience(&self) -> i32 {
        let heartbeat = self.connection.property("heartbeat.interval.ms");
        let heartbeat: i32 = heartbeat.unwrap_or(HEARTBEAT).parse().unwrap_or(1_000);
        (heartbeat / WAKES).clamp(10, 1_000)
    }

    /// After a start: whether the group has left partitions to nobody.
    fn look(&self) {
        if !self.lookout.lock().due(Instant::now()) {
            return;
        }
        let view = self.view();
        self.tell_of_strangers(view.as_ref());
        let owned = view.and_then(|view| view.owned());
        let mut lookout = self.lookout.lock();
        let left = lookout.saw(owned.as_ref(), &self.all, Instant::now());
        drop(lookout);
        if left {
            tracing::info!(target: "kafka", "the group {} has left partitions to nobody: it is made to share them out again", self.group);
            // Aside: the round asks this member too.
            let (connection, group) = (self.connection.clone(), self.group.clone());
            let kin = self.kin.clone();
            let aside = std::thread::Builder::new().name("kafka-nudge".to_owned());
            let aside = aside.spawn(carrying(move || {
                if let Err(failure) = nudge::come_and_go(&connection, &group, &kin) {
                    tracing::warn!(target: "kafka", "the group cannot be made to share out its partitions: {failure}");
                }
            }));
            if let Err(error) = aside {
                tracing::warn!(target: "kafka", "no thread for a look after the group: {error}");
            }
        }
    }

    /// Says once that somebody has joined who does not belong here. This process reads on: it was here first.
    fn tell_of_strangers(&self, view: Option<&GroupView>) {
        let stranger = view.and_then(|view| self.kin.stranger(view, Some(&self.name)));
        if let Some(stranger) = stranger
            && !self.told.swap(true, Ordering::AcqRel)
        {
            tracing::warn!(target: "kafka", "the group {} is used by others too, partitions that they are given are not read by this job: {stranger}", self.group);
        }
    }

    /// Once, before the first partition is read: nobody has joined at the same moment who does not belong here. Else this process goes.
    fn among_strangers(&self) -> Option<Failure> {
        if self.looked.swap(true, Ordering::AcqRel) {
            return None;
        }
        let view = self.view()?;
        let stranger = self.kin.stranger(&view, Some(&self.name))?;
        self.leaving.store(true, Ordering::Release);
        let _ = answer(&self.client, true);
        // SAFETY: a live handle.
        unsafe { sys::rd_kafka_unsubscribe(self.client.native()) };
        Some(self.kin.refusal(&self.group, &stranger))
    }

    fn notice(&self, event: &Event, shared: &Shared) -> Result<(), Failure> {
        match event.kind() {
            sys::RD_KAFKA_EVENT_REBALANCE => return self.rebalanced(event),
            sys::RD_KAFKA_EVENT_OFFSET_COMMIT => shared.committed(event),
            sys::RD_KAFKA_EVENT_ERROR => {
                tracing::debug!(target: "kafka", "group: {}", event.error_text());
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the client is still of use. Not every failure of a member comes as an event.
    fn healthy(&self) -> Result<(), Failure> {
        let Some((code, reason)) = self.client.fatal() else {
            return Ok(());
        };
        // It takes a session to be sure: what the other one has claimed meanwhile must not be taken back from it.
        if code == Code::FENCED_INSTANCE_ID {
            self.doubted.store(true, Ordering::Release);
            (self.tell)(Ownership::Doubted);
        }
        Err(match code {
            Code::FENCED_INSTANCE_ID if self.is_held_by_another() => Failure::end(
                "another process has joined the group as the member of this name: each process needs its own, see --member",
            ),
            Code::FENCED_INSTANCE_ID => Failure::restart(
                "the Kafka group does not know this member any more, and does not say that another process has its name",
            ),
            _ => Failure::restart(format!("the Kafka client has failed for good: {reason}")),
        })
    }

    /// Whether the group has taken this member's name away, and it is being asked who has it now.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Ordering::Acquire)
    }

    /// Whether another process lives under this member's name. A broker may also take this one for another; and an id that was lost
    /// with an answer to this member, or with a process that died under its name, is there until its session ends. Who is there after
    /// that lives. Blocks until that is sure.
    fn is_held_by_another(&self) -> bool {
        let until = Instant::now() + session(&self.connection) + GONE;
        while !self.stopping.load(Ordering::Acquire) {
            // Asked after that moment, not answered: a broker that is away is slow to say that it says nothing.
            let sure = Instant::now() >= until;
            match self.view() {
                Some(view) => {
                    let holder = view.members.get(&self.name);
                    if holder.is_none_or(|holder| self.ids.lock().contains(&holder.id)) {
                        return false;
                    }
                    if sure {
                        return true;
                    }
                }
                // Nobody says so: the next run asks again.
                None if sure => return false,
                None => {}
            }
            std::thread::sleep(GONE / 4);
        }
        false
    }

    /// The group has changed what this process is to read.
    fn rebalanced(&self, event: &Event) -> Result<(), Failure> {
        let places = event.partitions().into_iter();
        let names: Vec<SmolStr> = places
            .map(|entry| partition_name(&entry.topic, entry.partition))
            .collect();
        match event.error() {
            Code::ASSIGN_PARTITIONS => {
                if let Some(refusal) = self.among_strangers() {
                    return Err(refusal);
                }
                // Whoever had them has let go of them: they wait for nothing but us.
                (self.tell)(Ownership::Given(names));
                self.ids.lock().extend(self.id());
                answer(&self.client, true)?;
                no_backoff(&self.client);
                self.lookout.lock().given(Instant::now());
            }
            // Their lanes have ended.
            Code::REVOKE_PARTITIONS if self.leaving.load(Ordering::Acquire) => {
                answer(&self.client, false)?;
            }
            Code::REVOKE_PARTITIONS => {
                // SAFETY: a live handle.
                let lost = unsafe { sys::rd_kafka_assignment_lost(self.client.native()) } != 0;
                self.unanswered.store(!lost, Ordering::Release);
                (self.tell)(Ownership::Taken(names));
                // They are ours no more, whatever their lanes do: the chain tells them. And a static member whose session was lost
                // has forgotten who it is: until it has joined again each of its heartbeats would be taken for another's.
                if lost {
                    answer(&self.client, false)?;
                    no_backoff(&self.client);
                }
            }
            code => {
                return Err(Failure::restart(format!(
                    "the Kafka group cannot assign partitions: {}",
                    code.describe()
                )));
            }
        }
        Ok(())
    }
}

/// How long the group waits for a member that says nothing.
pub(super) fn session(connection: &Connection) -> Duration {
    let millis = connection.property("session.timeout.ms").unwrap_or(SESSION);
    Duration::from_millis(millis.parse().unwrap_or(45_000))
}

/// Joins the group of a client for these topics.
pub(super) fn subscribe<'t>(
    client: &Client,
    topics: impl IntoIterator<Item = &'t str>,
) -> Result<(), Failure> {
    let mut list = PartitionList::new();
    for topic in topics {
        list.add(topic, ANY_PARTITION, 0, None)?;
    }
    // SAFETY: a live handle and list; the client copies the list.
    match Code::from(unsafe { sys::rd_kafka_subscribe(client.native(), list.native()) }) {
        Code::OK => Ok(()),
        code => Err(Failure::restart(format!(
            "the Kafka client cannot join the group: {}",
            code.describe()
        ))),
    }
}

/// Lets the client join the next round at once. Between two joins it would wait for a second, and a partition that moves needs two
/// rounds: it would belong to nobody for that time. What the broker says of itself ends the wait.
fn no_backoff(client: &Client) {
    let mut told = ptr::null();
    // SAFETY: a live handle; the answer is not looked at, and destroyed once. Where none comes in time, the wait takes its course.
    unsafe {
        sys::rd_kafka_metadata(
            client.native(),
            0,
            ptr::null_mut(),
            &raw mut told,
            BROKERS_TOLD,
        );
        if !told.is_null() {
            sys::rd_kafka_metadata_destroy(told);
        }
    }
}

/// Tells the group that what it said is done. The client itself is given nothing to read.
pub(super) fn answer(client: &Client, given: bool) -> Result<(), Failure> {
    let nothing = PartitionList::new();
    // SAFETY: a live handle and list; the returned error is consumed.
    let done = unsafe {
        take_error(if given {
            sys::rd_kafka_incremental_assign(client.native(), nothing.native())
        } else {
            sys::rd_kafka_incremental_unassign(client.native(), nothing.native())
        })
    };
    done.map_err(|(_, reason)| {
        Failure::restart(format!(
            "the Kafka client cannot answer the group: {reason}"
        ))
    })
}
