//! The job file: from text to queries that can run.
//!
//! Spark's words wherever Spark has a word. The text becomes tokens, the tokens statements, the statements tables, views,
//! functions and queries, and each query a typed plan. Whatever is wrong is a [`JobError`] with its place.

pub(crate) mod advice;
mod create_table;
pub(crate) mod cursor;
pub(crate) mod dialect;
pub(crate) mod excepted;
pub(crate) mod field_notes;
pub(crate) mod front;
mod insert;
mod job;
pub mod manual;
mod mentions;
mod overrides;
mod plain_names;
mod queries;
mod quotes;
pub mod settings;
pub(crate) mod spark_calls;
pub(crate) mod spark_words;
mod substitute;
pub(crate) mod tokens;
mod unfinished;
pub(crate) mod watermark;

use std::sync::Arc;

use crate::extensions::Extensions;
use crate::job_error::JobError;
use crate::models::Model;
use crate::plan::Query;
use crate::table::Table;

/// Stack for reading a job: nesting is limited, and this is enough for what the limits allow.
const STACK_BYTES: usize = 256 * 1024 * 1024;

/// What the command line changes of a job.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--set name=value` and `--set query.name=value`: name and value.
    pub set: Vec<(String, String)>,
    /// `--input table=FILE`: the table is read from a file of JSON lines, `-` is stdin.
    pub inputs: Vec<(String, String)>,
    /// `--output table=FILE`: the table is written to a file of JSON lines, `-` is stdout.
    pub outputs: Vec<(String, String)>,
    /// Connects to nothing: a `${...}` without a value in a table's options stays as it is written.
    pub offline: bool,
}

/// A job file, checked.
pub struct Job {
    /// `jobName`, where it is given; else the file's name is the job's.
    pub name: Option<String>,
    /// Its tables, in the order of the file.
    pub tables: Vec<Table>,
    /// Its models, in the order of the file.
    pub models: Vec<Arc<Model>>,
    /// Its queries, in the order of the file. At least one.
    pub queries: Vec<Query>,
}

/// Reads a job file. `environment` gives the values of `${NAME}`.
///
/// # Errors
/// For the first thing that is wrong, with its place and, where one is near, the name that was meant. No value of a
/// `${...}` is in it.
pub fn load(
    text: &str,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Job, JobError> {
    load_with(text, overrides, environment, &Arc::default())
}

/// Whether every statement can be read. Names, types and options are looked at by [`load`].
///
/// # Errors
/// For the first that cannot, with its place.
pub fn syntax(text: &str) -> Result<(), JobError> {
    stacker::grow(STACK_BYTES, || {
        let kept = |text: &str, _| Ok(text.to_owned());
        tokens::statements(text)?
            .iter()
            .try_for_each(|tokens| front::statement(tokens, &kept).map(drop))
    })
}

/// As [`load`], with what a program adds to the language.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    text: &str,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
    extensions: &Arc<Extensions>,
) -> Result<Job, JobError> {
    stacker::grow(STACK_BYTES, || {
        let substituter = substitute::Substituter::new(environment);
        job::read(text, overrides, &substituter, extensions)
            .map_err(|error| substituter.redact(error))
    })
}
