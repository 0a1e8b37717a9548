//! The records of one shard as a stream: decoded when the lane takes them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use aws_sdk_kinesis::types::Record as Given;
use futures_util::Stream;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{self, Body, Micros, Partition, Raw, Record, RecordMeta, Skip};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::source::SourceEvent;
use tokio::sync::mpsc::Receiver;

use super::aggregated::{self, Part};
use super::client::millis;
use super::fetch::Fetched;
use super::place::Place;
use crate::codecs::{Decoded, Decoder};
use thalweg_engine::clock::now;

/// Records yielded before the thread is given back.
const BURST: u32 = 64;

/// A fact of a record that can be a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Data,
    Stream,
    Key,
    Sequence,
    Arrival,
}

/// What rows are made of.
pub(crate) struct Shape {
    /// Makes a decoder of the wanted declared columns, for tables with a `format`.
    pub(crate) decoder: Option<Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>>,
    /// The facts that follow the declared columns.
    pub(crate) fills: Vec<Fill>,
    /// How many columns a row has.
    pub(crate) width: usize,
}

/// A record that was put together from several, of which some are still to be yielded.
struct Several {
    given: Given,
    parts: Vec<Part>,
    next: usize,
}

/// The stream.
pub(super) struct Reader {
    shape: Arc<Shape>,
    decoder: Option<Box<dyn Decoder>>,
    partition: Arc<Partition>,
    stream: SmolStr,
    fetched: Receiver<Fetched>,
    batch: std::vec::IntoIter<Given>,
    several: Option<Several>,
    /// Whether the batch ends where the shard does at the moment.
    caught_up: bool,
    /// The part of the first record that is next.
    first: Option<(SmolStr, u32)>,
    burst: u32,
    over: bool,
}

impl Reader {
    pub(super) fn new(
        shape: &Arc<Shape>,
        partition: &Arc<Partition>,
        stream: &str,
        place: &Place,
        fetched: Receiver<Fetched>,
    ) -> Self {
        Self {
            decoder: shape.decoder.as_ref().map(|make| make()),
            shape: Arc::clone(shape),
            partition: Arc::clone(partition),
            stream: stream.into(),
            fetched,
            batch: Vec::new().into_iter(),
            several: None,
            caught_up: false,
            first: match place {
                Place::At(sequence, part) if *part > 0 => Some((sequence.clone(), *part)),
                _ => None,
            },
            burst: 0,
            over: false,
        }
    }

    /// The next record that is here.
    fn take(&mut self) -> Option<Record> {
        loop {
            if let Some(mut several) = self.several.take()
                && let Some(part) = several.parts.get(several.next).cloned()
            {
                let record = self.part(&several, &part);
                several.next += 1;
                self.several = Some(several);
                return Some(record);
            }
            let given = self.batch.next()?;
            match aggregated::parts(given.data().as_ref()) {
                None => return Some(self.whole(given)),
                Some(Err(error)) => {
                    let mut record = self.whole(given);
                    record.body = Body::Bad(Box::new(error));
                    return Some(record);
                }
                Some(Ok(parts)) => self.begin(given, parts),
            }
        }
    }

    fn begin(&mut self, given: Given, parts: Vec<Part>) {
        let first = self.first.take();
        let next = first
            .filter(|(sequence, _)| sequence == given.sequence_number())
            .map_or(0, |(_, part)| part as usize);
        self.several = Some(Several { given, parts, next });
    }

    fn part(&mut self, several: &Several, part: &Part) -> Record {
        let sequence: SmolStr = several.given.sequence_number().into();
        let number = u32::try_from(several.next).unwrap_or(u32::MAX);
        let next = if several.next + 1 < several.parts.len() {
            Place::At(sequence.clone(), number.saturating_add(1))
        } else {
            Place::After(sequence.clone())
        };
        let bytes = several.given.data().as_ref();
        let key = String::from_utf8_lossy(&bytes[part.key.clone()]).into_owned();
        let key = Some(key);
        let data = bytes[part.data.clone()].to_vec();
        let arrival = millis(several.given.approximate_arrival_timestamp());
        self.record(&Place::At(sequence, number), &next, key, data, arrival)
    }

    fn whole(&mut self, given: Given) -> Record {
        self.first = None;
        let sequence: SmolStr = given.sequence_number.as_str().into();
        let arrival = millis(given.approximate_arrival_timestamp());
        self.record(
            &Place::At(sequence.clone(), 0),
            &Place::After(sequence),
            given.partition_key,
            given.data.into_inner(),
            arrival,
        )
    }

    fn record(
        &mut self,
        place: &Place,
        next: &Place,
        key: Option<String>,
        data: Vec<u8>,
        arrival: i64,
    ) -> Record {
        let arrival: Micros = arrival.saturating_mul(1000);
        let original = Original { key, data };
        let body = self.body(place, &original, arrival);
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: place.position(),
                record_time: Some(arrival),
                event_time: None,
                watermark: None,
                taken_at: now(),
                taken: Instant::now(),
            },
            next: next.position(),
            body,
            size: u32::try_from(original.size()).unwrap_or(u32::MAX),
            raw: Some(record::Original::own(original)),
        }
    }

    fn body(&mut self, place: &Place, original: &Original, arrival: Micros) -> Body {
        let mut row = Row::with_capacity(self.shape.width);
        if let Some(decoder) = &mut self.decoder {
            match decoder.decode(&original.data, &mut row) {
                Ok(Decoded::Row) => {}
                Ok(Decoded::Dropped) => return Body::Skipped(Skip::Malformed),
                Err(error) => return Body::Bad(Box::new(error)),
            }
        }
        for fill in &self.shape.fills {
            row.push(match (fill, place) {
                (Fill::Data, _) => Value::Binary(original.data.as_slice().into()),
                (Fill::Stream, _) => Value::String(self.stream.clone()),
                (Fill::Key, _) => original.key.as_deref().map_or(Value::Null, Value::from),
                (Fill::Sequence, Place::At(sequence, _)) => Value::String(sequence.clone()),
                (Fill::Sequence, _) => Value::Null,
                (Fill::Arrival, _) => Value::Timestamp(arrival),
            });
        }
        Body::Row(row)
    }
}

impl Stream for Reader {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            if this.burst >= BURST {
                this.burst = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(record) = this.take() {
                this.burst += 1;
                return Poll::Ready(Some(SourceEvent::Record(record)));
            }
            if std::mem::take(&mut this.caught_up) {
                return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
            }
            this.burst = 0;
            match ready!(this.fetched.poll_recv(cx)) {
                Some(Fetched::Batch { records, caught_up }) => {
                    this.batch = records.into_iter();
                    this.caught_up = caught_up;
                }
                Some(Fetched::Ended) => {
                    this.over = true;
                    return Poll::Ready(Some(SourceEvent::Ended));
                }
                Some(Fetched::Failed(failure)) => {
                    this.over = true;
                    return Poll::Ready(Some(SourceEvent::Failed(failure)));
                }
                None => {
                    this.over = true;
                    let failure = Failure::restart(format!(
                        "the task that reads {} ended without a word: a bug",
                        this.partition
                    ));
                    return Poll::Ready(Some(SourceEvent::Failed(failure)));
                }
            }
        }
    }
}

/// The original of a record.
struct Original {
    key: Option<String>,
    data: Vec<u8>,
}

impl Original {
    fn size(&self) -> usize {
        self.data.len() + self.key.as_ref().map_or(0, String::len)
    }
}

impl Raw for Original {
    fn key(&self) -> Option<&[u8]> {
        self.key.as_deref().map(str::as_bytes)
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.data)
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_kinesis::primitives::{Blob, DateTime};
    use futures_util::{FutureExt, StreamExt};

    use super::super::aggregated::tests::of_two;
    use super::*;

    fn given(sequence: &str, data: Vec<u8>) -> Given {
        Given::builder()
            .sequence_number(sequence)
            .partition_key("k")
            .data(Blob::new(data))
            .approximate_arrival_timestamp(DateTime::from_millis(7))
            .build()
            .unwrap()
    }

    /// What is read from a place on: position, position after it, key and data of each record.
    fn read(place: &Place) -> Vec<[String; 4]> {
        let (into, fetched) = tokio::sync::mpsc::channel(1);
        let batch = Fetched::Batch {
            records: vec![given("41", of_two()), given("42", b"plain".to_vec())],
            caught_up: true,
        };
        assert!(into.try_send(batch).is_ok());
        let shape = Shape {
            decoder: None,
            fills: vec![Fill::Key, Fill::Data],
            width: 2,
        };
        let partition = Arc::new(Partition {
            input: "messages".into(),
            name: "s/shardId-000000000000".into(),
        });
        let mut reader = Reader::new(&Arc::new(shape), &partition, "s", place, fetched);
        let mut read = Vec::new();
        while let Some(Some(event)) = reader.next().now_or_never() {
            match event {
                SourceEvent::Record(record) => {
                    let Body::Row(row) = &record.body else {
                        panic!("{:?}", record.body)
                    };
                    let text = |value: &Value| match value {
                        Value::String(text) => text.to_string(),
                        Value::Binary(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                        other => format!("{other:?}"),
                    };
                    assert_eq!(record.meta.record_time, Some(7_000));
                    read.push([
                        record.meta.position.to_string(),
                        record.next.to_string(),
                        text(&row[0]),
                        text(&row[1]),
                    ]);
                }
                SourceEvent::CaughtUp(_) => return read,
                _ => panic!("neither a record nor caught up"),
            }
        }
        panic!("not caught up after {read:?}")
    }

    fn rows(expected: &[[&str; 4]]) -> Vec<[String; 4]> {
        expected.iter().map(|row| row.map(str::to_owned)).collect()
    }

    #[test]
    fn an_aggregated_record_is_taken_apart_and_each_part_has_its_position() {
        let all = [
            ["41", "41+1", "bob", "{\"n\":1}"],
            ["41+1", "after:41", "alice", "{\"n\":2}"],
            ["42", "after:42", "k", "plain"],
        ];
        assert_eq!(read(&Place::Oldest), rows(&all));
        assert_eq!(read(&Place::At("41".into(), 1)), rows(&all[1..]));
        // Stepped over its last part.
        assert_eq!(read(&Place::At("41".into(), 2)), rows(&all[2..]));
    }
}
