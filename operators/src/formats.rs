//! Which format turns the values of a Kafka table into columns, and columns into values.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{Field, Schema};
use thalweg_engine::sink::Sink;
use thalweg_engine::source::Source;

use crate::codecs::json::{self, JsonOptions};
use crate::codecs::key::KeyDecoder;
use crate::codecs::{Mode, text};
use crate::job_error::JobError;
use crate::sinks::kafka::{self as output, MakeEncoder};
use crate::sources::kafka::{self as input, MakeDecoder, MakeKeyDecoder};
use crate::table::{OpenContext, Table};

/// The columns of a Kafka table that is read; also checks that its format can give them.
pub(crate) fn columns(table: &Table) -> Result<Schema, JobError> {
    let schema = input::columns(table)?;
    let unsupported = match format(table) {
        None => None,
        Some("text") => text::unsupported(&schema.fields),
        Some(_) => schema.fields.iter().find_map(|column| {
            let reason = json::unsupported(&column.data_type)?;
            Some(format!("column `{}`: {reason}", column.name))
        }),
    };
    match unsupported {
        Some(reason) => Err(JobError::new(table.options.at("format", table.at), reason)),
        None => Ok(schema),
    }
}

/// Opens a Kafka table as an input.
pub(crate) fn read(
    table: &Table,
    wanted: &[usize],
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let schema = columns(table).map_err(|error| Failure::refuse(error.message))?;
    let decoder = format(table).map(|format| {
        let decoded: Vec<usize> = wanted
            .iter()
            .copied()
            .filter(|place| *place < schema.fields.len())
            .collect();
        let options = JsonOptions::of(context, &table.name);
        let (mode, is_text) = (mode(table), format == "text");
        // What the message's key holds may be absent from the value.
        let fields: Vec<Field> = schema
            .fields
            .iter()
            .map(|field| Field {
                nullable: field.nullable || input::is_key(table, &field.name),
                ..field.clone()
            })
            .collect();
        let make: MakeDecoder = Box::new(move || {
            if is_text {
                text::decoder(&decoded, mode)
            } else {
                json::decoder(&fields, &decoded, mode, &options)
            }
        });
        make
    });
    let key = (!table.primary_key.is_empty()).then(|| {
        let columns: Vec<Field> = input::key_columns(table, &schema.fields)
            .into_iter()
            .map(|(_, column)| column)
            .collect();
        let options = JsonOptions::of(context, &table.name);
        let make: MakeKeyDecoder = Box::new(move || KeyDecoder::new(&columns, &options));
        make
    });
    input::open(table, wanted, decoder, key, context)
}

/// Opens a Kafka table as an output.
pub(crate) fn write(
    table: &Table,
    schema: &Schema,
    context: &OpenContext,
) -> Result<Arc<dyn Sink>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let options = JsonOptions::of(context, &table.name);
    let value = format(table).map(|_| {
        let (schema, options) = (schema.clone(), options.clone());
        let make: MakeEncoder = Box::new(move || json::encoder_with(&schema, &options));
        make
    });
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

fn format(table: &Table) -> Option<&str> {
    let given = table.options.get("format")?;
    Some(if given.eq_ignore_ascii_case("text") {
        "text"
    } else {
        "json"
    })
}

fn mode(table: &Table) -> Mode {
    table
        .options
        .get("mode")
        .map_or(Mode::FailFast, Mode::of_word)
}
