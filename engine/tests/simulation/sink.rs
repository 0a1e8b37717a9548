//! The output of the simulation: slow, full, failing; what it has not delivered when it goes may be there or not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::clock::sleep;
use parking_lot::Mutex;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};
use tokio::sync::Notify;

use super::{Bug, World, counting};

type InFlight = Arc<Mutex<Vec<(u64, (i64, i64))>>>;

/// The client of one run: what it has not delivered when it is closed or dropped may be there or not.
pub(crate) struct SimulatedSink {
    world: World,
    in_flight: InFlight,
    closed: Arc<AtomicBool>,
    acknowledged: Arc<Notify>,
    next: Arc<Mutex<u64>>,
    failed: Arc<AtomicBool>,
}

impl SimulatedSink {
    pub(crate) fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            in_flight: InFlight::default(),
            closed: Arc::default(),
            acknowledged: Arc::default(),
            next: Arc::default(),
            failed: Arc::default(),
        }
    }

    /// The client is gone: each row in flight has reached the other side or not.
    fn gone(&self) {
        self.closed.store(true, Ordering::Relaxed);
        for (_, row) in self.in_flight.lock().drain(..) {
            if self.world.dice.one_in(2) {
                self.world.deliver(row);
            }
        }
    }
}

impl Drop for SimulatedSink {
    fn drop(&mut self) {
        self.gone();
    }
}

impl Sink for SimulatedSink {
    fn open(&self, _: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        Ok(Box::new(SimulatedWriter {
            world: self.world.clone(),
            in_flight: Arc::clone(&self.in_flight),
            closed: Arc::clone(&self.closed),
            acknowledged: Arc::clone(&self.acknowledged),
            next: Arc::clone(&self.next),
            failed: Arc::clone(&self.failed),
            own: Arc::default(),
            staged: Vec::new(),
        }))
    }

    fn close(&self) {
        self.gone();
    }
}

struct SimulatedWriter {
    world: World,
    in_flight: InFlight,
    closed: Arc<AtomicBool>,
    acknowledged: Arc<Notify>,
    next: Arc<Mutex<u64>>,
    failed: Arc<AtomicBool>,
    own: Arc<Mutex<BTreeSet<u64>>>,
    staged: Vec<(i64, i64)>,
}

impl SimulatedWriter {
    fn hand_over(&mut self, row: (i64, i64)) {
        let number = {
            let mut next = self.next.lock();
            *next += 1;
            *next
        };
        if self.world.bug == Bug::SinkSkipsARow && self.world.dice.one_in(50) {
            return;
        }
        self.in_flight.lock().push((number, row));
        self.own.lock().insert(number);
        let (world, in_flight) = (self.world.clone(), Arc::clone(&self.in_flight));
        let (own, acknowledged) = (Arc::clone(&self.own), Arc::clone(&self.acknowledged));
        let closed = Arc::clone(&self.closed);
        let slow = if self.world.fault(20) { 400 } else { 8 };
        let delay = self.world.dice.millis(slow);
        actix::spawn(async move {
            sleep(delay).await;
            if closed.load(Ordering::Relaxed) {
                return;
            }
            in_flight.lock().retain(|(known, _)| *known != number);
            world.deliver(row);
            own.lock().remove(&number);
            acknowledged.notify_waiters();
        });
    }
}

impl Writer for SimulatedWriter {
    fn write(&mut self, row: &[Value], _: Origin<'_>) -> Result<(), RecordError> {
        let (Value::BigInt(partition), Value::BigInt(number)) = (&row[0], &row[1]) else {
            return Err(RecordError::write("not a simulated row"));
        };
        if let Err(wrong) = counting::check(row) {
            self.world.wrong.lock().get_or_insert(wrong);
        }
        if matches!(row[2], Value::BigInt(place) if counting::fails(place)) {
            return Err(RecordError::write(
                "planted: a row that can never be written",
            ));
        }
        self.staged.push((*partition, *number));
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if self.world.fault(900) {
            self.failed.store(true, Ordering::Relaxed);
            return Err(Failure::restart("planted: the client failed"));
        }
        for row in std::mem::take(&mut self.staged) {
            self.hand_over(row);
        }
        let full = self.own.lock().len() > 20 || self.world.fault(30);
        Ok(if full {
            Readiness::Full
        } else {
            Readiness::Ready
        })
    }

    fn reject(&mut self) {
        self.staged.clear();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        let (own, acknowledged) = (Arc::clone(&self.own), Arc::clone(&self.acknowledged));
        Box::pin(async move {
            loop {
                let heard = acknowledged.notified();
                if own.lock().len() <= 10 {
                    return Ok(());
                }
                heard.await;
            }
        })
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        if self.world.bug == Bug::ReportsBeforeDelivery {
            return Box::pin(std::future::ready(Ok(())));
        }
        let before: BTreeSet<u64> = self.own.lock().clone();
        let (own, acknowledged) = (Arc::clone(&self.own), Arc::clone(&self.acknowledged));
        let fails = self.world.fault(60);
        Box::pin(async move {
            loop {
                let heard = acknowledged.notified();
                if fails {
                    return Err(Failure::restart("planted: a delivery report failed"));
                }
                if own.lock().is_disjoint(&before) {
                    return Ok(());
                }
                heard.await;
            }
        })
    }
}
