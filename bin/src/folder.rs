//! Checkpoint folders: whose they are, who has them, and what lies in them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thalweg_engine::epoch::checkpoint_log::CheckpointLog;
use thalweg_engine::epoch::store::{FolderStore, OpenError};
use thalweg_engine::error::Failure;

use crate::refusal::Refusal;

/// Where the checkpoints of a shared query's lanes lie, in its folder.
pub(crate) const LANES: &str = "lanes";

/// Locks a query's folder, making it where it is missing, and opens the log in it.
///
/// # Errors
/// When another process has it, or it cannot be written; the message says what to do.
pub(crate) fn lock(
    folder: &Path,
    kept_max: usize,
    history: bool,
) -> Result<Arc<CheckpointLog>, Refusal> {
    let shown = folder.display();
    if folder.join(LANES).is_dir() {
        return Err(Refusal::new(format!(
            "the checkpoints in {shown} are of processes that share the job: a query goes on in the way it began. Set \
             assignment = 'group', or another checkpointLocation."
        )));
    }
    let store = FolderStore::lock(folder).map_err(|error| match error {
        OpenError::InUse { by } => {
            let by = by.or_else(|| holder(folder)).map_or_else(
                || "another process".to_owned(),
                |pid| format!("the process {pid}"),
            );
            // That process may end, as a pod does that is moved.
            Refusal::passing(format!(
                "the checkpoint folder {shown} is in use by {by}. Two processes on one folder would undo each other's \
                 work: stop that one first, or give this one another checkpointLocation."
            ))
        }
        OpenError::Io(what, error) => Refusal::new(unusable(folder, &what, &error)),
    })?;
    Ok(Arc::new(CheckpointLog::new(
        Arc::new(store),
        kept_max,
        history,
    )))
}

/// Opens the log in a folder that several processes write, making it where it is missing. `token` is of this process alone.
///
/// # Errors
/// When it cannot be written; the message says what to do.
pub(crate) fn share(
    folder: &Path,
    token: &str,
    kept_max: usize,
    history: bool,
) -> Result<CheckpointLog, Failure> {
    match FolderStore::share(folder, token) {
        Ok(store) => Ok(CheckpointLog::new(Arc::new(store), kept_max, history)),
        Err(OpenError::Io(what, error)) => Err(Failure::restart(unusable(folder, &what, &error))),
        Err(OpenError::InUse { .. }) => Err(Failure::restart(format!(
            "the checkpoint folder {} is locked",
            folder.display()
        ))),
    }
}

fn unusable(folder: &Path, what: &str, error: &std::io::Error) -> String {
    format!(
        "the checkpoint folder {} cannot be used: {what}: {error}. Make it writable for this user, or set another \
         checkpointLocation.",
        folder.display()
    )
}

/// Opens a log to look at: nothing is locked, made or changed.
pub(crate) fn look(folder: &Path) -> CheckpointLog {
    CheckpointLog::new(Arc::new(FolderStore::read_only(folder)), usize::MAX, false)
}

/// The folders of queries at a place: the place itself, or those right below it, by name.
///
/// # Errors
/// When there is no such folder, it cannot be read, or no checkpoints lie there.
pub(crate) fn queries(place: &Path) -> Result<Vec<PathBuf>, Refusal> {
    let shown = place.display();
    if place.join(LANES).is_dir() {
        return queries(&place.join(LANES));
    }
    if place.join("epochs").is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place)
        .map_err(|error| Refusal::new(format!("the folder {shown} cannot be read: {error}")))?;
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.join(LANES).is_dir() {
            found.extend(queries(&path.join(LANES))?);
        } else if path.join("epochs").is_dir() {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Refusal::new(format!(
            "no checkpoints in `{shown}`. Give the job's checkpointLocation, or the folder of one query in it."
        )));
    }
    Ok(found)
}

/// The folder of exactly one query.
///
/// # Errors
/// As [`queries`], and when the place holds several.
pub(crate) fn one_query(place: &Path) -> Result<PathBuf, Refusal> {
    let found = queries(place)?;
    match found.as_slice() {
        [one] if one == place => Ok(one.clone()),
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Err(Refusal::new(format!(
                "{} holds the folders of queries; give one: {}",
                place.display(),
                names.join(", ")
            )))
        }
    }
}

/// The process that has the folder's lock, as the kernel tells without touching the lock.
pub(crate) fn holder(folder: &Path) -> Option<u32> {
    let lock = fs::metadata(folder.join("lock")).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // 3: FLOCK  ADVISORY  WRITE 4711 fd:01:1234 0 EOF
        let words: Vec<&str> = line.split_whitespace().collect();
        let place = words.iter().position(|word| *word == "FLOCK")?;
        let inode = words.get(place + 4)?.rsplit(':').next()?;
        if inode.parse::<u64>().ok()? != lock.ino() {
            return None;
        }
        words.get(place + 3)?.parse::<u32>().ok()
    })
}
