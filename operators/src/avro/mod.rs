//! The `avro` format of Kafka's values, with a schema registry: each value names its schema by a number, which a registry
//! explains.
//!
//! The wire format is Confluent's: a zero byte, the schema's id in four bytes, then Avro's binary encoding.

mod cells;
mod decode;
mod encode;
mod questions;
mod references;
mod registry;
#[cfg(test)]
mod tests;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{DataType, Field};

pub(crate) use decode::AvroDecoder;
pub(crate) use encode::{AvroEncoder, schema_of, unsupported};
pub(crate) use questions::Questions;
pub(crate) use registry::{Registry, Settings};

/// The first byte of a value.
const MAGIC: u8 = 0;
/// The bytes before Avro's own.
const HEAD: usize = 5;

/// How messages call a type.
fn shown(data_type: &DataType) -> String {
    data_type.to_string()
}

/// The encoder of rows of these columns for a topic, with the id that the registry gives their schema. Blocks.
///
/// # Errors
/// `Restart` when the registry does not answer, `End` when it has or takes no such schema.
pub(crate) fn encoder(
    settings: &Settings,
    topic: &str,
    columns: &[Field],
) -> Result<AvroEncoder, Failure> {
    let schema = schema_of(columns);
    let registry = Registry::new(settings);
    let id = registry.id_of(&format!("{topic}-value"), &schema.to_string())?;
    Ok(AvroEncoder::new(id, columns))
}
