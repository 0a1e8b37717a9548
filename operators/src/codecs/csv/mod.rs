//! The `csv` format: values between delimiters, one record a line or, in quotes, over several, read and written as Spark
//! does.
//!
//! Spark's reader is lenient with what is badly written, and its answers are kept: `tokens` finds the values,
//! `convert` types them, [`split`] finds the records of a file.

mod convert;
mod decode;
mod dialect;
mod encode;
mod infer;
mod options;
mod plain;
mod quoted;
pub mod split;
#[cfg(test)]
mod stories;
mod tokens;

use thalweg_engine::counted::counted;
use thalweg_engine::schema::{DataType, Field, Schema};

pub(crate) use dialect::CORRUPT_RECORD;
pub use dialect::{CsvOptions, UnescapedQuote};
pub use infer::inferred;
pub use options::{FILE_OPTIONS, READ_OPTIONS, WRITE_OPTIONS};

use super::json::times_text;
use super::{Decoder, Encoder};

/// A decoder of the columns at the places `wanted` of `columns`, in the order of `wanted`. The first column is the first
/// value of a record, and so on.
pub fn decoder(columns: &[Field], wanted: &[usize], options: &CsvOptions) -> Box<dyn Decoder> {
    Box::new(decode::CsvDecoder::new(columns, wanted, options))
}

/// A decoder of the records of one file, whose lines end as [`split::CsvSplitter::found_line_end`] says.
pub fn decoder_of_file(
    columns: &[Field],
    wanted: &[usize],
    options: &CsvOptions,
    line_end: &str,
) -> Box<dyn Decoder> {
    Box::new(decode::CsvDecoder::new(columns, wanted, options).of_file(line_end))
}

/// The names in the first record of a file, whose lines end as [`split::CsvSplitter::found_line_end`] says.
pub fn names(record: &[u8], options: &CsvOptions, line_end: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(record);
    let mut tokens = tokens::Tokens::new(options);
    if options.multi_line && options.line_sep.is_none() {
        tokens.set_line_end(split::line_end_of(line_end.as_bytes()));
    }
    if tokens.record(&text, 0).is_err() {
        return Vec::new();
    }
    let name = |token: &_| tokens.text(*token, &text).unwrap_or_default().to_owned();
    tokens.found.iter().map(name).collect()
}

/// An encoder of rows of this schema, one record each without a line's end.
pub fn encoder(schema: &Schema, options: &CsvOptions) -> Box<dyn Encoder> {
    Box::new(encode::CsvEncoder::new(&schema.fields, options))
}

/// The names of the columns as a record, for the option `header`.
pub fn header(schema: &Schema, options: &CsvOptions) -> String {
    encode::CsvEncoder::header(&schema.fields, options)
}

/// Why the names in a file's first record are not those of the columns, where `enforceSchema` is off and they must be.
pub fn wrong_header(names: &[String], columns: &[Field], options: &CsvOptions) -> Option<String> {
    if options.enforce_schema {
        return None;
    }
    let columns: Vec<&Field> = columns
        .iter()
        .filter(|column| column.name != options.corrupt_column.as_str())
        .collect();
    if names.len() != columns.len() {
        return Some(format!(
            "the file's first record names {}, the table has {}",
            counted(names.len(), "column"),
            columns.len()
        ));
    }
    let wrong = columns
        .iter()
        .zip(names)
        .position(|(column, name)| column.name.to_lowercase() != name.to_lowercase())?;
    Some(format!(
        "column {} of the file is not named `{}`, as the table says",
        wrong + 1,
        columns[wrong].name
    ))
}

/// Why a column of this type cannot be read from CSV, or written, if it cannot.
pub fn unsupported(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Void | DataType::Array(_) | DataType::Map(_) | DataType::Struct(_) => {
            Some(format!("CSV has no values of type {data_type}"))
        }
        _ => None,
    }
}
