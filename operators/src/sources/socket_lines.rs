//! The lines of a socket: the lane's stream holds the connection itself, so that a lane that takes no records reads none.

use std::fmt;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::Stream;
use parking_lot::Mutex;
use smol_str::SmolStr;
use socket2::{SockRef, TcpKeepalive};
use thalweg_engine::error::RecordError;
use thalweg_engine::record::{Body, Original, Partition, Position, Raw, Record, RecordMeta, Skip};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::source::{Health, SourceEvent};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

use crate::codecs::{Decoded, Decoder};
use thalweg_engine::clock::now;

/// A longer line is an error of the record; what follows up to its end is stepped over.
pub(super) const LINE_MAX: usize = 1 << 20;
/// How much is read at once.
const PIECE: usize = 64 * 1024;
/// So many records in a row, then the others on the thread have their turn.
const TURN: u32 = 64;
/// Between two calls of a server that does not answer; doubled each time, and back to the first once it has sent something.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
/// A server that vanished without a word is noticed after about a minute of silence.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// Who sends the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Server {
    async fn call(self) -> io::Result<TcpStream> {
        let calling = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(CALL_MAX, calling).await.map_err(|_| {
            let text = format!("no answer within {} seconds", CALL_MAX.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, text)
        })??;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL);
        // It only hastens the news of a lost connection, so a system that refuses it is no reason to stop.
        let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        Ok(stream)
    }
}

/// The time without a connection, which the query tells of. Its first reason stands until the server answers: each other one
/// would be told as an outage of its own.
pub(super) struct Outage(Mutex<Option<Reason>>);

struct Reason {
    why: String,
    /// The first call is under way, and nobody has been told so.
    open: bool,
}

impl Outage {
    /// There is no connection yet.
    pub(super) fn begun(why: String) -> Self {
        Self(Mutex::new(Some(Reason { why, open: true })))
    }

    pub(super) fn goes_on(&self, why: String) {
        let mut reason = self.0.lock();
        if reason.as_ref().is_none_or(|known| known.open) {
            *reason = Some(Reason { why, open: false });
        }
    }

    pub(super) fn over(&self) {
        *self.0.lock() = None;
    }

    pub(super) fn health(&self) -> Health {
        match &mut *self.0.lock() {
            None => Health::Up,
            Some(reason) => {
                reason.open = false;
                Health::Down(reason.why.clone())
            }
        }
    }
}

/// The connection, or the way to it.
enum Link {
    Calling(Pin<Box<dyn Future<Output = io::Result<TcpStream>>>>),
    Open(TcpStream),
    Pausing(Pin<Box<Sleep>>),
}

/// The records of the one partition.
pub(super) struct Lines {
    partition: Arc<Partition>,
    server: Server,
    decoder: Box<dyn Decoder>,
    timestamp: bool,
    /// The number of the next line.
    next: i64,
    link: Link,
    pause: Duration,
    outage: Arc<Outage>,
    /// Bytes that were read; those before `done` are records already, those before `seen` hold no further line end.
    buffer: Vec<u8>,
    done: usize,
    seen: usize,
    /// Within a line that was refused for its length.
    skipping: bool,
    /// The connection was ended in an orderly way: what is left in the buffer is a line.
    ended: bool,
    turn: u32,
    caught_up: bool,
}

impl Lines {
    /// Calls the server when it is polled first.
    pub(super) fn new(
        partition: Arc<Partition>,
        server: Server,
        decoder: Box<dyn Decoder>,
        timestamp: bool,
        next: i64,
        outage: Arc<Outage>,
    ) -> Self {
        Self {
            partition,
            link: Link::Calling(Box::pin(server.clone().call())),
            server,
            decoder,
            timestamp,
            next,
            pause: PAUSE_MIN,
            outage,
            buffer: Vec::new(),
            done: 0,
            seen: 0,
            skipping: false,
            ended: false,
            turn: 0,
            caught_up: false,
        }
    }

    /// The next record that the buffer holds.
    fn buffered(&mut self) -> Option<Record> {
        loop {
            let end = self.buffer[self.seen..]
                .iter()
                .position(|byte| *byte == b'\n');
            let start = self.done;
            let (line, after) = match end {
                Some(length) => (start..self.seen + length, self.seen + length + 1),
                None if self.ended && start < self.buffer.len() => {
                    (start..self.buffer.len(), self.buffer.len())
                }
                None => {
                    self.seen = self.buffer.len();
                    return self.unfinished();
                }
            };
            (self.done, self.seen) = (after, after);
            if !std::mem::take(&mut self.skipping) {
                return Some(self.line(line));
            }
        }
    }

    /// A line whose end has not come yet: nothing, or the refusal of one that is too long.
    fn unfinished(&mut self) -> Option<Record> {
        if self.ended {
            // The next connection begins with a new line.
            self.skipping = false;
        }
        let waiting = self.done..self.buffer.len();
        if self.skipping {
            self.done = waiting.end;
            return None;
        }
        if waiting.len() <= LINE_MAX {
            return None;
        }
        self.skipping = true;
        let raw = self.buffer[self.done..self.done + LINE_MAX].to_vec();
        self.done = waiting.end;
        Some(self.record(Body::Bad(Box::new(too_long())), raw))
    }

    fn line(&mut self, mut span: Range<usize>) -> Record {
        if self.buffer[span.clone()].ends_with(b"\r") {
            span.end -= 1;
        }
        let bytes = &self.buffer[span.clone()];
        if bytes.len() > LINE_MAX {
            let raw = bytes[..LINE_MAX].to_vec();
            return self.record(Body::Bad(Box::new(too_long())), raw);
        }
        let mut row = Row::with_capacity(2);
        let body = match self.decoder.decode(bytes, &mut row) {
            Ok(Decoded::Row) => Body::Row(row),
            Ok(Decoded::Dropped) => Body::Skipped(Skip::Malformed),
            Err(error) => Body::Bad(Box::new(error)),
        };
        let raw = bytes.to_vec();
        self.record(body, raw)
    }

    fn record(&mut self, mut body: Body, raw: Vec<u8>) -> Record {
        let (taken, taken_at) = (Instant::now(), now());
        if let (Body::Row(row), true) = (&mut body, self.timestamp) {
            row.push(Value::Timestamp(taken_at));
        }
        let position = self.next;
        self.next += 1;
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: Position::Number(position),
                record_time: Some(taken_at),
                event_time: None,
                watermark: None,
                taken_at,
                taken,
            },
            next: Position::Number(position + 1),
            body,
            size: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            raw: Some(Original::own(Line(raw))),
        }
    }

    /// Moves the connection on: ready when there may be something new in the buffer.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.link {
            Link::Pausing(pause) => {
                ready!(pause.as_mut().poll(cx));
                self.link = Link::Calling(Box::pin(self.server.clone().call()));
            }
            Link::Calling(call) => match ready!(call.as_mut().poll(cx)) {
                Ok(stream) => self.connected(stream),
                Err(error) => self.away(&format!("does not answer: {error}")),
            },
            Link::Open(stream) => {
                self.buffer.drain(..self.done);
                self.seen -= std::mem::take(&mut self.done);
                let known = self.buffer.len();
                self.buffer.resize(known + PIECE, 0);
                let mut free = ReadBuf::new(&mut self.buffer[known..]);
                let polled = Pin::new(stream).poll_read(cx, &mut free);
                let count = free.filled().len();
                self.buffer.truncate(known + count);
                match ready!(polled) {
                    Ok(()) if count > 0 => self.pause = PAUSE_MIN,
                    Ok(()) => {
                        self.ended = true;
                        self.away("has ended the connection");
                    }
                    Err(error) => {
                        self.forget_rest();
                        self.away(&format!("is lost: {error}"));
                    }
                }
            }
        }
        Poll::Ready(())
    }

    fn connected(&mut self, stream: TcpStream) {
        self.outage.over();
        self.ended = false;
        self.link = Link::Open(stream);
    }

    /// A connection that broke may have cut its last line anywhere.
    fn forget_rest(&mut self) {
        self.buffer.clear();
        (self.done, self.seen, self.skipping) = (0, 0, false);
    }

    fn away(&mut self, what: &str) {
        let (table, server) = (&self.partition.input, &self.server);
        tracing::debug!(target: "socket", "`{table}`: {server} {what}");
        let why = format!("`{table}`: {server} {what}; calling it again until it answers");
        self.outage.goes_on(why);
        self.link = Link::Pausing(Box::pin(sleep(self.pause)));
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }
}

fn too_long() -> RecordError {
    RecordError::decode(format!(
        "the line is longer than {} KiB; what follows up to its end is left out",
        LINE_MAX >> 10
    ))
}

impl Stream for Lines {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.turn == TURN {
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if let Some(record) = this.buffered() {
                this.turn += 1;
                this.caught_up = false;
                return Poll::Ready(Some(SourceEvent::Record(record)));
            }
            if this.advance(cx).is_ready() {
                continue;
            }
            // While there is no connection nobody knows whether everything was read.
            if matches!(this.link, Link::Open(_)) && !std::mem::replace(&mut this.caught_up, true) {
                this.turn = 0;
                return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
            }
            return Poll::Pending;
        }
    }
}

/// The original of a record.
struct Line(Vec<u8>);

impl Raw for Line {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        Some(&self.0)
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Vec::new()
    }
}
