//! What a partition's reader and the consumer's thread share.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use futures_util::task::AtomicWaker;
use rdkafka_sys as sys;
use thalweg_engine::error::Failure;

use super::client::{Client, Queue};
use super::questions::Topic;
use super::starting::Place;

/// One partition, from its first reader until the consumer is closed. Readers follow each other: each has its turn.
pub(crate) struct Lane {
    /// The partition's queue, split before its first assignment and for good. Goes first, and its callback with it.
    pub(crate) queue: Queue,
    /// The client's own record of a partition, and with it the split, lives as long as its topic is held.
    _held: Topic,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) waker: AtomicWaker,
    /// The number of the newest reader.
    turn: AtomicU64,
    /// The reader for which the client reads: what is on the queue is from its assignment.
    pub(crate) ready: AtomicU64,
    /// Whether there is a reader.
    pub(crate) read: AtomicBool,
    /// The next offset to be yielded.
    pub(crate) position: AtomicI64,
    /// Where reading ends, once that was told.
    pub(crate) until: AtomicI64,
    /// The last stable offset that a fetch has told; negative where unknown.
    pub(crate) stable_end: AtomicI64,
    /// Whether its reader waits for a record.
    pub(crate) asking: AtomicBool,
    /// Milliseconds since the consumer began, when the reader began to wait.
    pub(crate) moved_at: AtomicU64,
    /// Whether the watchdog has already sought this partition.
    pub(crate) sought: AtomicBool,
}

unsafe extern "C" fn on_records(_: *mut sys::rd_kafka_t, lane: *mut c_void) {
    // SAFETY: the opaque is the lane that owns the queue, see `Lane::new`.
    unsafe { &*lane.cast::<Lane>() }.waker.wake();
}

impl Lane {
    pub(crate) fn new(
        client: &Arc<Client>,
        topic: &str,
        partition: i32,
    ) -> Result<Arc<Self>, Failure> {
        let lane = Arc::new(Self {
            _held: Topic::new(client, topic)?,
            queue: Queue::partition(client, topic, partition)?,
            topic: topic.to_owned(),
            partition,
            waker: AtomicWaker::new(),
            turn: AtomicU64::new(0),
            ready: AtomicU64::new(0),
            read: AtomicBool::new(false),
            position: AtomicI64::new(0),
            until: AtomicI64::new(i64::MAX),
            stable_end: AtomicI64::new(-1),
            asking: AtomicBool::new(false),
            moved_at: AtomicU64::new(0),
            sought: AtomicBool::new(false),
        });
        // SAFETY: the lane stays at its address and outlives its queue, whose drop ends the callback. It only wakes.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(
                lane.queue.native(),
                Some(on_records),
                Arc::as_ptr(&lane).cast_mut().cast::<c_void>(),
            );
        }
        Ok(lane)
    }

    /// Topic and partition.
    pub(crate) fn place(&self) -> Place {
        (self.topic.clone(), self.partition)
    }

    /// A reader enters; gives the number of its turn.
    pub(crate) fn enter(&self, from: i64) -> u64 {
        let turn = self.turn.fetch_add(1, Ordering::AcqRel) + 1;
        self.position.store(from, Ordering::Relaxed);
        self.asking.store(false, Ordering::Relaxed);
        self.sought.store(false, Ordering::Relaxed);
        self.read.store(true, Ordering::Relaxed);
        turn
    }

    /// A reader leaves; says whether it was the newest.
    pub(crate) fn leave(&self, turn: u64) -> bool {
        let newest = self.is_turn(turn);
        if newest {
            self.read.store(false, Ordering::Relaxed);
            self.asking.store(false, Ordering::Relaxed);
        }
        newest
    }

    /// Whether the queue holds records for this reader.
    pub(crate) fn serves(&self, turn: u64) -> bool {
        self.ready.load(Ordering::Acquire) == turn
    }

    /// Whether this reader is the newest.
    pub(crate) fn is_turn(&self, turn: u64) -> bool {
        self.turn.load(Ordering::Acquire) == turn
    }
}
