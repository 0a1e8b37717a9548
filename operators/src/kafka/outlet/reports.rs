//! What the client reports of rows, of brokers, and of itself: acknowledgements on its own threads, all else to the outlet's.

use std::cell::RefCell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use rdkafka_sys as sys;
use thalweg_engine::error::Failure;
use thalweg_engine::sink::Delivered;
use thalweg_engine::source::Health;

use super::super::acknowledgements::Acknowledgements;
use super::super::client::{Event, Queue, code_of};
use super::super::codes::Code;
use super::super::delivery_errors::fatal;
use super::super::statistics::Statistics;
use super::super::target::Target;
use super::super::window::{Flight, Window};
use super::{BYTES_MAX, ROW_COST, Shared};

thread_local! {
    /// Rows that have landed together, for as long as they are told of.
    static LANDED: RefCell<Vec<Flight>> = const { RefCell::new(Vec::new()) };
}

/// The window that a row was handed over with.
///
/// # Safety
/// The row is one that the client still holds, or is being handed over: the outlet keeps all windows until there are none.
unsafe fn window_of<'a>(opaque: *mut c_void) -> &'a Window {
    // SAFETY: as the caller promises.
    unsafe { &*opaque.cast_const().cast::<Window>() }
}

impl Acknowledgements for Shared {
    fn acknowledged(&self, opaque: *mut c_void, offset: i64) -> bool {
        // SAFETY: the client tells of a row that it holds.
        let window = unsafe { window_of(opaque) };
        if offset >= 0 {
            window.ends_at(offset + 1);
        }
        if !window.acknowledged() {
            return false;
        }
        if offset < 0 {
            // An acknowledgement of later rows may have told of it; then the client holds the partition's lock, for which a lane
            // may wait that holds the window's.
            self.aside.lock().extend(window.myself());
            return true;
        }
        // Through the client no panic may go.
        let landed = catch_unwind(AssertUnwindSafe(|| self.landed(window)));
        if landed.is_err() {
            self.fail(Failure::restart(
                "what waits for an acknowledgement has panicked",
            ));
        }
        false
    }
}

impl Shared {
    /// The thread.
    pub(super) fn serve(&self, queue: &Queue) {
        let mut messages = Vec::new();
        loop {
            let event = queue.poll(1000);
            let aside = std::mem::take(&mut *self.aside.lock());
            for window in aside {
                self.landed(&window);
            }
            let Some(event) = event else {
                if self.stopping.load(Ordering::Acquire) {
                    break;
                }
                continue;
            };
            match event.kind() {
                sys::RD_KAFKA_EVENT_DR => self.undelivered(&event, &mut messages),
                sys::RD_KAFKA_EVENT_STATS => self.measure(&Statistics::read(event.statistics())),
                sys::RD_KAFKA_EVENT_ERROR => self.notice(queue, event.error(), &event.error_text()),
                _ => {}
            }
        }
    }

    /// Rows were purged at the end of the run, or have failed: they are not acknowledged any more.
    fn undelivered(&self, event: &Event, messages: &mut Vec<*const sys::rd_kafka_message_t>) {
        event.delivered(messages);
        if self.closing.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: messages live as long as the event.
        let failed = messages.iter().find_map(|message| unsafe {
            let code = code_of(&raw const (**message).err);
            (code != Code::OK).then_some((code, (**message)._private))
        });
        if let Some((code, opaque)) = failed {
            // SAFETY: as in `acknowledged`.
            self.fail_at(unsafe { window_of(opaque) }, code);
        }
    }

    /// All that was on its way of a window was acknowledged.
    fn landed(&self, window: &Window) {
        LANDED.with_borrow_mut(|flights| {
            flights.clear();
            let changed = window.land(self.failing.load(Ordering::Acquire), flights);
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
            self.report(flights);
        });
    }

    /// Frees what has landed and tells the observers.
    fn report(&self, flights: &[Flight]) {
        let bytes = |flights: &[Flight]| {
            flights
                .iter()
                .map(|flight| flight.size as usize)
                .sum::<usize>()
        };
        let cost = bytes(flights) + flights.len() * ROW_COST;
        let before = self.brokers.bytes.fetch_sub(cost, Ordering::AcqRel);
        self.rows.fetch_sub(flights.len() as u64, Ordering::Relaxed);
        if before - cost < BYTES_MAX / 2 {
            for waker in self.drains.lock().drain(..) {
                waker.wake();
            }
        }
        let now = self.micros(Instant::now());
        let observers = self.observers.read();
        for of_lane in flights.chunk_by(|one, next| one.lane == next.lane) {
            let Some(observer) = observers.get(of_lane[0].lane as usize) else {
                continue;
            };
            observer.acknowledged(of_lane.len() as u64, bytes(of_lane) as u64);
            observer.delivered_together(&mut of_lane.iter().map(|flight| {
                let since_written = now.saturating_sub(flight.written);
                Delivered {
                    trace: flight.trace,
                    written_to_acknowledged: since_written,
                    taken_to_acknowledged: since_written + u64::from(flight.waited),
                }
            }));
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
        if self.closing.load(Ordering::Acquire) {
            return;
        }
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
