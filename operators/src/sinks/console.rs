//! The `console` sink: rows on standard output.
//!
//! With the trigger `continuous` a row is shown as it comes, one line each, under the names of the columns. With any other
//! each tick prints what came since the last as Spark's console does: `Batch: N` and the table of `show()`. What waits for
//! the next tick travels in the cut, with the number of the batch, so a restart shows it, and goes on counting.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::record::Micros;
use thalweg_engine::row::Value;
use thalweg_engine::schema::Schema;
use thalweg_engine::sink::{LocalFuture, Origin, Prepared, Readiness, Sink, Writer, WriterContext};

use super::console_table::{self, Columns};
use super::file_outlet::{Inlet, Outlet};
pub use super::stream::READER_GONE;
use super::stream::Target;
use crate::expr::calendar::Zone;
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table};

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "numRows",
        kind: OptionKind::Whole(0, 1_000_000),
        default: "20",
        example: "1000",
        about: "How many rows of a batch are shown; with the trigger `continuous`, which shows rows as they come, all are",
    },
    OptionSpec {
        name: "truncate",
        kind: OptionKind::Text,
        default: "true",
        example: "false",
        about: "`true` cuts cells to 20 characters and `false` does not; a number cuts to so many. Rows that are shown as \
                they come are cut only when this is written",
    },
];

/// Checks the table.
///
/// # Errors
/// For options that are not the sink's.
pub fn check(table: &Table, _input: &Schema) -> Result<(), JobError> {
    table.options.verify("console", OPTIONS)?;
    match table.options.entry("truncate") {
        Some(entry) if limit(&entry.value).is_none() => Err(JobError::new(
            entry.at,
            "option `truncate` takes true, false or a number of characters",
        )),
        _ => Ok(()),
    }
}

/// To how many characters cells are cut; 0 for not at all.
fn limit(word: &str) -> Option<usize> {
    let word = word.trim();
    if word.eq_ignore_ascii_case("true") {
        Some(20)
    } else if word.eq_ignore_ascii_case("false") {
        Some(0)
    } else {
        word.parse().ok()
    }
}

/// Opens the sink for one run; `input` are the columns of the rows that will be shown.
///
/// # Errors
/// When the options do not fit the sink, or standard output is closed.
pub fn open(
    table: &Table,
    input: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    check(table, input).map_err(|error| Failure::refuse(error.message))?;
    if !batches(context) && table.options.get("numRows").is_some() {
        tracing::warn!(
            "option `numRows` of `{}` counts rows of a batch; with the trigger `continuous` every row is shown",
            table.name
        );
    }
    Ok(Arc::new(open_on(Target::stdout()?, table, input, context)?))
}

/// Whether results come trigger by trigger.
fn batches(context: &OpenContext) -> bool {
    context.trigger_interval.is_some() || context.bounded
}

fn open_on(
    target: Target,
    table: &Table,
    input: &Schema,
    context: &OpenContext,
) -> Result<Console, Failure> {
    let truncate = table.options.get("truncate").and_then(limit);
    let batches = batches(context);
    Ok(Console {
        outlet: Outlet::open(target)?,
        input: input.clone(),
        limit: truncate.unwrap_or(if batches { 20 } else { 0 }),
        rows_max: batches.then(|| {
            let rows = table.options.whole("numRows").unwrap_or(20);
            usize::try_from(rows).unwrap_or(20)
        }),
        complete: context.complete,
        columns: Arc::new(Mutex::new(Columns::new(&input.fields))),
        zone: context.time_zone,
    })
}

struct Console {
    outlet: Arc<Outlet>,
    input: Schema,
    limit: usize,
    /// Rows of a batch that are shown; None when rows are shown as they come.
    rows_max: Option<usize>,
    /// Whether each batch is the whole result.
    complete: bool,
    columns: Arc<Mutex<Columns>>,
    zone: Zone,
}

impl Sink for Console {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let inlet = Inlet::new(&self.outlet, context.observer);
        Ok(match self.rows_max {
            None => Box::new(Live {
                inlet,
                input: self.input.clone(),
                columns: Arc::clone(&self.columns),
                limit: self.limit,
                zone: self.zone,
            }),
            Some(rows_max) => Box::new(Batches {
                inlet,
                input: self.input.clone(),
                limit: self.limit,
                rows_max,
                complete: self.complete,
                zone: self.zone,
                staged: Batch::default(),
                batch: Batch::default(),
                ticked: false,
            }),
        })
    }

    fn in_flight(&self) -> u64 {
        self.outlet.in_flight()
    }

    fn close(&self) {
        self.outlet.close();
    }
}

/// Shows rows as they come.
struct Live {
    inlet: Inlet,
    input: Schema,
    /// All lanes write under the same names.
    columns: Arc<Mutex<Columns>>,
    limit: usize,
    zone: Zone,
}

impl Writer for Live {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        let staged = &mut self.inlet.staged;
        self.columns.lock().line(row, self.limit, self.zone, staged);
        self.inlet.row(origin);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        if self.inlet.staged.is_empty() {
            return self.inlet.accept();
        }
        // Held until the lines are handed over, so that no other lane's line comes before the names.
        let mut columns = self.columns.lock();
        if let Some(header) = columns.header() {
            self.inlet.staged.splice(0..0, header.into_bytes());
        }
        self.inlet.accept()
    }

    fn reject(&mut self) {
        self.inlet.reject();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inlet.drained()
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inlet.delivered()
    }

    /// Shows what a run with a trigger has left: no tick comes for it.
    fn resume(&mut self, prepared: &[u8]) -> Result<(), Failure> {
        let batch = waiting(prepared)?;
        if batch.rows > 0 {
            let text = batch.table(&self.input, self.limit);
            self.inlet.staged.extend_from_slice(text.as_bytes());
            self.inlet.accept()?;
        }
        Ok(())
    }
}

/// What waited for a tick when the checkpoint was written.
fn waiting(prepared: &[u8]) -> Result<Batch, Failure> {
    serde_json::from_slice(prepared).map_err(|error| {
        Failure::refuse(format!(
            "the checkpoint's state of the console cannot be read: {error}"
        ))
    })
}

/// What waits for the next tick. Only the rows that will be shown are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    number: u64,
    rows: u64,
    cells: Vec<Vec<String>>,
}

impl Batch {
    fn table(&self, input: &Schema, limit: usize) -> String {
        let more = self.rows > self.cells.len() as u64;
        console_table::batch(self.number, &input.fields, &self.cells, limit, more)
    }
}

/// Shows a table at each tick.
struct Batches {
    inlet: Inlet,
    input: Schema,
    limit: usize,
    rows_max: usize,
    complete: bool,
    zone: Zone,
    /// The rows of the record that is being written; its number is not used.
    staged: Batch,
    batch: Batch,
    /// Whether it has seen a tick: at later ones it is certain that records have come.
    ticked: bool,
}

impl Writer for Batches {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        self.staged.rows += 1;
        if self.batch.cells.len() + self.staged.cells.len() < self.rows_max {
            let cells = self.input.fields.iter().zip(row).map(|(field, value)| {
                let mut text = String::new();
                console_table::cell(&mut text, value, &field.data_type, self.zone);
                console_table::truncate(text, self.limit)
            });
            self.staged.cells.push(cells.collect());
        }
        self.inlet.row(origin);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
        self.batch.rows += std::mem::take(&mut self.staged.rows);
        self.batch.cells.append(&mut self.staged.cells);
        // Nothing is staged as text, so this only acknowledges: the rows are safe with the next cut.
        self.inlet.accept()
    }

    fn reject(&mut self) {
        self.staged = Batch::default();
        self.inlet.reject();
    }

    fn drained(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inlet.drained()
    }

    fn delivered(&mut self) -> LocalFuture<Result<(), Failure>> {
        self.inlet.delivered()
    }

    /// A batch without rows is an empty table, as in Spark. Only after a restart, where perhaps nothing has come, there is
    /// no batch.
    fn tick(&mut self, _now: Micros) -> Result<(), Failure> {
        let ticked = std::mem::replace(&mut self.ticked, true);
        if self.batch.rows == 0 && self.batch.number > 0 && !ticked {
            return Ok(());
        }
        let text = self.batch.table(&self.input, self.limit);
        self.inlet.staged.extend_from_slice(text.as_bytes());
        self.inlet.accept()?;
        self.batch = Batch {
            number: self.batch.number + 1,
            ..Batch::default()
        };
        Ok(())
    }

    fn prepare(&mut self, _last: bool) -> LocalFuture<Result<Option<Prepared>, Failure>> {
        let batch = if self.complete {
            // A part of a result that the next trigger emits as a whole.
            let number = self.batch.number;
            serde_json::to_vec(&Batch {
                number,
                ..Batch::default()
            })
        } else {
            serde_json::to_vec(&self.batch)
        };
        Box::pin(std::future::ready(Ok(batch.ok().map(Prepared::from))))
    }

    /// Goes on with the batch that the checkpoint holds.
    fn resume(&mut self, prepared: &[u8]) -> Result<(), Failure> {
        self.batch = waiting(prepared)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
