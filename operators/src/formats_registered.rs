//! The format `avro`, whose schemas a registry knows, as tables use it.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{Field, Schema};

use crate::avro::{self, AvroDecoder, Questions, Registry, Settings};
use crate::codecs::{Adviser, Mode};
use crate::job_error::JobError;
use crate::sinks::kafka::MakeEncoder;
use crate::sources::kafka::MakeDecoder;
use crate::table::Table;

fn refused(error: JobError) -> Failure {
    Failure::refuse(error.message)
}

/// Checks a table that is read.
pub(super) fn check(table: &Table) -> Result<(), JobError> {
    Settings::of(table).map(|_| ())
}

/// Checks a table that is written with these columns.
pub(super) fn check_output(table: &Table, schema: &Schema) -> Result<(), JobError> {
    check(table)?;
    match avro::unsupported(&schema.fields) {
        Some(why) => Err(JobError::new(table.options.at("format", table.at), why)),
        None => Ok(()),
    }
}

/// What decodes the columns at these places, and what it asks.
pub(super) fn decoder(
    table: &Table,
    (columns, wanted): (Vec<Field>, Vec<usize>),
) -> Result<(MakeDecoder, Arc<dyn Adviser>), Failure> {
    let questions = Questions::open(&Settings::of(table).map_err(refused)?)?;
    let wanted: Vec<Field> = wanted
        .iter()
        .filter_map(|place| columns.get(*place).cloned())
        .collect();
    let mode = table.options.get("mode").map(Mode::of_word);
    let mode = mode.unwrap_or(Mode::FailFast);
    let asked = Arc::clone(&questions);
    let make: MakeDecoder =
        Box::new(move || Box::new(AvroDecoder::new(Arc::clone(&asked), wanted.clone(), mode)));
    Ok((make, questions))
}

/// Asks the registry of a table whether it lets this user in. Blocks.
pub(super) fn check_connect(table: &Table) -> Result<String, Failure> {
    Registry::new(&Settings::of(table).map_err(refused)?).check()
}

/// What encodes rows of these columns. Blocks until the registry has told the id of their schema.
pub(super) fn encoder(table: &Table, schema: &Schema) -> Result<MakeEncoder, Failure> {
    let settings = Settings::of(table).map_err(refused)?;
    let topic = table.options.get("topic").unwrap_or_default().trim();
    let encoder = avro::encoder(&settings, topic, &schema.fields)?;
    Ok(Box::new(move || Box::new(encoder.clone())))
}
