//! One load: the schedule is sent on one thread, the output is read on another, and every latency is taken from the scheduled
//! time of its record. What was late in sending counts as late.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::{Consumer, Producer, Start};
use crate::failure::{Failure, Result};
use crate::figures::{self, Figures};
use crate::generator::{Generator, PRODUCER};
use crate::payload::Payload;
use crate::schedule::Schedule;

/// A record later than this, after a step down, is part of a backlog.
const BACKLOG: Duration = Duration::from_millis(100);
/// From the order to start until the first record is due: time for the connections.
const RUN_UP: Duration = Duration::from_millis(300);
/// How long the broker may take to acknowledge the last records.
const FLUSH: Duration = Duration::from_secs(30);

/// What is sent and where it is read.
pub(crate) struct Load<'a> {
    /// The broker for generator and reader.
    pub(crate) bootstrap: &'a str,
    /// Topic to send to.
    pub(crate) input: &'a str,
    /// Topic to read.
    pub(crate) output: &'a str,
    /// Where each partition of the output is read from.
    pub(crate) from: Vec<i64>,
    /// The stream of records.
    pub(crate) payload: &'a Payload,
    /// Number of the schedule's first record.
    pub(crate) first: u64,
    /// When they are due.
    pub(crate) schedule: &'a Schedule,
    /// Records due before this are not counted.
    pub(crate) warm_up: Duration,
    /// How long after the last record outputs are waited for.
    pub(crate) settle: Duration,
}

/// What came out.
pub(crate) struct Outcome {
    all: Histogram<u64>,
    phases: Vec<Histogram<u64>>,
    /// Records sent.
    pub(crate) sent: u64,
    /// Different records seen.
    pub(crate) seen: u64,
    /// Records seen again.
    pub(crate) duplicates: u64,
    /// The most records that were sent and not yet seen, sampled.
    backlog_max: u64,
    /// Seconds after the start of the last phase until the last late record; 0 if none was late.
    recovered_s: f64,
}

impl Outcome {
    /// All figures; those of phases only where there are several.
    pub(crate) fn figures(&self) -> Figures {
        let mut all = figures::percentiles(&self.all, "");
        if self.phases.len() > 1 {
            for (place, phase) in self.phases.iter().enumerate() {
                all.extend(figures::percentiles(phase, &format!("phase{}_", place + 1)));
            }
            all.insert("recovered_s".into(), self.recovered_s);
            all.insert("backlog_max_records".into(), self.backlog_max as f64);
        }
        all.insert("records".into(), self.sent as f64);
        all.insert("missing".into(), self.sent.saturating_sub(self.seen) as f64);
        all.insert("duplicates".into(), self.duplicates as f64);
        all
    }
}

/// What both threads and the watcher share.
#[derive(Default)]
struct Shared {
    sent: AtomicU64,
    seen: AtomicU64,
    stop_sending: AtomicBool,
    stop_reading: AtomicBool,
}

/// Sends, reads and waits until all is seen or `settle` is over. `watch` is asked every 50 ms whether to go on.
pub(crate) fn run(load: &Load<'_>, watch: &mut dyn FnMut() -> Result<()>) -> Result<Outcome> {
    let shared = Shared::default();
    let start = Instant::now() + RUN_UP;
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(load, &shared, start));
        let sender = scope.spawn(|| send(load, &shared, start));
        let mut backlog_max = 0;
        let mut watched = Ok(());
        while watched.is_ok() && !sender.is_finished() && !reader.is_finished() {
            thread::sleep(Duration::from_millis(50));
            let (seen, sent) = (
                shared.seen.load(Ordering::Relaxed),
                shared.sent.load(Ordering::Relaxed),
            );
            backlog_max = backlog_max.max(sent.saturating_sub(seen));
            watched = watch();
        }
        shared.stop_sending.store(true, Ordering::Relaxed);
        let sent = joined(sender.join());
        let until = Instant::now() + load.settle;
        while let (Ok(()), Ok(sent)) = (&watched, &sent) {
            if shared.seen.load(Ordering::Relaxed) >= *sent
                || Instant::now() >= until
                || reader.is_finished()
            {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            watched = watch();
        }
        shared.stop_reading.store(true, Ordering::Relaxed);
        let outcome = joined(reader.join());
        watched?;
        Ok(Outcome {
            sent: sent?,
            backlog_max,
            ..outcome?
        })
    })
}

fn joined<T>(end: thread::Result<Result<T>>) -> Result<T> {
    end.unwrap_or_else(|_| {
        Err(Failure::new(
            "a thread of the load test panicked: this is a fault of the load test",
        ))
    })
}

fn send(load: &Load<'_>, shared: &Shared, start: Instant) -> Result<u64> {
    let producer = Producer::new(load.bootstrap, &PRODUCER, load.input)?;
    let generator = Generator {
        producer: &producer,
        payload: load.payload,
        first: load.first,
    };
    thread::sleep(start.saturating_duration_since(Instant::now()));
    let sent = generator.run(load.schedule, start, &shared.stop_sending, &shared.sent)?;
    producer.finish(FLUSH)?;
    Ok(sent)
}

fn read(load: &Load<'_>, shared: &Shared, start: Instant) -> Result<Outcome> {
    let mut consumer = Consumer::new(
        load.bootstrap,
        &[],
        load.output,
        &Start::At(load.from.clone()),
    )?;
    let phases = load.schedule.phases().count();
    let mut outcome = Outcome {
        all: figures::latencies()?,
        phases: (0..phases)
            .map(|_| figures::latencies())
            .collect::<Result<_>>()?,
        sent: 0,
        seen: 0,
        duplicates: 0,
        backlog_max: 0,
        recovered_s: 0.0,
    };
    let mut known = vec![0u64; load.schedule.total() as usize / 64 + 1];
    let warm_up = load.warm_up.as_nanos() as u64;
    while !shared.stop_reading.load(Ordering::Relaxed) {
        let mut now = None;
        consumer.read(Duration::from_millis(20), |_, key, value| {
            // One look at the clock per batch: its records were all there at that moment.
            let now = *now.get_or_insert_with(|| start.elapsed().as_nanos() as u64);
            let Some(record) = load
                .payload
                .sequence(key, value)
                .and_then(|number| number.checked_sub(load.first))
            else {
                return;
            };
            let Some(word) = known.get_mut(record as usize / 64) else {
                return;
            };
            if *word & (1 << (record % 64)) != 0 {
                outcome.duplicates += 1;
                return;
            }
            *word |= 1 << (record % 64);
            outcome.seen += 1;
            outcome.note(load.schedule, record, now, warm_up);
        });
        shared.seen.store(outcome.seen, Ordering::Relaxed);
    }
    match (outcome.seen, consumer.last_error()) {
        (0, Some(error)) => Err(Failure::new(format!(
            "topic '{}' could not be read: {error}",
            load.output
        ))),
        _ => Ok(outcome),
    }
}

impl Outcome {
    fn note(&mut self, schedule: &Schedule, record: u64, now_ns: u64, warm_up_ns: u64) {
        let due = schedule.due_ns(record);
        if due < warm_up_ns {
            return;
        }
        let latency = now_ns.saturating_sub(due);
        self.all.saturating_record(latency);
        let phase = schedule.phase_of(record);
        if let Some(histogram) = self.phases.get_mut(phase) {
            histogram.saturating_record(latency);
        }
        if phase > 0 && phase + 1 == self.phases.len() && latency > BACKLOG.as_nanos() as u64 {
            let since = now_ns.saturating_sub(schedule.phase_start_ns(phase));
            self.recovered_s = self.recovered_s.max(since as f64 / 1e9);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Steps;

    fn outcome(phases: usize) -> Outcome {
        Outcome {
            all: figures::latencies().unwrap(),
            phases: (0..phases).map(|_| figures::latencies().unwrap()).collect(),
            sent: 0,
            seen: 0,
            duplicates: 0,
            backlog_max: 0,
            recovered_s: 0.0,
        }
    }

    #[test]
    fn warm_up_is_left_out_and_latency_counts_from_the_scheduled_time() {
        let schedule = Schedule::constant(10.0, Duration::from_secs(2));
        let mut outcome = outcome(1);
        for record in 0..20 {
            outcome.note(
                &schedule,
                record,
                schedule.due_ns(record) + 5_000_000,
                1_000_000_000,
            );
        }
        assert_eq!(outcome.all.len(), 10);
        assert!((outcome.figures()["max_ms"] - 5.0).abs() < 0.01);
    }

    #[test]
    fn after_a_step_down_the_last_late_record_says_when_the_backlog_was_gone() {
        let schedule = Schedule::new(&"100:1,1000:1,100:2".parse::<Steps>().unwrap().0);
        let mut outcome = outcome(3);
        let last_phase = 100 + 1_000;
        outcome.note(&schedule, 50, schedule.due_ns(50) + 900_000_000, 0);
        assert_eq!(outcome.recovered_s, 0.0, "only the last phase tells");
        outcome.note(
            &schedule,
            last_phase,
            schedule.due_ns(last_phase) + 500_000_000,
            0,
        );
        outcome.note(
            &schedule,
            last_phase + 100,
            schedule.due_ns(last_phase + 100) + 1_000_000,
            0,
        );
        assert!((outcome.recovered_s - 0.5).abs() < 1e-9);
        assert!(outcome.figures().contains_key("phase3_p99_ms"));
    }
}
