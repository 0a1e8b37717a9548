//! Files of the format `csv`.

use std::sync::Arc;

use thalweg_engine::error::{Failure, RecordError};
use thalweg_engine::schema::Field;

use super::format::{FileFormat, FormatSpec};
use super::kinds::{CHARSET, COMPRESSION, ENCODING, NO_VARIANT, encoding, open_codec, separator};
use super::lines::{Cut, Splitter};
use super::text::TextCodec;
use super::whole::is_static;
use crate::codecs::csv::split::{CsvSplitter, Split};
use crate::codecs::csv::{self, CsvOptions};
use crate::codecs::{Decoder, Mode, json};
use crate::expr::calendar::Zone;
use crate::formats::{Format, corrupt_column, csv_options};
use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table, joined, refused};

/// The format `csv`.
pub(crate) const CSV: FormatSpec = FormatSpec {
    name: "csv",
    options: &joined::<35>(&[
        &[
            OptionSpec {
                default: "PERMISSIVE",
                ..json::READ_OPTIONS[0]
            },
            // What it shares with JSON: the column for broken records, patterns of times, the zone.
            json::READ_OPTIONS[1],
            json::READ_OPTIONS[2],
            json::READ_OPTIONS[3],
            json::READ_OPTIONS[4],
            json::READ_OPTIONS[5],
            json::READ_OPTIONS[13],
            ENCODING,
            CHARSET,
            COMPRESSION,
            NO_VARIANT,
            refused(
                "inferSchema",
                "a stream cannot guess its columns; declare them",
            ),
            refused(
                "samplingRatio",
                "it is about guessing columns; declare them",
            ),
        ],
        &csv::FILE_OPTIONS,
        &csv::READ_OPTIONS,
    ]),
    fixed: None,
    check,
    open,
};

/// The options of a table, with the escapes in `lineSep` that all formats know.
fn options(table: &Table, zone: Zone) -> Result<CsvOptions, JobError> {
    let line_sep = separator(table)?;
    if line_sep
        .as_ref()
        .is_some_and(|text| text.chars().count() > 2)
    {
        return Err(JobError::new(
            table.options.at("lineSep", table.at),
            "option `lineSep` takes one character, or two such as \\r\\n",
        ));
    }
    Ok(CsvOptions {
        line_sep,
        ..csv_options(table, zone, true)?
    })
}

fn check(table: &Table, columns: &[Field]) -> Result<(), JobError> {
    options(table, Zone::UTC)?;
    encoding(table)?;
    corrupt_column(table, columns)?;
    match Format::Csv.unsupported(columns) {
        Some(reason) => Err(JobError::new(table.at, reason)),
        None => Ok(()),
    }
}

fn open(
    table: &Table,
    columns: &[Field],
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn FileFormat>, Failure> {
    let options = options(table, context.time_zone);
    let options = options.map_err(|error| Failure::refuse(error.message))?;
    let codec = Csv {
        columns: columns.to_vec(),
        wanted: wanted.to_vec(),
        needs_header: is_static(table) && must_have_header(&options),
        options,
    };
    open_codec(table, codec)
}

/// Whether a whole list that has no header is taken for a slip. In a stream a file without records is nothing new.
fn must_have_header(options: &CsvOptions) -> bool {
    options.header && !options.enforce_schema && options.mode == Mode::FailFast
}

struct Csv {
    columns: Vec<Field>,
    wanted: Vec<usize>,
    needs_header: bool,
    options: CsvOptions,
}

impl TextCodec for Csv {
    fn splitter(&self) -> Box<dyn Splitter> {
        Box::new(CsvSplitter::new(&self.options))
    }

    fn has_header(&self) -> bool {
        self.options.header
    }

    fn needs_header(&self) -> bool {
        self.needs_header
    }

    fn decoder(
        &self,
        header: Option<&[u8]>,
        splitter: &dyn Splitter,
    ) -> Result<Box<dyn Decoder>, RecordError> {
        if let Some(header) = header {
            let names = csv::names(header, &self.options, splitter.line_end());
            if let Some(why) = csv::wrong_header(&names, &self.columns, &self.options) {
                return Err(RecordError::decode(why));
            }
        }
        Ok(csv::decoder_of_file(
            &self.columns,
            &self.wanted,
            &self.options,
            splitter.line_end(),
        ))
    }
}

impl Splitter for CsvSplitter {
    fn cut(&mut self, text: &[u8], whole: bool) -> Cut {
        match self.next(text, whole) {
            Split::Record { length, next } => Cut::Record(0..length, next),
            Split::Skip(next) => Cut::Nothing(next),
            Split::More => Cut::More,
        }
    }

    fn leave(&mut self) {
        self.leave_record();
    }

    fn line_end(&self) -> &str {
        self.found_line_end()
    }
}
