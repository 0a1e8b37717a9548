//! A Kinesis stream as an input: one partition per shard, read by polling from a thread aside.
//!
//! The engine's checkpoint says where each shard goes on. A build has it with the feature `kinesis`.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::Source;

use crate::job_error::JobError;
use crate::table::{OpenContext, OptionSpec, Table};

/// The manual of the options.
pub const OPTIONS: &[OptionSpec] = crate::kinesis::OPTIONS;

/// The fixed columns, as Spark's connectors have them.
fn facts() -> [Field; 5] {
    [
        Field::nullable("data", DataType::Binary),
        Field::nullable("streamName", DataType::String),
        Field::nullable("partitionKey", DataType::String),
        Field::nullable("sequenceNumber", DataType::String),
        Field::nullable("approximateArrivalTimestamp", DataType::Timestamp),
    ]
}

/// The fields of `_metadata`: what Kinesis says of a record beside its data.
pub fn metadata(_: &Table) -> Vec<Field> {
    facts().into_iter().skip(1).collect()
}

/// Checks a table that is read, and gives its columns: the declared ones, or the fixed ones.
///
/// # Errors
/// With the place in the job file; always in a build without the feature.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    check(table)?;
    match super::declared::columns(table)? {
        Some(columns) => Ok(Schema::new(columns)),
        None => Ok(Schema::new(facts().to_vec())),
    }
}

#[cfg(feature = "kinesis")]
fn check(table: &Table) -> Result<(), JobError> {
    crate::kinesis::Settings::of(table).map(|_| ())
}

/// What a build without the connector says.
#[cfg(not(feature = "kinesis"))]
const LACKING: &str =
    "this build lacks the feature `kinesis`: cargo build --release --features kinesis";

#[cfg(not(feature = "kinesis"))]
fn check(table: &Table) -> Result<(), JobError> {
    Err(JobError::new(table.at, LACKING))
}

/// Opens the input. `wanted` are places in [`columns`] followed by [`metadata`], in rising order; `decoder` is needed
/// for tables with a `format` and appends the wanted declared columns.
///
/// # Errors
/// `Refuse` for what [`columns`] finds. Nobody is asked yet.
#[cfg(feature = "kinesis")]
pub fn open(
    table: &Table,
    wanted: &[usize],
    decoder: Option<super::kafka::MakeDecoder>,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    use crate::kinesis::{Fill, KinesisSource, Settings, Shape};
    const FILLS: [Fill; 5] = [
        Fill::Data,
        Fill::Stream,
        Fill::Key,
        Fill::Sequence,
        Fill::Arrival,
    ];
    let refuse = |error: JobError| Failure::refuse(error.message);
    let settings = Settings::of(table).map_err(refuse)?;
    let columns = columns(table).map_err(refuse)?;
    let formatted = table.options.get("format").is_some();
    let declared = columns.fields.iter().cloned();
    let mut all: Vec<(Field, Option<Fill>)> = if formatted {
        declared.map(|field| (field, None)).collect()
    } else {
        declared.zip(FILLS.map(Some)).collect()
    };
    all.extend(
        metadata(table)
            .into_iter()
            .zip(FILLS.map(Some).into_iter().skip(1)),
    );
    let chosen: Vec<(Field, Option<Fill>)> = wanted
        .iter()
        .map(|place| all.get(*place).cloned())
        .collect::<Option<_>>()
        .ok_or_else(|| Failure::refuse(format!("table `{}` has no such columns", table.name)))?;
    let schema = Schema::new(
        chosen
            .iter()
            .map(|(field, _)| field.clone())
            .collect::<Vec<_>>(),
    );
    let shape = Shape {
        decoder,
        fills: chosen.iter().filter_map(|(_, fill)| *fill).collect(),
        width: wanted.len(),
    };
    Ok(Arc::new(KinesisSource::new(
        settings, context, schema, shape,
    )))
}

/// Refuses: see [`columns`].
///
/// # Errors
/// Always.
#[cfg(not(feature = "kinesis"))]
pub fn open(
    _: &Table,
    _: &[usize],
    _: Option<super::kafka::MakeDecoder>,
    _: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    Err(Failure::refuse(LACKING))
}
