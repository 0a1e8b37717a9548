//! A source that is read by asking for one row after the other: the shortest way to one of one's own.
//!
//! [`pull`] makes of a closure the stream that [`Source::read`] gives: it waits where nothing
//! is there yet, ends where a bounded run ends, and gives other lanes of the thread their turn. [`PullSource`] is a whole
//! source of a fixed set of partitions that are read so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use smol_str::SmolStr;
use tokio::time::Sleep;

use crate::clock::now;
use crate::error::{Failure, RecordError};
use crate::record::{Body, Micros, Partition, Position, Record, RecordMeta};
use crate::row::Row;
use crate::schema::Schema;
use crate::source::{RecordStream, Resume, Source, SourceEvent, Start};

/// Records that come in one go before others get their turn.
const BURST: usize = 64;

/// What stands at a position.
pub enum Pulled {
    /// A row, or why it could not be decoded.
    Row {
        /// Its columns: those that the source was asked for, in that order.
        row: Result<Row, RecordError>,
        /// The position after it.
        next: Position,
        /// The time that the source's system gave it.
        time: Option<Micros>,
    },
    /// Nothing yet: ask again after this.
    Wait(Duration),
    /// Nothing will ever come again.
    End,
}

/// Reads a partition from a position by asking `next` what stands there. It must not block: it is called on the thread of
/// the lane. With `until`, the stream ends at that position.
pub fn pull(
    partition: &Arc<Partition>,
    from: &Position,
    until: Option<&Position>,
    next: impl FnMut(&Position) -> Result<Pulled, Failure> + 'static,
) -> RecordStream {
    Box::pin(Pull {
        partition: Arc::clone(partition),
        at: from.clone(),
        until: until.cloned(),
        next: Box::new(next),
        waits: None,
        caught_up: false,
        burst: 0,
        over: false,
    })
}

/// Says what stands at a position.
type Next = Box<dyn FnMut(&Position) -> Result<Pulled, Failure>>;

/// Begins to read the partition of this name: gives what says what stands at a position of it.
type Open = Box<dyn Fn(&str) -> Next + Send + Sync>;

/// Where the partition of this name ends now.
type End = Box<dyn Fn(&str) -> Position + Send + Sync>;

/// A source of a fixed set of partitions, each read by asking what stands at a position. Positions are what the program
/// makes of them, and must mean the same in every run.
pub struct PullSource {
    schema: Schema,
    partitions: Vec<SmolStr>,
    first: Position,
    wanted: Option<Vec<usize>>,
    open: Open,
    end: Option<End>,
}

impl PullSource {
    /// A source of rows of these columns. `first` is where a partition begins that no checkpoint names; `open` is called
    /// once for each partition of a run with its name.
    pub fn new<N>(
        schema: Schema,
        partitions: impl IntoIterator<Item = impl Into<SmolStr>>,
        first: Position,
        open: impl Fn(&str) -> N + Send + Sync + 'static,
    ) -> Self
    where
        N: FnMut(&Position) -> Result<Pulled, Failure> + 'static,
    {
        Self {
            schema,
            partitions: partitions.into_iter().map(Into::into).collect(),
            first,
            wanted: None,
            open: Box::new(move |partition| Box::new(open(partition))),
            end: None,
        }
    }

    /// The same source, whose rows keep the columns at these places only: those that a query uses.
    #[must_use]
    pub fn with_columns(mut self, places: &[usize]) -> Self {
        self.wanted = Some(places.to_vec());
        self
    }

    /// The same source, whose partitions end at this moment where `end` says: for bounded runs (`available now`).
    #[must_use]
    pub fn with_ends(mut self, end: impl Fn(&str) -> Position + Send + Sync + 'static) -> Self {
        self.end = Some(Box::new(end));
        self
    }
}

impl Source for PullSource {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let start = |partition: &SmolStr| {
            let known = resume.and_then(|resume| resume.positions.get(partition));
            Start {
                partition: partition.clone(),
                position: known.unwrap_or(&self.first).clone(),
                after: Vec::new(),
            }
        };
        Ok(self.partitions.iter().map(start).collect())
    }

    fn grows(&self) -> bool {
        false
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let Some(end) = &self.end else {
            return Err(Failure::refuse(
                "a source of this program has no end that a bounded run could read to: leave the trigger out, or give \
                 it PullSource::with_ends",
            ));
        };
        let names = self.partitions.iter();
        Ok(names.map(|name| (name.clone(), end(name))).collect())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let mut next = (self.open)(&partition.name);
        let Some(wanted) = self.wanted.clone() else {
            return Ok(pull(partition, from, until, next));
        };
        Ok(pull(partition, from, until, move |at| {
            Ok(match next(at)? {
                Pulled::Row {
                    row: Ok(row),
                    next,
                    time,
                } => {
                    let column = |place: &usize| row.get(*place).cloned().unwrap_or_default();
                    Pulled::Row {
                        row: Ok(wanted.iter().map(column).collect()),
                        next,
                        time,
                    }
                }
                other => other,
            })
        }))
    }
}

struct Pull {
    partition: Arc<Partition>,
    at: Position,
    until: Option<Position>,
    next: Next,
    waits: Option<Pin<Box<Sleep>>>,
    caught_up: bool,
    /// Records since the last pause.
    burst: usize,
    over: bool,
}

impl Pull {
    fn last(&mut self, event: SourceEvent) -> Poll<Option<SourceEvent>> {
        self.over = true;
        Poll::Ready(Some(event))
    }

    fn record(
        &mut self,
        row: Result<Row, RecordError>,
        next: Position,
        time: Option<Micros>,
    ) -> Record {
        let position = std::mem::replace(&mut self.at, next);
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position,
                record_time: time,
                event_time: None,
                watermark: None,
                taken_at: now(),
                taken: Instant::now(),
            },
            next: self.at.clone(),
            body: match row {
                Ok(row) => Body::Row(row),
                Err(error) => Body::Bad(Box::new(error)),
            },
            size: 0,
            raw: None,
        }
    }
}

impl Stream for Pull {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if let Some(sleep) = &mut self.waits {
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.waits = None;
            }
            if self.until.as_ref() == Some(&self.at) {
                return self.last(SourceEvent::Ended);
            }
            if self.burst == BURST {
                self.burst = 0;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let this = &mut *self;
            match (this.next)(&this.at) {
                Ok(Pulled::Row { row, next, time }) => {
                    self.burst += 1;
                    self.caught_up = false;
                    return Poll::Ready(Some(SourceEvent::Record(self.record(row, next, time))));
                }
                Ok(Pulled::Wait(time)) => {
                    self.burst = 0;
                    self.waits = Some(Box::pin(tokio::time::sleep(time)));
                    if !std::mem::replace(&mut self.caught_up, true) {
                        return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
                    }
                }
                Ok(Pulled::End) => return self.last(SourceEvent::Ended),
                Err(failure) => return self.last(SourceEvent::Failed(failure)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::row::Value;

    fn partition() -> Arc<Partition> {
        Arc::new(Partition {
            input: "in".into(),
            name: "in/0".into(),
        })
    }

    /// Ten rows, of which the fifth comes after a wait.
    fn ten() -> impl FnMut(&Position) -> Result<Pulled, Failure> {
        let mut waited = false;
        move |at| {
            let Position::Number(at) = *at else {
                return Err(Failure::end("no number"));
            };
            if at == 5 && !std::mem::replace(&mut waited, true) {
                return Ok(Pulled::Wait(Duration::from_secs(1)));
            }
            Ok(match at {
                0..10 => Pulled::Row {
                    row: Ok(vec![Value::BigInt(at)]),
                    next: Position::Number(at + 1),
                    time: None,
                },
                _ => Pulled::End,
            })
        }
    }

    async fn told(from: i64, until: Option<i64>) -> String {
        let until = until.map(Position::Number);
        let stream = pull(&partition(), &Position::Number(from), until.as_ref(), ten());
        let words = stream.map(|event| match event {
            SourceEvent::Record(record) => record.meta.position.to_string(),
            SourceEvent::CaughtUp(_) => "caught up".to_owned(),
            SourceEvent::Ended => "ended".to_owned(),
            SourceEvent::Failed(failure) => failure.message,
        });
        words.collect::<Vec<_>>().await.join(" ")
    }

    #[tokio::test(start_paused = true)]
    async fn it_says_what_stands_there_waits_and_ends() {
        assert_eq!(told(3, None).await, "3 4 caught up 5 6 7 8 9 ended");
        assert_eq!(told(1, Some(3)).await, "1 2 ended");
        assert_eq!(told(7, Some(7)).await, "ended");
    }

    #[tokio::test]
    async fn an_endless_partition_lets_others_have_their_turn() {
        let endless = |at: &Position| {
            Ok(Pulled::Row {
                row: Ok(Vec::new()),
                next: at.clone(),
                time: None,
            })
        };
        let mut stream = pull(&partition(), &Position::Number(0), None, endless);
        let mut taken = 0;
        let turn = std::future::poll_fn(|context| {
            while stream.as_mut().poll_next(context).is_ready() {
                taken += 1;
            }
            Poll::Ready(())
        });
        turn.await;
        assert_eq!(taken, BURST);
    }
}
