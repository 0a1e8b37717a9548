//! The producer of one output: hands batches over, takes acknowledgements, bounds what is on its way.
//!
//! All writers of a query share it. Each output partition has a [`Window`] with a gate; rows come from the lanes'
//! threads, acknowledgements from the producer's own, which also hands over what was held meanwhile.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka_sys as sys;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::{DeliveryObserver, Readiness};
use thalweg_engine::source::Health;

use super::client::{Client, Event, Queue, Role, code_of};
use super::codes::Code;
use super::delivery_errors::{failure, fatal};
use super::inquiry::Inquiry;
use super::layout::Staged;
use super::options::Connection;
use super::outlet_settings::{CLIENT_MAX, Found, ask, configuration, limits, number, slots};
use super::questions::metadata;
use super::scout::Scout;
use super::statistics::Statistics;
use super::target::{Brokers, Flight, Target, Window};

/// Bytes taken and not yet acknowledged, with their bookkeeping, from which on writers are full.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// What a row costs beyond its bytes while the client holds it.
const ROW_COST: usize = 200;
/// How long `close` waits for the client to let go of purged records.
const PURGE_WAIT: Duration = Duration::from_secs(5);

/// The producer of one output.
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What writers and the producer's thread share.
pub(crate) struct Shared {
    client: Mutex<Option<Arc<Client>>>,
    servers: String,
    targets: RwLock<HashMap<String, Arc<Target>>>,
    /// Where a column names the topics; None where the option does.
    inquiry: Option<Inquiry>,
    client_max: usize,
    brokers: Arc<Brokers>,
    rows: AtomicU64,
    busy: AtomicUsize,
    failed: Mutex<Option<Failure>>,
    failing: AtomicBool,
    /// What is not acknowledged is given up from now on.
    closing: AtomicBool,
    /// The thread may end.
    stopping: AtomicBool,
    drains: Mutex<Vec<Waker>>,
    observers: RwLock<Vec<Arc<dyn DeliveryObserver>>>,
    health: Mutex<Health>,
    delivery_timeout: Duration,
    began: Instant,
}

/// An idempotent producer asks for its id when it is made, in vain because it is not connected yet, and again only after
/// half a second or when metadata arrives: so metadata is asked for, and once more for the connection made by the first.
/// Saves half a second of every start.
fn introduce(client: &Client) {
    for _ in 0..3 {
        if metadata(client, false, Duration::from_secs(1)).is_err() {
            // Whether brokers answer was asked before; the producer goes on trying by itself.
            return;
        }
    }
}

impl Outlet {
    /// Asks for the topic, where an option names it, and starts the producer.
    ///
    /// # Errors
    /// `Restart` when no broker answers, `End` when the topic is missing or may not be seen.
    pub(crate) fn open(
        connection: &Connection,
        topic: Option<&str>,
        delivery_timeout: Duration,
    ) -> Result<Self, Failure> {
        let scout = Scout::connect(connection, "thalweg")?;
        let wished = number(connection.property("message.max.bytes"));
        let found = topic.map(|name| ask(&scout, name)).transpose()?;
        // What the topic takes, unless the user wishes for less.
        let allowed = found.as_ref().and_then(|found| found.max);
        let client_max = wished.into_iter().chain(allowed).min();
        let client_max = client_max.unwrap_or(CLIENT_MAX);
        let client = Client::new(Role::Producer, configuration(connection, client_max)?)?;
        let shared = Arc::new(Shared {
            servers: connection.servers.clone(),
            targets: RwLock::default(),
            inquiry: topic.is_none().then(Inquiry::default),
            client_max,
            brokers: Arc::new(Brokers::new(slots(connection))),
            rows: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            failed: Mutex::default(),
            failing: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            drains: Mutex::default(),
            observers: RwLock::default(),
            health: Mutex::new(Health::Up),
            delivery_timeout,
            began: Instant::now(),
            client: Mutex::new(Some(Arc::clone(&client))),
        });
        if let (Some(name), Some(found)) = (topic, found) {
            shared.add_target(&client, name, &found)?;
        }
        introduce(&client);
        if topic.is_none() {
            inquire(scout, &shared)?;
        }
        let thread = std::thread::Builder::new()
            .name("kafka-sink".to_owned())
            .spawn(carrying({
                let shared = Arc::clone(&shared);
                let queue = Queue::main(&client);
                move || shared.serve(&queue)
            }))
            .map_err(|error| Failure::restart(format!("no thread for the Kafka sink: {error}")))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Gives up what is not acknowledged and waits until the client is gone.
    pub(crate) fn close(&self) {
        if let Some(inquiry) = &self.shared.inquiry {
            inquiry.close();
        }
        self.shared.closing.store(true, Ordering::Release);
        let Some(client) = self.shared.client.lock().take() else {
            return;
        };
        // Held rows must not follow the ones that are purged now.
        self.shared
            .fail(Failure::restart("the Kafka sink is closed"));
        // SAFETY: a live handle.
        unsafe {
            sys::rd_kafka_purge(
                client.native(),
                sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT,
            );
        }
        let until = Instant::now() + PURGE_WAIT;
        // SAFETY: a live handle.
        while unsafe { sys::rd_kafka_outq_len(client.native()) } > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.shared.stopping.store(true, Ordering::Release);
        Queue::main(&client).wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(target: "kafka", "the thread of the Kafka sink has panicked");
        }
        // Reports name their window by its address: the windows go after the thread that reads reports.
        self.shared.targets.write().clear();
        self.shared.brokers.clear();
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close();
    }
}

/// Starts the thread that asks for the topics of a column. It ends by itself once the outlet is closed: a broker that is
/// away would hold up who waits for it.
fn inquire(scout: Scout, shared: &Arc<Shared>) -> Result<(), Failure> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new()
        .name("kafka-topics".to_owned())
        .spawn(carrying(move || {
            if let Some(inquiry) = &shared.inquiry {
                inquiry.serve(&scout, |scout, name, partitions| {
                    shared.add_found(scout, name, partitions)
                });
            }
        }))
        .map(|_| ())
        .map_err(|error| Failure::restart(format!("no thread for the topics of a column: {error}")))
}

/// What is known of a topic that a column names.
pub(crate) enum LookUp {
    /// It can be written.
    Known(Arc<Target>),
    /// It cannot.
    Unusable(RecordError),
    /// The broker is being asked.
    Asked,
}

impl Shared {
    fn add_target(
        &self,
        client: &Arc<Client>,
        name: &str,
        found: &Found,
    ) -> Result<Arc<Target>, Failure> {
        let limit = found
            .max
            .map_or(self.client_max, |max| max.min(self.client_max));
        let target = Arc::new(Target::new(
            client,
            name,
            found.partitions,
            limit,
            &self.brokers,
        )?);
        let mut targets = self.targets.write();
        Ok(Arc::clone(targets.entry(name.to_owned()).or_insert(target)))
    }

    /// The topic of the option.
    pub(crate) fn known(&self, name: &str) -> Option<Arc<Target>> {
        self.targets.read().get(name).cloned()
    }

    /// The topic of a column. One that is not known yet is asked for aside.
    pub(crate) fn look_up(&self, name: &str) -> LookUp {
        if let Some(target) = self.known(name) {
            return LookUp::Known(target);
        }
        let reason = match &self.inquiry {
            Some(inquiry) => match inquiry.put(name) {
                Some(reason) => reason,
                None => return LookUp::Asked,
            },
            None => "it is not the topic of the option `topic`".to_owned(),
        };
        LookUp::Unusable(
            RecordError::write(format!(
                "the topic of the column `topic` cannot be written: {reason}"
            ))
            .with_content(name),
        )
    }

    /// Whether the broker is still asked for this topic; the waker is woken when it has answered.
    pub(crate) fn waits_for(&self, topic: &str, waker: &Waker) -> bool {
        self.inquiry
            .as_ref()
            .is_some_and(|inquiry| inquiry.waits(topic, waker))
    }

    /// Makes a topic that was found one that can be written; gives the reason where that cannot be.
    fn add_found(
        &self,
        scout: &Scout,
        name: &str,
        partitions: i32,
    ) -> Result<Option<String>, Failure> {
        let found = limits(scout, name, partitions)?;
        if found.max.is_some_and(|max| max < self.client_max) {
            return Ok(Some(format!(
                "its max.message.bytes is below {}: set kafka.message.max.bytes to it",
                self.client_max
            )));
        }
        // Held meanwhile, so that a close either sees the topic or comes first.
        let client = self.client.lock();
        let Some(client) = &*client else {
            return Ok(None);
        };
        self.add_target(client, name, &found)?;
        Ok(None)
    }

    /// Registers a writer's observer; the number goes with each of its rows.
    pub(crate) fn observe(&self, observer: Arc<dyn DeliveryObserver>) -> u32 {
        let mut observers = self.observers.write();
        observers.push(observer);
        u32::try_from(observers.len() - 1).unwrap_or(0)
    }

    pub(crate) fn health(&self) -> Health {
        self.health.lock().clone()
    }

    /// Rows taken and not yet acknowledged.
    pub(crate) fn in_flight(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Output partitions with something on its way.
    pub(crate) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    pub(crate) fn failure(&self) -> Result<(), Failure> {
        if !self.failing.load(Ordering::Acquire) {
            return Ok(());
        }
        self.failed.lock().clone().map_or(Ok(()), Err)
    }

    fn fail(&self, failure: Failure) {
        self.failed.lock().get_or_insert(failure);
        self.failing.store(true, Ordering::Release);
        for waker in self.drains.lock().drain(..) {
            waker.wake();
        }
        for target in self.targets.read().values() {
            for window in target.windows() {
                window.wake_all();
            }
        }
        if let Some(inquiry) = &self.inquiry {
            inquiry.wake_all();
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.brokers.bytes.load(Ordering::Relaxed) >= BYTES_MAX {
            Readiness::Full
        } else {
            Readiness::Ready
        }
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Takes a row for a partition; gives the number of rows that the partition has taken with it.
    pub(crate) fn push(
        &self,
        window: &Window,
        row: &mut Staged,
        bytes: &[u8],
        lane: u32,
        written: Instant,
        trace: Trace,
    ) -> Result<u64, Failure> {
        let waited = written.saturating_duration_since(row.taken).as_micros();
        let flight = Flight {
            written: self.micros(written),
            waited: u32::try_from(waited).unwrap_or(u32::MAX),
            size: u32::try_from(row.size()).unwrap_or(u32::MAX),
            lane,
            trace,
        };
        self.brokers
            .bytes
            .fetch_add(row.size() + ROW_COST, Ordering::Relaxed);
        self.rows.fetch_add(1, Ordering::Relaxed);
        let pushed = window.push(row, bytes, flight);
        if pushed.woke {
            self.busy.fetch_add(1, Ordering::Relaxed);
        }
        pushed.done.map_err(|code| self.fail_at(window, code))?;
        Ok(pushed.tail)
    }

    fn fail_at(&self, window: &Window, code: Code) -> Failure {
        let (topic, partition) = window.place();
        let client = self.client.lock().clone();
        let failure = match client.and_then(|client| client.fatal()) {
            Some((code, reason)) => fatal(code, &reason, topic),
            None => failure(code, topic, partition),
        };
        self.fail(failure.clone());
        failure
    }

    /// Whether less than half of what may be on its way is.
    pub(crate) fn half_empty(&self) -> bool {
        self.brokers.bytes.load(Ordering::Acquire) < BYTES_MAX / 2
    }

    /// Wakes when half of what may be on its way is free, or the outlet has failed.
    pub(crate) fn wake_when_drained(&self, waker: &Waker) {
        let mut drains = self.drains.lock();
        if !drains.iter().any(|known| known.will_wake(waker)) {
            drains.push(waker.clone());
        }
    }

    /// The thread.
    fn serve(&self, queue: &Queue) {
        let mut messages = Vec::new();
        let mut landed = Vec::new();
        loop {
            let Some(event) = queue.poll(1000) else {
                if self.stopping.load(Ordering::Acquire) {
                    break;
                }
                continue;
            };
            match event.kind() {
                sys::RD_KAFKA_EVENT_DR => self.delivered(&event, &mut messages, &mut landed),
                sys::RD_KAFKA_EVENT_STATS => self.measure(&Statistics::read(event.statistics())),
                sys::RD_KAFKA_EVENT_ERROR => self.notice(queue, event.error(), &event.error_text()),
                _ => {}
            }
        }
    }

    fn delivered(
        &self,
        event: &Event,
        messages: &mut Vec<*const sys::rd_kafka_message_t>,
        landed: &mut Vec<Flight>,
    ) {
        event.delivered(messages);
        let mut rest = messages.as_slice();
        // SAFETY: messages live as long as the event; `_private` is the window that the row was handed over with.
        let window_of = |message: *const sys::rd_kafka_message_t| unsafe {
            (*message)._private.cast_const().cast::<Window>()
        };
        while let Some(first) = rest.first() {
            let address = window_of(*first);
            let count = rest
                .iter()
                .take_while(|message| window_of(**message) == address)
                .count();
            let (run, later) = rest.split_at(count);
            // SAFETY: the outlet keeps all windows until this thread has ended.
            let window = unsafe { &*address };
            self.acknowledge(window, run, landed);
            rest = later;
        }
    }

    fn acknowledge(
        &self,
        window: &Window,
        run: &[*const sys::rd_kafka_message_t],
        landed: &mut Vec<Flight>,
    ) {
        // SAFETY: live messages.
        let code_at = |message: &*const sys::rd_kafka_message_t| unsafe {
            code_of(&raw const (**message).err)
        };
        if let Some(code) = run.iter().map(code_at).find(|code| *code != Code::OK) {
            // Purged at the end of the run, or failed: nothing of this run is acknowledged any more.
            if !self.closing.load(Ordering::Acquire) {
                self.fail_at(window, code);
            }
            return;
        }
        if let Some(last) = run.last() {
            // SAFETY: a live message.
            window.ends_at(unsafe { (**last).offset } + 1);
        }
        let changed = window.land(run.len(), self.failing.load(Ordering::Acquire), landed);
        if changed.idle {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
        if let Err(code) = changed.done {
            self.fail_at(window, code);
        }
        if let Some(next) = changed.next {
            self.busy.fetch_add(1, Ordering::Relaxed);
            if let Err(code) = next.granted() {
                self.fail_at(&next, code);
            }
        }
        self.report(landed);
    }

    /// Frees what has landed and tells the observers.
    fn report(&self, landed: &[Flight]) {
        let cost: usize = landed
            .iter()
            .map(|flight| flight.size as usize + ROW_COST)
            .sum();
        let before = self.brokers.bytes.fetch_sub(cost, Ordering::AcqRel);
        self.rows.fetch_sub(landed.len() as u64, Ordering::Relaxed);
        if before - cost < BYTES_MAX / 2 {
            for waker in self.drains.lock().drain(..) {
                waker.wake();
            }
        }
        let now = self.micros(Instant::now());
        let observers = self.observers.read();
        for run in landed.chunk_by(|a, b| a.lane == b.lane) {
            let Some(observer) = observers.get(run[0].lane as usize) else {
                continue;
            };
            let bytes = run.iter().map(|flight| u64::from(flight.size)).sum();
            observer.acknowledged(run.len() as u64, bytes);
            for flight in run {
                let since_written = now.saturating_sub(flight.written);
                let since_taken = since_written + u64::from(flight.waited);
                observer.delivered(&flight.trace, since_written, since_taken);
            }
        }
    }

    fn notice(&self, queue: &Queue, code: Code, text: &str) {
        match code {
            Code::FATAL => {
                let (code, reason) = queue
                    .client()
                    .fatal()
                    .unwrap_or_else(|| (code, text.to_owned()));
                let topics: Vec<String> = self.targets.read().keys().cloned().collect();
                self.fail(fatal(code, &reason, &topics.join(", ")));
            }
            Code::ALL_BROKERS_DOWN => {
                *self.health.lock() = self.down();
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

    /// Health, new partitions, and records that wait too long although their broker answers.
    fn measure(&self, statistics: &Statistics) {
        *self.health.lock() = if statistics.any_answers() {
            Health::Up
        } else {
            if let Some(client) = &*self.client.lock() {
                client.begin_again(&self.servers);
            }
            self.down()
        };
        for broker in statistics.brokers.values() {
            if let Some(near) = broker.near() {
                self.brokers.near(broker.nodeid, near);
            }
        }
        let now = self.micros(Instant::now());
        let limit = u64::try_from(self.delivery_timeout.as_micros()).unwrap_or(u64::MAX);
        let mut overdue = None;
        let targets: Vec<Arc<Target>> = self.targets.read().values().cloned().collect();
        for target in targets {
            let Some(told) = statistics.topics.get(target.name()) else {
                continue;
            };
            let known = told
                .partitions
                .values()
                .filter(|partition| partition.partition >= 0 && !partition.unknown)
                .count();
            target.grow(i32::try_from(known).unwrap_or(0));
            for window in target.windows() {
                let (topic, partition) = window.place();
                let leader = told
                    .partitions
                    .get(itoa::Buffer::new().format(partition))
                    .map_or(-1, |partition| partition.leader);
                window.led_by(leader);
                let answers = statistics.answers(leader);
                if window.overdue(answers, now, limit) {
                    overdue = Some(format!("{topic}/{partition}"));
                }
            }
        }
        if let Some(place) = overdue {
            self.fail(Failure::restart(format!(
                "a record for {place} was not acknowledged within deliveryTimeout ({:?}) although its broker answers",
                self.delivery_timeout
            )));
        }
    }
}
