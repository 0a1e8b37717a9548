//! The `json` format: one JSON object per record, typed as Spark types it.
//!
//! Decoding goes from the bytes straight into the wanted columns: no tree is built, and nothing is allocated but the
//! values themselves. Encoding goes from the row straight into the output's buffer.

mod absence;
pub(crate) mod compact;
mod decimal;
mod decode;
mod encode;
#[cfg(test)]
mod encode_stories;
#[cfg(test)]
mod field_stories;
mod number;
mod object;
mod options;
mod parser;
mod plain;
mod pretty;
mod scan;
mod split;
#[cfg(test)]
mod stories;
mod syntax;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use smol_str::SmolStr;
use thalweg_engine::schema::{DataType, Field, Schema};

pub use encode::Objects;
pub use parser::JsonParser;
pub(crate) use parser::corrupt_field;

pub use options::{OPTIONS, PRETTY, READ_OPTIONS, REFUSED_WRITING, WRITE_OPTIONS};
pub use pretty::pretty;
pub use split::{Documents, Records};
pub use syntax::Syntax;

use super::csv::CORRUPT_RECORD;
use super::times::Times;
use super::{Decoder, Encoder, Mode};
use crate::expr::calendar::Zone;
use crate::table::OpenContext;

/// What the format needs to know of its table and its query.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// The zone of times without one, and how dates and times are written.
    pub times: Times,
    /// The table's name, for warnings.
    pub table: SmolStr,
    /// What is allowed beyond RFC 8259.
    pub syntax: Syntax,
    /// The column that takes the text of a record that does not fit.
    pub corrupt_column: Option<SmolStr>,
    /// Whether what follows the value of a record is left alone, as Spark leaves it.
    pub trailing: bool,
    /// Whether fields that are NULL are written.
    pub nulls: bool,
    /// Columns that the records need not have: the message's key holds them.
    pub elsewhere: Vec<SmolStr>,
    /// Whether it was told that the records have other columns: once for all decoders of a format.
    pub told: Arc<AtomicBool>,
}

impl JsonOptions {
    /// Those of a table that is opened for a run, without options of its own.
    pub fn of(context: &OpenContext, table: &str) -> Self {
        Self {
            table: SmolStr::new(table),
            ..Self::in_zone(context.time_zone)
        }
    }

    /// Without a table.
    pub fn in_zone(zone: Zone) -> Self {
        Self {
            times: Times::new(zone),
            table: SmolStr::default(),
            syntax: Syntax::default(),
            corrupt_column: None,
            trailing: false,
            nulls: false,
            elsewhere: Vec::new(),
            told: Arc::default(),
        }
    }

    /// The zone of times that name none.
    pub fn zone(&self) -> Zone {
        self.times.zone
    }

    /// With what `option` says; `reading` or writing.
    ///
    /// # Errors
    /// The option and what is wrong with it.
    pub fn with<'t>(
        zone: Zone,
        reading: bool,
        option: &dyn Fn(&str) -> Option<&'t str>,
    ) -> Result<Self, (&'static str, String)> {
        let flag = |name: &str| option(name).map(|word| word.eq_ignore_ascii_case("true"));
        let corrupt = option("columnNameOfCorruptRecord").unwrap_or(CORRUPT_RECORD);
        Ok(Self {
            times: Times::with(zone, reading, option)?,
            syntax: Syntax::with(flag),
            corrupt_column: Some(SmolStr::new(corrupt)),
            nulls: flag("ignoreNullFields") == Some(false),
            ..Self::in_zone(zone)
        })
    }
}

impl Default for JsonOptions {
    /// UTC, no name.
    fn default() -> Self {
        Self::in_zone(Zone::UTC)
    }
}

/// A decoder of the columns at the places `wanted` of `columns`, in the order of `wanted`.
///
/// A type that JSON cannot hold ([`unsupported`]) gives a decoder to which no value fits.
pub fn decoder(
    columns: &[Field],
    wanted: &[usize],
    mode: Mode,
    options: &JsonOptions,
) -> Box<dyn Decoder> {
    Box::new(decode::JsonDecoder::new(columns, wanted, mode, options))
}

/// An encoder of rows of this schema, with times in UTC. See [`encoder_with`].
pub fn encoder(schema: &Schema) -> Box<dyn Encoder> {
    encoder_with(schema, &JsonOptions::default())
}

/// An encoder of rows of this schema, as Spark's `to_json` writes them: fields that are NULL are left out, times stand
/// in the session's zone.
pub fn encoder_with(schema: &Schema, options: &JsonOptions) -> Box<dyn Encoder> {
    Box::new(encode::JsonEncoder::new(&schema.fields, options))
}

/// Appends one value as JSON, as Spark's `to_json` writes it; NULL as `null`.
pub fn append(
    out: &mut Vec<u8>,
    value: &thalweg_engine::row::Value,
    data_type: &DataType,
    options: &JsonOptions,
) {
    encode::Shape::new(data_type).append(out, value, &encode::Manner::of(options));
}

/// Appends a time as Spark writes it where no pattern says otherwise, with the offset of its zone if it has one.
pub(super) fn times_text(out: &mut String, micros: i64, zone: Option<Zone>) {
    let mut bytes = Vec::with_capacity(29);
    encode::bare_timestamp(&mut bytes, micros, zone);
    out.push_str(&String::from_utf8_lossy(&bytes));
}

/// Why a column of this type cannot be read from JSON, if it cannot.
pub fn unsupported(data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Void | DataType::YearMonthInterval | DataType::DayTimeInterval => {
            Some(format!("JSON has no values of type {data_type}"))
        }
        DataType::Array(element) => unsupported(element),
        DataType::Map(pair) if pair.0 != DataType::String => Some(format!(
            "the keys of a JSON object are STRING, not {}",
            pair.0
        )),
        DataType::Map(pair) => unsupported(&pair.1),
        DataType::Struct(fields) => fields
            .iter()
            .find_map(|field| unsupported(&field.data_type)),
        _ => None,
    }
}
