//! Whether a table's files can be read where the table says, and its bucket lets a job do what it says.

use thalweg_engine::error::Failure;

use super::depot::Depot;
#[cfg(feature = "object-store")]
use super::depot::key;
#[cfg(feature = "object-store")]
use super::options::Clean;
use super::options::Settings;
use super::source::LOST;
use crate::connect::Reach;
#[cfg(feature = "object-store")]
use crate::objects::{self, Need, Remote};
use crate::table::Table;

/// Asks for the folder in which a table's files lie, or the object store.
///
/// # Errors
/// When there is none, it does not answer, or has no such bucket.
pub(crate) fn reach(table: &Table) -> Result<Reach, Failure> {
    let settings = Settings::of(table).map_err(|error| Failure::refuse(error.message))?;
    #[cfg(feature = "object-store")]
    if let Some(remote) = &settings.remote {
        return bucket(remote, &settings);
    }
    let shown = &settings.pattern.text;
    let depot = Depot::open(&settings)?;
    let found = match depot.probe(&settings) {
        Ok(()) => format!("{shown} is there"),
        Err(error) if settings.may_be_missing(&error) => {
            format!("nothing fits {shown} yet")
        }
        Err(error) => return Err(depot.unreadable(&table.name, shown, LOST, &error)),
    };
    Ok(Reach {
        found: vec![found],
        ..Reach::default()
    })
}

#[cfg(feature = "object-store")]
fn bucket(remote: &Remote, settings: &Settings) -> Result<Reach, Failure> {
    let mut needs = vec![Need::Read(key(&settings.pattern.base))];
    // Whether it may delete is not asked: only deleting would tell.
    if let Some(Clean::Archive(folder)) = &settings.clean {
        needs.push(Need::Write(key(folder)));
    }
    objects::reach(remote, &needs)
}
