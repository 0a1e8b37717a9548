//! Queries that keep their checkpoints in an object store: what does not go together is refused before anything runs.

use crate::checkpoints::{is_remote, remote};
use crate::job_error::JobError;
use crate::plan::Query;

/// Refuses an address that is none, options that do not fit it, and an output that needs a folder of this machine.
pub(crate) fn check(query: &Query) -> Result<(), JobError> {
    let settings = &query.settings;
    let Some(location) = settings.checkpoint_location.as_deref() else {
        return Ok(());
    };
    let at = settings.at("checkpointLocation", query.at);
    if remote(location, &settings.checkpoint_options, at)?.is_none() || query.temporary {
        return Ok(());
    }
    let output = query.output();
    let path = output.options.get("path").unwrap_or_default();
    if query.writes_files() && is_remote(path) {
        let folder = if settings.shared {
            "a folder that all processes see"
        } else {
            "a folder of this machine that outlives the process"
        };
        return Err(JobError::new(
            at,
            format!(
                "the output `{}` lies in an object store, and what is not complete of it waits beside the checkpoints",
                output.name
            ),
        )
        .help(format!("for this query SET checkpointLocation to {folder}")));
    }
    Ok(())
}
