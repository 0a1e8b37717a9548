//! `--input` and `--output`: whether the tables that they name are there, and are read and written at all.

use crate::job_error::{JobError, Location};
use crate::plan::{Query, StepKind};
use crate::sql::Overrides;
use crate::table::Table;

/// Refuses a name that no table of the job has.
pub(super) fn known<'t>(
    overrides: &Overrides,
    tables: impl Iterator<Item = &'t Table> + Clone,
) -> Result<(), JobError> {
    let all = [
        ("--input", &overrides.inputs),
        ("--output", &overrides.outputs),
    ];
    for (flag, list) in all {
        for (name, _) in list {
            let mut names = tables.clone().map(|table| table.name.as_str());
            if !names.any(|known| known.eq_ignore_ascii_case(name)) {
                let message = format!("{flag} {name}=...: the job has no table `{name}`");
                let known = tables.clone().map(|table| table.name.as_str());
                return Err(JobError::new(Location::default(), message).nearest(name, known));
            }
        }
    }
    Ok(())
}

/// Refuses a file in place of a table that no query uses that way: nothing would be replaced, and the job would run on what
/// it was to be kept from.
pub(super) fn used(overrides: &Overrides, queries: &[Query]) -> Result<(), JobError> {
    let mut read = Vec::new();
    let mut written = Vec::new();
    for query in queries {
        written.push(query.output.table.name.as_str());
        written.extend(
            query
                .dead_letters
                .iter()
                .map(|dead| dead.table.name.as_str()),
        );
        read.extend(query.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Source(input) => Some(input.table().name.as_str()),
            _ => None,
        }));
    }
    let has = |names: &[&str], name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
    for (flag, list, used, other, does, meant) in [
        (
            "--input",
            &overrides.inputs,
            &read,
            &written,
            "reads",
            "--output",
        ),
        (
            "--output",
            &overrides.outputs,
            &written,
            &read,
            "writes",
            "--input",
        ),
    ] {
        if let Some((name, _)) = list.iter().find(|(name, _)| !has(used, name)) {
            let message = format!("{flag} {name}=...: no query {does} the table `{name}`");
            let error = JobError::new(Location::default(), message);
            return Err(if has(other, name) {
                error.help(format!("write {meant} {name}=..."))
            } else {
                error
            });
        }
    }
    Ok(())
}
