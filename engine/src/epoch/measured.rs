//! What is done in the store of checkpoints, counted and timed: objects put, read, listed and removed.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

use crate::epoch::store::{Entry, Fetch, Store, WriteObject};

/// Upper bounds of the histogram in seconds.
const BOUNDS: [f64; 6] = [0.001, 0.01, 0.05, 0.25, 1.0, 5.0];

/// The metrics of all stores of a process.
pub struct StoreMetrics {
    seconds: HistogramVec,
    bytes: IntCounterVec,
    failures: IntCounterVec,
}

/// Those of one query.
#[derive(Clone)]
pub struct StoreCounters {
    put: Counters,
    get: Counters,
    list: Counters,
    remove: Counters,
}

#[derive(Clone)]
struct Counters {
    seconds: Histogram,
    bytes: IntCounter,
    failures: IntCounter,
}

impl StoreMetrics {
    /// Shown by this registry, which has none yet.
    ///
    /// # Panics
    /// Never: the names are constants that the tests register.
    #[allow(clippy::expect_used, clippy::missing_panics_doc)]
    pub fn new(registry: &Registry) -> Self {
        let opts = HistogramOpts::new(
            "thalweg_store_seconds",
            "How long operations in the store of checkpoints took; what is read piece by piece until its first byte.",
        );
        let seconds = HistogramVec::new(opts.buckets(BOUNDS.to_vec()), &["query", "operation"]);
        let seconds = seconds.expect("constant name");
        let counter = |name: &str, help: &str| {
            IntCounterVec::new(Opts::new(name, help), &["query", "operation"])
                .expect("constant name")
        };
        let metrics = Self {
            seconds,
            bytes: counter(
                "thalweg_store_bytes_total",
                "Bytes written to the store of checkpoints and read from it.",
            ),
            failures: counter(
                "thalweg_store_failures_total",
                "Operations in the store of checkpoints that failed.",
            ),
        };
        let all: [Box<dyn prometheus::core::Collector>; 3] = [
            Box::new(metrics.seconds.clone()),
            Box::new(metrics.bytes.clone()),
            Box::new(metrics.failures.clone()),
        ];
        for one in all {
            registry.register(one).expect("registered once");
        }
        metrics
    }

    /// Of a query.
    pub fn of(&self, query: &str) -> StoreCounters {
        let of = |operation: &str| {
            let labels = [query, operation];
            Counters {
                seconds: self.seconds.with_label_values(&labels),
                bytes: self.bytes.with_label_values(&labels),
                failures: self.failures.with_label_values(&labels),
            }
        };
        StoreCounters {
            put: of("put"),
            get: of("get"),
            list: of("list"),
            remove: of("remove"),
        }
    }
}

impl Counters {
    fn time<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let began = Instant::now();
        let done = work();
        self.seconds.observe(began.elapsed().as_secs_f64());
        if let Err(error) = &done {
            self.failed(error.kind());
        }
        done
    }

    /// That an object is there, or is not, is an answer.
    fn failed(&self, why: io::ErrorKind) {
        if !matches!(why, io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) {
            self.failures.inc();
        }
    }
}

/// A store whose operations are counted.
pub struct Measured {
    store: Arc<dyn Store>,
    counters: StoreCounters,
}

impl Measured {
    /// The operations of this store.
    pub fn new(store: Arc<dyn Store>, counters: StoreCounters) -> Self {
        Self { store, counters }
    }
}

/// Counts what is read.
struct Counting {
    inner: Box<dyn Read + Send>,
    counters: Counters,
}

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        match &read {
            Ok(bytes) => self.counters.bytes.inc_by(*bytes as u64),
            Err(error) => self.counters.failed(error.kind()),
        }
        read
    }
}

impl Store for Measured {
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let put = &self.counters.put;
        put.time(|| self.store.put(name, bytes))?;
        put.bytes.inc_by(bytes.len() as u64);
        Ok(())
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        let get = &self.counters.get;
        let bytes = get.time(|| self.store.get(name))?;
        get.bytes.inc_by(bytes.len() as u64);
        Ok(bytes)
    }

    fn write(&self, name: &str, write: &mut WriteObject<'_>) -> io::Result<u64> {
        let put = &self.counters.put;
        let written = put.time(|| self.store.write(name, write))?;
        put.bytes.inc_by(written);
        Ok(written)
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let get = &self.counters.get;
        let inner = get.time(|| self.store.read(name))?;
        Ok(Box::new(Counting {
            inner,
            counters: get.clone(),
        }))
    }

    fn read_range(&self, name: &str, from: u64, length: u64) -> io::Result<Box<dyn Read + Send>> {
        let get = &self.counters.get;
        let inner = get.time(|| self.store.read_range(name, from, length))?;
        Ok(Box::new(Counting {
            inner,
            counters: get.clone(),
        }))
    }

    /// What counts is how long it was waited for.
    fn fetch<'s>(&'s self, name: &str, from: u64, length: u64) -> Fetch<'s> {
        let (get, coming) = (&self.counters.get, self.store.fetch(name, from, length));
        Box::new(move || {
            let inner = get.time(coming)?;
            Ok(Box::new(Counting {
                inner,
                counters: get.clone(),
            }))
        })
    }

    fn list(&self, folder: &str) -> io::Result<Vec<Entry>> {
        self.counters.list.time(|| self.store.list(folder))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.counters.remove.time(|| self.store.remove(name))
    }

    fn remove_all(&self, names: &[String]) -> Vec<(String, io::Error)> {
        let remove = &self.counters.remove;
        let began = Instant::now();
        let failed = self.store.remove_all(names);
        if !names.is_empty() {
            remove.seconds.observe(began.elapsed().as_secs_f64());
        }
        failed
            .iter()
            .for_each(|(_, error)| remove.failed(error.kind()));
        failed
    }

    fn locked(&self) -> bool {
        self.store.locked()
    }

    fn at_once(&self) -> usize {
        self.store.at_once()
    }

    fn location(&self) -> String {
        self.store.location()
    }

    fn note(&self, epoch: u64) -> io::Result<()> {
        self.store.note(epoch)
    }

    fn noted(&self) -> Option<u64> {
        self.store.noted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::store::FolderStore;

    #[test]
    fn what_is_done_is_counted_and_what_is_an_answer_is_no_failure() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::new();
        let metrics = StoreMetrics::new(&registry);
        let counters = metrics.of("q");
        let inner = Arc::new(FolderStore::lock(folder.path()).unwrap());
        let store = Measured::new(inner, counters.clone());
        store.put("state/a", b"12345").unwrap();
        assert!(store.put("state/a", b"12345").is_err());
        assert_eq!(store.get("state/a").unwrap(), b"12345");
        let mut text = String::new();
        store
            .read("state/a")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(store.get("state/b").is_err());
        assert_eq!(store.list("state").unwrap().len(), 1);
        assert!(store.remove_all(&["state/a".to_owned()]).is_empty());
        assert!(store.put("nowhere/a", b"1").is_err());
        assert!(store.list("lock").is_err(), "it is a file");
        assert_eq!(
            (counters.put.bytes.get(), counters.get.bytes.get()),
            (5, 10)
        );
        assert_eq!(counters.put.seconds.get_sample_count(), 3);
        assert_eq!(counters.get.seconds.get_sample_count(), 3);
        assert_eq!(counters.remove.seconds.get_sample_count(), 1);
        assert_eq!(counters.list.failures.get(), 1);
        assert_eq!(counters.get.failures.get(), 0);
    }
}
