//! Kafka topics as an input: one consumer per query, one stream per partition, positions of the engine.
//!
//! Partitions are assigned by hand, so reading starts at once. The engine's checkpoint says where each partition goes on;
//! the consumer group only bears witness of it, for lag tools and against a lost checkpoint folder.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field, Schema};
use thalweg_engine::source::Source;

use crate::codecs::key::{self, KeyDecoder};
use crate::codecs::{Adviser, Decoder};
use crate::job_error::JobError;
use crate::kafka::{Fill, KafkaSource, KeyShape, SOURCE_OPTIONS, Shape, SourceSettings, trial};
use crate::table::{OpenContext, OptionSpec, Table};

/// The manual of the options.
pub const OPTIONS: &[OptionSpec] = SOURCE_OPTIONS;

/// Makes the decoder of one partition: it appends the wanted declared columns.
pub type MakeDecoder = Box<dyn Fn() -> Box<dyn Decoder> + Send + Sync>;

/// Makes the decoder of the keys of a keyed table.
pub type MakeKeyDecoder = Box<dyn Fn() -> KeyDecoder + Send + Sync>;

/// The field of `_metadata` that says of a keyed table's record that it deletes its key.
pub const DELETED: &str = "deleted";

/// The facts of a record, in the order of Spark's columns; the last only where a key may be deleted.
const FACTS: [(&str, Fill); 9] = [
    ("key", Fill::Key),
    ("value", Fill::Value),
    ("topic", Fill::Topic),
    ("partition", Fill::Partition),
    ("offset", Fill::Offset),
    ("timestamp", Fill::Timestamp),
    ("timestampType", Fill::TimestampType),
    ("headers", Fill::Headers),
    (DELETED, Fill::Deleted),
];

fn fact(name: &str, fill: Fill) -> Field {
    match fill {
        Fill::Key | Fill::Value => Field::nullable(name, DataType::Binary),
        Fill::Topic => Field::required(name, DataType::String),
        Fill::Partition => Field::required(name, DataType::Int),
        Fill::Offset => Field::required(name, DataType::BigInt),
        Fill::Timestamp => Field::nullable(name, DataType::Timestamp),
        Fill::TimestampType => Field::required(name, DataType::Int),
        Fill::Deleted => Field::nullable(name, DataType::Boolean),
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
    let keyed = !table.primary_key.is_empty();
    FACTS
        .iter()
        .filter(move |(_, fill)| match fill {
            Fill::Value => with_value,
            Fill::Headers => headers,
            Fill::Deleted => keyed,
            _ => true,
        })
        .map(|(name, fill)| (fact(name, *fill), *fill))
}

/// Checks a table that is read, and gives its columns: the declared ones, or Spark's fixed ones.
///
/// # Errors
/// With the place in the job file.
pub fn columns(table: &Table) -> Result<Schema, JobError> {
    let settings = SourceSettings::of(table)?;
    trial::reads(table, &settings.connection)?;
    check_key(table)?;
    let Some(mut columns) = super::declared::columns(table)? else {
        let facts = facts(table, true).map(|(field, _)| field);
        return Ok(Schema::new(facts.collect::<Vec<_>>()));
    };
    for column in columns.iter_mut().filter(|c| is_key(table, &c.name)) {
        column.nullable = false;
    }
    Ok(Schema::new(columns))
}

/// Whether one topic is read, and no other will be.
pub(crate) fn one_topic(table: &Table) -> bool {
    SourceSettings::of(table).is_ok_and(|settings| {
        let topics = settings.subscription.named();
        topics.is_some_and(|topics| topics.len() == 1)
    })
}

/// Whether all partitions of the topics are read.
pub(crate) fn whole_topic(table: &Table) -> bool {
    table.options.entry("assign").is_none()
}

/// The partitioner that the table names.
pub(crate) fn partitioner(table: &Table) -> Option<&'static str> {
    let settings = SourceSettings::of(table).ok()?;
    settings.partitioner.map(|partitioner| partitioner.name())
}

/// Whether a column is a part of the PRIMARY KEY.
pub fn is_key(table: &Table, column: &str) -> bool {
    let mut keys = table.primary_key.iter();
    keys.any(|key| key.eq_ignore_ascii_case(column))
}

/// The columns of the PRIMARY KEY, in its order, each with its place.
pub fn key_columns(table: &Table, columns: &[Field]) -> Vec<(usize, Field)> {
    let place = |key: &String| {
        let mut columns = columns.iter().enumerate();
        columns.find(|(_, column)| column.name.eq_ignore_ascii_case(key))
    };
    let keys = table.primary_key.iter().filter_map(place);
    keys.map(|(place, column)| (place, column.clone()))
        .collect()
}

/// Checks that a PRIMARY KEY can be read from messages' keys.
fn check_key(table: &Table) -> Result<(), JobError> {
    let Some(columns) = table
        .columns
        .as_ref()
        .filter(|_| !table.primary_key.is_empty())
    else {
        return Ok(());
    };
    if let Some(entry) = table.options.entry("format")
        && entry.value.eq_ignore_ascii_case("text")
    {
        return Err(JobError::new(
            entry.at,
            format!(
                "table `{}` has a PRIMARY KEY: its values need format 'json'",
                table.name
            ),
        ));
    }
    let unfit = key_columns(table, columns)
        .into_iter()
        .find_map(|(_, column)| {
            let reason = key::unsupported(&column)?;
            Some(format!(
                "column `{}` cannot be a PRIMARY KEY: {reason}",
                column.name
            ))
        });
    match unfit {
        Some(reason) => Err(JobError::new(table.at, reason)),
        None => Ok(()),
    }
}

/// The fields of `_metadata`: what Kafka says of a record beside its value. They follow the columns of [`columns`] in the
/// numbering that [`open`] takes.
pub fn metadata(table: &Table) -> Vec<Field> {
    facts(table, false).map(|(field, _)| field).collect()
}

/// Opens the input. `wanted` are places in [`columns`] followed by [`metadata`], in rising order; `decoder` is needed
/// for tables with a `format` and appends the wanted declared columns, `adviser` is what it asks, `key` for those with a PRIMARY KEY.
///
/// # Errors
/// `Refuse` for what [`columns`] finds. No broker is asked yet.
pub fn open(
    table: &Table,
    wanted: &[usize],
    decoder: Option<MakeDecoder>,
    adviser: Option<Arc<dyn Adviser>>,
    key: Option<MakeKeyDecoder>,
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
    let key = key.map(|decoder| {
        let place = |place: usize| wanted.iter().position(|wanted| *wanted == place);
        KeyShape {
            decoder,
            columns: key_columns(table, &columns.fields)
                .into_iter()
                .map(|(at, column)| (column.name, place(at)))
                .collect(),
            decoded: chosen.iter().filter(|(_, fill)| fill.is_none()).count(),
        }
    });
    let shape = Shape {
        decoder: decoder.filter(|_| formatted),
        adviser,
        key,
        fills: chosen.iter().filter_map(|(_, fill)| *fill).collect(),
        width: wanted.len(),
        fail_on_data_loss: settings.fail_on_data_loss,
        whole: None,
    };
    let own = context.further && context.member.is_some() && settings.group.is_none();
    let source = KafkaSource::new(settings, context, schema, shape);
    Ok(Arc::new(if own {
        source.in_group_of(&table.name)
    } else {
        source
    }))
}
