//! Queries that write files: what Spark refuses for them, and one query for each folder.

use crate::job_error::{JobError, Location};
use crate::plan::Query;
use crate::sinks::folder::folder;
use crate::sql::settings::{OutputMode, Settings};
use crate::table::Table;

/// Refuses output modes that would have to change what is written.
pub(crate) fn append_only(
    table: &Table,
    settings: &Settings,
    at: Location,
) -> Result<(), JobError> {
    let mode = match settings.output_mode {
        OutputMode::Append => return Ok(()),
        OutputMode::Update => "Update",
        OutputMode::Complete => "Complete",
    };
    Err(JobError::new(
        settings.at("outputMode", at),
        format!(
            "Data source {} does not support {mode} output mode",
            table.connector
        ),
    )
    .help("a file that is written does not change: SET outputMode = 'append', with a WATERMARK where rows are aggregated"))
}

/// Refuses dead letters in files: what failed must be safe with its epoch, and would be hidden until its file is complete.
pub(crate) fn no_dead_letters(name: &str, at: Location) -> JobError {
    JobError::new(
        at,
        format!(
            "deadLetterTable: `{name}` is a folder of files, which takes no dead letters: name a Kafka topic"
        ),
    )
}

/// Refuses two queries that write one folder.
pub(crate) fn apart(queries: &[Query]) -> Result<(), JobError> {
    let writers: Vec<&Query> = queries
        .iter()
        .filter(|query| query.output_replaced().is_none() && query.writes_files())
        .collect();
    for (index, query) in writers.iter().enumerate() {
        let own = folder(query.output());
        let other = writers[..index]
            .iter()
            .find(|other| folder(other.output()) == own);
        if let Some(other) = other {
            return Err(JobError::new(
                query.at,
                format!(
                    "the queries `{}` and `{}` write the same folder, {}",
                    other.name,
                    query.name,
                    query.output().options.get("path").unwrap_or_default()
                ),
            )
            .help(
                "give each a table with its own path, or make one query of both with UNION ALL",
            ));
        }
    }
    Ok(())
}
