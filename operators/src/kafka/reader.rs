//! The records of one partition as a stream: decoded while the bytes are still the client's.
//!
//! The client's callback on its queue only wakes; the stream then drains the queue until it is empty, arms the waker and
//! looks once more, so that no wake-up can be lost. A record is decoded from the client's own memory, which lives until
//! the record's raw handle is dropped.

use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use futures_util::Stream;
use rdkafka_sys as sys;
use smol_str::SmolStr;
use thalweg_engine::clock::Clock;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::{
    Body, Micros, Original, Partition, Position, Raw, Record, RecordMeta, Skip,
};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::source::SourceEvent;

use super::client::{code_of, text};
use super::codes::Code;
use super::consumer::{Consumer, Shared};
use super::lease::stood_still;
use super::message::{Held, Message, ReadWhole};
use super::partitioner::Check;
use crate::codecs::key::KeyDecoder;
use crate::codecs::{Adviser, Decoded, Decoder};

/// Records taken from the client's queue at once, and yielded before the thread is given back.
const BURST: usize = 64;

/// A fact of a Kafka record that can be a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Key,
    Value,
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    Headers,
    /// Whether the value is null, which in a keyed table deletes the key.
    Deleted,
}

/// What rows are made of.
pub(crate) struct Shape {
    /// Makes a decoder of the wanted declared columns, for tables with a `format`.
    pub(crate) decoder: Option<Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>>,
    /// What the decoders ask beside Kafka.
    pub(crate) adviser: Option<Arc<dyn Adviser>>,
    /// The facts that follow the declared columns.
    pub(crate) fills: Vec<Fill>,
    /// How many columns a row has.
    pub(crate) width: usize,
    /// For keyed tables: how the columns of the key come from the message's key.
    pub(crate) key: Option<KeyShape>,
    /// Whether removed records fail the run.
    pub(crate) fail_on_data_loss: bool,
    /// Makes what reads a record as a whole, its headers too, instead of all the above.
    pub(crate) whole: Option<Box<dyn Fn() -> Box<dyn ReadWhole> + Send + Sync>>,
}

/// The columns of a keyed table that its messages' keys hold.
pub(crate) struct KeyShape {
    /// Makes a decoder of them.
    pub(crate) decoder: Box<dyn Fn() -> KeyDecoder + Send + Sync>,
    /// The name and the place in the row of each; no place where it is not wanted.
    pub(crate) columns: Vec<(SmolStr, Option<usize>)>,
    /// How many of a row's columns the value's decoder gives.
    pub(crate) decoded: usize,
}

/// The stream of one partition.
pub(crate) struct Reader {
    lane: Rc<Held>,
    turn: u64,
    shared: Arc<Shared>,
    consumer: Arc<Consumer>,
    shape: Arc<Shape>,
    decoder: Option<Box<dyn Decoder>>,
    key: Option<KeyDecoder>,
    /// Where keys must lie.
    check: Option<Check>,
    whole: Option<Box<dyn ReadWhole>>,
    partition: Arc<Partition>,
    topic: SmolStr,
    /// The next offset to yield; older ones, seen again after a seek, are dropped.
    next: i64,
    until: Option<i64>,
    taken: [*mut sys::rd_kafka_message_t; BURST],
    at: usize,
    len: usize,
    burst: usize,
    clock: Clock,
    over: bool,
}

impl Reader {
    /// Opens a partition: splits its queue, then asks for its assignment.
    pub(crate) fn open(
        consumer: &Arc<Consumer>,
        shape: &Arc<Shape>,
        partition: &Arc<Partition>,
        place: (&str, i32),
        from: i64,
        until: Option<i64>,
        check: Option<Check>,
    ) -> Result<Self, Failure> {
        let shared = Arc::clone(&consumer.shared);
        let (topic, number) = place;
        let (lane, turn) = shared.enter(&partition.name, topic, number, from)?;
        let over = until.is_some_and(|until| from >= until);
        if !over {
            shared.assign(&lane, turn, from);
        }
        Ok(Self {
            lane: Rc::new(Held(lane)),
            turn,
            shared,
            consumer: Arc::clone(consumer),
            shape: Arc::clone(shape),
            decoder: shape.decoder.as_ref().map(|make| make()),
            key: shape.key.as_ref().map(|key| (key.decoder)()),
            check,
            whole: shape.whole.as_ref().map(|make| make()),
            partition: Arc::clone(partition),
            topic: SmolStr::new(topic),
            next: from,
            until,
            taken: [ptr::null_mut(); BURST],
            at: 0,
            len: 0,
            burst: 0,
            clock: Clock::read(),
            over: false,
        })
    }

    /// Takes what the queue holds, without waiting.
    fn take(&mut self) -> bool {
        // Until the client reads for this reader, the queue may hold records of the one before.
        if !self.lane.serves(self.turn) {
            return false;
        }
        // SAFETY: a live queue; the array has room for as many as the call is told.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.lane.queue.native(),
                0,
                self.taken.as_mut_ptr(),
                BURST,
            )
        };
        self.at = 0;
        self.len = usize::try_from(count).unwrap_or(0);
        if self.len > 0 {
            self.clock = Clock::read();
            self.lane.asking.store(false, Ordering::Relaxed);
        }
        self.len > 0
    }

    fn move_to(&mut self, next: i64) {
        self.next = next;
        let lane = &self.lane;
        lane.position.store(next, Ordering::Relaxed);
        lane.sought.store(false, Ordering::Relaxed);
    }

    /// The offset that a bounded run reads up to: given at the start, or later.
    fn until(&self) -> i64 {
        let told = self.lane.until.load(Ordering::Acquire);
        self.until.map_or(told, |until| until.min(told))
    }

    fn ended(&self) -> bool {
        self.next >= self.until()
    }

    /// Whether the record in hand cannot be decoded yet. The waker is woken when it can.
    fn undecided(&mut self, waker: &Waker) -> bool {
        let until = self.until();
        let Some(decoder) = &mut self.decoder else {
            return false;
        };
        // SAFETY: taken from the client and not yet given away; its bytes live as long, and are only looked at here.
        let bytes = unsafe {
            let native = &*self.taken[self.at];
            if native.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                || native.payload.is_null()
                || !(self.next..until).contains(&native.offset)
            {
                return false;
            }
            std::slice::from_raw_parts(native.payload.cast::<u8>(), native.len)
        };
        decoder.undecided(bytes, waker)
    }

    /// The event of what was taken; None for what says nothing.
    fn event(&mut self, message: Message) -> Option<SourceEvent> {
        // SAFETY: a live message.
        let code = unsafe { code_of(&raw const (*message.message).err) };
        let offset = message.native().offset;
        if code != Code::OK {
            return self.trouble(code, offset, &message);
        }
        if offset < self.next {
            return None;
        }
        if let Some(lease) = self.shared.lease.get()
            && !lease.holds(self.shared.millis())
        {
            return Some(SourceEvent::Failed(stood_still()));
        }
        self.move_to(offset + 1);
        if offset >= self.until() {
            return Some(SourceEvent::Ended);
        }
        Some(SourceEvent::Record(self.record(message)))
    }

    fn trouble(&mut self, code: Code, offset: i64, message: &Message) -> Option<SourceEvent> {
        // SAFETY: a live message; the text is copied.
        let reason = || unsafe { text(sys::rd_kafka_message_errstr(message.message)) };
        let name = &self.partition.name;
        let failure = match code {
            Code::PARTITION_EOF => {
                // Also behind control records and offsets that compaction removed, which are never delivered.
                if offset >= self.next {
                    self.move_to(offset);
                }
                return Some(SourceEvent::CaughtUp(Some(Position::Number(self.next))));
            }
            // The next run asks the broker: it says what is wanted, what is there and how many are gone, and whether the topic is
            // the same at all. Of one that was made again nothing may be counted before that is known.
            Code::AUTO_OFFSET_RESET => Failure::restart(format!(
                "records of {name} from offset {} on are gone: {}",
                self.next,
                reason()
            )),
            Code::TOPIC_AUTHORIZATION_FAILED => Failure::end(format!(
                "no right to read {name}: grant this user READ on the topic: {}",
                reason()
            )),
            Code::UNKNOWN_TOPIC
            | Code::UNKNOWN_PARTITION
            | Code::UNKNOWN_TOPIC_OR_PART
            | Code::UNKNOWN_TOPIC_ID => {
                let sentence = format!("{name} does not exist any more: was the topic deleted?");
                match self.shape.fail_on_data_loss {
                    true => Failure::end(sentence),
                    // The next run goes on with what there is.
                    false => Failure::restart(sentence),
                }
            }
            Code::MSG_SIZE_TOO_LARGE => Failure::end(format!(
                "{name} holds a record at offset {} that is larger than the client takes: raise \
                 kafka.receive.message.max.bytes",
                self.next
            )),
            Code::BAD_MSG | Code::BAD_COMPRESSION => Failure::restart(format!(
                "{name} cannot be read at offset {}: {}",
                self.next,
                reason()
            )),
            _ => {
                tracing::warn!(target: "kafka", "{name}: {} ({})", reason(), code.name());
                return None;
            }
        };
        Some(SourceEvent::Failed(failure))
    }

    fn record(&mut self, message: Message) -> Record {
        let native = message.native();
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: a live message.
        let millis = unsafe { sys::rd_kafka_message_timestamp(native, &raw mut kind) };
        let record_time = (millis >= 0).then(|| millis.saturating_mul(1000));
        let body = self.body(&message, record_time, kind);
        let taken = Instant::now();
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: Position::Number(native.offset),
                record_time,
                event_time: None,
                watermark: None,
                taken_at: self.clock.at(taken),
                taken,
            },
            next: Position::Number(native.offset + 1),
            body,
            size: u32::try_from(native.len + native.key_len).unwrap_or(u32::MAX),
            raw: Some(Original::own(message)),
        }
    }

    fn body(
        &mut self,
        message: &Message,
        record_time: Option<Micros>,
        kind: sys::rd_kafka_timestamp_type_t,
    ) -> Body {
        let mut row = Row::with_capacity(self.shape.width);
        if let Some(whole) = &mut self.whole {
            return match whole.read(message, &mut row) {
                Ok(()) => Body::Row(row),
                Err(error) => Body::Bad(Box::new(error)),
            };
        }
        if let Some(decoder) = &mut self.decoder {
            match (message.value(), &self.shape.key) {
                (Some(value), _) => match decoder.decode(value, &mut row) {
                    Ok(Decoded::Row) => {}
                    Ok(Decoded::Dropped) => return Body::Skipped(Skip::Malformed),
                    Err(error) => return Body::Bad(Box::new(error)),
                },
                (None, Some(key)) => row.resize(key.decoded, Value::Null),
                (None, None) => return Body::Skipped(Skip::Tombstone),
            }
        }
        if let Err(error) = self.fill_key(message, &mut row) {
            return Body::Bad(Box::new(error));
        }
        let native = message.native();
        if let Some(check) = &self.check
            && let Err(error) = check.check(message.key(), native.partition)
        {
            return Body::Bad(Box::new(error));
        }
        for fill in &self.shape.fills {
            row.push(match fill {
                Fill::Key => binary(message.key()),
                Fill::Value => binary(message.value()),
                Fill::Topic => Value::String(self.topic.clone()),
                Fill::Partition => Value::Int(native.partition),
                Fill::Offset => Value::BigInt(native.offset),
                Fill::Timestamp => record_time.map_or(Value::Null, Value::Timestamp),
                // As in Spark: 0 when it was made, 1 when the broker took it, -1 when there is none.
                Fill::TimestampType => Value::Int(match kind {
                    sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => -1,
                    sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_CREATE_TIME => 0,
                    sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => 1,
                }),
                Fill::Headers => headers(message),
                Fill::Deleted => Value::Boolean(message.value().is_none()),
            });
        }
        Body::Row(row)
    }

    /// Puts the columns of a keyed table's key into their places. The value may repeat them, but not differ.
    fn fill_key(&mut self, message: &Message, row: &mut Row) -> Result<(), RecordError> {
        let (Some(shape), Some(decoder)) = (&self.shape.key, &mut self.key) else {
            return Ok(());
        };
        let mut key = Row::with_capacity(shape.columns.len());
        decoder.decode(message.key(), &mut key)?;
        for (value, (name, place)) in key.into_iter().zip(&shape.columns) {
            let Some(column) = place.and_then(|place| row.get_mut(place)) else {
                continue;
            };
            if !column.is_null() && *column != value {
                return Err(RecordError::decode(format!(
                    "the value says another `{name}` than the key, which holds it"
                )));
            }
            *column = value;
        }
        Ok(())
    }

    fn end_with(&mut self, event: SourceEvent) -> Poll<Option<SourceEvent>> {
        self.over = true;
        Poll::Ready(Some(event))
    }
}

fn binary(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| Value::Binary(Arc::from(bytes)))
}

/// The headers as Spark shows them: NULL when there are none.
fn headers(message: &Message) -> Value {
    let headers = message.headers();
    if headers.is_empty() {
        return Value::Null;
    }
    Value::Array(
        headers
            .into_iter()
            .map(|(name, value)| Value::Struct(Arc::from([Value::String(name), binary(value)])))
            .collect(),
    )
}

impl Stream for Reader {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            if this.ended() {
                return this.end_with(SourceEvent::Ended);
            }
            if !this.lane.is_turn(this.turn) {
                return this.end_with(SourceEvent::Failed(Failure::restart(format!(
                    "{} was opened a second time",
                    this.partition.name
                ))));
            }
            if this.burst >= BURST {
                this.burst = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if this.at == this.len && !this.take() {
                this.burst = 0;
                this.lane.waker.register(cx.waker());
                if !this.take() {
                    if let Some(failure) = this.shared.failure() {
                        return this.end_with(SourceEvent::Failed(failure));
                    }
                    let lane = &this.lane;
                    if !lane.asking.swap(true, Ordering::Relaxed) {
                        lane.moved_at.store(this.shared.millis(), Ordering::Relaxed);
                    }
                    return Poll::Pending;
                }
            }
            if this.undecided(cx.waker()) {
                if let Some(failure) = this.shape.adviser.as_ref().and_then(|one| one.failure()) {
                    return this.end_with(SourceEvent::Failed(failure));
                }
                this.burst = 0;
                this.lane.waker.register(cx.waker());
                return Poll::Pending;
            }
            if let Some(budget) = &this.shared.budget
                && !budget.take()
            {
                // The consumer's thread wakes all readers when the budget is filled.
                this.lane.waker.register(cx.waker());
                if !budget.take() {
                    return Poll::Pending;
                }
            }
            let message = Message {
                message: this.taken[this.at],
                _lane: Rc::clone(&this.lane),
            };
            this.at += 1;
            this.burst += 1;
            match this.event(message) {
                Some(event @ (SourceEvent::Ended | SourceEvent::Failed(_))) => {
                    return this.end_with(event);
                }
                Some(event) => return Poll::Ready(Some(event)),
                None => {}
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for message in &self.taken[self.at..self.len] {
            // SAFETY: taken from the client and not yet given away.
            unsafe { sys::rd_kafka_message_destroy(*message) };
        }
        self.shared.leave(&self.lane, self.turn);
        let _ = &self.consumer;
    }
}
