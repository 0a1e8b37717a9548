//! What a build without the feature `avro` says of that format.

use std::sync::Arc;

use thalweg_engine::error::Failure;
use thalweg_engine::schema::{Field, Schema};

use crate::codecs::Adviser;
use crate::job_error::JobError;
use crate::sinks::kafka::MakeEncoder;
use crate::sources::kafka::MakeDecoder;
use crate::table::Table;

const LACKING: &str = "this build lacks the feature `avro`: cargo build --release --features avro";

/// Refuses a table that is read.
pub(super) fn check(table: &Table) -> Result<(), JobError> {
    Err(JobError::new(table.options.at("format", table.at), LACKING))
}

/// Refuses a table that is written.
pub(super) fn check_output(table: &Table, _: &Schema) -> Result<(), JobError> {
    check(table)
}

/// Refuses.
pub(super) fn decoder(
    _: &Table,
    _: (Vec<Field>, Vec<usize>),
) -> Result<(MakeDecoder, Arc<dyn Adviser>), Failure> {
    Err(Failure::refuse(LACKING))
}

/// Refuses.
pub(super) fn check_connect(_: &Table) -> Result<String, Failure> {
    Err(Failure::refuse(LACKING))
}

/// Refuses.
pub(super) fn encoder(_: &Table, _: &Schema) -> Result<MakeEncoder, Failure> {
    Err(Failure::refuse(LACKING))
}
