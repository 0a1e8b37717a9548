//! Asks a bucket whether a job could read or write there, and leaves it as it is.

use std::io::{self, ErrorKind};

use thalweg_engine::error::Failure;

use super::remote::Remote;
use super::store::Store;
use crate::connect::Reach;

/// What a job does with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need<'n> {
    /// Reads what lies below this key.
    Read(&'n str),
    /// Writes below this key.
    Write(&'n str),
}

/// The name of an object that never appears.
const NEVER: &str = "_thalweg_check";

/// Opens the store and asks it for each need.
///
/// # Errors
/// As [`ask`].
pub(crate) fn reach(remote: &Remote, needs: &[Need<'_>]) -> Result<Reach, Failure> {
    let store = Store::open(remote)?;
    let reach = ask(&store, needs)?;
    store.close();
    Ok(reach)
}

/// Asks for each need in turn.
///
/// # Errors
/// When the store does not answer, or there is no such bucket.
pub(super) fn ask(store: &Store, needs: &[Need<'_>]) -> Result<Reach, Failure> {
    let mut reach = Reach::default();
    for need in needs {
        match need {
            Need::Read(below) => read(store, below, &mut reach)?,
            Need::Write(below) => write(store, below, &mut reach)?,
        }
    }
    Ok(reach)
}

fn read(store: &Store, below: &str, reach: &mut Reach) -> Result<(), Failure> {
    let place = place(store, below);
    let first = match allowed(store.first(below)) {
        Ok(Some(first)) => first,
        Ok(None) => {
            let lacks = format!("this key lacks the right to list {place}");
            reach.missing.push(lacks);
            return Ok(());
        }
        Err(error) => return Err(failure(&place, "listed", &error)),
    };
    let Some(first) = first else {
        let found = format!("{place} can be listed; nothing lies there to try reading");
        reach.found.push(found);
        return Ok(());
    };
    let object = store.url(&first.key);
    match allowed(store.look(&first.key)) {
        Ok(Some(_)) => reach.found.push(format!("{place} can be listed and read")),
        Ok(None) => reach.missing.push(format!(
            "this key lacks the right to read {object}, although it may list it"
        )),
        Err(error) => return Err(failure(&object, "read", &error)),
    }
    Ok(())
}

fn write(store: &Store, below: &str, reach: &mut Reach) -> Result<(), Failure> {
    let place = place(store, below);
    let key = if below.is_empty() {
        NEVER.to_owned()
    } else {
        format!("{below}/{NEVER}")
    };
    match allowed(store.try_write(&key)) {
        Ok(Some(())) => reach.found.push(format!("{place} can be written")),
        Ok(None) => reach
            .missing
            .push(format!("this key lacks the right to write to {place}")),
        Err(error) => return Err(failure(&place, "written", &error)),
    }
    Ok(())
}

/// None where a right is missing.
fn allowed<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error),
    }
}

fn place(store: &Store, below: &str) -> String {
    if below.is_empty() {
        store.root().to_owned()
    } else {
        store.url(below)
    }
}

fn failure(place: &str, done: &str, error: &io::Error) -> Failure {
    Failure::refuse(format!("{place} cannot be {done}: {error}"))
}
