//! Where a query keeps its checkpoints: an address that cannot be meant is refused before anything runs.

use crate::checkpoints::remote;
use crate::job_error::JobError;
use crate::plan::Query;

/// Refuses an address that is none, and options that do not fit it.
pub(crate) fn check(query: &Query) -> Result<(), JobError> {
    let settings = &query.settings;
    let Some(location) = settings.checkpoint_location.as_deref() else {
        return Ok(());
    };
    let at = settings.at("checkpointLocation", query.at);
    remote(location, &settings.checkpoint_options, at).map(drop)
}
