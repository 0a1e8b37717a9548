//! Where spans wait for their exporter: a queue with a limit, shared by all queries of a process.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;

use super::context::{Ids, Incoming, TraceId};
use super::{Root, Sampler, Span};

/// Decides which records are traced, and takes their spans.
pub struct Tracer {
    sampler: Sampler,
    queue: Mutex<VecDeque<Span>>,
    queue_max: usize,
    /// How many wait, to look at without a lock.
    waiting: AtomicUsize,
    /// Spans, and records that were to be traced, for which there was no room.
    left_out: IntCounter,
    /// Enough wait for a batch, or it is closed.
    wake: Condvar,
    wake_at: usize,
    closed: AtomicBool,
}

impl Tracer {
    /// With room for so many spans; an exporter is woken when so many wait. What there is no room for is counted.
    pub fn new(sampler: Sampler, queue_max: usize, wake_at: usize, left_out: IntCounter) -> Self {
        Self {
            sampler,
            queue: Mutex::default(),
            queue_max,
            waiting: AtomicUsize::new(0),
            left_out,
            wake: Condvar::new(),
            wake_at: wake_at.min(queue_max).max(1),
            closed: AtomicBool::new(false),
        }
    }

    /// The trace of a record that is to be traced.
    #[inline]
    pub(crate) fn decide(&self, incoming: Option<&Incoming>, ids: &mut Ids) -> Option<TraceId> {
        self.sampler.decide(incoming, ids)
    }

    /// Whether epochs are traced: there are few, so all are, unless nothing is.
    pub(crate) fn traces_epochs(&self) -> bool {
        self.sampler.root != Root::Off
    }

    /// Whether a span more has room.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.load(Relaxed) < self.queue_max
    }

    /// So many spans, or records that were to be traced, are left out.
    pub(crate) fn leave_out(&self, count: u64) {
        self.left_out.inc_by(count);
    }

    /// Takes the spans of one record or epoch, all or none. Never waits for who exports them.
    pub(crate) fn put(&self, spans: Vec<Span>) {
        let mut queue = self.queue.lock();
        if queue.len() + spans.len() > self.queue_max {
            return self.leave_out(spans.len() as u64);
        }
        queue.extend(spans);
        self.waiting.store(queue.len(), Relaxed);
        if queue.len() >= self.wake_at {
            self.wake.notify_one();
        }
    }

    /// Waits for a batch, at most so long, and gives the oldest spans, at most so many. Waits no longer once it is closed.
    pub fn take(&self, batch_max: usize, within: Duration) -> Vec<Span> {
        let until = Instant::now() + within;
        let mut queue = self.queue.lock();
        while queue.len() < self.wake_at
            && !self.is_closed()
            && !self.wake.wait_until(&mut queue, until).timed_out()
        {}
        let count = queue.len().min(batch_max);
        let batch = queue.drain(..count).collect();
        self.waiting.store(queue.len(), Relaxed);
        batch
    }

    /// Waits so long, unless it is closed: between two tries to export.
    pub fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut queue = self.queue.lock();
        while !self.is_closed() && !self.wake.wait_until(&mut queue, until).timed_out() {}
    }

    /// What is there is all there is.
    pub fn close(&self) {
        // Under the lock, so that who is about to wait sees it.
        let queue = self.queue.lock();
        self.closed.store(true, Relaxed);
        drop(queue);
        self.wake.notify_all();
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    /// A tracer with room for so many spans, and the count of what it leaves out.
    pub(crate) fn tracer(root: Root, room: usize) -> (Arc<Tracer>, IntCounter) {
        let sampler = Sampler {
            parent_based: true,
            root,
        };
        let left_out = IntCounter::new("left_out", "Left out.").unwrap();
        let tracer = Tracer::new(sampler, room, 1, left_out.clone());
        (Arc::new(tracer), left_out)
    }

    #[test]
    fn a_tracer_that_is_closed_is_waited_for_no_longer() {
        let (tracer, _) = tracer(Root::On, 10);
        let began = Instant::now();
        let waits = std::thread::spawn({
            let tracer = Arc::clone(&tracer);
            move || {
                tracer.pause(Duration::from_secs(600));
                tracer.take(10, Duration::from_secs(600)).len()
            }
        });
        tracer.close();
        assert_eq!(waits.join().unwrap(), 0);
        assert!(began.elapsed() < Duration::from_secs(500));
    }
}
