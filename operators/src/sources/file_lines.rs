//! The lines of a file: a thread reads them, the lane's stream decodes them.

use std::fs;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::Stream;
use smol_str::SmolStr;
use thalweg_engine::behalf::carrying;
use thalweg_engine::clock::now;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::{
    Body, Micros, Original, Partition, Position, Raw, Record, RecordMeta, Skip,
};
use thalweg_engine::row::{Row, Value};
use thalweg_engine::schema::{DataType, Field};
use thalweg_engine::source::SourceEvent;
use tokio::sync::mpsc::{Receiver, channel};

use super::file::STDIN;
use super::file_reader::{LINE_MAX, Long, Message, PIECES_MAX, Piece, Reader};
use crate::codecs::{Decoded, Decoder};

/// So many records in a row, then the others on the thread have their turn.
const TURN: u32 = 64;

/// What a column of a row is made of.
#[derive(Clone, Debug)]
pub(super) enum Fact {
    /// The next column of the decoder.
    Decoded,
    /// The line, as BINARY or STRING.
    Line(DataType),
    /// The table's name.
    Topic(SmolStr),
    /// The number of the line, from 0.
    Offset,
    /// When it was read.
    Timestamp,
    /// An INT that is always 0: the partition, the type of the timestamp.
    Zero,
    /// What a line does not have: key, headers.
    Null,
}

impl Fact {
    /// What stands for this fact of a record.
    pub(super) fn of(field: &Field, table: &str) -> Self {
        match (field.name.as_str(), &field.data_type) {
            ("value", data_type) => Self::Line(data_type.clone()),
            ("topic", DataType::String) => Self::Topic(SmolStr::new(table)),
            ("offset", DataType::BigInt) => Self::Offset,
            ("timestamp", DataType::Timestamp) => Self::Timestamp,
            ("partition" | "timestampType", DataType::Int) => Self::Zero,
            _ => Self::Null,
        }
    }
}

/// How a line becomes a row.
pub(super) struct Shape {
    /// Decodes the columns that are [`Fact::Decoded`].
    pub decoder: Option<Box<dyn Decoder>>,
    /// How many these are.
    pub decoded: usize,
    /// What each column is.
    pub facts: Vec<Fact>,
    /// Whether an empty line is a record.
    pub blank_lines: bool,
}

/// The records of one file.
pub(super) struct Lines {
    partition: Arc<Partition>,
    path: String,
    shape: Shape,
    until: Option<u64>,
    pieces: Receiver<Message>,
    piece: Piece,
    /// How much of the piece is done.
    done: usize,
    scratch: Row,
    turn: u32,
    caught_up: bool,
    ended: bool,
}

impl Lines {
    /// Begins to read at a byte offset.
    pub(super) fn open(
        partition: Arc<Partition>,
        path: &Path,
        from: u64,
        until: Option<u64>,
        shape: Shape,
    ) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let input: Box<dyn Read + Send> = if path == Path::new(STDIN) {
            Box::new(io::stdin())
        } else {
            let file = fs::File::open(path)
                .map_err(|error| Failure::refuse(format!("{shown} cannot be read: {error}")))?;
            Box::new(file)
        };
        let (sender, pieces) = channel(PIECES_MAX);
        let reader = Reader {
            input,
            path: shown.clone(),
            sender,
        };
        // It ends with the file or when the stream is dropped. One that waits for standard input ends with the process.
        std::thread::Builder::new()
            .name(format!("read {shown}"))
            .spawn(carrying(move || reader.run(from)))
            .map_err(|error| Failure::restart(format!("no thread to read {shown}: {error}")))?;
        Ok(Self {
            partition,
            path: shown,
            shape,
            until,
            pieces,
            piece: Piece {
                bytes: Arc::default(),
                at: from,
                line: 0,
            },
            done: 0,
            scratch: Row::new(),
            turn: 0,
            caught_up: false,
            ended: false,
        })
    }

    fn at(&self) -> u64 {
        self.piece.at + self.done as u64
    }

    /// The next line of the piece, without its end; and its number from 0.
    fn next_line(&mut self) -> Option<(Range<usize>, u64)> {
        loop {
            let rest = self
                .piece
                .bytes
                .get(self.done..)
                .filter(|rest| !rest.is_empty())?;
            let start = self.done;
            let length = rest.iter().position(|byte| *byte == b'\n');
            let mut end = start + length.unwrap_or(rest.len());
            self.done = length.map_or(self.piece.bytes.len(), |length| start + length + 1);
            if end > start && self.piece.bytes[end - 1] == b'\r' {
                end -= 1;
            }
            let line = self.piece.line;
            self.piece.line += 1;
            if self.shape.blank_lines || !self.piece.bytes[start..end].trim_ascii().is_empty() {
                return Some((start..end, line));
            }
        }
    }

    fn record(&mut self, start: u64, span: Range<usize>, line: u64) -> Record {
        let taken = (Instant::now(), now());
        let bytes = Arc::clone(&self.piece.bytes);
        let body = match self.row(&bytes[span.clone()], line, taken.1) {
            Ok(Some(row)) => Body::Row(row),
            Ok(None) => Body::Skipped(Skip::Malformed),
            Err(error) => self.bad(line, error),
        };
        let size = span.len() as u64;
        let raw = Some(Original::own(Line { bytes, span }));
        self.made(start, self.at(), taken, body, size, raw)
    }

    /// The record of a line that is too long. Reading goes on behind it.
    fn too_long(&mut self, long: &Long) -> Record {
        self.piece = Piece {
            bytes: Arc::default(),
            at: long.next,
            line: long.line + 1,
        };
        self.done = 0;
        let reason = format!("the line is longer than {} MiB", LINE_MAX >> 20);
        let body = self.bad(long.line, RecordError::decode(reason));
        let size = long.next - long.at;
        let taken = (Instant::now(), now());
        self.made(long.at, long.next, taken, body, size, None)
    }

    fn bad(&self, line: u64, mut error: RecordError) -> Body {
        error.reason = format!("{}:{}: {}", self.path, line + 1, error.reason).into();
        Body::Bad(Box::new(error))
    }

    fn made(
        &self,
        start: u64,
        next: u64,
        (taken, taken_at): (Instant, Micros),
        body: Body,
        size: u64,
        raw: Option<Original>,
    ) -> Record {
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position: position(start),
                record_time: Some(taken_at),
                event_time: None,
                watermark: None,
                taken_at,
                taken,
            },
            next: position(next),
            body,
            size: u32::try_from(size).unwrap_or(u32::MAX),
            raw,
        }
    }

    /// The row of a line; None when the mode drops it.
    fn row(&mut self, bytes: &[u8], line: u64, now: Micros) -> Result<Option<Row>, RecordError> {
        let mut row = Row::with_capacity(self.shape.facts.len());
        self.scratch.clear();
        // Where every column is decoded they go straight into the row.
        let plain = self.shape.decoded == self.shape.facts.len();
        let into = if plain { &mut row } else { &mut self.scratch };
        if let Some(decoder) = &mut self.shape.decoder
            && decoder.decode(bytes, into)? == Decoded::Dropped
        {
            return Ok(None);
        }
        if !plain {
            let mut decoded = self.scratch.drain(..);
            for fact in &self.shape.facts {
                row.push(value(fact, &mut decoded, bytes, line, now)?);
            }
        }
        Ok(Some(row))
    }
}

fn value(
    fact: &Fact,
    decoded: &mut impl Iterator<Item = Value>,
    bytes: &[u8],
    line: u64,
    now: Micros,
) -> Result<Value, RecordError> {
    Ok(match fact {
        Fact::Decoded => decoded.next().unwrap_or_default(),
        Fact::Line(DataType::String) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::String(SmolStr::new(text)),
            Err(error) => {
                return Err(RecordError::decode(format!(
                    "not text: the bytes are not UTF-8, at byte {}",
                    error.valid_up_to()
                )));
            }
        },
        Fact::Line(_) => Value::Binary(bytes.into()),
        Fact::Topic(name) => Value::String(name.clone()),
        Fact::Offset => Value::BigInt(i64::try_from(line).unwrap_or(i64::MAX)),
        Fact::Timestamp => Value::Timestamp(now),
        Fact::Zero => Value::Int(0),
        Fact::Null => Value::Null,
    })
}

fn position(at: u64) -> Position {
    Position::Number(i64::try_from(at).unwrap_or(i64::MAX))
}

impl Stream for Lines {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if this.until.is_some_and(|until| this.at() >= until) {
                this.ended = true;
                return Poll::Ready(Some(SourceEvent::Ended));
            }
            if this.turn == TURN {
                this.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let start = this.at();
            if let Some((span, line)) = this.next_line() {
                this.turn += 1;
                this.caught_up = false;
                let start = start.max(this.piece.at + span.start as u64);
                return Poll::Ready(Some(SourceEvent::Record(this.record(start, span, line))));
            }
            match this.pieces.poll_recv(cx) {
                Poll::Ready(Some(Message::Piece(piece))) => {
                    this.piece = piece;
                    this.done = 0;
                }
                Poll::Ready(Some(Message::Long(long))) => {
                    this.turn += 1;
                    this.caught_up = false;
                    return Poll::Ready(Some(SourceEvent::Record(this.too_long(&long))));
                }
                Poll::Ready(Some(Message::Failed(failure))) => {
                    this.ended = true;
                    return Poll::Ready(Some(SourceEvent::Failed(failure)));
                }
                Poll::Ready(Some(Message::End)) => {
                    this.ended = true;
                    return Poll::Ready(Some(SourceEvent::Ended));
                }
                Poll::Ready(None) => {
                    this.ended = true;
                    let text = format!("the thread that reads {} has died", this.path);
                    return Poll::Ready(Some(SourceEvent::Failed(Failure::restart(text))));
                }
                Poll::Pending if this.caught_up => return Poll::Pending,
                Poll::Pending => {
                    this.caught_up = true;
                    this.turn = 0;
                    return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
                }
            }
        }
    }
}

/// The original of a record.
struct Line {
    bytes: Arc<Vec<u8>>,
    span: Range<usize>,
}

impl Raw for Line {
    fn key(&self) -> Option<&[u8]> {
        None
    }

    fn value(&self) -> Option<&[u8]> {
        self.bytes.get(self.span.clone())
    }

    fn headers(&self) -> Vec<(SmolStr, Option<Vec<u8>>)> {
        Vec::new()
    }
}
