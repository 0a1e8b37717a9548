//! The producer of one output: hands batches over, takes acknowledgements, bounds what is on its way.
//!
//! All writers of a query share it. Each output partition has a [`Window`] with a [`Gate`]; rows come from the lanes'
//! threads, acknowledgements from the producer's own, which also hands over what was held meanwhile.

use std::collections::{HashMap, VecDeque};
use std::ffi::c_void;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka_sys as sys;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::sink::{DeliveryObserver, Readiness};
use thalweg_engine::source::Health;

use super::client::{Client, Code, Event, Queue, Role, code_of, take_error};
use super::delivery_errors::failure;
use super::layout::{Header, Staged};
use super::options::Connection;
use super::scout::{Scout, Topic};
use super::statistics::Statistics;
use super::window::{Gate, Step};

/// Bytes taken and not yet acknowledged, with their bookkeeping, from which on writers are full.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// What a row costs beyond its bytes while the client holds it.
const ROW_COST: usize = 200;
/// What a batch and a record take in the log beyond key, value and headers, at most.
const BATCH_OVERHEAD: usize = 61;
const RECORD_OVERHEAD: usize = 36;
/// Held memory that is kept for the next batch.
const KEEP_CAPACITY: usize = 256 * 1024;
/// What the C client allows for one request where the user says nothing.
const CLIENT_MAX: usize = 1_000_000;
/// How long `close` waits for the client to let go of purged records.
const PURGE_WAIT: Duration = Duration::from_secs(5);

/// A row on its way or held.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Microseconds since the outlet was opened.
    written: u64,
    /// Microseconds from taken to written.
    waited: u32,
    size: u32,
    lane: u32,
}

/// A row that is held: its bytes stand in the window's buffer, key first.
struct Held {
    key: Option<usize>,
    value: Option<usize>,
    headers: Option<Box<[Header]>>,
}

#[derive(Default)]
struct Inner {
    gate: Gate,
    /// On their way and held, in order.
    flights: VecDeque<Flight>,
    bytes: Vec<u8>,
    held: Vec<Held>,
    appended: u64,
    acknowledged: u64,
    waiters: Vec<(u64, Waker)>,
}

/// The way to one output partition.
pub(crate) struct Window {
    route: Arc<Route>,
    partition: i32,
    inner: Mutex<Inner>,
    leader: Mutex<Leader>,
}

/// A topic that the client holds.
struct Route {
    name: String,
    topic: Topic,
}

/// When the broker of a partition was last seen not to answer, in microseconds since the outlet was opened.
#[derive(Default)]
struct Leader {
    silent_at: u64,
}

/// A topic that is written to.
pub(crate) struct Target {
    route: Arc<Route>,
    windows: RwLock<Vec<Arc<Window>>>,
    /// Key, value and headers of one record, at most.
    record_max: usize,
}

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
    /// Asks for topics that a column names; None where the option does.
    scout: Option<Scout>,
    client_max: usize,
    bytes: AtomicUsize,
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

fn number(text: Option<&str>) -> Option<usize> {
    text.and_then(|text| text.trim().parse().ok())
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
        let wished = number(connection.property("message.max.bytes")).unwrap_or(CLIENT_MAX);
        let found = topic.map(|name| ask(&scout, name)).transpose()?;
        let client_max = found
            .as_ref()
            .and_then(|found| found.max)
            .map_or(wished, |max| wished.min(max));
        let client = Client::new(Role::Producer, configuration(connection, client_max)?)?;
        let shared = Arc::new(Shared {
            servers: connection.servers.clone(),
            targets: RwLock::default(),
            scout: topic.is_none().then_some(scout),
            client_max,
            bytes: AtomicUsize::new(0),
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
        let thread = std::thread::Builder::new()
            .name("kafka-sink".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                let queue = Queue::main(&client);
                move || shared.serve(&queue)
            })
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
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close();
    }
}

fn configuration(
    connection: &Connection,
    client_max: usize,
) -> Result<super::client::Configuration, Failure> {
    // The client takes 1,000 at least; a smaller limit of the topic holds through the batch size and the writer's check.
    let max = client_max.max(1_000).to_string();
    let batch = number(connection.property("batch.size"))
        .unwrap_or(CLIENT_MAX)
        .min(client_max.max(1))
        .to_string();
    connection.configuration(
        &[
            ("linger.ms", "0"),
            ("retry.backoff.ms", "20"),
            ("retry.backoff.max.ms", "200"),
            ("reconnect.backoff.ms", "20"),
            ("reconnect.backoff.max.ms", "500"),
            ("topic.metadata.refresh.fast.interval.ms", "50"),
            ("topic.metadata.refresh.interval.ms", "30000"),
            ("socket.nagle.disable", "true"),
            ("log.connection.close", "false"),
            ("client.id", "thalweg"),
        ],
        &[
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "0"),
            ("message.max.bytes", &max),
            ("batch.size", &batch),
            ("queue.buffering.max.kbytes", "2097151"),
            ("queue.buffering.max.messages", "0"),
            ("statistics.interval.ms", "1000"),
        ],
    )
}

/// What the broker says of a topic to write to.
struct Found {
    partitions: i32,
    /// `max.message.bytes`; None where one may not see it.
    max: Option<usize>,
}

fn ask(scout: &Scout, name: &str) -> Result<Found, Failure> {
    let topic = scout.existing_topic(name)?;
    let max = scout.topic_property(name, "max.message.bytes")?;
    if max.is_none() {
        tracing::warn!(target: "kafka", "no right to see max.message.bytes of topic `{name}` (DESCRIBE_CONFIGS): {CLIENT_MAX} is taken unless kafka.message.max.bytes says otherwise");
    }
    Ok(Found {
        partitions: topic.partitions,
        max: number(max.as_deref()),
    })
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
        let target = Arc::new(Target {
            route: Arc::new(Route {
                name: name.to_owned(),
                topic: Topic::new(client, name)?,
            }),
            windows: RwLock::default(),
            record_max: limit.saturating_sub(BATCH_OVERHEAD + RECORD_OVERHEAD),
        });
        target.grow(found.partitions);
        let mut targets = self.targets.write();
        Ok(Arc::clone(targets.entry(name.to_owned()).or_insert(target)))
    }

    /// The topic of this name. One that is not known yet is asked for, which may wait for the broker: once for each name.
    pub(crate) fn target(&self, name: &str) -> Result<Arc<Target>, RecordError> {
        if let Some(target) = self.targets.read().get(name) {
            return Ok(Arc::clone(target));
        }
        let wrong = |reason: &str| {
            RecordError::write(format!(
                "the topic of the column `topic` cannot be written: {reason}"
            ))
            .with_content(name)
        };
        let (Some(scout), Some(client)) = (&self.scout, self.client.lock().clone()) else {
            return Err(wrong("it is not the topic of the option `topic`"));
        };
        let found = ask(scout, name).map_err(|failure| wrong(&failure.message))?;
        if found.max.is_some_and(|max| max < self.client_max) {
            return Err(wrong(&format!(
                "its max.message.bytes is below {}: set kafka.message.max.bytes to it",
                self.client_max
            )));
        }
        self.add_target(&client, name, &found)
            .map_err(|failure| wrong(&failure.message))
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
            for window in target.windows.read().iter() {
                for (_, waker) in window.inner.lock().waiters.drain(..) {
                    waker.wake();
                }
            }
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        if self.bytes.load(Ordering::Relaxed) >= BYTES_MAX {
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
    ) -> Result<u64, Failure> {
        let waited = written.saturating_duration_since(row.taken).as_micros();
        let flight = Flight {
            written: self.micros(written),
            waited: u32::try_from(waited).unwrap_or(u32::MAX),
            size: u32::try_from(row.size()).unwrap_or(u32::MAX),
            lane,
        };
        self.bytes
            .fetch_add(row.size() + ROW_COST, Ordering::Relaxed);
        self.rows.fetch_add(1, Ordering::Relaxed);
        let mut inner = window.inner.lock();
        let was_busy = inner.gate.busy();
        inner.flights.push_back(flight);
        inner.appended += 1;
        let tail = inner.appended;
        let done = match inner.gate.offer(row.size()) {
            Step::Send => window.send(
                row.key.clone().map(|range| &bytes[range]),
                row.value.clone().map(|range| &bytes[range]),
                row.headers.as_deref(),
            ),
            Step::Hold => {
                inner.hold(row, bytes);
                Ok(())
            }
            Step::Release => {
                inner.hold(row, bytes);
                window.release(&mut inner)
            }
        };
        if !was_busy && inner.gate.busy() {
            self.busy.fetch_add(1, Ordering::Relaxed);
        }
        drop(inner);
        done.map_err(|code| {
            let failure = failure(code, &window.route.name, window.partition);
            self.fail(failure.clone());
            failure
        })?;
        Ok(tail)
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
                self.fail(failure(code, &window.route.name, window.partition));
            }
            return;
        }
        landed.clear();
        let mut inner = window.inner.lock();
        let count = run.len().min(inner.flights.len());
        landed.extend(inner.flights.drain(..count));
        inner.acknowledged += count as u64;
        let mut done = Ok(());
        if inner.gate.landed(count) && !self.failing.load(Ordering::Acquire) {
            done = window.release(&mut inner);
        }
        if !inner.gate.busy() {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
        let reached = inner.acknowledged;
        inner.waiters.retain(|(tail, waker)| {
            let waits = *tail > reached;
            if !waits {
                waker.wake_by_ref();
            }
            waits
        });
        drop(inner);
        if let Err(code) = done {
            self.fail(failure(code, &window.route.name, window.partition));
        }
        self.report(landed);
    }

    /// Frees what has landed and tells the observers.
    fn report(&self, landed: &[Flight]) {
        let cost: usize = landed
            .iter()
            .map(|flight| flight.size as usize + ROW_COST)
            .sum();
        let before = self.bytes.fetch_sub(cost, Ordering::AcqRel);
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
                observer.latency(since_written, since_written + u64::from(flight.waited));
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
                self.fail(Failure::restart(format!(
                    "the Kafka producer has failed for good: {reason} [{}]",
                    code.name()
                )));
            }
            Code::ALL_BROKERS_DOWN => {
                *self.health.lock() = self.down();
                tracing::warn!(target: "kafka", "no Kafka broker at {} answers", self.servers);
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
            self.down()
        };
        let now = self.micros(Instant::now());
        let limit = u64::try_from(self.delivery_timeout.as_micros()).unwrap_or(u64::MAX);
        let mut overdue = None;
        let targets: Vec<Arc<Target>> = self.targets.read().values().cloned().collect();
        for target in targets {
            let Some(told) = statistics.topics.get(&target.route.name) else {
                continue;
            };
            let known = told
                .partitions
                .values()
                .filter(|partition| partition.partition >= 0 && !partition.unknown)
                .count();
            target.grow(i32::try_from(known).unwrap_or(0));
            for window in target.windows.read().iter() {
                let answers = told
                    .partitions
                    .get(itoa::Buffer::new().format(window.partition))
                    .is_some_and(|partition| statistics.answers(partition.leader));
                let oldest = window.inner.lock().flights.front().map(|f| f.written);
                let mut leader = window.leader.lock();
                if !answers {
                    leader.silent_at = now;
                } else if let Some(oldest) = oldest
                    && now.saturating_sub(oldest.max(leader.silent_at)) > limit
                {
                    overdue = Some(format!("{}/{}", target.route.name, window.partition));
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

impl Target {
    /// Adds the windows of partitions that are new.
    fn grow(&self, partitions: i32) {
        if self.windows.read().len() as i64 >= i64::from(partitions) {
            return;
        }
        let mut windows = self.windows.write();
        for partition in windows.len() as i32..partitions {
            windows.push(Arc::new(Window {
                route: Arc::clone(&self.route),
                partition,
                inner: Mutex::default(),
                leader: Mutex::default(),
            }));
        }
    }

    /// The topic's name.
    pub(crate) fn name(&self) -> &str {
        &self.route.name
    }

    /// How many partitions the topic has.
    pub(crate) fn partitions(&self) -> usize {
        self.windows.read().len()
    }

    /// The way to a partition.
    pub(crate) fn window(&self, partition: usize) -> Option<Arc<Window>> {
        self.windows.read().get(partition).cloned()
    }

    /// Bytes of key, value and headers that one record may have.
    pub(crate) fn record_max(&self) -> usize {
        self.record_max
    }
}

impl Inner {
    fn hold(&mut self, row: &mut Staged, bytes: &[u8]) {
        let (key, value) = (row.key.clone(), row.value.clone());
        for range in [&key, &value].into_iter().flatten() {
            self.bytes.extend_from_slice(&bytes[range.clone()]);
        }
        self.held.push(Held {
            key: key.map(|range| range.len()),
            value: value.map(|range| range.len()),
            headers: row.headers.take(),
        });
    }
}

impl Window {
    fn opaque(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast::<c_void>()
    }

    /// Whether anything is on its way.
    pub(crate) fn busy(&self) -> bool {
        self.inner.lock().gate.busy()
    }

    /// Whether so many rows were acknowledged.
    pub(crate) fn reached(&self, tail: u64) -> bool {
        self.inner.lock().acknowledged >= tail
    }

    /// Hands over everything that is held.
    fn release(&self, inner: &mut Inner) -> Result<(), Code> {
        let mut rest = inner.bytes.as_slice();
        let mut batch: Vec<sys::rd_kafka_message_t> = Vec::with_capacity(inner.held.len());
        for row in &inner.held {
            let mut part = |length: Option<usize>| {
                length.map(|length| {
                    let (part, later) = rest.split_at(length);
                    rest = later;
                    part
                })
            };
            let (key, value) = (part(row.key), part(row.value));
            if let Some(headers) = &row.headers {
                self.send_batch(&mut batch)?;
                self.send(key, value, Some(headers))?;
            } else {
                batch.push(self.message(key, value));
            }
        }
        self.send_batch(&mut batch)?;
        inner.held.clear();
        inner.bytes.clear();
        inner.bytes.shrink_to(KEEP_CAPACITY);
        inner.held.shrink_to(KEEP_CAPACITY / 64);
        Ok(())
    }

    fn message(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> sys::rd_kafka_message_t {
        let pointer = |part: Option<&[u8]>| {
            part.map_or(ptr::null_mut(), |part| {
                part.as_ptr().cast_mut().cast::<c_void>()
            })
        };
        sys::rd_kafka_message_t {
            err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: ptr::null_mut(),
            partition: self.partition,
            payload: pointer(value),
            len: value.map_or(0, <[u8]>::len),
            key: pointer(key),
            key_len: key.map_or(0, <[u8]>::len),
            offset: 0,
            _private: self.opaque(),
        }
    }

    fn send_batch(&self, batch: &mut Vec<sys::rd_kafka_message_t>) -> Result<(), Code> {
        if batch.is_empty() {
            return Ok(());
        }
        // SAFETY: keys and values live for the call, which copies them.
        let taken = unsafe {
            sys::rd_kafka_produce_batch(
                self.route.topic.native(),
                self.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                batch.as_mut_ptr(),
                i32::try_from(batch.len()).unwrap_or(i32::MAX),
            )
        };
        let refused = (usize::try_from(taken).unwrap_or(0) < batch.len()).then(|| {
            batch
                .iter()
                // SAFETY: the client has set the code of each message.
                .map(|message| unsafe { code_of(&raw const message.err) })
                .find(|code| *code != Code::OK)
                .unwrap_or(Code::BAD_MSG)
        });
        batch.clear();
        refused.map_or(Ok(()), Err)
    }

    fn send(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<&[Header]>,
    ) -> Result<(), Code> {
        let message = self.message(key, value);
        if let Some(headers) = headers {
            return self.send_with_headers(&message, headers);
        }
        // SAFETY: key and value live for the call, which copies the value and the key.
        unsafe {
            let failed = sys::rd_kafka_produce(
                self.route.topic.native(),
                self.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                message.payload,
                message.len,
                message.key,
                message.key_len,
                self.opaque(),
            );
            if failed == 0 {
                Ok(())
            } else {
                Err(Code::from(sys::rd_kafka_last_error()))
            }
        }
    }

    fn send_with_headers(
        &self,
        message: &sys::rd_kafka_message_t,
        headers: &[Header],
    ) -> Result<(), Code> {
        use sys::rd_kafka_vtype_t as Kind;
        let empty = || {
            // SAFETY: the union is plain data.
            unsafe { std::mem::zeroed::<sys::rd_kafka_vu_s__bindgen_ty_1>() }
        };
        let argument = |vtype, set: &dyn Fn(&mut sys::rd_kafka_vu_s__bindgen_ty_1)| {
            let mut u = empty();
            set(&mut u);
            sys::rd_kafka_vu_t { vtype, u }
        };
        let memory =
            |pointer, size| sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: pointer, size };
        // SAFETY: all memory lives for the call, which copies it; the headers go to the client when it succeeds.
        unsafe {
            let list = sys::rd_kafka_headers_new(headers.len());
            for header in headers {
                let (value, size) = header.value.as_ref().map_or((ptr::null(), 0), |value| {
                    (value.as_ptr().cast::<c_void>(), value.len() as isize)
                });
                let _ = sys::rd_kafka_header_add(
                    list,
                    header.name.as_ptr().cast(),
                    header.name.len() as isize,
                    value,
                    size,
                );
            }
            let arguments = [
                argument(Kind::RD_KAFKA_VTYPE_RKT, &|u| {
                    u.rkt = self.route.topic.native();
                }),
                argument(Kind::RD_KAFKA_VTYPE_PARTITION, &|u| u.i32_ = self.partition),
                argument(Kind::RD_KAFKA_VTYPE_MSGFLAGS, &|u| {
                    u.i = sys::RD_KAFKA_MSG_F_COPY;
                }),
                argument(Kind::RD_KAFKA_VTYPE_VALUE, &|u| {
                    u.mem = memory(message.payload, message.len);
                }),
                argument(Kind::RD_KAFKA_VTYPE_KEY, &|u| {
                    u.mem = memory(message.key, message.key_len);
                }),
                argument(Kind::RD_KAFKA_VTYPE_OPAQUE, &|u| u.ptr = self.opaque()),
                argument(Kind::RD_KAFKA_VTYPE_HEADERS, &|u| u.headers = list),
            ];
            let done = take_error(sys::rd_kafka_produceva(
                self.route.topic.client(),
                arguments.as_ptr(),
                arguments.len(),
            ));
            done.map_err(|(code, _)| {
                sys::rd_kafka_headers_destroy(list);
                code
            })
        }
    }
}

/// Resolves when everything before the marks is acknowledged.
pub(crate) struct Delivered {
    pub(crate) shared: Arc<Shared>,
    /// For each partition the number of rows that it had taken.
    pub(crate) marks: Vec<(Arc<Window>, u64)>,
}

impl Future for Delivered {
    type Output = Result<(), Failure>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        while let Some((window, tail)) = this.marks.last() {
            let mut inner = window.inner.lock();
            if inner.acknowledged < *tail {
                let known = inner
                    .waiters
                    .iter()
                    .any(|(waits, waker)| waits == tail && waker.will_wake(cx.waker()));
                if !known {
                    inner.waiters.push((*tail, cx.waker().clone()));
                }
                drop(inner);
                // After the waker is known, so that a failure now is seen or wakes.
                return match this.shared.failure() {
                    Ok(()) => Poll::Pending,
                    Err(failure) => Poll::Ready(Err(failure)),
                };
            }
            drop(inner);
            this.marks.pop();
        }
        Poll::Ready(Ok(()))
    }
}

/// Resolves when half of what may be on its way is free.
pub(crate) struct Drained {
    pub(crate) shared: Arc<Shared>,
}

impl Future for Drained {
    type Output = Result<(), Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let shared = &self.shared;
        shared.drains.lock().push(cx.waker().clone());
        if let Err(failure) = shared.failure() {
            return Poll::Ready(Err(failure));
        }
        if shared.bytes.load(Ordering::Acquire) < BYTES_MAX / 2 {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}
