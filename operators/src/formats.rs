//! Which format turns the values of a Kafka table into columns, and columns into values.

use std::sync::Arc;

use smol_str::SmolStr;
use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::codecs::csv::{self, CsvOptions};
use crate::codecs::json::{self, JsonOptions};
use crate::codecs::key::KeyDecoder;
use crate::codecs::{Mode, text};
use crate::expr::calendar::Zone;
use crate::job_error::JobError;
use crate::sinks::kafka::{self as output, MakeEncoder};
use crate::sources::kafka::{self as input, MakeDecoder, MakeKeyDecoder};
use crate::sources::kinesis;
use crate::table::{OpenContext, OptionSpec, Table};

#[cfg_attr(not(feature = "avro"), path = "formats_unregistered.rs")]
#[cfg_attr(feature = "avro", path = "formats_registered.rs")]
mod registered;

/// What the schema registry of a table says to this user, where the table has one. Blocks.
///
/// # Errors
/// When it does not answer, or does not let the user in.
pub(crate) fn ask_registry(table: &Table) -> Result<Option<String>, Failure> {
    match Format::of(table) {
        Some(Format::Avro) => registered::check_connect(table).map(Some),
        _ => Ok(None),
    }
}

/// How values are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Text,
    Avro,
}

impl Format {
    /// That of the option `format`, if it is given.
    pub(crate) fn of(table: &Table) -> Option<Self> {
        let given = table.options.get("format")?.trim();
        Some(if given.eq_ignore_ascii_case("text") {
            Self::Text
        } else if given.eq_ignore_ascii_case("csv") {
            Self::Csv
        } else if given.eq_ignore_ascii_case("avro") {
            Self::Avro
        } else {
            Self::Json
        })
    }

    /// Why the format cannot give these columns, if it cannot.
    pub(crate) fn unsupported(self, columns: &[Field]) -> Option<String> {
        let reason = match self {
            Self::Text => return text::unsupported(columns),
            Self::Json => json::unsupported,
            Self::Csv => csv::unsupported,
            // A value's own schema tells.
            Self::Avro => return None,
        };
        columns.iter().find_map(|column| {
            let why = reason(&column.data_type)?;
            Some(format!("column `{}`: {why}", column.name))
        })
    }
}

/// Makes the decoder of values of these columns, of which those at the places `decoded` are used. `default` is the mode
/// where the table says nothing.
///
/// # Errors
/// For an option of the format that is wrong.
pub(crate) fn value_decoder(
    table: &Table,
    format: Format,
    columns: &[Field],
    decoded: &[usize],
    default: Mode,
    zone: Zone,
) -> Result<MakeDecoder, JobError> {
    let (columns, decoded) = (columns.to_vec(), decoded.to_vec());
    let mode = table
        .options
        .get("mode")
        .map(Mode::of_word)
        .unwrap_or(default);
    Ok(match format {
        Format::Avro => {
            return Err(JobError::new(
                table.options.at("format", table.at),
                "the format avro is one of Kafka's values",
            ));
        }
        Format::Text => Box::new(move || text::decoder(&decoded, mode)),
        Format::Json => {
            let options = json_options(table, zone, true)?;
            Box::new(move || json::decoder(&columns, &decoded, mode, &options))
        }
        Format::Csv => {
            let options = CsvOptions {
                mode,
                ..csv_options(table, zone, true)?
            };
            Box::new(move || csv::decoder(&columns, &decoded, &options))
        }
    })
}

/// The options of JSON of a table.
///
/// # Errors
/// For one that is wrong.
pub(crate) fn json_options(
    table: &Table,
    zone: Zone,
    reading: bool,
) -> Result<JsonOptions, JobError> {
    let options = JsonOptions::with(zone, reading, &|name| table.options.get(name))
        .map_err(|(name, why)| JobError::new(table.options.at(name, table.at), why))?;
    Ok(JsonOptions {
        table: SmolStr::new(&table.name),
        elsewhere: table.primary_key.iter().map(SmolStr::new).collect(),
        ..options
    })
}

/// The options of CSV of a table.
///
/// # Errors
/// For one that is wrong.
pub(crate) fn csv_options(
    table: &Table,
    zone: Zone,
    reading: bool,
) -> Result<CsvOptions, JobError> {
    let options = CsvOptions::with(zone, reading, &|name| table.options.get(name))
        .map_err(|(name, why)| JobError::new(table.options.at(name, table.at), why))?;
    Ok(CsvOptions {
        table: SmolStr::new(&table.name),
        ..options
    })
}

/// That the column for broken records is a STRING that may be NULL.
pub(crate) fn corrupt_column(table: &Table, columns: &[Field]) -> Result<(), JobError> {
    let name = table.options.get("columnNameOfCorruptRecord");
    let name = name.unwrap_or(csv::CORRUPT_RECORD);
    match columns.iter().find(|column| column.name == name) {
        Some(column) if column.data_type != DataType::String || !column.nullable => {
            Err(JobError::new(
                table.options.at("columnNameOfCorruptRecord", table.at),
                format!(
                    "column `{name}` takes the text of broken records: it is a STRING that may be NULL"
                ),
            ))
        }
        _ => Ok(()),
    }
}

/// Why a query cannot use the column for broken records without another one, where it does: whether a value fits is seen only
/// in columns that are used, so that it would never be told of any.
pub(crate) fn only_corrupt(table: &Table, used: &[&Field]) -> Option<String> {
    let files = table.connector == "json" || table.connector == "csv";
    if !files && !matches!(Format::of(table), Some(Format::Json | Format::Csv)) {
        return None;
    }
    let name = table.options.get("columnNameOfCorruptRecord");
    let name = name.unwrap_or(csv::CORRUPT_RECORD);
    match used {
        [only] if only.name == name => Some(format!(
            "of table `{}` the column `{name}` alone is used, and it tells only of values in columns that are used",
            table.name
        )),
        _ => None,
    }
}

/// What to do about it.
pub(crate) const BESIDE_CORRUPT: &str = "select the columns too whose values shall fit, or * for all of them: of files Spark refuses it as well \
     (UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN)";

/// That no option of another format is given, which would be without effect.
pub(crate) fn strays(table: &Table, format: Option<Format>, reading: bool) -> Result<(), JobError> {
    let has = |specs: &[OptionSpec], name: &str| {
        specs
            .iter()
            .any(|spec| spec.name.eq_ignore_ascii_case(name))
    };
    let (json_own, csv_own): (&[OptionSpec], &[OptionSpec]) = if reading {
        (&json::READ_OPTIONS, &csv::READ_OPTIONS)
    } else {
        (&json::WRITE_OPTIONS, &csv::WRITE_OPTIONS)
    };
    for entry in table.options.iter() {
        let name = entry.name.as_str();
        let lower = name.to_ascii_lowercase();
        if (lower.starts_with("schema.registry.") || lower == "auto.register.schemas")
            && format != Some(Format::Avro)
        {
            return Err(JobError::new(
                entry.at,
                format!("option `{name}` is without effect here: it is one of the format `avro`"),
            ));
        }
        // Both have the patterns of times; JSON alone has its syntax and NULL fields.
        let only_json = lower.starts_with("allow") || name.eq_ignore_ascii_case("ignoreNullFields");
        let fits = match format {
            Some(Format::Json) => !has(csv_own, name),
            Some(Format::Csv) => !only_json,
            Some(Format::Text | Format::Avro) | None => {
                name.eq_ignore_ascii_case("mode") || !has(csv_own, name) && !has(json_own, name)
            }
        };
        if !fits {
            let whose = if has(csv_own, name) { "csv" } else { "json" };
            return Err(JobError::new(
                entry.at,
                format!(
                    "option `{name}` is without effect here: it is one of the format `{whose}`"
                ),
            ));
        }
    }
    Ok(())
}

/// The columns of a Kafka table that is read; also checks that its format can give them.
pub(crate) fn columns(table: &Table) -> Result<Schema, JobError> {
    let schema = input::columns(table)?;
    decodable(table, schema)
}

/// The columns of a Kinesis table; also checks that its format can give them.
pub(crate) fn kinesis_columns(table: &Table) -> Result<Schema, JobError> {
    let schema = kinesis::columns(table)?;
    decodable(table, schema)
}

/// The columns, where the table's format can give them.
fn decodable(table: &Table, schema: Schema) -> Result<Schema, JobError> {
    let format = Format::of(table);
    strays(table, format, true)?;
    let Some(format) = format else {
        return Ok(schema);
    };
    if format == Format::Avro {
        return registered::check(table).map(|()| schema);
    }
    if let Some(reason) = format.unsupported(&schema.fields) {
        return Err(JobError::new(table.options.at("format", table.at), reason));
    }
    corrupt_column(table, &schema.fields)?;
    value_decoder(table, format, &[], &[], Mode::FailFast, Zone::UTC).map(|_| schema)
}

/// That the rows can be written to a Kafka table, whose `format` says how.
pub(crate) fn check(table: &Table, schema: &Schema) -> Result<(), JobError> {
    output::check(table, schema)?;
    let format = Format::of(table);
    strays(table, format, false)?;
    if format == Some(Format::Csv) {
        if let Some(reason) = Format::Csv.unsupported(&schema.fields) {
            return Err(JobError::new(table.options.at("format", table.at), reason));
        }
        csv_options(table, Zone::UTC, false)?;
    }
    if format == Some(Format::Avro) {
        return registered::check_output(table, schema);
    }
    json_options(table, Zone::UTC, false).map(|_| ())
}

/// Opens a Kafka table as an input.
pub(crate) fn read(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let schema = columns(table).map_err(refuse)?;
    let (decoder, adviser) = if Format::of(table) == Some(Format::Avro) {
        let (decoder, adviser) = registered::decoder(table, decoded(table, &schema, wanted))?;
        (Some(decoder), Some(adviser))
    } else {
        let decoder = decoder(table, &schema, wanted, context).map_err(refuse)?;
        (decoder, None)
    };
    let key = (!table.primary_key.is_empty()).then(|| {
        let columns: Vec<Field> = input::key_columns(table, &schema.fields)
            .into_iter()
            .map(|(_, column)| column)
            .collect();
        let options = JsonOptions::of(context, &table.name);
        let make: MakeKeyDecoder = Box::new(move || KeyDecoder::new(&columns, &options));
        make
    });
    input::open(table, wanted, decoder, adviser, key, context)
}

/// Opens a Kinesis table as an input.
pub(crate) fn read_kinesis(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let schema = kinesis_columns(table).map_err(refuse)?;
    let decoder = decoder(table, &schema, wanted, context).map_err(refuse)?;
    kinesis::open(table, wanted, decoder, context)
}

/// The declared columns as values hold them, and the places of the wanted ones among them.
fn decoded(table: &Table, schema: &Schema, wanted: &[usize]) -> (Vec<Field>, Vec<usize>) {
    let decoded = wanted
        .iter()
        .copied()
        .filter(|place| *place < schema.fields.len())
        .collect();
    // What the message's key holds may be absent from the value.
    let fields = schema
        .fields
        .iter()
        .map(|field| Field {
            nullable: field.nullable || input::is_key(table, &field.name),
            ..field.clone()
        })
        .collect();
    (fields, decoded)
}

/// What decodes the wanted declared columns of a table with a `format`.
fn decoder(
    table: &Table,
    schema: &Schema,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Option<MakeDecoder>, JobError> {
    let Some(format) = Format::of(table) else {
        return Ok(None);
    };
    let (fields, decoded) = decoded(table, schema, wanted);
    let zone = context.time_zone;
    value_decoder(table, format, &fields, &decoded, Mode::FailFast, zone).map(Some)
}

/// Opens a Kafka table as an output.
pub(crate) fn write(
    table: &Table,
    schema: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let zone = context.time_zone;
    let value: Option<MakeEncoder> = match Format::of(table) {
        None => None,
        Some(Format::Csv) => {
            let options = csv_options(table, zone, false).map_err(refuse)?;
            let schema = schema.clone();
            Some(Box::new(move || csv::encoder(&schema, &options)))
        }
        Some(Format::Avro) => Some(registered::encoder(table, schema)?),
        Some(Format::Json | Format::Text) => {
            let options = json_options(table, zone, false).map_err(refuse)?;
            let schema = schema.clone();
            Some(Box::new(move || json::encoder_with(&schema, &options)))
        }
    };
    let options = JsonOptions::of(context, &table.name);
    let key = output::key_columns(table, schema)
        .map_err(refuse)?
        .map(|places| {
            let columns: Vec<Field> = places
                .iter()
                .filter_map(|place| schema.fields.get(*place).cloned())
                .collect();
            let make: MakeEncoder = Box::new(move || text::key_encoder(&columns, &options));
            make
        });
    output::open(table, schema, value, key, context)
}
