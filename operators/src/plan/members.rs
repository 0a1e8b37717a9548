//! Whether several processes can share a query, as `assignment = 'group'` wants.

use crate::job_error::{JobError, Location};
use crate::plan::Query;
use crate::sql::settings::Settings;

/// Refuses to share a job that has no name but its file's.
pub(crate) fn named<'s>(
    name: Option<&str>,
    mut queries: impl Iterator<Item = &'s Settings>,
) -> Result<(), JobError> {
    match queries.find(|settings| settings.shared) {
        Some(settings) if name.is_none() => Err(JobError::new(
            settings.at("assignment", Location::default()),
            "assignment = 'group' needs a jobName: processes that share a job know it by that",
        )
        .help("write SET jobName = '...' before the first query")),
        _ => Ok(()),
    }
}

/// Refuses what needs all partitions in one process.
pub(crate) fn check(query: &Query) -> Result<(), JobError> {
    let refused = |at: Location, why: String, help: &str| Err(JobError::new(at, why).help(help));
    if !query.settings.shared {
        return match query.settings.standby {
            0 => Ok(()),
            _ => refused(
                query.settings.at("standbyReplicas", query.at),
                "standbyReplicas: there are no other processes that could keep a copy of the state"
                    .to_owned(),
                "write SET assignment = 'group' to share the job, or leave it out",
            ),
        };
    }
    let at = query.settings.at("assignment", query.at);
    let refused = |why: String, help: &str| refused(at, why, help);
    let name = &query.name;
    if query.temporary {
        return refused(
            format!(
                "assignment = 'group': the query `{name}` keeps no checkpoints that processes could share"
            ),
            "write SET checkpointLocation = '...' before it, a folder that all processes see",
        );
    }
    if query.bounded() {
        return refused(
            format!(
                "assignment = 'group': the query `{name}` ends by itself, and processes that share it would not end together"
            ),
            "run it in one process, with assignment = 'manual'",
        );
    }
    let whole = query.inputs().find(|(_, input)| {
        let connector = input.declared.connector.input;
        !connector.is_some_and(|input| input.shared)
    });
    if let Some((_, input)) = whole {
        let table = input.table();
        return refused(
            format!(
                "assignment = 'group': table `{}` cannot be shared by several processes: connector {} knows no groups, Kafka does",
                table.name, table.connector
            ),
            "run it in one process, with assignment = 'manual'",
        );
    }
    if query.gather() {
        return refused(
            format!(
                "assignment = 'group': the query `{name}` gathers: one process would read all partitions"
            ),
            "write SET exchange = 'topic', or PARTITIONED BY where the input is partitioned by the key",
        );
    }
    Ok(())
}
