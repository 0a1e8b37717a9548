//! Whether a table's bucket lets a job do what the table says.

use thalweg_engine::error::Failure;

use super::depot::key;
use super::options::{Clean, Settings};
use crate::connect::Reach;
use crate::objects::{self, Need};
use crate::table::Table;

/// Asks the object store in which a table's files lie; None where they lie on this machine.
///
/// # Errors
/// When it does not answer, or has no such bucket.
pub(crate) fn reach(table: &Table) -> Result<Option<Reach>, Failure> {
    let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
    let Some(remote) = &settings.remote else {
        return Ok(None);
    };
    let mut needs = vec![Need::Read(key(&settings.pattern.base))];
    // Whether it may delete is not asked: only deleting would tell.
    if let Some(Clean::Archive(folder)) = &settings.clean {
        needs.push(Need::Write(key(folder)));
    }
    objects::reach(remote, &needs).map(Some)
}
