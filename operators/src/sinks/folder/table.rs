//! What a table of files says: checked before anything runs, and shown by `thalweg check`.

use std::path::PathBuf;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Schema};

use super::options::{self, Compression, Rolling};
use super::{open, partitions};
use crate::codecs::csv::{self, CsvOptions};
use crate::codecs::json::JsonOptions;
#[cfg(feature = "object-store")]
use crate::connect::Reach;
use crate::connectors::{OpenOutput, Output};
use crate::expr::calendar::Zone;
use crate::job_error::JobError;
#[cfg(feature = "object-store")]
use crate::objects::{self, Need};
use crate::objects::{Located, Remote};
use crate::table::{OptionSpec, Table};

/// How rows stand in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
    Text,
    Parquet,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Text => "text",
            Self::Parquet => "parquet",
        }
    }
}

const fn output(
    options: &'static [OptionSpec],
    check: fn(&Table, &Schema) -> Result<(), JobError>,
    open: OpenOutput,
    shown: fn(&Table, &Schema) -> Vec<String>,
) -> Output {
    Output {
        options,
        check,
        open,
        passing: false,
        gathers_intervals: false,
        files: Some(shown),
    }
}

/// `json` as an output.
pub const JSON: Output = output(
    options::JSON,
    |table, input| Layout::of(Format::Json, table, input).map(drop),
    |table, input, context| open(Format::Json, table, input, context),
    |table, input| shown(Format::Json, table, input),
);

/// `csv` as an output.
pub const CSV: Output = output(
    options::CSV,
    |table, input| Layout::of(Format::Csv, table, input).map(drop),
    |table, input, context| open(Format::Csv, table, input, context),
    |table, input| shown(Format::Csv, table, input),
);

/// `text` as an output.
pub const TEXT: Output = output(
    options::TEXT,
    |table, input| Layout::of(Format::Text, table, input).map(drop),
    |table, input, context| open(Format::Text, table, input, context),
    |table, input| shown(Format::Text, table, input),
);

/// `parquet` as an output.
pub const PARQUET: Output = output(
    options::PARQUET,
    |table, input| Layout::of(Format::Parquet, table, input).map(drop),
    |table, input, context| open(Format::Parquet, table, input, context),
    |table, input| shown(Format::Parquet, table, input),
);

const NO_ORC: &str = "ORC files are not written: write `parquet`";

/// `orc` as an output: none.
pub const ORC: Output = output(
    options::ORC,
    |table, _| Err(JobError::new(table.at, NO_ORC)),
    |_, _, _| Err(Failure::refuse(NO_ORC)),
    |_, _| Vec::new(),
);

/// The folder that a table names, as one name for all ways to write it.
pub fn folder(table: &Table) -> PathBuf {
    let path = table.options.get("path").unwrap_or_default().trim();
    let path = match Located::read(path) {
        Ok(Located::Store(address)) => {
            return PathBuf::from(format!("{}/{}", address.root, address.key));
        }
        Ok(Located::Here(path)) => path,
        Err(_) => path,
    };
    std::path::absolute(path)
        .unwrap_or_else(|_| PathBuf::from(path))
        .components()
        .collect()
}

/// Asks the object store into which a table is written; None where that is a folder of this machine.
///
/// # Errors
/// When it does not answer, or has no such bucket.
#[cfg(feature = "object-store")]
pub(crate) fn reach(table: &Table) -> Result<Option<Reach>, Failure> {
    let options = &table.options;
    let path = options.get("path").unwrap_or_default().trim();
    let remote = Remote::of(path, options, options.at("path", table.at))
        .map_err(|error| Failure::refuse(error.message))?;
    let Some(remote) = remote else {
        return Ok(None);
    };
    objects::reach(&remote, &[Need::Write(&remote.address.key)]).map(Some)
}

/// What the files of a table are like.
pub(super) struct Layout {
    /// As it was written: where it is one of this machine, the folder.
    pub(super) root: PathBuf,
    pub(super) remote: Option<Remote>,
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) rolling: Rolling,
    /// The places of the columns that name folders.
    pub(super) partitions: Vec<usize>,
    pub(super) line_end: Vec<u8>,
}

impl Layout {
    /// Of a table that takes rows of these columns.
    pub(super) fn of(format: Format, table: &Table, input: &Schema) -> Result<Self, JobError> {
        #[cfg(not(feature = "parquet"))]
        if format == Format::Parquet {
            return Err(JobError::new(table.at, super::LACKS_PARQUET));
        }
        let options = &table.options;
        let path = options.get("path").unwrap_or_default().trim();
        if path.is_empty() {
            return Err(JobError::new(
                table.at,
                format!("a table `USING {}` needs the option `path`", format.name()),
            ));
        }
        let remote = Remote::of(path, options, options.at("path", table.at))?;
        let rolling = Rolling::of(table);
        if rolling.interval.is_zero() {
            return Err(JobError::new(
                options.at("rollInterval", table.at),
                "rollInterval must be longer than nothing",
            ));
        }
        let partitions = places(table, input)?;
        let default = if format == Format::Parquet {
            Compression::Snappy
        } else {
            Compression::None
        };
        let named = options.get("compression").and_then(Compression::named);
        let layout = Self {
            root: PathBuf::from(Located::here(path).unwrap_or(path)),
            remote,
            format,
            compression: named.unwrap_or(default),
            rolling,
            partitions,
            line_end: match format {
                Format::Json | Format::Csv | Format::Text => {
                    line_end(options.get("lineSep").unwrap_or("\n"))
                }
                Format::Parquet => Vec::new(),
            },
        };
        layout.fits(table, input)?;
        Ok(layout)
    }

    /// Checks that the columns can be written.
    fn fits(&self, table: &Table, input: &Schema) -> Result<(), JobError> {
        let written = super::written(self, input);
        let refuse = |why: String| Err(JobError::new(table.at, why));
        if written.is_empty() {
            return refuse(format!(
                "all columns of table `{}` name folders (PARTITIONED BY): none is left for the files",
                table.name
            ));
        }
        let found = match self.format {
            Format::Json => {
                JsonOptions::with(Zone::UTC, false, &|name| table.options.get(name)).err()
            }
            Format::Csv => {
                CsvOptions::with(Zone::UTC, false, &|name| table.options.get(name)).err()
            }
            Format::Text | Format::Parquet => None,
        };
        if let Some((option, why)) = found {
            return Err(JobError::new(table.options.at(option, table.at), why));
        }
        if self.format == Format::Csv
            && let Some(why) = written.iter().find_map(|c| csv::unsupported(&c.data_type))
        {
            return refuse(format!("{why}: write it as text with to_json"));
        }
        if self.format == Format::Text {
            return match &written[..] {
                [column] if column.data_type == DataType::String => Ok(()),
                [column] => refuse(format!(
                    "the format `text` takes a STRING, and column `{}` is {}",
                    column.name, column.data_type
                )),
                _ => refuse(format!(
                    "the format `text` takes one column, not {}: put them together with concat_ws or to_json",
                    written.len()
                )),
            };
        }
        #[cfg(feature = "parquet")]
        if self.format == Format::Parquet
            && let Some(column) = written
                .iter()
                .find_map(|c| Some((c, super::parquet::unsupported(&c.data_type)?)))
        {
            return refuse(format!("column `{}`: {}", column.0.name, column.1));
        }
        Ok(())
    }

    /// How names of the files end.
    pub(super) fn extension(&self) -> String {
        let packed = self.compression.extension();
        match self.format {
            Format::Json => format!(".json{packed}"),
            Format::Csv => format!(".csv{packed}"),
            Format::Text => format!(".txt{packed}"),
            Format::Parquet if self.compression == Compression::Zstd => ".zstd.parquet".to_owned(),
            Format::Parquet => format!("{packed}.parquet"),
        }
    }
}

fn line_end(option: &str) -> Vec<u8> {
    option
        .replace("\\r", "\r")
        .replace("\\n", "\n")
        .replace("\\t", "\t")
        .into_bytes()
}

/// The places of the columns of PARTITIONED BY.
fn places(table: &Table, input: &Schema) -> Result<Vec<usize>, JobError> {
    let mut places = Vec::new();
    for name in &table.partitioned_by {
        let place = input
            .fields
            .iter()
            .position(|field| field.name.eq_ignore_ascii_case(name));
        let Some(place) = place else {
            let known = input.fields.iter().map(|field| field.name.as_str());
            let why = format!(
                "PARTITIONED BY of table `{}`: the query gives no column `{name}`",
                table.name
            );
            return Err(JobError::new(table.at, why).nearest(name, known));
        };
        let data_type = &input.fields[place].data_type;
        if partitions::unsupported(data_type) {
            return Err(JobError::new(
                table.at,
                format!("PARTITIONED BY: column `{name}` is {data_type}, which names no folder"),
            ));
        }
        if places.contains(&place) {
            return Err(JobError::new(
                table.at,
                format!("PARTITIONED BY names column `{name}` twice"),
            ));
        }
        places.push(place);
    }
    Ok(places)
}

/// What will be written where.
fn shown(format: Format, table: &Table, input: &Schema) -> Vec<String> {
    let Ok(layout) = Layout::of(format, table, input) else {
        return Vec::new();
    };
    let mut folders = String::new();
    for name in &table.partitioned_by {
        folders += &format!("{name}=*/");
    }
    let columns: Vec<String> = super::written(&layout, input)
        .iter()
        .map(|field| format!("{} {}", field.name, field.data_type))
        .collect();
    let rolling = layout.rolling;
    vec![
        format!(
            "writes {}/{folders}part-*{}",
            layout.root.display(),
            layout.extension()
        ),
        format!("with {}", columns.join(", ")),
        format!(
            "a file becomes visible {} seconds after its first row, with {} bytes, and when the run ends",
            rolling.interval.as_secs_f64(),
            rolling.size
        ),
    ]
}
