//! The `file` source: a file, a pipe or standard input, one record per line.
//!
//! Besides `USING file` it stands in for any other input (`--input table=FILE`): the lines are then decoded as that
//! table's values would be, and its facts are made up: no key, the table's name as the topic, partition 0, and the
//! number of the line as the offset. There is one partition; its position is a byte offset, always the begin of a line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use smol_str::{SmolStr, format_smolstr};
use thalweg_engine::error::Failure;
use thalweg_engine::record::{Partition, Position};
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::{RecordStream, Resume, Source, Start};

use super::file_lines::{Fact, Lines, Shape};
use crate::codecs::csv::{self, CsvOptions};
use crate::codecs::json::{self, JsonOptions};
use crate::codecs::{Decoder, Mode, text};
use crate::files::FORMATS;
use crate::formats::{Format, csv_options, json_options};
use crate::job_error::JobError;
use crate::objects::Located;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table};

/// The path that means standard input.
pub const STDIN: &str = "-";

/// Standard input can be read once in the life of a process.
static STDIN_TAKEN: AtomicBool = AtomicBool::new(false);

/// The options of the source.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "path",
        kind: OptionKind::Text,
        default: "",
        example: "./payments.jsonl",
        about: "The file, relative to the working directory; `-` is standard input",
    },
    OptionSpec {
        name: "format",
        kind: OptionKind::OneOf(&["json", "text"]),
        default: "json",
        example: "text",
        about: "How a line is decoded: one JSON object, or as it is into the column `value`",
    },
    OptionSpec {
        default: "PERMISSIVE",
        ..json::OPTIONS[0]
    },
    json::OPTIONS[1],
    json::OPTIONS[2],
    json::OPTIONS[3],
];

/// The columns: those declared, or `value STRING` for the format `text`.
///
/// # Errors
/// For options that are not the source's, a missing path, and columns that the format cannot give.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    table.options.verify("file", OPTIONS)?;
    path(table)?;
    let format_at = table.options.at("format", table.at);
    match (format(table), &table.columns) {
        ("text", None) => Ok(Schema::new(vec![Field::nullable(
            "value",
            DataType::String,
        )])),
        (_, None) => Err(
            JobError::new(table.at, "the format `json` needs declared columns")
                .help("write CREATE TABLE name (column TYPE, ...) USING file"),
        ),
        (format, Some(columns)) => match refused(format, columns) {
            Some(reason) => Err(JobError::new(format_at, reason)),
            None => Ok(Schema::new(columns.clone())),
        },
    }
}

/// The path of this machine that the table names.
///
/// # Errors
/// When it names none.
pub(crate) fn path(table: &Table) -> Result<&str, JobError> {
    match table.options.get("path") {
        None | Some("") => Err(JobError::new(
            table.at,
            "a table `USING file` needs the option `path`",
        )),
        Some(path) => Located::here(path)
            .map_err(|why| JobError::new(table.options.at("path", table.at), why)),
    }
}

fn format(table: &Table) -> &str {
    match table.options.get("format") {
        Some(text) if text.eq_ignore_ascii_case("text") => "text",
        Some(csv) if csv.eq_ignore_ascii_case("csv") => "csv",
        None if table.connector == "text" => "text",
        None if table.connector == "csv" => "csv",
        None => "json",
        Some(json) if json.eq_ignore_ascii_case("json") => "json",
        Some(other) => other,
    }
}

/// What a field that does not fit becomes where the option `mode` says nothing: files keep Spark's default.
pub(super) fn default_mode(table: &Table) -> Mode {
    match table.connector.as_str() {
        "text" | "kafka" => Mode::FailFast,
        "file" => Mode::Permissive,
        connector if FORMATS.iter().any(|format| format.name == connector) => Mode::Permissive,
        _ => Mode::FailFast,
    }
}

/// Why the format cannot give these columns, if it cannot.
fn refused(format: &str, columns: &[Field]) -> Option<String> {
    match format {
        "json" => columns.iter().find_map(|column| {
            json::unsupported(&column.data_type)
                .map(|reason| format!("column `{}`: {reason}", column.name))
        }),
        "text" => text::unsupported(columns),
        "csv" => Format::Csv.unsupported(columns),
        other => Some(format!("a file cannot be read in the format `{other}`")),
    }
}

/// Opens the source for one run; rows hold the columns at the places `wanted`, in that order.
///
/// # Errors
/// When the options do not fit the source.
pub fn open(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let schema = columns(table).map_err(refuse)?;
    open_in_place(
        table,
        &schema,
        wanted,
        path(table).map_err(refuse)?,
        context,
    )
}

/// Opens a file, or with `-` standard input, in place of the input `table`, whatever its connector. `schema` is what that
/// connector says of the table's columns, followed by those of its metadata.
///
/// # Errors
/// When the lines cannot be decoded as the table's values are.
pub fn open_in_place(
    table: &Table,
    schema: &Schema,
    wanted: &[usize],
    path: &str,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let zone = context.time_zone;
    let rows = Rows::new(
        table,
        schema,
        wanted,
        json_options(table, zone, true).map_err(refuse)?,
        csv_options(table, zone, true).map_err(refuse)?,
    );
    // An unknown format is an error now, and not of the first record.
    rows.decoder()?;
    let file = File {
        partition: format_smolstr!("{}/0", table.name),
        schema: Schema::new(
            wanted
                .iter()
                .filter_map(|place| schema.fields.get(*place).cloned())
                .collect::<Vec<_>>(),
        ),
        path: PathBuf::from(path),
        rows,
    };
    Ok(Arc::new(file))
}

/// How the lines become rows.
struct Rows {
    options: JsonOptions,
    csv: CsvOptions,
    format: String,
    mode: Mode,
    /// The columns that the decoder knows, and those of them that are wanted.
    columns: Vec<Field>,
    decoded: Vec<usize>,
    /// What each wanted column is.
    facts: Vec<Fact>,
}

impl Rows {
    fn new(
        table: &Table,
        schema: &Schema,
        wanted: &[usize],
        options: JsonOptions,
        csv: CsvOptions,
    ) -> Self {
        let raw = table.connector == "kafka" && table.columns.is_none();
        let columns: Vec<Field> = match (&table.columns, raw) {
            (Some(columns), _) => columns.clone(),
            (None, true) => Vec::new(),
            (None, false) => schema.fields.to_vec(),
        };
        let mut decoded = Vec::new();
        let facts = wanted
            .iter()
            .filter_map(|place| Some((*place, schema.fields.get(*place)?)))
            .map(|(place, field)| {
                // Behind the table's columns stand those of its metadata, which may have the same names.
                if place < columns.len() {
                    decoded.push(place);
                    Fact::Decoded
                } else {
                    Fact::of(field, &table.name)
                }
            })
            .collect();
        let given = table.options.get("mode");
        let mode = given.map_or_else(|| default_mode(table), Mode::of_word);
        Self {
            options,
            csv: CsvOptions { mode, ..csv },
            format: if raw {
                "raw".to_owned()
            } else {
                format(table).to_owned()
            },
            mode,
            columns,
            decoded,
            facts,
        }
    }

    fn decoder(&self) -> Result<Option<Box<dyn Decoder>>, Failure> {
        if self.format == "raw" {
            return Ok(None);
        }
        if let Some(reason) = refused(&self.format, &self.columns) {
            return Err(Failure::refuse(format!(
                "`{}`: {reason}",
                self.options.table
            )));
        }
        Ok(Some(match self.format.as_str() {
            "text" => text::decoder(&self.decoded, self.mode),
            "csv" => csv::decoder(&self.columns, &self.decoded, &self.csv),
            _ => json::decoder(&self.columns, &self.decoded, self.mode, &self.options),
        }))
    }
}

struct File {
    partition: SmolStr,
    schema: Schema,
    path: PathBuf,
    rows: Rows,
}

impl File {
    fn stdin(&self) -> bool {
        self.path == Path::new(STDIN)
    }

    /// The size of a regular file; None for what has no end that is known.
    fn size(&self) -> Result<Option<u64>, Failure> {
        if self.stdin() {
            return Ok(None);
        }
        let shown = self.path.display();
        let found = std::fs::metadata(&self.path)
            .map_err(|error| Failure::refuse(format!("{shown} cannot be read: {error}")))?;
        if found.is_dir() {
            return Err(Failure::refuse(format!("{shown} is a folder, not a file")));
        }
        Ok(found.is_file().then_some(found.len()))
    }
}

fn number(position: &Position) -> Result<u64, Failure> {
    match position {
        Position::Number(at) => u64::try_from(*at).ok(),
        Position::Token(_) | Position::Row(..) => None,
    }
    .ok_or_else(|| {
        Failure::refuse(format!(
            "`{position}` is no position of a file: it is a number of bytes"
        ))
    })
}

/// Where a query goes on that steps over the record at this position: positions count bytes, so that is not known.
pub fn behind(_: &Position) -> Option<Position> {
    None
}

impl Source for File {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn grows(&self) -> bool {
        false
    }

    /// It is read from its beginning: nothing stands before that.
    fn back(&self, starts: &[Start], _: Duration) -> Result<Option<Vec<Position>>, Failure> {
        Ok(Some(
            starts.iter().map(|start| start.position.clone()).collect(),
        ))
    }

    fn behind(&self, record: &Position) -> Option<Position> {
        behind(record)
    }

    fn resolve(&self, resume: Option<&Resume<'_>>) -> Result<Vec<Start>, Failure> {
        let position = resume
            .and_then(|resume| resume.positions.get(&self.partition))
            .cloned()
            .unwrap_or(Position::Number(0));
        let at = number(&position)?;
        match self.size()? {
            None if at > 0 => {
                return Err(Failure::end(format!(
                    "`{}` cannot be read a second time: what came before byte {at} is gone",
                    self.path.display()
                )));
            }
            Some(size) if size < at => {
                return Err(Failure::refuse(format!(
                    "{} has {size} bytes, but the checkpoint has read {at}: it was replaced; give it back, or begin with \
                     a new checkpointLocation",
                    self.path.display()
                )));
            }
            _ => {}
        }
        Ok(vec![Start {
            partition: self.partition.clone(),
            position,
            after: Vec::new(),
        }])
    }

    fn ends(&self) -> Result<BTreeMap<SmolStr, Position>, Failure> {
        let size = self.size()?.and_then(|size| i64::try_from(size).ok());
        // What has no known end is read until it ends.
        let end = Position::Number(size.unwrap_or(i64::MAX));
        Ok(BTreeMap::from([(self.partition.clone(), end)]))
    }

    fn read(
        &self,
        partition: &Arc<Partition>,
        from: &Position,
        until: Option<&Position>,
    ) -> Result<RecordStream, Failure> {
        if self.stdin() && STDIN_TAKEN.swap(true, Ordering::Relaxed) {
            return Err(Failure::end(
                "standard input is read already: it can stand for one input, in one run. Where a run has failed, the line before says why",
            ));
        }
        let shape = Shape {
            decoder: self.rows.decoder()?,
            decoded: self.rows.decoded.len(),
            facts: self.rows.facts.clone(),
            blank_lines: self.rows.format != "json",
        };
        let until = until.map(number).transpose()?;
        let lines = Lines::open(
            Arc::clone(partition),
            &self.path,
            number(from)?,
            until,
            shape,
        )?;
        Ok(Box::pin(lines))
    }
}

/// A context for tests of sources and sinks.
#[cfg(test)]
pub(crate) fn test_context() -> OpenContext {
    OpenContext {
        job: "test".to_owned(),
        query: "test".to_owned(),
        run: "1".to_owned(),
        temporary: true,
        fresh: false,
        checkpoint: String::new(),
        member: None,
        further: false,
        delivery_timeout: Duration::from_secs(120),
        trigger_interval: None,
        bounded: false,
        complete: false,
        partitioned: false,
        coordinates: crate::coordinates::Coordinates::Off,
        time_zone: crate::expr::calendar::Zone::UTC,
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
