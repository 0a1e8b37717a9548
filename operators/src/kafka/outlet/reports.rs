//! The producer's thread: what the client reports of rows, of brokers, and of itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;
use thalweg_engine::source::Health;

use super::super::client::{Event, Queue, code_of};
use super::super::codes::Code;
use super::super::delivery_errors::fatal;
use super::super::statistics::Statistics;
use super::super::target::Target;
use super::super::window::{Flight, Window};
use super::{BYTES_MAX, ROW_COST, Shared};

impl Shared {
    /// The thread.
    pub(super) fn serve(&self, queue: &Queue) {
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
                self.fail_at(window, code);
            }
            return;
        }
        if let Some(last) = run.last() {
            // SAFETY: a live message.
            window.ends_at(unsafe { (**last).offset } + 1);
        }
        let changed = window.land(run.len(), self.failing.load(Ordering::Acquire), landed);
        if changed.idle {
            self.busy.fetch_sub(1, Ordering::Relaxed);
        }
        if let Err(code) = changed.done {
            self.fail_at(window, code);
        }
        if let Some(next) = changed.next {
            self.busy.fetch_add(1, Ordering::Relaxed);
            if let Err(code) = next.granted() {
                self.fail_at(&next, code);
            }
        }
        self.report(landed);
    }

    /// Frees what has landed and tells the observers.
    fn report(&self, landed: &[Flight]) {
        let cost: usize = landed
            .iter()
            .map(|flight| flight.size as usize + ROW_COST)
            .sum();
        let before = self.brokers.bytes.fetch_sub(cost, Ordering::AcqRel);
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
                let since_taken = since_written + u64::from(flight.waited);
                observer.delivered(&flight.trace, since_written, since_taken);
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
                let topics: Vec<String> = self.targets.read().keys().cloned().collect();
                self.fail(fatal(code, &reason, &topics.join(", ")));
            }
            Code::ALL_BROKERS_DOWN => {
                *self.health.lock() = self.down();
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
        let answered = statistics.any_answers();
        if let Some(client) = &*self.client.lock() {
            client.hear(answered, &self.servers);
        }
        *self.health.lock() = if answered { Health::Up } else { self.down() };
        for broker in statistics.brokers.values() {
            if let Some(near) = broker.near() {
                self.brokers.near(broker.nodeid, near);
            }
        }
        let now = self.micros(Instant::now());
        let limit = u64::try_from(self.delivery_timeout.as_micros()).unwrap_or(u64::MAX);
        let mut overdue = None;
        let targets: Vec<Arc<Target>> = self.targets.read().values().cloned().collect();
        for target in targets {
            let Some(told) = statistics.topics.get(target.name()) else {
                continue;
            };
            let known = told
                .partitions
                .values()
                .filter(|partition| partition.partition >= 0 && !partition.unknown)
                .count();
            target.grow(i32::try_from(known).unwrap_or(0));
            for window in target.windows() {
                let (topic, partition) = window.place();
                let leader = told
                    .partitions
                    .get(itoa::Buffer::new().format(partition))
                    .map_or(-1, |partition| partition.leader);
                window.led_by(leader);
                let answers = statistics.answers(leader);
                if window.overdue(answers, now, limit) {
                    overdue = Some(format!("{topic}/{partition}"));
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
