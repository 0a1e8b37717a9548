//! Whether a query can be told of records that do not fit.

use crate::formats::{BESIDE_CORRUPT, only_corrupt};
use crate::job_error::JobError;
use crate::plan::{Input, Query};

/// Refuses a query that uses no column of a table but the one for broken records.
pub(crate) fn check(query: &Query) -> Result<(), JobError> {
    let streams = query.inputs().map(|(_, input)| input);
    let statics = query.statics().into_iter().flat_map(|side| side.inputs());
    match streams.chain(statics).find_map(refused) {
        Some(why) => Err(JobError::new(query.at, why).help(BESIDE_CORRUPT)),
        None => Ok(()),
    }
}

fn refused(input: &Input) -> Option<String> {
    let table = input.table();
    let columns = table.columns.as_deref()?;
    let used = input.wanted().iter();
    let used = used.filter_map(|place| columns.get(*place));
    // What folders and keys of messages say is none of the record's.
    let used = used.filter(|column| {
        let mut beside = table.partitioned_by.iter().chain(&table.primary_key);
        !beside.any(|name| name.eq_ignore_ascii_case(&column.name))
    });
    only_corrupt(table, &used.collect::<Vec<_>>())
}
