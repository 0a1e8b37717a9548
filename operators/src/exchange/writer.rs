//! The end of the first half: a row goes to the partition of its key, with its coordinate and the one before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use smol_str::SmolStr;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::Position;
use thalweg_engine::recorder::Trace;
use thalweg_engine::row::Value;
use thalweg_engine::sink::{
    DeliveryObserver, LocalFuture, Origin, Prepared, Promise, Readiness, Sink, Writer,
    WriterContext,
};
use thalweg_engine::source::Health;
use thalweg_engine::spans::Carried;

use super::coordinate::{self, Coordinate};
use super::{Exchange, parcel};
use crate::kafka::{
    Connection, Delivered, Drained, Outlet, OutletShared, Staged, Window, partition_of,
};
use crate::stateful::bytes::encode_key;
use crate::table::{OpenContext, Table};

/// Encoded bytes that a writer keeps room for.
const KEEP_CAPACITY: usize = 256 * 1024;

/// Promises go to all partitions: with many of them more seldom, so that they stay a small part of what is written.
const PROMISE_EACH: Duration = Duration::from_millis(4);

/// Opens the sink.
///
/// # Errors
/// As a Kafka output's.
pub(super) fn open(
    input: &Table,
    exchange: &Arc<Exchange>,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let connection = Connection::of(input).map_err(|error| Failure::refuse(error.message))?;
    let outlet = Outlet::open(&connection, Some(&exchange.topic), context.delivery_timeout)?;
    Ok(Arc::new(ExchangeSink {
        outlet,
        exchange: Arc::clone(exchange),
    }))
}

struct ExchangeSink {
    outlet: Outlet,
    exchange: Arc<Exchange>,
}

impl Sink for ExchangeSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let shared = Arc::clone(self.outlet.shared());
        shared.failure()?;
        let topic = &self.exchange.topic;
        let target = shared
            .known(topic)
            .ok_or_else(|| Failure::restart(format!("topic `{topic}` went with its sink")))?;
        let id = self.exchange.id.get().cloned();
        let partition = context
            .lane
            .strip_prefix(self.exchange.input.as_str())
            .and_then(|lane| lane.strip_prefix(':'))
            .and_then(|lane| lane.rsplit_once('/'));
        let (Some(id), Some((from, partition))) = (id, partition) else {
            return Err(Failure::end(format!(
                "the lane {} cannot write the exchange topic: a bug",
                context.lane
            )));
        };
        let outs: Vec<Out> = target
            .windows()
            .into_iter()
            // It must not grow; if it does, the run ends.
            .take(self.exchange.partitions)
            .map(|window| Out {
                window,
                tail: 0,
                last: None,
                told: None,
            })
            .collect();
        Ok(Box::new(ExchangeWriter {
            lane: shared.observe(Arc::clone(&context.observer)),
            observer: context.observer,
            way: format!("v1;{};{from};{partition};", self.exchange.names),
            id,
            record_max: target.record_max(),
            exchange: Arc::clone(&self.exchange),
            shared,
            outs,
            buffer: Vec::new(),
            staged: Vec::new(),
            promised: None,
        }))
    }

    fn health(&self) -> Health {
        self.outlet.shared().health()
    }

    fn in_flight(&self) -> u64 {
        self.outlet.shared().in_flight()
    }

    fn close(&self) {
        self.outlet.close();
    }
}

/// The way to one partition of the topic.
struct Out {
    window: Arc<Window>,
    /// How many rows the window had taken with this writer's last one.
    tail: u64,
    /// The coordinate of the last row that went there.
    last: Option<Coordinate>,
    /// What was promised there last.
    told: Option<Promise>,
}

/// A row that was encoded and not handed over.
struct Ready {
    key: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
    to: usize,
    at: Coordinate,
    taken: Instant,
    promise: Promise,
    /// The trace that the record is a part of goes through the topic.
    carried: Option<Carried>,
}

struct ExchangeWriter {
    exchange: Arc<Exchange>,
    shared: Arc<OutletShared>,
    lane: u32,
    observer: Arc<dyn DeliveryObserver>,
    id: SmolStr,
    /// What the origin of every record begins with.
    way: String,
    /// Bytes of key, value and headers that one record may have.
    record_max: usize,
    outs: Vec<Out>,
    /// The encoded bytes of `staged`.
    buffer: Vec<u8>,
    staged: Vec<Ready>,
    promised: Option<Instant>,
}

impl ExchangeWriter {
    fn send(
        &mut self,
        to: usize,
        key: Option<std::ops::Range<usize>>,
        value: std::ops::Range<usize>,
        at: Option<Coordinate>,
        (taken, carried): (Instant, Option<Carried>),
    ) -> Result<(), Failure> {
        let out = &mut self.outs[to];
        let headers = parcel::headers(&self.way, &self.id, at, out.last);
        let mut row = Staged::new(key, Some(value), headers, taken);
        if let Some(carried) = carried {
            row = row.carrying(carried);
        }
        let (bytes, lane) = (&self.buffer, self.lane);
        out.tail = self.shared.push(
            &out.window,
            &mut row,
            bytes,
            lane,
            Instant::now(),
            // What is in an exchange is not delivered yet.
            Trace::default(),
        )?;
        Ok(())
    }

    /// A position that was moved back by hand, or a topic that was made anew: readers would take the rows for repetitions.
    fn moved_back(&self, at: Coordinate) -> Failure {
        Failure::end(format!(
            "offset {} of an input partition comes again, although it has gone through the exchange topic `{}`: its position \
             was moved back, or its topic was made anew. Begin anew with another queryName or checkpointLocation",
            at.offset, self.exchange.topic
        ))
    }
}

impl Writer for ExchangeWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        let meta = origin.meta;
        let Position::Number(offset) = meta.position else {
            return Err(RecordError::write("the record has no offset"));
        };
        let begin = self.buffer.len();
        for key in &self.exchange.keys {
            let value = row.get(*key).unwrap_or(&Value::Null);
            encode_key(std::slice::from_ref(value), &mut self.buffer);
        }
        let middle = self.buffer.len();
        parcel::write_row(row, meta.event_time, meta.watermark, &mut self.buffer);
        let end = self.buffer.len();
        // The headers hold the way and the id once, and four numbers.
        let carried = self.observer.carried();
        let traced = carried.as_ref().map_or(0, |carried| carried.size() + 20);
        let size = end - begin + self.way.len() + self.id.len() + 160 + traced;
        if size > self.record_max {
            return Err(RecordError::write(format!(
                "the row of {size} bytes is too large for the exchange topic `{}`, which takes {} bytes of key, value and headers \
                 (max.message.bytes of the topic)",
                self.exchange.topic, self.record_max
            )));
        }
        self.staged.push(Ready {
            to: partition_of(&self.buffer[begin..middle], self.outs.len()),
            key: begin..middle,
            value: middle..end,
            at: Coordinate {
                offset,
                index: origin.index,
            },
            taken: meta.taken,
            promise: Promise {
                watermark: meta.watermark,
                idle: false,
                last: false,
            },
            carried,
        });
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.shared.failure()?;
        let mut staged = std::mem::take(&mut self.staged);
        for ready in staged.drain(..) {
            if self.outs[ready.to].last >= Some(ready.at) {
                return Err(self.moved_back(ready.at));
            }
            self.send(
                ready.to,
                Some(ready.key),
                ready.value,
                Some(ready.at),
                (ready.taken, ready.carried),
            )?;
            let out = &mut self.outs[ready.to];
            out.last = Some(ready.at);
            out.told = Some(ready.promise);
        }
        self.staged = staged;
        self.reject();
        Ok(self.shared.readiness())
    }

    fn reject(&mut self) {
        self.staged.clear();
        self.buffer.clear();
        self.buffer.shrink_to(KEEP_CAPACITY);
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        Box::pin(Drained {
            shared: Arc::clone(&self.shared),
        })
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        let mut marks = Vec::new();
        for out in &mut self.outs {
            if out.tail > 0 && !out.window.reached(out.tail) {
                marks.push((Arc::clone(&out.window), out.tail));
            } else {
                out.tail = 0;
            }
        }
        Box::pin(Delivered {
            shared: Arc::clone(&self.shared),
            marks,
        })
    }

    fn promise(&mut self, promise: Promise) -> Result<(), Failure> {
        self.shared.failure()?;
        let many = u32::try_from(self.outs.len()).unwrap_or(u32::MAX);
        let early = self
            .promised
            .is_some_and(|at| at.elapsed() < PROMISE_EACH * many);
        if early && !promise.last {
            return Ok(());
        }
        let said = Promise {
            last: false,
            ..promise
        };
        let behind: Vec<usize> = (0..self.outs.len())
            .filter(|out| self.outs[*out].told != Some(said))
            .collect();
        if behind.is_empty() {
            return Ok(());
        }
        let now = Instant::now();
        self.promised = Some(now);
        parcel::write_promise(said.watermark, said.idle, &mut self.buffer);
        let value = 0..self.buffer.len();
        for to in behind {
            self.send(to, None, value.clone(), None, (now, None))?;
            self.outs[to].told = Some(said);
        }
        self.reject();
        Ok(())
    }

    /// The chain: the last coordinate on each way.
    fn prepare(&mut self, _last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let mut bytes = Vec::with_capacity(self.outs.len() * 6);
        for out in &self.outs {
            coordinate::write(out.last, &mut bytes);
        }
        Box::pin(std::future::ready(Ok(Some(bytes.into()))))
    }

    /// Takes up the chain where the checkpoint left it.
    fn resume(&mut self, prepared: &[u8]) -> Result<(), Failure> {
        let mut bytes = prepared;
        for out in &mut self.outs {
            out.last = coordinate::read(&mut bytes).ok_or_else(|| {
                Failure::refuse(format!(
                    "the checkpoint's chain does not fit the partitions of the exchange topic `{}`: it must keep the number \
                     of partitions that it had",
                    self.exchange.topic
                ))
            })?;
        }
        Ok(())
    }
}
