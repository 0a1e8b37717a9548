//! The `rate` source: rows at a steady speed, for demos and load tests.
//!
//! Row `v` has its own moment: the start of the query plus the time that the speed gives it. Its timestamp is that
//! moment, whenever it is read; so a query that was away catches up, and value and timestamp go on without a gap. Of
//! `n` partitions, partition `p` holds the values `p`, `p + n`, `p + 2n` and so on; its position counts them.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::clock;
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Body, Micros, Partition, Position, Record, RecordMeta};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{RecordStream, Resume, Source, SourceEvent, Start};
use tokio::time::{Instant, Sleep};

use crate::expr::calendar::Zone;
use crate::expr::text::append_timestamp;
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table, parse_duration_in};

const SECOND: Micros = 1_000_000;
/// Rows come in bursts at least this far apart.
const BURST: Micros = 1000;
/// So many rows in a row, then the others on the thread have their turn.
const TURN: u32 = 64;

/// The options of the source.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "rowsPerSecond",
        kind: OptionKind::Whole(1, 100_000_000),
        default: "1",
        example: "1000",
        about: "How many rows come per second, over all partitions",
    },
    OptionSpec {
        name: "rampUpTime",
        kind: OptionKind::DurationIn("seconds"),
        default: "0s",
        example: "10s",
        about: "How long it takes until the speed is reached, in whole seconds; it grows once a second",
    },
    OptionSpec {
        name: "numPartitions",
        kind: OptionKind::Whole(1, 10_000),
        default: "the number of cores",
        example: "4",
        about: "How many partitions the rows are dealt to in turn",
    },
];

/// The columns: `timestamp` and `value`.
///
/// # Errors
/// For declared columns and for options that are not the source's.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    table.options.verify("rate", OPTIONS)?;
    if table.columns.is_some() {
        return Err(JobError::new(
            table.at,
            "the columns of `rate` are fixed: timestamp TIMESTAMP, value BIGINT",
        )
        .help("leave the column list away"));
    }
    Ok(schema())
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::required("timestamp", DataType::Timestamp),
        Field::required("value", DataType::BigInt),
    ])
}

/// Opens the source for one run; rows hold the columns at the places `wanted`, in that order.
///
/// # Errors
/// When the options do not fit the source.
pub fn open(
    table: &Table,
    wanted: &[usize],
    _context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    columns(table).map_err(|error| Failure::refuse(error.message))?;
    let all = schema();
    let ramp = table.options.get("rampUpTime");
    let ramp = ramp.and_then(|ramp| parse_duration_in(ramp, "seconds"));
    Ok(Arc::new(Rate {
        table: SmolStr::new(&table.name),
        pace: Pace {
            rows_per_second: table.options.whole("rowsPerSecond").unwrap_or(1),
            ramp_up_seconds: ramp.map_or(0, |ramp| i64::try_from(ramp.as_secs()).unwrap_or(0)),
        },
        partitions: table.options.whole("numPartitions"),
        schema: Schema::new(
            wanted
                .iter()
                .filter_map(|place| all.fields.get(*place).cloned())
                .collect::<Vec<_>>(),
        ),
        clock: Clock::new(),
        begun: OnceLock::new(),
    }))
}

/// How many rows there are at which time. Pure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Pace {
    rows_per_second: i64,
    ramp_up_seconds: i64,
}

impl Pace {
    /// Rows before this second, as Spark counts them: the speed grows by a whole number of rows per second.
    fn rows_before_second(self, second: i64) -> i64 {
        let delta = self.rows_per_second / (self.ramp_up_seconds + 1);
        let ramp = second.min(self.ramp_up_seconds);
        let (even, odd) = if ramp % 2 == 0 {
            (ramp / 2, ramp + 1)
        } else {
            (ramp.midpoint(1), ramp)
        };
        delta
            .saturating_mul(even)
            .saturating_mul(odd)
            .saturating_add((second - ramp).saturating_mul(self.rows_per_second))
    }

    /// Rows in this second.
    fn rows_in_second(self, second: i64) -> i64 {
        self.rows_before_second(second + 1) - self.rows_before_second(second)
    }

    /// Rows whose moment has come after so many microseconds.
    fn rows(self, elapsed: Micros) -> i64 {
        if elapsed < 0 {
            return 0;
        }
        let (second, within) = (elapsed / SECOND, elapsed % SECOND);
        let here = self.rows_in_second(second);
        let come = (i128::from(within) + 1) * i128::from(here);
        let come = (come + i128::from(SECOND) - 1) / i128::from(SECOND);
        let come = i64::try_from(come).unwrap_or(here).min(here);
        self.rows_before_second(second).saturating_add(come)
    }

    /// The moment of a row, in microseconds from the start.
    fn moment(self, value: i64) -> Micros {
        let at_full_speed = value - self.rows_before_second(self.ramp_up_seconds);
        let second = if at_full_speed >= 0 {
            self.ramp_up_seconds + at_full_speed / self.rows_per_second
        } else {
            // The last second that begins at or before the row.
            let (mut low, mut high) = (0, self.ramp_up_seconds);
            while low < high {
                let middle = low + (high - low + 1) / 2;
                if self.rows_before_second(middle) <= value {
                    low = middle;
                } else {
                    high = middle - 1;
                }
            }
            low
        };
        let within = i128::from(value - self.rows_before_second(second)) * i128::from(SECOND)
            / i128::from(self.rows_in_second(second).max(1));
        second
            .saturating_mul(SECOND)
            .saturating_add(i64::try_from(within).unwrap_or(0))
    }
}

/// The wall clock, as one reading carried on by the runtime's clock, so that it never goes back in a run, and a test can move it.
#[derive(Clone, Copy)]
struct Clock {
    wall: Micros,
    base: Instant,
}

impl Clock {
    fn new() -> Self {
        Self {
            wall: clock::now(),
            base: Instant::now(),
        }
    }

    fn now(&self) -> (Micros, Instant) {
        let now = Instant::now();
        let since = now.duration_since(self.base).as_micros();
        (self.wall + i64::try_from(since).unwrap_or(0), now)
    }

    fn instant(&self, at: Micros) -> Instant {
        self.base + Duration::from_micros(u64::try_from(at - self.wall).unwrap_or(0))
    }
}

/// What a run has in common with the runs before it: the source's own state in the checkpoint.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Begun {
    start: Micros,
    partitions: i64,
    pace: Pace,
}

impl Begun {
    /// The moment up to which rows were read, where that is ahead of the clock.
    fn ahead(&self, starts: &[Start], now: Micros) -> Option<Micros> {
        let values = starts.iter().zip(0..).filter_map(|(start, partition)| {
            let read = position(Some(&start.position)).ok()?;
            (read > 0).then(|| {
                (read - 1)
                    .saturating_mul(self.partitions)
                    .saturating_add(partition)
            })
        });
        let last = self.start.saturating_add(self.pace.moment(values.max()?));
        // Clocks are corrected all the time by less.
        (last > now.saturating_add(SECOND)).then_some(last)
    }
}

struct Rate {
    table: SmolStr,
    pace: Pace,
    /// As the option says; None when it is left to the source.
    partitions: Option<i64>,
    schema: Schema,
    clock: Clock,
    begun: OnceLock<Begun>,
}

impl Rate {
    fn begun(&self) -> Result<Begun, Failure> {
        self.begun
            .get()
            .copied()
            .ok_or_else(|| Failure::end(format!("`{}` is read before it was resolved", self.table)))
    }

    fn begin(&self, resume: Option<&Resume<'_>>) -> Result<Begun, Failure> {
        let (now, _) = self.clock.now();
        let Some(resume) = resume else {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            return Ok(Begun {
                start: now,
                partitions: self
                    .partitions
                    .unwrap_or_else(|| i64::try_from(cores).unwrap_or(1)),
                pace: self.pace,
            });
        };
        let saved = match resume.state {
            Some(bytes) => Some(serde_json::from_slice::<Begun>(bytes).map_err(|error| {
                Failure::refuse(format!(
                    "the checkpoint's state of `{}` cannot be read: {error}",
                    self.table
                ))
            })?),
            None => None,
        };
        let known = saved.map_or(
            i64::try_from(resume.positions.len()).unwrap_or(i64::MAX),
            |saved| saved.partitions,
        );
        if let Some(partitions) = self.partitions
            && partitions != known
        {
            return Err(Failure::refuse(format!(
                "`{}` was begun with numPartitions {known}, the checkpoint cannot go on with {partitions}: \
                 set numPartitions to {known}, or begin with a new checkpointLocation",
                self.table
            )));
        }
        if let Some(saved) = saved.filter(|saved| saved.pace == self.pace) {
            return Ok(saved);
        }
        // Another speed: as if it had always been so, and the next row were due now.
        let mut next = i64::MAX;
        for partition in 0..known {
            let index = position(resume.positions.get(&self.name(partition)))?;
            next = next.min(index.saturating_mul(known).saturating_add(partition));
        }
        Ok(Begun {
            start: now - self.pace.moment(next),
            partitions: known,
            pace: self.pace,
        })
    }

    fn name(&self, partition: i64) -> SmolStr {
        format_smolstr!("{}/{partition}", self.table)
    }
}

/// A position as a count; an absent one is the beginning.
fn position(position: Option<&Position>) -> Result<i64, Failure> {
    match position {
        None => Ok(0),
        Some(Position::Number(count)) if *count >= 0 => Ok(*count),
        Some(other) => Err(Failure::refuse(format!(
            "`{other}` is no position of a rate source: it counts the rows of a partition"
        ))),
    }
}

/// How many of the first `rows` values are of this partition.
fn share(rows: i64, partition: i64, partitions: i64) -> i64 {
    (rows - partition).max(0).saturating_add(partitions - 1) / partitions
}

impl Source for Rate {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let begun = self.begin(resume)?;
        let _ = self.begun.set(begun);
        let starts = (0..begun.partitions)
            .map(|partition| {
                let name = self.name(partition);
                let known = resume.and_then(|resume| resume.positions.get(&name));
                Ok(Start {
                    position: Position::Number(position(known)?),
                    partition: name,
                    after: Vec::new(),
                })
            })
            .collect::<Result<Vec<Start>, Failure>>()?;
        if let Some(ahead) = begun.ahead(&starts, self.clock.now().0) {
            let mut until = String::new();
            append_timestamp(&mut until, ahead, Zone::UTC);
            tracing::warn!(
                "the clock is behind the rows that `{}` gave before: no row comes until it is {until} UTC",
                self.table
            );
        }
        Ok(starts)
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let begun = self.begun()?;
        let rows = self.pace.rows(self.clock.now().0 - begun.start);
        Ok((0..begun.partitions)
            .map(|partition| {
                let count = share(rows, partition, begun.partitions);
                (self.name(partition), Position::Number(count))
            })
            .collect())
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        let begun = self.begun()?;
        let number = (0..begun.partitions)
            .find(|number| self.name(*number) == partition.name)
            .ok_or_else(|| {
                Failure::refuse(format!("`{}` has no partition {partition}", self.table))
            })?;
        Ok(Box::pin(Rows {
            partition: Arc::clone(partition),
            timestamp_first: self
                .schema
                .fields
                .first()
                .map(|field| field.name == "timestamp"),
            width: self.schema.fields.len(),
            pace: self.pace,
            begun,
            number,
            clock: self.clock,
            next: position(Some(from))?,
            until: until.map(|until| position(Some(until))).transpose()?,
            come: 0,
            now: 0,
            taken: Instant::now(),
            turn: 0,
            caught_up: false,
            sleep: None,
            ended: false,
        }))
    }

    fn save(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self.begun.get()?).ok()
    }
}

/// The rows of one partition.
struct Rows {
    partition: Arc<Partition>,
    /// Whether `timestamp` is the first of the wanted columns; None when nothing is wanted.
    timestamp_first: Option<bool>,
    width: usize,
    pace: Pace,
    begun: Begun,
    number: i64,
    clock: Clock,
    /// The next row of this partition, counted from 0.
    next: i64,
    until: Option<i64>,
    /// So many rows of this partition had come when the clock was read last.
    come: i64,
    /// The clock when it was read last, by both clocks.
    now: Micros,
    taken: Instant,
    turn: u32,
    caught_up: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl Rows {
    fn look_at_the_clock(&mut self) {
        (self.now, self.taken) = self.clock.now();
        let rows = self.pace.rows(self.now - self.begun.start);
        self.come = share(rows, self.number, self.begun.partitions);
    }

    fn value(&self) -> i64 {
        self.next
            .saturating_mul(self.begun.partitions)
            .saturating_add(self.number)
    }

    fn record(&mut self) -> Record {
        let value = self.value();
        let timestamp = self.begun.start + self.pace.moment(value);
        let row = match (self.width, self.timestamp_first) {
            (0, _) => Vec::new(),
            (1, Some(true)) => vec![Value::Timestamp(timestamp)],
            (1, _) => vec![Value::BigInt(value)],
            (_, Some(true)) => vec![Value::Timestamp(timestamp), Value::BigInt(value)],
            _ => vec![Value::BigInt(value), Value::Timestamp(timestamp)],
        };
        let position = Position::Number(self.next);
        self.next += 1;
        Record {
            meta: RecordMeta {
                partition: Arc::clone(&self.partition),
                position,
                record_time: Some(timestamp),
                event_time: None,
                watermark: None,
                taken_at: self.now,
                taken: self.taken.into_std(),
            },
            next: Position::Number(self.next),
            body: Body::Row(row),
            size: 16,
            raw: None,
        }
    }
}

impl Stream for Rows {
    type Item = SourceEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SourceEvent>> {
        let this = &mut *self;
        loop {
            if this.ended {
                return Poll::Ready(None);
            }
            if this.until.is_some_and(|until| this.next >= until) {
                this.ended = true;
                return Poll::Ready(Some(SourceEvent::Ended));
            }
            if let Some(sleep) = &mut this.sleep {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
                this.sleep = None;
            }
            if this.next < this.come {
                if this.turn == TURN {
                    this.turn = 0;
                    this.look_at_the_clock();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                this.turn += 1;
                this.caught_up = false;
                return Poll::Ready(Some(SourceEvent::Record(this.record())));
            }
            this.turn = 0;
            let last = this.now;
            let due = this.begun.start + this.pace.moment(this.value());
            let wake = due.max(last + BURST);
            if wake > this.clock.now().0 {
                this.sleep = Some(Box::pin(tokio::time::sleep_until(this.clock.instant(wake))));
                if !this.caught_up {
                    this.caught_up = true;
                    return Poll::Ready(Some(SourceEvent::CaughtUp(None)));
                }
            } else {
                this.look_at_the_clock();
            }
        }
    }
}

#[cfg(test)]
#[path = "rate_tests.rs"]
mod tests;
