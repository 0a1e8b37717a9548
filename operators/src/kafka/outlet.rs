//! The producer of one output: hands batches over, takes acknowledgements, bounds what is on its way.
//!
//! All writers of a query share it. Each output partition has a [`Window`] with a gate; rows come from the lanes'
//! threads, acknowledgements on the client's thread of the broker, which also hands over what was held meanwhile: it sends
//! next anyhow, so the rows go in one request, and no thread is woken for them. Errors and statistics come to a thread of
//! the outlet's own.

mod reports;
mod topics;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rdkafka_sys as sys;
use thalweg_engine::behalf::carrying;
use thalweg_engine::error::Failure;
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::{DeliveryObserver, Readiness};
use thalweg_engine::source::Health;

use super::acknowledgements::Acknowledgements;
use super::client::{Client, Queue, Role};
use super::codes::Code;
use super::delivery_errors::{failure, fatal};
use super::inquiry::Inquiry;
use super::layout::Staged;
use super::options::Connection;
use super::outlet_settings::{Batch, CLIENT_MAX, ask, configuration, number, slots};
use super::questions::metadata;
use super::scout::Scout;
use super::target::{Brokers, Target};
use super::window::{Flight, Window};
pub(crate) use topics::LookUp;
use topics::inquire;

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

/// What writers, the client's threads and the outlet's own share.
pub(crate) struct Shared {
    client: Mutex<Option<Arc<Client>>>,
    servers: String,
    targets: RwLock<HashMap<String, Arc<Target>>>,
    /// Where a column names the topics; None where the option does.
    inquiry: Option<Inquiry>,
    client_max: usize,
    batch: Batch,
    brokers: Arc<Brokers>,
    /// Where rows have landed while the client held a lock of theirs.
    aside: Mutex<Vec<Arc<Window>>>,
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
        let shared = Arc::new(Shared {
            servers: connection.servers.clone(),
            targets: RwLock::default(),
            inquiry: topic.is_none().then(Inquiry::default),
            client_max,
            batch: Batch::of(connection, client_max),
            brokers: Arc::new(Brokers::new(slots(connection))),
            aside: Mutex::default(),
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
            client: Mutex::new(None),
        });
        let mut configuration = configuration(connection, client_max)?;
        configuration.tell(Arc::clone(&shared) as Arc<dyn Acknowledgements>);
        let client = Client::new(Role::Producer, configuration)?;
        *shared.client.lock() = Some(Arc::clone(&client));
        // From now on: client and outlet hold each other until it is closed.
        let outlet = Self {
            shared: Arc::clone(&shared),
            thread: Mutex::default(),
        };
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
        *outlet.thread.lock() = Some(thread);
        Ok(outlet)
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
        // Held rows must not follow the ones that are purged now, nor new ones.
        self.shared
            .fail(Failure::restart("the Kafka sink is closed"));
        for target in self.shared.targets.read().values() {
            for window in target.windows() {
                window.shut();
            }
        }
        // SAFETY: a live handle.
        unsafe {
            sys::rd_kafka_purge(
                client.native(),
                sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT,
            );
        }
        let until = Instant::now() + PURGE_WAIT;
        while client.records() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.shared.stopping.store(true, Ordering::Release);
        Queue::main(&client).wake();
        if let Some(thread) = self.thread.lock().take()
            && thread.join().is_err()
        {
            tracing::error!(target: "kafka", "the thread of the Kafka sink has panicked");
        }
        self.shared.aside.lock().clear();
        self.shared.brokers.clear();
        let targets = std::mem::take(&mut *self.shared.targets.write());
        if client.records() > 0 {
            // Rows name their window by its address, and the client may still tell of them.
            tracing::warn!(target: "kafka", "the Kafka client does not let go of its records: its memory is kept until the process ends");
            std::mem::forget(targets);
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
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
}
