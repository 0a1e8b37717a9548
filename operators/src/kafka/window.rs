//! The window of an output partition: rows that are on their way or held, and the way on which they are handed to the client.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

use parking_lot::Mutex;
use rdkafka_sys as sys;
use thalweg_engine::recorder::Trace;

use super::client::code_of;
use super::codes::Code;
use super::gate::{After, Gate, Slots, Step};
use super::hand_over;
use super::layout::{Header, Staged};
use super::stamp::Stamp;
use super::target::{Brokers, RECORD_OVERHEAD, Route};

/// Held memory that is kept for the next batch.
const KEEP_CAPACITY: usize = 256 * 1024;

/// A row on its way or held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Microseconds since the outlet was opened.
    pub(crate) written: u64,
    /// Microseconds from taken to written.
    pub(crate) waited: u32,
    /// Bytes of key, value and headers.
    pub(crate) size: u32,
    /// The number of its writer.
    pub(crate) lane: u32,
    /// The record it comes from, for who looks for slow ones.
    pub(crate) trace: Trace,
}

/// What became of a row that was given to a window.
pub(crate) struct Pushed {
    /// How many rows the window has taken with it.
    pub(crate) tail: u64,
    /// Whether the partition was idle before.
    pub(crate) woke: bool,
    /// Whether the client took what was handed over.
    pub(crate) done: Result<(), Code>,
}

/// What changed when all that was on its way had landed.
pub(crate) struct Landed {
    /// Whether the partition is idle now.
    pub(crate) idle: bool,
    /// Whether the client took what was held.
    pub(crate) done: Result<(), Code>,
    /// Whose turn has come.
    pub(crate) next: Option<Arc<Window>>,
}

/// A row that is held: its bytes stand in the window's buffer, key first.
struct Held {
    /// What it takes in a request, at most.
    size: usize,
    key: Option<usize>,
    value: Option<usize>,
    headers: Option<Box<[Header]>>,
    stamp: Option<Stamp>,
}

#[derive(Default)]
struct Inner {
    gate: Gate,
    /// On their way and held, in order.
    flights: VecDeque<Flight>,
    bytes: Vec<u8>,
    held: Vec<Held>,
    appended: u64,
    acknowledged: u64,
    waiters: Vec<(u64, Waker)>,
    /// The broker whose slot it holds or stands in line for.
    broker: i32,
    /// The texts of coordinates.
    text: Vec<u8>,
    /// Nothing is handed over any more.
    shut: bool,
}

/// The way to one output partition.
pub(crate) struct Window {
    route: Arc<Route>,
    partition: i32,
    inner: Mutex<Inner>,
    /// When its broker was last seen not to answer, in microseconds since the outlet was opened.
    silent_at: AtomicU64,
    /// The number of its broker; below zero where not known.
    leader: AtomicI32,
    /// The offset behind the last record that was acknowledged, or where the partition ended at the start; below zero where
    /// neither is known.
    end: AtomicI64,
    /// Of the rows on their way, those that were not acknowledged yet. One that fails never is, so nothing counts from then on.
    flying: AtomicUsize,
    brokers: Arc<Brokers>,
    /// Itself, to stand in line with.
    me: Weak<Self>,
}

impl Inner {
    fn hold(&mut self, row: &mut Staged, bytes: &[u8]) {
        let (key, value) = (row.key.clone(), row.value.clone());
        for range in [&key, &value].into_iter().flatten() {
            self.bytes.extend_from_slice(&bytes[range.clone()]);
        }
        self.held.push(Held {
            size: row.size() + RECORD_OVERHEAD,
            key: key.map(|range| range.len()),
            value: value.map(|range| range.len()),
            headers: row.headers.take(),
            stamp: row.stamp.take(),
        });
    }
}

impl Window {
    /// The way to a partition of a topic.
    pub(super) fn new(route: &Arc<Route>, partition: i32, brokers: &Arc<Brokers>) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            route: Arc::clone(route),
            partition,
            inner: Mutex::default(),
            silent_at: AtomicU64::new(0),
            leader: AtomicI32::new(-1),
            end: AtomicI64::new(-1),
            flying: AtomicUsize::new(0),
            brokers: Arc::clone(brokers),
            me: Weak::clone(me),
        })
    }

    fn opaque(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast::<c_void>()
    }

    /// Itself, to keep.
    pub(crate) fn myself(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// Topic and partition.
    pub(crate) fn place(&self) -> (&str, i32) {
        (&self.route.name, self.partition)
    }

    /// Takes a row: hands it over, or holds it.
    pub(crate) fn push(&self, row: &mut Staged, bytes: &[u8], flight: Flight) -> Pushed {
        let mut inner = self.inner.lock();
        if inner.shut {
            return Pushed {
                tail: inner.appended,
                woke: false,
                done: Err(Code::PURGED),
            };
        }
        let was_busy = inner.gate.busy();
        inner.flights.push_back(flight);
        inner.appended += 1;
        let leader = self.leader.load(Ordering::Relaxed);
        let slot = || {
            self.me.upgrade().is_none_or(|me| {
                self.brokers
                    .with(leader, |slots, limit| slots.take(limit, || me))
            })
        };
        let step = inner.gate.offer(slot);
        let done = match step {
            Step::Send => {
                inner.broker = leader;
                self.flying.store(1, Ordering::Release);
                self.send(
                    row.key.clone().map(|range| &bytes[range]),
                    row.value.clone().map(|range| &bytes[range]),
                    row.headers.as_deref(),
                    row.stamp.as_ref(),
                    &mut inner.text,
                )
            }
            Step::Queue => {
                inner.broker = leader;
                inner.hold(row, bytes);
                Ok(())
            }
            Step::Hold => {
                inner.hold(row, bytes);
                Ok(())
            }
        };
        Pushed {
            tail: inner.appended,
            woke: !was_busy && inner.gate.busy(),
            done,
        }
    }

    /// A row was acknowledged. Says whether it was the last of those on their way: then it is time to [`Window::land`].
    pub(crate) fn acknowledged(&self) -> bool {
        self.flying.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// All rows on their way were acknowledged: adds them to `flights`, hands over what is held, wakes who waited.
    pub(crate) fn land(&self, failing: bool, flights: &mut Vec<Flight>) -> Landed {
        let mut inner = self.inner.lock();
        let rows = inner.gate.flying().min(inner.flights.len());
        flights.extend(inner.flights.drain(..rows));
        inner.acknowledged += rows as u64;
        let (mut done, mut next) = (Ok(()), None);
        let broker = inner.broker;
        // Once the outlet has failed, nothing goes any more: the gate stays shut.
        let after = (!failing).then(|| inner.gate.landed());
        match after {
            None => {}
            Some(After::Free) => next = self.brokers.with(broker, Slots::give_back),
            Some(After::Held) => {
                let passed = self.me.upgrade().map(|me| {
                    self.brokers
                        .with(broker, |slots, limit| slots.pass_on(limit, || me))
                });
                if passed.as_ref().is_none_or(|passed| passed.keeps) {
                    done = self.release(&mut inner);
                } else {
                    inner.gate.queue();
                }
                next = passed.and_then(|passed| passed.next);
            }
        }
        let reached = inner.acknowledged;
        inner.waiters.retain(|(tail, waker)| {
            let waits = *tail > reached;
            if !waits {
                waker.wake_by_ref();
            }
            waits
        });
        Landed {
            idle: !inner.gate.busy(),
            done,
            next,
        }
    }

    /// From now on nothing is handed over.
    pub(crate) fn shut(&self) {
        self.inner.lock().shut = true;
    }

    /// Its turn for a slot has come: hands over what is held.
    pub(crate) fn granted(&self) -> Result<(), Code> {
        self.release(&mut self.inner.lock())
    }

    /// Whether so many rows were acknowledged; if not, the waker is woken when they are.
    pub(crate) fn wait_for(&self, tail: u64, waker: &Waker) -> bool {
        let mut inner = self.inner.lock();
        if inner.acknowledged >= tail {
            return true;
        }
        let known = inner
            .waiters
            .iter()
            .any(|(waits, known)| *waits == tail && known.will_wake(waker));
        if !known {
            inner.waiters.push((tail, waker.clone()));
        }
        false
    }

    /// Wakes everyone who waits.
    pub(crate) fn wake_all(&self) {
        for (_, waker) in self.inner.lock().waiters.drain(..) {
            waker.wake();
        }
    }

    /// Notes whether the partition's broker answers at `now`; says whether it does and the oldest row has waited longer
    /// than `limit` since then. Times are microseconds since the outlet was opened.
    pub(crate) fn overdue(&self, answers: bool, now: u64, limit: u64) -> bool {
        if !answers {
            self.silent_at.store(now, Ordering::Relaxed);
            return false;
        }
        let oldest = self
            .inner
            .lock()
            .flights
            .front()
            .map(|flight| flight.written);
        let silent_at = self.silent_at.load(Ordering::Relaxed);
        oldest.is_some_and(|oldest| now.saturating_sub(oldest.max(silent_at)) > limit)
    }

    /// Notes the number of its broker.
    pub(crate) fn led_by(&self, broker: i32) {
        self.leader.store(broker, Ordering::Relaxed);
    }

    /// Notes that everything before this offset stands in the partition.
    pub(crate) fn ends_at(&self, offset: i64) {
        self.end.fetch_max(offset, Ordering::Relaxed);
    }

    /// An offset that the partition reached before now: what is handed over later stands behind it. Below zero where none is
    /// known.
    pub(crate) fn end(&self) -> i64 {
        self.end.load(Ordering::Relaxed)
    }

    /// Whether anything is on its way.
    pub(crate) fn busy(&self) -> bool {
        self.inner.lock().gate.busy()
    }

    /// Whether so many rows were acknowledged.
    pub(crate) fn reached(&self, tail: u64) -> bool {
        self.inner.lock().acknowledged >= tail
    }

    /// Hands over what is held, as far as it fits in a request and the gate lets it go.
    fn release(&self, inner: &mut Inner) -> Result<(), Code> {
        if inner.shut {
            return Err(Code::PURGED);
        }
        let mut room = self.route.request.bytes;
        let fits = inner
            .held
            .iter()
            .take(self.route.request.rows)
            .take_while(|row| {
                let fits = row.size <= room;
                room = room.saturating_sub(row.size);
                fits
            });
        let rows = inner.gate.release(fits.count());
        self.flying.store(rows, Ordering::Release);
        let Inner {
            bytes, held, text, ..
        } = inner;
        let mut rest = bytes.as_slice();
        let mut batch: Vec<sys::rd_kafka_message_t> = Vec::new();
        for row in held.iter().take(rows) {
            let mut part = |length: Option<usize>| {
                length.map(|length| {
                    let (part, later) = rest.split_at(length);
                    rest = later;
                    part
                })
            };
            let (key, value) = (part(row.key), part(row.value));
            if row.headers.is_some() || row.stamp.is_some() {
                self.send_batch(&mut batch)?;
                let (headers, stamp) = (row.headers.as_deref(), row.stamp.as_ref());
                self.send(key, value, headers, stamp, text)?;
            } else {
                batch.push(self.message(key, value));
            }
        }
        self.send_batch(&mut batch)?;
        let gone = bytes.len() - rest.len();
        bytes.drain(..gone);
        held.drain(..rows);
        if held.is_empty() {
            bytes.shrink_to(KEEP_CAPACITY);
            held.shrink_to(KEEP_CAPACITY / 64);
        }
        Ok(())
    }

    fn message(&self, key: Option<&[u8]>, value: Option<&[u8]>) -> sys::rd_kafka_message_t {
        let pointer = |part: Option<&[u8]>| {
            part.map_or(ptr::null_mut(), |part| {
                part.as_ptr().cast_mut().cast::<c_void>()
            })
        };
        sys::rd_kafka_message_t {
            err: sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR,
            rkt: ptr::null_mut(),
            partition: self.partition,
            payload: pointer(value),
            len: value.map_or(0, <[u8]>::len),
            key: pointer(key),
            key_len: key.map_or(0, <[u8]>::len),
            offset: 0,
            _private: self.opaque(),
        }
    }

    fn send_batch(&self, batch: &mut Vec<sys::rd_kafka_message_t>) -> Result<(), Code> {
        if batch.is_empty() {
            return Ok(());
        }
        // SAFETY: keys and values live for the call, which copies them.
        let taken = unsafe {
            sys::rd_kafka_produce_batch(
                self.route.topic.native(),
                self.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                batch.as_mut_ptr(),
                i32::try_from(batch.len()).unwrap_or(i32::MAX),
            )
        };
        let refused = (usize::try_from(taken).unwrap_or(0) < batch.len()).then(|| {
            batch
                .iter()
                // SAFETY: the client has set the code of each message.
                .map(|message| unsafe { code_of(&raw const message.err) })
                .find(|code| *code != Code::OK)
                .unwrap_or(Code::BAD_MSG)
        });
        batch.clear();
        refused.map_or(Ok(()), Err)
    }

    fn send(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Option<&[Header]>,
        stamp: Option<&Stamp>,
        text: &mut Vec<u8>,
    ) -> Result<(), Code> {
        if headers.is_some() || stamp.is_some() {
            let headers = headers.unwrap_or_default();
            return self.send_with_headers(key, value, headers, stamp, text);
        }
        let message = self.message(key, value);
        // SAFETY: key and value live for the call, which copies the value and the key.
        unsafe {
            let failed = sys::rd_kafka_produce(
                self.route.topic.native(),
                self.partition,
                sys::RD_KAFKA_MSG_F_COPY,
                message.payload,
                message.len,
                message.key,
                message.key_len,
                self.opaque(),
            );
            if failed == 0 {
                Ok(())
            } else {
                Err(Code::from(sys::rd_kafka_last_error()))
            }
        }
    }

    fn send_with_headers(
        &self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
        stamp: Option<&Stamp>,
        text: &mut Vec<u8>,
    ) -> Result<(), Code> {
        let way = hand_over::Way {
            client: self.route.topic.client(),
            topic: self.route.topic.native(),
            partition: self.partition,
            opaque: self.opaque(),
        };
        // SAFETY: the route holds the topic, and the topic its client.
        unsafe {
            hand_over::with_headers(&way, key, value, |add| {
                for header in headers {
                    if stamp.is_none() || !Stamp::names(&header.name) {
                        add(&header.name, header.value.as_deref());
                    }
                }
                if let Some(stamp) = stamp {
                    for (name, at) in stamp.write(text) {
                        add(name, Some(&text[at]));
                    }
                }
            })
        }
    }
}
