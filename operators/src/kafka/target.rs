//! The topics that are written to, each with a window for every partition, and the brokers whose slots these share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use thalweg_engine::error::Failure;

use super::client::Client;
use super::gate::{SLOTS_NEAR, Slots};
use super::outlet_settings::Batch;
use super::questions::Topic;
use super::window::Window;

/// What a batch and a record take in the log beyond key, value and headers, at most.
const BATCH_OVERHEAD: usize = 61;
pub(super) const RECORD_OVERHEAD: usize = 36;

/// With so many bytes on their way the output is loaded: all slots are used, wherever the broker is.
const MUCH_BYTES: usize = 1024 * 1024;

/// A broker's slots, and whether it is near.
#[derive(Default)]
struct Broker {
    slots: Slots<Arc<Window>>,
    near: bool,
}

/// The slots of each broker, by its number.
pub(crate) struct Brokers {
    all: Mutex<HashMap<i32, Broker>>,
    each: usize,
    /// Bytes taken and not yet acknowledged, with their bookkeeping.
    pub(crate) bytes: AtomicUsize,
}

impl Brokers {
    /// Brokers that take `each` requests at a time.
    pub(crate) fn new(each: usize) -> Self {
        Self {
            all: Mutex::default(),
            each,
            bytes: AtomicUsize::new(0),
        }
    }

    pub(super) fn with<T>(
        &self,
        broker: i32,
        act: impl FnOnce(&mut Slots<Arc<Window>>, usize) -> T,
    ) -> T {
        let mut all = self.all.lock();
        let broker = all.entry(broker).or_default();
        let few = broker.near && self.bytes.load(Ordering::Relaxed) < MUCH_BYTES;
        let limit = if few {
            self.each.min(SLOTS_NEAR)
        } else {
            self.each
        };
        act(&mut broker.slots, limit)
    }

    /// Notes whether a broker answers as fast as a near one.
    pub(crate) fn near(&self, broker: i32, near: bool) {
        self.all.lock().entry(broker).or_default().near = near;
    }

    /// Forgets who stands in line.
    pub(crate) fn clear(&self) {
        self.all.lock().clear();
    }
}

/// A topic that the client holds.
pub(super) struct Route {
    pub(super) name: String,
    pub(super) topic: Topic,
    /// What one request takes.
    pub(super) request: Batch,
}

/// A topic that is written to.
pub(crate) struct Target {
    route: Arc<Route>,
    brokers: Arc<Brokers>,
    windows: RwLock<Vec<Arc<Window>>>,
    /// Key, value and headers of one record, at most.
    record_max: usize,
}

impl Target {
    /// The topic of this name, whose batches may have `limit` bytes and are made of as much as `batch` says.
    pub(crate) fn new(
        client: &Arc<Client>,
        name: &str,
        partitions: i32,
        limit: usize,
        batch: Batch,
        brokers: &Arc<Brokers>,
    ) -> Result<Self, Failure> {
        let target = Self {
            brokers: Arc::clone(brokers),
            route: Arc::new(Route {
                name: name.to_owned(),
                topic: Topic::new(client, name)?,
                request: Batch {
                    bytes: batch.bytes.min(limit).saturating_sub(BATCH_OVERHEAD),
                    rows: batch.rows,
                },
            }),
            windows: RwLock::default(),
            record_max: limit.saturating_sub(BATCH_OVERHEAD + RECORD_OVERHEAD),
        };
        target.grow(partitions);
        Ok(target)
    }

    /// Adds the windows of partitions that are new.
    pub(crate) fn grow(&self, partitions: i32) {
        if self.windows.read().len() as i64 >= i64::from(partitions) {
            return;
        }
        let mut windows = self.windows.write();
        for partition in windows.len() as i32..partitions {
            windows.push(Window::new(&self.route, partition, &self.brokers));
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

    /// The ways to all partitions.
    pub(crate) fn windows(&self) -> Vec<Arc<Window>> {
        self.windows.read().clone()
    }

    /// Bytes of key, value and headers that one record may have.
    pub(crate) fn record_max(&self) -> usize {
        self.record_max
    }
}
