//! The `json` format: one JSON object per record, typed as Spark types it.
//!
//! Decoding goes from the bytes straight into the wanted columns: no tree is built, and nothing is allocated but the
//! values themselves. Encoding goes from the row straight into the output's buffer.

mod absence;
mod decimal;
mod decode;
mod encode;
#[cfg(test)]
mod encode_stories;
mod object;
mod parser;
mod scan;
#[cfg(test)]
mod stories;

use chrono_tz::Tz;
use smol_str::SmolStr;
use thalweg_engine::schema::{DataType, Field, Schema};

pub use encode::Objects;
pub use parser::JsonParser;

use super::{Decoder, Encoder, Mode};
use crate::table::{OpenContext, OptionKind, OptionSpec};

/// What the format needs to know of its table and its query.
#[derive(Clone, Debug)]
pub struct JsonOptions {
    /// The session's time zone: for timestamps without a zone in their text, and for those that are written.
    pub zone: Tz,
    /// The table's name, for warnings.
    pub table: SmolStr,
}

impl JsonOptions {
    /// Those of a table that is opened for a run.
    pub fn of(context: &OpenContext, table: &str) -> Self {
        Self {
            zone: context.time_zone,
            table: SmolStr::new(table),
        }
    }
}

impl Default for JsonOptions {
    /// UTC, no name.
    fn default() -> Self {
        Self {
            zone: Tz::UTC,
            table: SmolStr::default(),
        }
    }
}

/// The options of the format, for connectors to add to theirs. The default of `mode` is the connector's.
pub const OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "mode",
        kind: OptionKind::OneOf(&["FAILFAST", "PERMISSIVE", "DROPMALFORMED"]),
        default: "",
        about: "What a value that does not fit its column becomes: an error of the record, NULL, or a skipped record",
    },
    OptionSpec {
        name: "multiLine",
        kind: OptionKind::Refused,
        default: "",
        about: "each record is one JSON object, whatever white space stands in it",
    },
    OptionSpec {
        name: "primitivesAsString",
        kind: OptionKind::Refused,
        default: "",
        about: "declare the columns as STRING, a column takes any JSON value as its text",
    },
    OptionSpec {
        name: "columnNameOfCorruptRecord",
        kind: OptionKind::Refused,
        default: "",
        about: "records that do not decode go the way of `onError`, with their original bytes",
    },
];

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
    Box::new(encode::JsonEncoder::new(&schema.fields, options.zone))
}

/// Appends one value as JSON, as Spark's `to_json` writes it; NULL as `null`.
pub fn append(
    out: &mut Vec<u8>,
    value: &thalweg_engine::row::Value,
    data_type: &DataType,
    options: &JsonOptions,
) {
    encode::Shape::new(data_type).append(out, value, options.zone);
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
