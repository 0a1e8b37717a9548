//! The `file` sink: JSON lines to a file or standard output.
//!
//! Besides `USING file` it stands in for any other output (`--output table=FILE`). A line is the row as JSON; only where
//! the table writes a bare `value` (Kafka without `format`) it is that value. A run with temporary checkpoints begins the
//! file anew, any other appends.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::row::Value;
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::{LocalFuture, Origin, Readiness, Sink, Writer, WriterContext};

use super::file_outlet::{Inlet, Outlet};
use super::last_line;
pub use super::stream::READER_GONE;
use super::stream::Target;
use crate::codecs::json::{self, JsonOptions};
use crate::codecs::{Encoder, text};
use crate::job_error::JobError;
use crate::sources::file as source;
use crate::table::{OpenContext, OptionKind, OptionSpec, Table};

/// The path that means standard output.
pub const STDOUT: &str = "-";

/// Files that this process has begun: a new run of a query goes on with its file.
static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The options of the sink.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "path",
        kind: OptionKind::Text,
        default: "",
        example: "./verdicts.jsonl",
        about: "The file, relative to the working directory; `-` is standard output",
    },
    OptionSpec {
        name: "format",
        kind: OptionKind::OneOf(&["json"]),
        default: "json",
        example: "json",
        about: "How a row is written: one JSON object per line",
    },
];

/// Checks the table.
///
/// # Errors
/// For options that are not the sink's, and a missing path.
pub fn check(table: &Table, _input: &Schema) -> Result<(), JobError> {
    // A table that is read too has the source's options.
    table.options.verify("file", source::OPTIONS)?;
    if let Some(format) = table.options.entry("format")
        && !format.value.eq_ignore_ascii_case("json")
    {
        return Err(JobError::new(
            format.at,
            "a file is written in the format json, not another",
        ));
    }
    source::path(table).map(drop)
}

/// Opens the sink for one run; `input` are the columns of the rows that will be written.
///
/// # Errors
/// When the file cannot be written.
pub fn open(
    table: &Table,
    input: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    check(table, input).map_err(refuse)?;
    open_in_place(table, input, source::path(table).map_err(refuse)?, context)
}

/// Opens a file, or with `-` standard output, in place of the output `table`, whatever its connector.
///
/// # Errors
/// When the file cannot be written.
pub fn open_in_place(
    table: &Table,
    input: &Schema,
    path: &str,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let bare = table.connector == "kafka" && table.options.get("format").is_none();
    let target = if path == STDOUT {
        Target::stdout()?
    } else {
        let path = PathBuf::from(path);
        let anew = BEGUN.lock().insert(path.clone()) && context.temporary;
        let unwritten = |error: io::Error| {
            Failure::refuse(format!("{} cannot be written: {error}", path.display()))
        };
        let mut file = OpenOptions::new()
            .create(true)
            .append(!anew)
            .write(true)
            .truncate(anew)
            .open(&path)
            .map_err(unwritten)?;
        if !anew && file.metadata().is_ok_and(|known| known.is_file()) {
            last_line::mend(&mut file, &path, !bare).map_err(unwritten)?;
        }
        Target::file(file, path.display().to_string())?
    };
    Ok(Arc::new(FileSink {
        outlet: Outlet::open(target)?,
        value: if bare { input.index_of("value") } else { None },
        options: JsonOptions::of(context, &table.name),
        input: input.clone(),
    }))
}

struct FileSink {
    outlet: Arc<Outlet>,
    input: Schema,
    /// The one column that is written; None where the whole row is.
    value: Option<usize>,
    options: JsonOptions,
}

impl Sink for FileSink {
    fn open(&self, context: WriterContext) -> Result<Box<dyn Writer>, Failure> {
        let value: Option<&Field> = self.value.and_then(|place| self.input.fields.get(place));
        Ok(Box::new(FileWriter {
            inlet: Inlet::new(&self.outlet, context.observer),
            encoder: match value {
                Some(field) => text::key_encoder(std::slice::from_ref(field), &self.options),
                None => json::encoder_with(&self.input, &self.options),
            },
            value: self.value,
        }))
    }

    fn in_flight(&self) -> u64 {
        self.outlet.in_flight()
    }

    fn close(&self) {
        self.outlet.close();
    }
}

struct FileWriter {
    inlet: Inlet,
    encoder: Box<dyn Encoder>,
    value: Option<usize>,
}

impl Writer for FileWriter {
    fn write(&mut self, row: &[Value], origin: Origin<'_>) -> Result<(), RecordError> {
        let row = match self.value {
            Some(place) => row.get(place..=place).unwrap_or_default(),
            None => row,
        };
        let start = self.inlet.staged.len();
        self.encoder.encode(row, &mut self.inlet.staged)?;
        if self.inlet.staged.len() > start || !self.encoder.leaves_out_nothing() {
            self.inlet.staged.push(b'\n');
        }
        self.inlet.row(origin);
        Ok(())
    }

    fn accept(&mut self) -> Result<Readiness, Failure> {
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
}

#[cfg(test)]
mod tests {
    use thalweg_engine::schema::DataType;

    use super::*;
    use crate::sinks::testing::{Observed, context, meta, wait};
    use crate::sources::file::test_context;
    use crate::table::Options;

    fn table(connector: &str) -> Table {
        Table {
            name: "out".to_owned(),
            at: crate::job_error::Location::default(),
            connector: connector.to_owned(),
            columns: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Options::default(),
        }
    }

    /// What stands in a file after this row was written to it.
    fn written(connector: &str, path: &std::path::Path, temporary: bool) -> String {
        let input = Schema::new(vec![
            Field::nullable("id", DataType::Int),
            Field::nullable("value", DataType::String),
        ]);
        let run = OpenContext {
            temporary,
            ..test_context()
        };
        let sink = open_in_place(&table(connector), &input, path.to_str().unwrap(), &run).unwrap();
        let mut writer = sink.open(context(&Arc::new(Observed::default()))).unwrap();
        let origin = Origin {
            meta: &meta(),
            index: 0,
            moment: false,
        };
        writer
            .write(&[Value::Int(1), Value::from("a")], origin)
            .unwrap();
        writer.accept().unwrap();
        wait(writer.delivered()).unwrap();
        sink.close();
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_row_is_one_line_of_json_and_a_bare_value_is_itself() {
        let folder = tempfile::tempdir().unwrap();
        let json = written("noop", &folder.path().join("json"), true);
        assert_eq!(json, "{\"id\":1,\"value\":\"a\"}\n");
        assert_eq!(written("kafka", &folder.path().join("bare"), true), "a\n");
    }

    #[test]
    fn a_temporary_run_begins_the_file_anew_and_a_second_run_of_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old\n").unwrap();
        assert_eq!(written("kafka", &path, true), "a\n");
        assert_eq!(written("kafka", &path, true), "a\na\n");
    }

    #[test]
    fn a_run_with_checkpoints_appends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        std::fs::write(&path, "old\n").unwrap();
        assert_eq!(written("kafka", &path, false), "old\na\n");
    }

    #[test]
    fn a_last_line_that_was_cut_off_is_taken_away_and_a_whole_one_gets_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let gone_on = |connector: &str, before: &str| {
            let path = folder.path().join("out");
            std::fs::write(&path, before).unwrap();
            written(connector, &path, false)
        };
        let row = "{\"id\":1,\"value\":\"a\"}\n";
        let long = format!("{{\"value\":\"{}", "x".repeat(200_000));
        assert_eq!(
            gone_on("noop", "{\"id\":7}\n{\"id\":8,\"va"),
            format!("{{\"id\":7}}\n{row}")
        );
        assert_eq!(gone_on("noop", &long), row);
        assert_eq!(
            gone_on("noop", &format!("{{}}\n{long}")),
            format!("{{}}\n{row}")
        );
        assert_eq!(
            gone_on("noop", "{\"id\":7}"),
            format!("{{\"id\":7}}\n{row}")
        );
        assert_eq!(gone_on("kafka", "some te"), "some te\na\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_refused_by_its_name() {
        let failure = open_in_place(
            &table("kafka"),
            &Schema::new(Vec::new()),
            "/nowhere/at/all",
            &test_context(),
        )
        .err()
        .unwrap();
        assert!(failure.message.contains("/nowhere/at/all"));
    }
}
