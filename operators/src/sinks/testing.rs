//! What sinks are tested with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use thalweg_engine::record::{Partition, Position, RecordMeta};
use thalweg_engine::sink::{DeliveryObserver, WriterContext};

/// Counts what is acknowledged.
#[derive(Default)]
pub(in crate::sinks) struct Observed(AtomicU64);

impl Observed {
    pub(in crate::sinks) fn rows(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl DeliveryObserver for Observed {
    fn acknowledged(&self, rows: u64, _bytes: u64) {
        self.0.fetch_add(rows, Ordering::Relaxed);
    }

    fn latency(&self, written: u64, taken: u64) {
        assert!(written <= taken);
    }
}

pub(in crate::sinks) fn context(observed: &Arc<Observed>) -> WriterContext {
    WriterContext {
        lane: "0".to_owned(),
        observer: Arc::clone(observed) as Arc<dyn DeliveryObserver>,
        beside: None,
    }
}

pub(in crate::sinks) fn meta() -> RecordMeta {
    RecordMeta {
        partition: Arc::new(Partition {
            input: "t".into(),
            name: "t/0".into(),
        }),
        position: Position::Number(0),
        record_time: None,
        event_time: None,
        watermark: None,
        taken_at: 0,
        taken: Instant::now(),
    }
}

/// Runs a future of a writer.
pub(in crate::sinks) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}
