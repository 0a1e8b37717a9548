//! Kafka topics as an input: one consumer per query, one stream per partition, positions of the engine.
//!
//! Partitions are assigned by hand, so reading starts at once. The engine's checkpoint says where each partition goes on;
//! the consumer group only bears witness of it, for lag tools and against a lost checkpoint folder.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::Source;

use crate::codecs::Decoder;
use crate::job_error::JobError;
use crate::kafka::{Fill, KafkaSource, SOURCE_OPTIONS, Shape, SourceSettings};
use crate::table::{OpenContext, OptionSpec, Table};

/// The manual of the options.
pub const OPTIONS: &[OptionSpec] = SOURCE_OPTIONS;

/// Makes the decoder of one partition: it appends the wanted declared columns.
pub type MakeDecoder = Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;

/// The facts of a record, in the order of Spark's columns.
const FACTS: [(&str, Fill); 8] = [
    ("key", Fill::Key),
    ("value", Fill::Value),
    ("topic", Fill::Topic),
    ("partition", Fill::Partition),
    ("offset", Fill::Offset),
    ("timestamp", Fill::Timestamp),
    ("timestampType", Fill::TimestampType),
    ("headers", Fill::Headers),
];

fn fact(name: &str, fill: Fill) -> Field {
    match fill {
        Fill::Key | Fill::Value => Field::nullable(name, DataType::Binary),
        Fill::Topic => Field::required(name, DataType::String),
        Fill::Partition => Field::required(name, DataType::Int),
        Fill::Offset => Field::required(name, DataType::BigInt),
        Fill::Timestamp => Field::nullable(name, DataType::Timestamp),
        Fill::TimestampType => Field::required(name, DataType::Int),
        Fill::Headers => {
            let header: Arc<[Field]> = Arc::from([
                Field::nullable("key", DataType::String),
                Field::nullable("value", DataType::Binary),
            ]);
            Field::nullable(name, DataType::Array(Arc::new(DataType::Struct(header))))
        }
    }
}

/// Spark's fixed columns or, without the value, the fields of `_metadata`.
fn facts(table: &Table, with_value: bool) -> impl Iterator<Item = (Field, Fill)> {
    let headers = table.options.flag("includeHeaders", false);
    FACTS
        .iter()
        .filter(move |(_, fill)| {
            (with_value || *fill != Fill::Value) && (headers || *fill != Fill::Headers)
        })
        .map(|(name, fill)| (fact(name, *fill), *fill))
}

/// Checks a table that is read, and gives its columns: the declared ones, or Spark's fixed ones.
///
/// # Errors
/// With the place in the job file.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    SourceSettings::of(table)?;
    let format = table.options.entry("format");
    if !table.primary_key.is_empty() {
        return Err(JobError::new(
            table.at,
            format!(
                "PRIMARY KEY of Kafka table `{}` is not supported yet: keyed tables cannot be read",
                table.name
            ),
        ));
    }
    match (&table.columns, format) {
        (Some(columns), Some(_)) => Ok(Schema::new(columns.clone())),
        (Some(_), None) => Err(JobError::new(
            table.at,
            format!(
                "table `{}` declares columns but not how a value becomes them: add the option format, for example format 'json'",
                table.name
            ),
        )),
        (None, Some(format)) if format.value.eq_ignore_ascii_case("text") => {
            Ok(Schema::new(vec![Field::nullable(
                "value",
                DataType::String,
            )]))
        }
        (None, Some(format)) => Err(JobError::new(
            format.at,
            format!(
                "option `format` of table `{}` needs declared columns: CREATE TABLE {} (name TYPE, ...)",
                table.name, table.name
            ),
        )),
        (None, None) => Ok(Schema::new(
            facts(table, true)
                .map(|(field, _)| field)
                .collect::<Vec<_>>(),
        )),
    }
}

/// The fields of `_metadata`: what Kafka says of a record beside its value. They follow the columns of [`columns`] in the
/// numbering that [`open`] takes.
pub fn metadata(table: &Table) -> Vec<Field> {
    facts(table, false).map(|(field, _)| field).collect()
}

/// Opens the input. `wanted` are places in [`columns`] followed by [`metadata`], in rising order; `decoder` is needed
/// for tables with a `format` and appends the wanted declared columns.
///
/// # Errors
/// `Refuse` for what [`columns`] finds. No broker is asked yet.
pub fn open(
    table: &Table,
    wanted: &[usize],
    decoder: Option<MakeDecoder>,
    context: &OpenContext,
) -> Result<Arc<dyn Source>, Failure> {
    let refuse = |error: JobError| Failure::refuse(error.message);
    let settings = SourceSettings::of(table).map_err(refuse)?;
    let columns = columns(table).map_err(refuse)?;
    let formatted = table.options.get("format").is_some();
    if formatted && decoder.is_none() {
        return Err(Failure::refuse(format!(
            "table `{}` has no decoder for its format",
            table.name
        )));
    }
    let mut all: Vec<(Field, Option<Fill>)> = if formatted {
        columns
            .fields
            .iter()
            .map(|field| (field.clone(), None))
            .collect()
    } else {
        facts(table, true)
            .map(|(field, fill)| (field, Some(fill)))
            .collect()
    };
    all.extend(facts(table, false).map(|(field, fill)| (field, Some(fill))));
    let chosen: Vec<&(Field, Option<Fill>)> = wanted
        .iter()
        .map(|index| all.get(*index))
        .collect::<Option<_>>()
        .filter(|_| wanted.is_sorted())
        .ok_or_else(|| Failure::refuse(format!("table `{}` has no such columns", table.name)))?;
    let schema = Schema::new(
        chosen
            .iter()
            .map(|(field, _)| field.clone())
            .collect::<Vec<_>>(),
    );
    let shape = Shape {
        decoder: decoder.filter(|_| formatted),
        fills: chosen.iter().filter_map(|(_, fill)| *fill).collect(),
        width: wanted.len(),
        fail_on_data_loss: settings.fail_on_data_loss,
    };
    Ok(Arc::new(KafkaSource::new(settings, context, schema, shape)))
}
