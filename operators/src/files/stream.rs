//! The lane's side: batches that the walker decoded, as records with their places.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::Stream;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{
    Body, Micros, Original, Partition, Position, Record, RecordMeta, Skip,
};
use thalweg_engine::source::SourceEvent;
use tokio::sync::mpsc::Receiver;

use super::format::{Item, Rows};
use super::token::Place;
use super::walker::{Message, Part, Shared};
use thalweg_engine::clock::now;

/// So many records in a row, then the others on the thread have their turn.
const TURN: u32 = 64;

/// So many records in a row are taken at one moment: the clocks are as dear as a small record.
const MOMENT: u32 = 8;

/// The records of a folder.
pub(crate) struct Records {
    pub(crate) partition: Arc<Partition>,
    pub(crate) messages: Receiver<Message>,
    pub(crate) shared: Arc<Shared>,
    current: Option<Current>,
    turn: u32,
    /// When the records at hand were taken, by both clocks.
    taken: (Micros, Instant),
    ended: bool,
}

/// Rows that are being handed over.
struct Current {
    part: Part,
    items: Rows,
    /// How many are done.
    done: usize,
    /// The place of the next.
    position: Position,
}

impl Records {
    pub(crate) fn new(
        partition: Arc<Partition>,
        messages: Receiver<Message>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            partition,
            messages,
            shared,
            current: None,
            turn: 0,
            taken: (0, Instant::now()),
            ended: false,
        }
    }

    fn begin(&mut self, mut part: Part) {
        let items = part.batch.take_rows();
        let position = Position::Row(part.first, Arc::clone(&part.path));
        self.current = Some(Current {
            part,
            items,
            done: 0,
            position,
        });
    }

    /// The next record of the rows at hand.
    fn record(&mut self) -> Option<Record> {
        let current = self.current.as_mut()?;
        let Some(item) = current.items.next() else {
            self.current = None;
            return None;
        };
        let part = &current.part;
        let span = part.batch.spans.get(current.done).copied();
        let number = part.first + current.done as u64;
        current.done += 1;
        let next = if part.last && current.items.len() == 0 {
            Place::End(Arc::clone(&part.path)).position()
        } else {
            Position::Row(number + 1, Arc::clone(&part.path))
        };
        let body = match item {
            Item::Row(row) => Body::Row(row),
            Item::Dropped => Body::Skipped(Skip::Malformed),
            Item::Bad(mut error) => {
                error.reason =
                    format!("{}, row {}: {}", part.path, number + 1, error.reason).into();
                Body::Bad(error)
            }
        };
        let position = std::mem::replace(&mut current.position, next.clone());
        if self.turn.is_multiple_of(MOMENT) {
            self.taken = (now(), Instant::now());
        }
        let (taken_at, taken) = self.taken;
        Some(Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position,
                record_time: Some(part.time),
                event_time: None,
                watermark: None,
                taken_at,
                taken,
            },
            next,
            body,
            size: span.map_or(0, |(from, to)| to - from),
            raw: span.map(|(from, to)| Original::Part {
                of: Arc::clone(&part.batch.bytes),
                from,
                to,
            }),
        })
    }
}

impl Stream for Records {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if this.turn == TURN {
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(record) = this.record() {
                this.turn += 1;
                return Poll::Ready(Some(SourceEvent::Record(record)));
            }
            let event = match this.messages.poll_recv(cx) {
                Poll::Pending => {
                    this.turn = 0;
                    return Poll::Pending;
                }
                Poll::Ready(Some(Message::Rows(part))) => {
                    this.begin(part);
                    continue;
                }
                Poll::Ready(Some(Message::CaughtUp)) => SourceEvent::CaughtUp(None),
                Poll::Ready(Some(Message::End)) => SourceEvent::Ended,
                Poll::Ready(Some(Message::Failed(failure))) => SourceEvent::Failed(failure),
                Poll::Ready(None) => SourceEvent::Failed(Failure::restart(format!(
                    "the thread that reads the files of {} has died: a bug, see the message above",
                    this.partition.input
                ))),
            };
            this.ended = !matches!(event, SourceEvent::CaughtUp(_));
            return Poll::Ready(Some(event));
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.shared.post.stop();
    }
}
