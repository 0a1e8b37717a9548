//! The lane's side: batches that the walker decoded, as records with their places.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::Stream;
use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Body, Partition, Position, Raw, Record, RecordMeta, Skip};
use thalweg_engine::source::SourceEvent;
use tokio::sync::mpsc::Receiver;

use super::format::Item;
use super::token::{Place, at_row, at_row_in};
use super::walker::{Message, Part, Shared};
use crate::sources::file_lines::wall_clock;

/// So many records in a row, then the others on the thread have their turn.
const TURN: u32 = 64;

/// The records of a folder.
pub(crate) struct Records {
    pub(crate) partition: Arc<Partition>,
    pub(crate) messages: Receiver<Message>,
    pub(crate) shared: Arc<Shared>,
    current: Option<Current>,
    /// Where tokens are put together.
    token: String,
    turn: u32,
    ended: bool,
}

/// Rows that are being handed over.
struct Current {
    part: Part,
    items: std::vec::IntoIter<Item>,
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
            token: String::new(),
            turn: 0,
            ended: false,
        }
    }

    fn begin(&mut self, mut part: Part) {
        let items = std::mem::take(&mut part.batch.items).into_iter();
        let position = Position::Token(at_row(part.first, &part.path));
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
            Position::Token(at_row_in(&mut self.token, number + 1, &part.path))
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
        Some(Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position,
                record_time: Some(part.time),
                event_time: None,
                watermark: None,
                taken_at: wall_clock(),
                taken: Instant::now(),
            },
            next,
            body,
            size: span.map_or(0, |(from, to)| to - from),
            raw: span.map(|span| {
                let original: Box<dyn Raw> = Box::new(Original {
                    bytes: Arc::clone(&part.batch.bytes),
                    span,
                });
                original
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
                Poll::Ready(Some(Message::CaughtUp)) => SourceEvent::CaughtUp,
                Poll::Ready(Some(Message::End)) => SourceEvent::Ended,
                Poll::Ready(Some(Message::Failed(failure))) => SourceEvent::Failed(failure),
                Poll::Ready(None) => SourceEvent::Failed(Failure::restart(format!(
                    "the thread that reads the files of {} has died: a bug, see the message above",
                    this.partition.input
                ))),
            };
            this.ended = !matches!(event, SourceEvent::CaughtUp);
            return Poll::Ready(Some(event));
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.shared.post.stop();
    }
}

/// The original of a record.
struct Original {
    bytes: Arc<Vec<u8>>,
    span: (u32, u32),
}

impl Raw for Original {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        self.bytes.get(self.span.0 as usize..self.span.1 as usize)
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Vec::new()
    }
}
