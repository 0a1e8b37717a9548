//! Sends records when they are due, whatever the rest of the world does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::client::{Producer, Sent};
use crate::failure::Result;
use crate::payload::Payload;
use crate::schedule::Schedule;

/// The shortest sleep: at high rates records go out in small groups, each late by less than this.
const TICK: Duration = Duration::from_micros(100);

/// How the generator's own producer is set: one request in flight makes it batch by its own clock, which leaves the broker and
/// the machine to what is measured.
pub(crate) const PRODUCER: [(&str, &str); 2] = [
    ("max.in.flight.requests.per.connection", "1"),
    ("batch.num.messages", "10000"),
];

/// A run of the generator.
pub(crate) struct Generator<'a> {
    /// Where the records go.
    pub(crate) producer: &'a Producer,
    /// What they are.
    pub(crate) payload: &'a Payload,
    /// The number of the first record, which the schedule calls 0.
    pub(crate) first: u64,
}

impl Generator<'_> {
    /// Sends the records of `schedule`, its time 0 being `start`, until it is through or `stop` is set. Returns how many were
    /// handed over; `sent` is kept up to date meanwhile. A full client queue delays sending, never the schedule.
    pub(crate) fn run(
        &self,
        schedule: &Schedule,
        start: Instant,
        stop: &AtomicBool,
        sent: &AtomicU64,
    ) -> Result<u64> {
        sleep_exactly();
        let (mut key, mut value) = (Vec::with_capacity(32), Vec::with_capacity(256));
        let mut next = 0;
        while next < schedule.total() && !stop.load(Ordering::Relaxed) {
            let elapsed = start.elapsed();
            let created_ms = now_ms();
            while next < schedule.total() && u128::from(schedule.due_ns(next)) <= elapsed.as_nanos()
            {
                self.payload
                    .write(self.first + next, created_ms, &mut key, &mut value);
                if self.producer.send(&key, &value)? == Sent::Full {
                    self.producer.poll(Duration::from_millis(1))?;
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    continue;
                }
                next += 1;
            }
            sent.store(next, Ordering::Relaxed);
            self.producer.poll(Duration::ZERO)?;
            let due = start
                + Duration::from_nanos(
                    schedule.due_ns(next.min(schedule.total().saturating_sub(1))),
                );
            thread::sleep(
                due.saturating_duration_since(Instant::now())
                    .clamp(TICK, Duration::from_millis(50)),
            );
        }
        Ok(next)
    }

    /// Sends `count` records as fast as the client takes them.
    pub(crate) fn flood(&self, count: u64) -> Result<()> {
        let (mut key, mut value) = (Vec::with_capacity(32), Vec::with_capacity(256));
        for place in 0..count {
            self.payload
                .write(self.first + place, now_ms(), &mut key, &mut value);
            self.producer.send_waiting(&key, &value)?;
            if place % 1_024 == 0 {
                self.producer.poll(Duration::ZERO)?;
            }
        }
        Ok(())
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// Takes the kernel's 50 us of slack from this thread's sleeps.
fn sleep_exactly() {
    // SAFETY: changes this thread's timer slack and nothing else; a refusal leaves the default.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
}
