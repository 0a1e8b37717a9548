//! The queue between a lane's writer and the thread that posts for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use thalweg_engine::error::Failure;
use thalweg_engine::recorder::Trace;
use thalweg_engine::sink::{DeliveryObserver, LocalFuture, Readiness};
use tokio::sync::oneshot;

/// Bytes of rows that wait, from which on the lane pauses.
const BYTES_MAX: usize = 1 << 20;
/// Rows that wait, from which on the lane pauses; with large batches twice as many as a batch takes.
const ROWS_MAX: usize = 1000;

/// A row of a record in hand, encoded.
pub(super) struct Staged {
    pub(super) body: Vec<u8>,
    pub(super) taken: Instant,
}

/// A row that was handed over.
pub(super) struct Waiting {
    pub(super) body: Vec<u8>,
    taken: Instant,
    written: Instant,
    trace: Trace,
}

type Waiter = oneshot::Sender<Result<(), Failure>>;

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Bytes of rows that are not acknowledged.
    bytes: usize,
    /// Rows that were ever handed over, and acknowledged.
    handed: u64,
    acknowledged: u64,
    /// Who waits until so many rows are acknowledged, in rising order.
    delivered: VecDeque<(u64, Waiter)>,
    drained: Vec<Waiter>,
    failed: Option<Failure>,
    closed: bool,
}

/// The queue of one lane.
pub(super) struct Lane {
    state: Mutex<State>,
    wake: Condvar,
    rows_max: u64,
    observer: Arc<dyn DeliveryObserver>,
}

impl Lane {
    pub(super) fn new(batch_size: usize, observer: Arc<dyn DeliveryObserver>) -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            rows_max: ROWS_MAX.max(batch_size.saturating_mul(2)) as u64,
            observer,
        }
    }

    fn full(&self, state: &State) -> bool {
        state.bytes >= BYTES_MAX || state.handed - state.acknowledged >= self.rows_max
    }

    /// Rows taken and not yet acknowledged.
    pub(super) fn in_flight(&self) -> u64 {
        let state = self.state.lock();
        state.handed - state.acknowledged
    }

    /// Takes the rows of a record.
    pub(super) fn take(&self, rows: &mut Vec<Staged>) -> Result<Readiness, Failure> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        let (written, trace) = (Instant::now(), self.observer.trace());
        if trace.is_traced() {
            let sent = u32::try_from(rows.len()).unwrap_or(u32::MAX);
            self.observer.sent(&trace, sent);
        }
        for row in rows.drain(..) {
            state.bytes += row.body.len();
            state.handed += 1;
            state.waiting.push_back(Waiting {
                body: row.body,
                taken: row.taken,
                written,
                trace,
            });
        }
        self.wake.notify_one();
        Ok(match self.full(&state) {
            true => Readiness::Full,
            false => Readiness::Ready,
        })
    }

    /// Resolves when there is room again.
    pub(super) fn drained(&self) -> LocalFuture<Result<(), Failure>> {
        self.when(|state, waiter| {
            let full = self.full(state);
            full.then(|| state.drained.push(waiter)).is_some()
        })
    }

    /// Resolves when all that was handed over before is acknowledged.
    pub(super) fn delivered(&self) -> LocalFuture<Result<(), Failure>> {
        self.when(|state, waiter| {
            let upto = state.handed;
            let open = upto > state.acknowledged;
            open.then(|| state.delivered.push_back((upto, waiter)))
                .is_some()
        })
    }

    /// Resolves when the waiter is told, or at once where `enlist` does not keep it.
    fn when(
        &self,
        enlist: impl FnOnce(&mut State, Waiter) -> bool,
    ) -> LocalFuture<Result<(), Failure>> {
        let mut state = self.state.lock();
        if let Some(failure) = &state.failed {
            return Box::pin(std::future::ready(Err(failure.clone())));
        }
        let (sender, receiver) = oneshot::channel();
        if !enlist(&mut state, sender) {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            receiver
                .await
                .unwrap_or_else(|_| Err(Failure::restart("the output was closed")))
        })
    }

    /// Waits for rows and gives the oldest, at most so many, and of about a megabyte. None when the lane is closed.
    pub(super) fn next(&self, rows: usize) -> Option<Vec<Waiting>> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() && !state.closed {
            self.wake.wait(&mut state);
        }
        if state.closed {
            return None;
        }
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < rows
            && bytes < BYTES_MAX
            && let Some(row) = state.waiting.pop_front()
        {
            bytes += row.body.len();
            batch.push(row);
        }
        Some(batch)
    }

    /// Notes that these rows, the oldest ones, are delivered.
    pub(super) fn acknowledge(&self, batch: &[Waiting]) {
        let bytes: usize = batch.iter().map(|row| row.body.len()).sum();
        let mut told = Vec::new();
        {
            let mut state = self.state.lock();
            state.bytes -= bytes;
            state.acknowledged += batch.len() as u64;
            if !self.full(&state) {
                told.append(&mut state.drained);
            }
            while state
                .delivered
                .front()
                .is_some_and(|(upto, _)| *upto <= state.acknowledged)
            {
                told.extend(state.delivered.pop_front().map(|(_, waiter)| waiter));
            }
        }
        let micros =
            |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.observer.acknowledged(batch.len() as u64, bytes as u64);
        for row in batch {
            self.observer
                .delivered(&row.trace, micros(row.written), micros(row.taken));
        }
        for waiter in told {
            // It may have lost interest.
            let _ = waiter.send(Ok(()));
        }
    }

    /// Nothing more can be delivered, for this reason.
    pub(super) fn fail(&self, failure: &Failure) {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| failure.clone());
        let State {
            delivered, drained, ..
        } = &mut *state;
        let waiters = delivered.drain(..).map(|(_, waiter)| waiter);
        for waiter in waiters.chain(drained.drain(..)) {
            let _ = waiter.send(Err(failure.clone()));
        }
    }

    /// Gives up what is not delivered.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_all();
        self.fail(&Failure::restart("the output was closed"));
    }

    /// Waits for so long, or until the lane is closed; whether it is.
    pub(super) fn pause(&self, long: Duration) -> bool {
        let until = Instant::now() + long;
        let mut state = self.state.lock();
        while !state.closed && !self.wake.wait_until(&mut state, until).timed_out() {}
        state.closed
    }
}
