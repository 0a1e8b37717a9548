//! Who writes the folder of a table: one query, in one process or in several that share it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use thalweg_engine::error::Failure;

use super::{OWN, disk};

/// How often, and how long after each other, a process tries that shares the folder: the first of them has it alone for a moment.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// Makes the folder and keeps all others from writing it.
pub(super) fn alone(root: &Path) -> Result<File, Failure> {
    let file = open(root).map_err(|error| unwritable(root, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken(root)),
        Err(TryLockError::Error(error)) => Err(unwritable(root, &error)),
    }
}

/// Makes the folder and keeps from writing it who does not share it under this name.
pub(super) fn shared(root: &Path, name: &str) -> Result<File, Failure> {
    let mut file = open(root).map_err(|error| unwritable(root, &error))?;
    let named = join(&mut file, name).map_err(|error| unwritable(root, &error))?;
    if named { Ok(file) } else { Err(taken(root)) }
}

fn open(root: &Path) -> io::Result<File> {
    let own = root.join(OWN);
    fs::create_dir_all(&own)?;
    File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(own.join("lock"))
}

/// Whether the folder is shared under this name: the first one writes the name, the others find it.
fn join(file: &mut File, name: &str) -> io::Result<bool> {
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0)?;
                file.rewind()?;
                file.write_all(name.as_bytes())?;
                file.unlock()?;
            }
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        match file.try_lock_shared() {
            Ok(()) => {
                let mut found = String::new();
                file.rewind()?;
                file.read_to_string(&mut found)?;
                return Ok(found == name);
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(false)
}

fn unwritable(root: &Path, error: &io::Error) -> Failure {
    let why = format!("the folder {} cannot be written: {error}", root.display());
    if disk::for_a_while(root, error) {
        Failure::restart(why)
    } else {
        Failure::refuse(why)
    }
}

fn taken(root: &Path) -> Failure {
    Failure::refuse(format!(
        "the folder {} is being written by another query: give each its own path",
        root.display()
    ))
}
