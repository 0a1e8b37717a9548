//! Whether the inputs of a query can be read back, as `warmUp` wants.

use crate::job_error::JobError;
use crate::plan::Query;

/// Refuses a warm-up of a query with an input that keeps nothing of what came before the start.
pub(crate) fn check(query: &Query) -> Result<(), JobError> {
    if query.settings.warm_up.is_none() || !query.keeps_state() {
        return Ok(());
    }
    let gone = query.inputs().find(|(_, input)| {
        let connector = input.declared.connector.input;
        input.replaced().is_none() && !connector.is_some_and(|input| input.reads_back)
    });
    let Some((_, input)) = gone else {
        return Ok(());
    };
    let table = input.table();
    Err(JobError::new(
        query.settings.at("warmUp", query.at),
        format!(
            "warmUp reads what stands before the start, and of table `{}` nothing can be read twice: connector {} keeps no records",
            table.name, table.connector
        ),
    )
    .help("leave warmUp out, or write SET warmUp = 'none' before this query"))
}
