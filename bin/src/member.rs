//! The name of this process among those that share a job.

use std::fs;

use thalweg_operators::plan::Query;

use crate::refusal::Refusal;

/// The name: as it is given, else that of the machine, which in Kubernetes is the pod's. None where the job is not shared.
///
/// # Errors
/// When a name is given and nothing is shared, or it cannot be a name.
pub(crate) fn name(given: Option<&str>, queries: &[Query]) -> Result<Option<String>, Refusal> {
    if !queries.iter().any(|query| query.settings.shared) {
        return match given {
            None => Ok(None),
            Some(_) => Err(Refusal::new(
                "--member names one of several processes that share a job, and this job is run by one: write \
                 SET assignment = 'group' in it, or leave --member out",
            )),
        };
    }
    let name = match given {
        Some(name) => name.to_owned(),
        None => fs::read_to_string("/proc/sys/kernel/hostname")
            .map_err(|error| {
                Refusal::new(format!(
                    "the name of this machine cannot be read: {error}. Give --member NAME"
                ))
            })?
            .trim()
            .to_owned(),
    };
    let fits = !name.is_empty()
        && name.len() <= 200
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if fits {
        Ok(Some(name))
    } else {
        Err(Refusal::new(format!(
            "`{name}` cannot be the name of a member: letters, digits, `.`, `_` and `-`, 200 at most. Give --member NAME"
        )))
    }
}
