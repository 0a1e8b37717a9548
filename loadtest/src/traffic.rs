//! Records go in on their schedule and come out again, while something is done to what carries them: the two sides of an
//! account by key, each on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::audit::Audit;
use crate::client::{Consumer, Producer, Start};
use crate::failure::{Failure, Result};
use crate::generator::{Generator, PRODUCER};
use crate::payload::Payload;
use crate::schedule::Schedule;
use crate::target::TopicArgs;

/// A schedule's length where it is cut short when all is done.
pub(crate) const LONG: Duration = Duration::from_secs(24 * 3_600);

/// What the two sides share with who disturbs them.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) sent: AtomicU64,
    pub(crate) distinct: AtomicU64,
    /// The index of the newest disturbance; 0 before the first.
    pub(crate) event: AtomicUsize,
    pub(crate) stop_sending: AtomicBool,
    pub(crate) stop_reading: AtomicBool,
}

/// What goes where, and when.
pub(crate) struct Traffic<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) topics: &'a TopicArgs,
    pub(crate) payload: &'a Payload,
    pub(crate) schedule: &'a Schedule,
    pub(crate) start: Instant,
    pub(crate) shared: &'a Shared,
}

impl Traffic<'_> {
    /// Sends until it is told to stop. Gives how many records were acknowledged.
    pub(crate) fn send(&self) -> Result<u64> {
        let producer = Producer::new(self.bootstrap, &PRODUCER, &self.topics.input)?;
        thread::sleep(self.start.saturating_duration_since(Instant::now()));
        let generator = Generator {
            producer: &producer,
            payload: self.payload,
            first: 0,
        };
        let shared = self.shared;
        let sent = generator.run(
            self.schedule,
            self.start,
            &shared.stop_sending,
            &shared.sent,
        )?;
        producer.finish(Duration::from_secs(60))?;
        Ok(sent)
    }

    /// Reads what comes out behind these offsets until it is told to stop. `first` is told of each record that is seen for
    /// the first time: the newest disturbance, its partition, and its wait in nanoseconds.
    pub(crate) fn read(
        &self,
        from: &[i64],
        mut first: impl FnMut(usize, i32, u64),
    ) -> Result<Audit> {
        let settings = [("auto.offset.reset", "error")];
        let begin = Start::At(from.to_vec());
        let mut consumer = Consumer::new(self.bootstrap, &settings, &self.topics.output, &begin)?;
        let (mut audit, shared) = (Audit::default(), self.shared);
        while !shared.stop_reading.load(Ordering::Relaxed) {
            let event = shared.event.load(Ordering::Relaxed);
            let mut now = None;
            consumer.read(Duration::from_millis(5), |partition, key, value| {
                let now = *now.get_or_insert_with(|| self.start.elapsed().as_nanos() as u64);
                // A number far beyond what was sent is not one of ours: it must not make the account grow without limit.
                let plausible =
                    |number: &u64| *number <= shared.sent.load(Ordering::Relaxed) + 1_000_000;
                if let Some(number) = self.payload.sequence(key, value).filter(plausible) {
                    let wait = now.saturating_sub(self.schedule.due_ns(number));
                    let before = audit.distinct();
                    audit.arrived(number, wait, event);
                    if audit.distinct() > before {
                        first(event, partition, wait);
                    }
                }
            });
            shared.distinct.store(audit.distinct(), Ordering::Relaxed);
        }
        if let (0, Some(error)) = (audit.distinct(), consumer.last_error()) {
            eprintln!("topic '{}': {error}", self.topics.output);
        }
        Ok(audit)
    }
}

/// What a thread has come to.
pub(crate) fn joined<T>(end: thread::Result<Result<T>>) -> Result<T> {
    end.unwrap_or_else(|_| {
        Err(Failure::new(
            "a thread of the load test panicked: this is a fault of the load test",
        ))
    })
}
